"""The front as a figure for papers and slides: PNG, SVG or PDF."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.core.errors import RecipeError, nearest
from nas.core.records import Objective, Trial
from results.drawing import check_ending
from results.ranges import DRAWN
from results.run import Run
from results.units import label, logarithmic, unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAINT, FRONT, KNEE = "#9aa7b8", "#d55e00", "#0072b2"
"""Grey, vermillion and blue of Okabe and Ito's palette, which colour-blind readers tell apart; marks differ too."""

EMPTY = "no trial is complete yet"
"""What a figure without points says."""


def front_figure(
    run: Run, path: str | os.PathLike[str], *, x: str | None = None, y: str | None = None, dpi: int = 200
) -> Path:
    """Draw the front of a run into a file and return where it is.

    x, y: metrics across and up; by default the second and the first objective, or the order of trials with one.
    path: its ending says the format (`results.drawing.FORMATS`).

    Raises: RecipeError for another ending, a metric that no complete trial has, or a folder that is not there.
    """
    return save(make_figure(run, x, y), path, dpi)


def save(figure: Figure, path: str | os.PathLike[str], dpi: int = 200) -> Path:
    """Write a figure and return where it is. Raises RecipeError for another ending, or a folder that is not there."""
    target = Path(path)
    check_ending(target, "figure")
    try:
        figure.savefig(target, dpi=dpi, bbox_inches="tight")
    except OSError as error:
        raise RecipeError(f"figure {str(path)!r} cannot be written: {error}") from error
    return target


def dress(axes: Axes, x: str = "", y: str = "") -> None:
    """What all figures have in common: names of axes, a light grid, no frame."""
    if x:
        axes.set_xlabel(x)
    if y:
        axes.set_ylabel(y)
    axes.grid(color="#dde2ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


MANY = 200
"""From so many trials on they are drawn on a logarithmic axis: most happens among the first."""


def along(axes: Axes, trials: int) -> None:
    """The axis of trials, counted from 1."""
    from matplotlib.ticker import StrMethodFormatter

    if trials >= MANY:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_xlabel(f"{axes.get_xlabel()}, logarithmic")


def capped(axes: Axes, name: str, units: dict[str, str], axis: str = "y") -> None:
    """No axis of percent that runs beyond 100 where no value does."""
    low, high = getattr(axes, f"get_{axis}lim")()
    values = getattr(axes.dataLim, f"{axis}1")
    if unit_of(name, units) == "%" and high > 100 >= values:
        getattr(axes, f"set_{axis}lim")(low, 100)


def thousands(axes: Axes) -> None:
    """Large numbers along both axes with k, M, …, but not along an axis of trials."""
    from matplotlib.ticker import EngFormatter, StrMethodFormatter

    for axis in (axes.xaxis, axes.yaxis):
        counted = isinstance(axis.get_major_formatter(), StrMethodFormatter)  # see `along`
        if not counted and max(map(abs, axis.get_view_interval())) >= 1e4:
            axis.set_major_formatter(EngFormatter(sep=""))


def make_figure(run: Run, x: str | None = None, y: str | None = None) -> Figure:
    """The figure of `front_figure`, to be shown or changed. Raises RecipeError for an unknown metric."""
    from matplotlib.figure import Figure

    objectives = run.objectives
    up = y or objectives[0].name
    across = x or next((o.name for o in objectives if o.name != up), "trial")
    known = {name for trial in run.front.complete for name in trial.metrics} | {"trial"}
    for name in (across, up):
        if known != {"trial"} and name not in known:
            raise RecipeError(f"metric {name!r} is on no complete trial; {nearest(name, known)}")
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    _draw(axes, run, across, up)
    units = {objective.name: objective.unit for objective in objectives}
    dress(axes, _axis(across, objectives, units), _axis(up, objectives, units))
    return figure


def _draw(axes: Axes, run: Run, across: str, up: str) -> None:
    front = run.front
    shown = [trial for trial in front.complete if _has(trial, across) and _has(trial, up)]
    if not shown:
        axes.text(0.5, 0.5, EMPTY, ha="center", va="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        return
    ids = set(front.ids)
    on_front = [trial for trial in shown if trial.id in ids]
    rest = [trial for trial in front.dominated if _has(trial, across) and _has(trial, up)]
    faint: dict[str, Any] = {"s": 9, "color": FAINT, "alpha": 0.55 if len(rest) < 1000 else 0.25, "linewidths": 0}
    axes.scatter(*_points(rest, across, up), label=f"dominated ({len(rest):,})", rasterized=len(rest) > 2000, **faint)
    directions = {objective.name: objective.direction for objective in run.objectives}
    if len(directions) == 2 and {across, up} == set(directions):
        steps = "steps-post" if directions[across] == "min" else "steps-pre"
        order = sorted(on_front, key=lambda trial: _value(trial, across))
        axes.plot(*_points(order, across, up), drawstyle=steps, color=FRONT, linewidth=1.0, alpha=0.6)
    axes.scatter(*_points(on_front, across, up), s=34, color=FRONT, edgecolors="white", linewidths=0.7, zorder=3,
                 label=f"front ({len(on_front)})")  # fmt: skip
    place = front.knee_place()
    knee = front.light[place] if place is not None else None
    if knee is not None and _has(knee, across) and _has(knee, up):
        axes.scatter(*_points([knee], across, up), s=70, marker="D", color=KNEE, edgecolors="white", linewidths=0.8,
                     zorder=4, label=f"knee (trial {knee.id})")  # fmt: skip
    units = {objective.name: objective.unit for objective in run.objectives}
    for name, scale in ((across, axes.set_xscale), (up, axes.set_yscale)):
        values = [_value(trial, name) for trial in shown]
        if name != "trial" and logarithmic(name, min(values), max(values), units):
            scale("log")
    capped(axes, across, units, "x")
    capped(axes, up, units, "y")
    thousands(axes)
    axes.legend(frameon=False, fontsize=9)


def _axis(name: str, objectives: tuple[Objective, ...], units: dict[str, str]) -> str:
    direction = next((objective.direction for objective in objectives if objective.name == name), "")
    better = {"max": " – more is better", "min": " – less is better", "": ""}[direction]
    return label(name, units) + better


def _has(trial: Any, name: str) -> bool:
    return name == "trial" or name in trial.metrics


def _value(trial: Any, name: str) -> float:
    return trial.id if name == "trial" else float(np.clip(trial.metrics[name], -DRAWN, DRAWN))


def _points(trials: list[Any] | list[Trial], across: str, up: str) -> tuple[list[float], list[float]]:
    return [_value(trial, across) for trial in trials], [_value(trial, up) for trial in trials]
