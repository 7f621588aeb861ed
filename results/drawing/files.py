"""Drawings of the networks on a front as files beside a report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nas.core.errors import NASError, RecipeError
from nas.core.graph import Graph
from nas.core.profile import InputSpec
from nas.core.records import Trial
from results.drawing.networks import picture
from results.drawing.picture import Picture
from results.spread import spread

NETWORKS = 24
"""Most networks of a front that are drawn into files."""

ENDINGS = (".svg", ".png")
"""Files that each is drawn into."""

WRITTEN = ".drawn"
"""The file beside drawings that names them, so that nothing else is ever removed."""

_OURS = re.compile(r"trial-\d+\.(svg|png)")

TALLEST, WIDEST = 900.0, 1600.0
"""Px that such a drawing should take."""


def save_networks(
    trials: Sequence[Trial], inputs: Mapping[str, InputSpec] | None, folder: Path, *, most: int = NETWORKS
) -> tuple[list[Path], str]:
    """Draw networks as `folder/trial-ID.svg` and `.png`; return the files, and a sentence about what was left out.

    Of more than `most`, those that are drawn are spread evenly over the front, its ends among them; the sentence is ''
    where all are drawn. Drawings that an earlier call made, of trials that are not drawn now, are removed; the file
    WRITTEN beside them says which those are. inputs: what the networks take, for shapes and costs.

    Raises: RecipeError when the folder cannot be made or written.
    """
    chosen = [trials[place] for place in spread(len(trials), most)]
    files = [folder / f"trial-{trial.id}{ending}" for trial in chosen for ending in ENDINGS]
    try:
        _make_room(folder, {file.name for file in files})
    except OSError as error:
        raise RecipeError(f"drawings {str(folder)!r} cannot be written: {error.strerror or error}") from error
    for place, trial in enumerate(chosen):
        made = _picture(trial.candidate.graph, inputs, f"the network of trial {trial.id}")
        for file in files[len(ENDINGS) * place :][: len(ENDINGS)]:
            made.save(file)
    left = len(trials) - len(chosen)
    return files, f"drew {len(chosen)} of the {len(trials):,} networks on the front, evenly spread" if left else ""


def _make_room(folder: Path, names: set[str]) -> None:
    """Make the folder, remove from it what was drawn before and is not to be drawn now, and note what is."""
    noted = folder / WRITTEN
    before = set(noted.read_text(encoding="utf-8").split()) if noted.is_file() else set()
    if not names and not before:
        return
    folder.mkdir(parents=True, exist_ok=True)
    noted.write_text("".join(f"{name}\n" for name in sorted(before | names)), encoding="utf-8")  # if it is stopped here
    for name in before - names:
        if _OURS.fullmatch(name):
            (folder / name).unlink(missing_ok=True)
    noted.write_text("".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")


def _picture(graph: Graph, inputs: Mapping[str, InputSpec] | None, title: str) -> Picture:
    """With shapes where they can be worked out: a user's own operation may not be there where the drawing is made."""
    if inputs is not None:
        try:
            return picture(graph, inputs, collapse=True, tallest=TALLEST, widest=WIDEST, title=title)
        except (NASError, ImportError):
            pass
    return picture(graph, collapse=True, tallest=TALLEST, widest=WIDEST, title=title)
