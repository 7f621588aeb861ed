"""The plot of a report: the front point by point, the dominated by cells, and what their networks were decided to be.

However many trials there are, the plot holds at most FRONTED large marks and about FAINT small ones. A small mark
stands at a real trial, the best of those in one cell of a grid over the goals, and says how many it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import RecipeError
from nas.core.records import Constraint, Trial
from results.front import Front
from results.ranges import scaled
from results.rows import Row
from results.units import label, logarithmic, unit_of

FAINT, FRONTED = 2500, 2000
"""Most small and large marks."""

ANY = "\0"
"""Where a trial's number goes in a command that is for any of them."""

FINEST = {2: 400, 3: 60}
"""Cells along a side of the grid, to begin with, by how many sides there are: finer ones could not be told apart."""


def points_of(
    shown: Sequence[Row],
    behind: Sequence[Row],
    front: Front[Trial],
    finalists: Mapping[int, Trial],
    units: Mapping[str, str],
    constraints: Iterable[str],
    holds: Callable[[Row], bool] = lambda row: False,
) -> dict[str, Any]:
    """Columns of numbers of the front (`shown`, which may be a part of it), of what was retrained behind it, and of the
    rest. holds: whether there are weights of a network.
    """
    large = [*shown, *behind]
    goals = [objective.name for objective in front.objectives]
    names = [name for name in names_of(large, goals) if all(name in row.metrics for row in large)]
    taken = {row.id for row in behind}
    dominated = [row for row in front.dominated if isinstance(row, Row) and row.id not in taken]
    columns = {name: _column(dominated, name) for name in names}
    ranges = _ranges(columns, large)
    axes = [_axis(name, front, units, ranges[name]) for name in names]
    logs = {each["name"] for each in axes if each["log"]}
    kept, counts = thin(_grid(columns, dominated, front, logs), FAINT, [*columns.values()])
    faint = [dominated[place] for place in kept]
    words: dict[tuple[str, str], int] = {}
    return {
        "axes": [*axes, {"name": "trial", "label": "trial", "unit": "", "direction": "", "log": False}],
        "goals": goals,
        "large": _columns(large, names, words)
        | {
            "front": [place < len(shown) for place in range(len(large))],
            "retrained": [row.id in finalists for row in large],
        },
        "faint": _columns(faint, names, words) | {"count": counts},
        "held": [row.id for row in (*large, *faint) if holds(row)],
        "words": [list(pair) for pair in words],
        "together": len(dominated) > len(faint),
        "constraints": bounds_of(constraints, names),
    }


def names_of(rows: Iterable[Row | Trial], goals: Sequence[str]) -> list[str]:
    """All metrics, goals first."""
    return list(dict.fromkeys([*goals, *(name for row in rows for name in row.metrics)]))


def option(value: Any) -> str:
    """An option as text: a subset is written in braces, a text that could not be seen in quotes."""
    if isinstance(value, tuple | list):
        return "{" + ", ".join(map(option, value)) + "}"
    return str(value) if str(value).strip() else f'"{value}"'


def bounds_of(constraints: Iterable[str], names: Sequence[str]) -> list[dict[str, Any]]:
    """Constraints such as 'params <= 200000', as far as they bound an axis of the plot."""
    found = []
    for text in constraints:
        name, _, rest = str(text).partition(" ")
        try:
            bound = Constraint.parse(name, rest)
        except RecipeError:  # written by something else: it stands among the facts, as it is
            continue
        if name in names:
            found.append({"name": name, "most": bound.relation[0] == "<", "bound": bound.bound, "text": str(text)})
    return found


def thin(grid: NDArray[np.float64], most: int, extremes: Sequence[NDArray[np.float64]]) -> tuple[list[int], list[int]]:
    """Places to show of many, and how many each stands for: one for each occupied cell of a grid.

    grid: (places, goals), to be minimised, each in [0, 1]; a cell shows its place of the smallest sum.
    most: cells that may be occupied. extremes: columns whose smallest and largest stay, each for itself.
    """
    number = len(grid)
    if number <= most:
        return list(range(number)), [1] * number
    sides = FINEST[grid.shape[1]]
    while True:
        cells = np.minimum((grid * sides).astype(np.int64), sides - 1) @ (sides ** np.arange(grid.shape[1]))
        if len(np.unique(cells)) <= most:
            break
        sides = max(int(sides * 0.8), 1)
    order = np.lexsort((grid.sum(axis=1), cells))
    first = np.flatnonzero(np.r_[True, np.diff(cells[order]) > 0])
    counts = np.diff(np.r_[first, number])
    kept = {int(order[place]): int(count) for place, count in zip(first, counts, strict=True)}
    owner = {int(cells[place]): place for place in kept}
    for column in extremes:
        if np.isnan(column).all():
            continue
        for place in (int(np.nanargmin(column)), int(np.nanargmax(column))):
            if place not in kept:
                kept[owner[int(cells[place])]] -= 1
                kept[place] = 1
    return list(kept), list(kept.values())


def _column(rows: Sequence[Row], name: str) -> NDArray[np.float64]:
    return np.array([row.metrics.get(name, np.nan) for row in rows], dtype=float)


def _ranges(columns: Mapping[str, NDArray[np.float64]], large: Sequence[Row]) -> dict[str, tuple[float, float]]:
    found = {}
    for name, column in columns.items():
        both = np.concatenate([column[~np.isnan(column)], [row.metrics[name] for row in large]])
        found[name] = (float(both.min()), float(both.max())) if len(both) else (0.0, 0.0)
    return found


def _axis(name: str, front: Front[Trial], units: Mapping[str, str], range_: tuple[float, float]) -> dict[str, Any]:
    directions = {objective.name: objective.direction for objective in front.objectives}
    return {
        "name": name,
        "label": label(name, units),
        "unit": unit_of(name, units),
        "direction": directions.get(name, ""),
        "log": logarithmic(name, *range_, units),
    }


def _grid(
    columns: Mapping[str, NDArray[np.float64]], rows: Sequence[Row], front: Front[Trial], logs: set[str]
) -> NDArray[np.float64]:
    """(rows, goals) in [0, 1], smaller is better; with one goal the number of the trial is the other side."""
    sides = []
    for objective in front.objectives[:3]:
        column = columns[objective.name]
        column = np.log(column) if objective.name in logs else column
        sides.append(-column if objective.direction == "max" else column)
    if len(sides) == 1:
        sides.append(np.array([row.id for row in rows], dtype=float))
    whole = np.stack(sides, axis=1)
    return scaled(whole) if len(whole) else whole


def _columns(rows: Sequence[Row], names: Sequence[str], words: dict[tuple[str, str], int]) -> dict[str, Any]:
    """Ids, metrics by name, and the decisions of each as places in `words`, which grows."""
    return {
        "id": [row.id for row in rows],
        "metrics": {name: [_short(row.metrics.get(name)) for row in rows] for name in names},
        "decided": [
            [words.setdefault((address, option(value)), len(words)) for address, value in row.decisions.items()]
            for row in rows
        ],
    }


def _short(value: float | None) -> float | None:
    """Seven digits are more than a plot shows."""
    return (
        None
        if value is None
        else int(value)
        if float(value).is_integer() and abs(value) < 1e15
        else float(f"{value:.7g}")
    )
