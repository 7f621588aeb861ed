"""Runs side by side as a figure: their fronts in one plane, and how fast each got there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from results.compare import Compared, Comparison
from results.figures import along, dress, save, thousands
from results.ranges import drawable
from results.units import label, logarithmic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")
"""Of one run after the other: Okabe and Ito's palette, which colour-blind readers tell apart; marks and dashes differ
too, and names stand beside the lines."""

POINTS = 300
"""Most points of a line."""


def compare_figure(comparison: Comparison, path: str | os.PathLike[str], *, dpi: int = 200) -> Path:
    """Draw a comparison into a file and return where it is.

    Raises: RecipeError for another ending than those of `results.drawing.FORMATS`, or a folder that is not there.
    """
    return save(make_compare_figure(comparison), path, dpi)


def make_compare_figure(comparison: Comparison) -> Figure:
    """Fronts by the first two objectives, and hypervolume over trials; with one objective, its best over trials."""
    from matplotlib.figure import Figure

    several = len(comparison.objectives) > 1
    figure = Figure(figsize=(11.0 if several else 6.8, 4.4), layout="constrained")
    panels = figure.subplots(1, 1 + several, squeeze=False)[0]
    if several:
        _fronts(panels[0], comparison)
    _ways(panels[-1], comparison)
    for axes in panels:
        thousands(axes)
    return figure


def _fronts(axes: Axes, comparison: Comparison) -> None:
    up, across = comparison.objectives[:2]
    units = {objective.name: objective.unit for objective in comparison.objectives}
    flat = len(comparison.objectives) == 2
    xs: list[float] = []
    for place, run in enumerate(comparison.runs):
        values = drawable(run.points.values[np.argsort(run.points.values[:, 1], kind="stable")])
        colour, mark = COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)]
        if flat:
            steps = "steps-post" if across.direction == "min" else "steps-pre"
            axes.plot(values[:, 1], values[:, 0], drawstyle=steps, color=colour, alpha=0.55, linewidth=1.1,
                      linestyle=DASHES[place % len(DASHES)])  # fmt: skip
        axes.plot(values[:, 1], values[:, 0], mark, color=colour, markersize=5.5, markeredgecolor="white",
                  markeredgewidth=0.6, label=f"{run.name} ({run.front})")  # fmt: skip
        xs += values[:, 1].tolist()
    if logarithmic(across.name, min(xs), max(xs), units):
        axes.set_xscale("log")
    better = {"max": "more is better", "min": "less is better"}
    dress(axes, *(f"{label(o.name, units)} – {better[o.direction]}" for o in (across, up)))
    axes.set_title("fronts" if flat else "fronts, in the first two of the objectives", fontsize=10, loc="left")
    axes.legend(frameon=False, fontsize=8.5, title="front of (networks)", title_fontsize=8.5, alignment="left")


def _ways(axes: Axes, comparison: Comparison) -> None:
    ends = []
    for place, run in enumerate(comparison.runs):
        x, y = _line(run, comparison)
        colour = COLOURS[place % len(COLOURS)]
        axes.step(x, y, where="post", color=colour, linewidth=1.6, linestyle=DASHES[place % len(DASHES)])
        axes.plot(x[-1:], y[-1:], MARKS[place % len(MARKS)], color=colour, markersize=5.5)
        ends.append((float(x[-1]), float(y[-1]), run.name, colour))
    first = comparison.objectives[0]
    if _by_volume(comparison):
        dress(axes, "trials", "hypervolume (% of that of all runs together)")
        axes.set_title("hypervolume over trials", fontsize=10, loc="left")
    else:
        dress(axes, "trials", f"best {label(first.name, {first.name: first.unit})}")
        axes.set_title("best so far", fontsize=10, loc="left")
    along(axes, max(run.trials for run in comparison.runs))
    _names(axes, ends)


def _by_volume(comparison: Comparison) -> bool:
    return len(comparison.objectives) > 1 and comparison.hypervolume is not None


def _line(run: Compared, comparison: Comparison) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Trials and what was reached by then, to the run's last trial."""
    first = comparison.objectives[0]
    if _by_volume(comparison):
        places = run.way.places(POINTS)
        signs = np.array([-1.0 if o.direction == "max" else 1.0 for o in comparison.objectives])
        reference = np.array([comparison.reference[o.name] for o in comparison.objectives]) * signs
        y = 100 * run.way.volumes(places, reference) / (comparison.hypervolume or 1.0)
    else:
        places = run.way.changes(0, POINTS)
        y = drawable(run.way.best[places, 0] * (-1.0 if first.direction == "max" else 1.0))
    return np.append(run.way.trials[places], run.trials).astype(float), np.append(y, y[-1])


def _names(axes: Axes, ends: list[tuple[float, float, str, str]]) -> None:
    """Names beside the ends of lines, moved apart where they would overlap, readable above other lines."""
    from matplotlib.patheffects import withStroke

    halo = withStroke(linewidth=3, foreground="white")
    low, high = axes.get_ylim()
    gap = (high - low) * 0.045
    order = sorted(ends, key=lambda end: end[1])
    places = [y for _, y, *_ in order]
    for upper in range(1, len(places)):
        places[upper] = max(places[upper], places[upper - 1] + gap)
    ceiling = high
    for number in reversed(range(len(places))):
        places[number] = min(places[number], ceiling)
        ceiling = places[number] - gap
    for (x, _y, name, colour), place in zip(order, places, strict=True):
        axes.annotate(name, (x, place), xytext=(7, 0), textcoords="offset points", color=colour, va="center",
                      fontsize=8.5, annotation_clip=False, path_effects=[halo])  # fmt: skip
