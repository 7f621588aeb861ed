"""Drawings of the networks on a front as files beside a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nas.core.errors import NASError, RecipeError
from nas.core.graph import Graph
from nas.core.profile import InputSpec
from nas.core.records import Trial
from results.drawing.networks import picture
from results.drawing.picture import Picture

NETWORKS = 24
"""Most networks of a front that are drawn into files; two files each."""

TALLEST, WIDEST = 900.0, 1600.0
"""Px that such a drawing should take."""


def save_networks(
    trials: Sequence[Trial], inputs: Mapping[str, InputSpec] | None, folder: Path, *, most: int = NETWORKS
) -> tuple[list[Path], str]:
    """Draw networks as `folder/trial-ID.svg` and `.png`; return the files, and a sentence about what was left out.

    Of more than `most`, those that are drawn are spread evenly over the front, its ends among them; the sentence is ''
    where all are drawn. inputs: what the networks take, for shapes and costs.

    Raises: RecipeError when the folder cannot be made or written.
    """
    chosen = list(trials)
    if len(chosen) > most:
        step = (len(chosen) - 1) / max(most - 1, 1)
        chosen = [chosen[round(place * step)] for place in range(most)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"drawings {str(folder)!r} cannot be written: {error.strerror or error}") from error
    files = []
    for trial in chosen:
        made = _picture(trial.candidate.graph, inputs, f"the network of trial {trial.id}")
        files += [made.save(folder / f"trial-{trial.id}{ending}") for ending in (".svg", ".png")]
    left = len(trials) - len(chosen)
    return files, f"drew {len(chosen)} of the {len(trials)} networks on the front, evenly spread" if left else ""


def _picture(graph: Graph, inputs: Mapping[str, InputSpec] | None, title: str) -> Picture:
    """With shapes where they can be worked out: a user's own operation may not be there where the drawing is made."""
    if inputs is not None:
        try:
            return picture(graph, inputs, collapse=True, tallest=TALLEST, widest=WIDEST, title=title)
        except (NASError, ImportError):
            pass
    return picture(graph, collapse=True, tallest=TALLEST, widest=WIDEST, title=title)
