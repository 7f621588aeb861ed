"""How the best got better, as a figure for papers and slides: PNG, SVG or PDF."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from results.analysis.progress import Way
from results.figures import EMPTY, FRONT, KNEE, along, capped, dress, save, thousands
from results.ranges import drawable
from results.run import Run
from results.units import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 400
"""Most points of a line."""

HYPERVOLUME = "hypervolume (% of the final one)"
"""What its axis is called."""


def progress_figure(run: Run, path: str | os.PathLike[str], *, dpi: int = 200) -> Path:
    """Draw the best so far of each objective, and the hypervolume, over the trials of a run; return where it is.

    Raises: RecipeError for another ending than those of `results.drawing.FORMATS`, or a folder that is not there.
    """
    return save(make_progress_figure(run), path, dpi)


def make_progress_figure(run: Run) -> Figure:
    """The figure of `progress_figure`: a panel per objective, one for the hypervolume where two to four have one."""
    from matplotlib.figure import Figure

    front = run.front
    search = [row for row in run.rows if row.stage == "search"]
    way = Way.of(search, front)
    units = {objective.name: objective.unit for objective in front.objectives}
    objectives = front.objectives[:4]
    volume = 2 <= len(front.objectives) <= 4 and front.hypervolume is not None
    number = len(objectives) + volume
    figure = Figure(figsize=(6.4, 1.2 + 1.9 * number), layout="constrained")
    panels = figure.subplots(number, 1, sharex=True, squeeze=False)[:, 0]
    for goal, (axes, objective) in enumerate(zip(panels, objectives, strict=False)):
        _best(axes, way, goal, -1.0 if objective.direction == "max" else 1.0, len(search))
        dress(axes, y=f"best {label(objective.name, units)}")
        capped(axes, objective.name, units)
    if volume:
        _volume(panels[-1], way, front.reference_losses, len(search))
        dress(panels[-1], y=HYPERVOLUME.replace(" (", "\n("))
    panels[-1].set_xlabel("trials")
    along(panels[-1], len(search))
    for axes in panels:
        thousands(axes)
    return figure


def _best(axes: Axes, way: Way, goal: int, sign: float, trials: int) -> None:
    if not len(way):
        axes.text(0.5, 0.5, EMPTY, ha="center", va="center", transform=axes.transAxes)
        return
    places = way.changes(goal, POINTS)
    y = drawable(way.best[places, goal] * sign)
    axes.step([*way.trials[places], trials], [*y, y[-1]], where="post", color=FRONT, linewidth=1.6, clip_on=False)
    axes.plot(way.trials[places], y, "o", color=FRONT, markersize=3.5, clip_on=False)


def _volume(axes: Axes, way: Way, reference: NDArray[np.float64] | None, trials: int) -> None:
    if not len(way) or reference is None:
        return
    places = way.places(POINTS)
    volumes = way.volumes(places, reference)
    y = 100 * volumes / (volumes[-1] or 1.0)
    axes.step([*way.trials[places], trials], [*y, y[-1]], where="post", color=KNEE, linewidth=1.6, linestyle="--",
              clip_on=False)  # fmt: skip
    axes.set_ylim(0, 100)
