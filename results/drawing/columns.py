"""A long chain as several columns side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from results.drawing.layout import SIDE, is_chain
from results.drawing.scene import Item, Scene

STEP, TURN, TAIL = 20.0, 22.0, 130.0
"""Px between items of a folded chain, above its columns (where edges come over), and that a column may grow beyond a
tall item to end with a few low ones."""

LONGEST, HEIGHTS = 60, 60
"""Most items in a column, and most heights that are tried."""


def fold(scene: Scene, tallest: float, widest: float = float("inf")) -> None:
    """Break a chain that is taller than `tallest` into columns, side by side.

    Of the ways that are no wider than `widest`: one no taller than `tallest`, of few columns and little area; else the
    lowest. A scene that is no chain stays as it is.
    """
    if scene.height <= tallest or not is_chain(scene):
        return
    chain = [layer[0] for layer in scene.layers]
    allowed = max(1.15 * tallest, max(item.height for item in chain) + TAIL)

    def cost(way: list[list[Item]]) -> tuple[float, ...]:
        high, wide = max(map(_height, way)), sum(map(_width, way))
        if wide > widest:
            return 2, wide
        return (0, len(way), high * wide) if high <= allowed else (1, high)

    columns = min(_ways(chain), key=cost)
    left = 0.0
    for number, column in enumerate(columns):
        top, axis = TURN, left - _left(column) + SIDE
        for item in column:
            item.x = axis - item.entries[0]
            axis = item.x + item.exits[0]
            item.y = item.top = top
            item.bottom = top + item.height
            top = item.bottom + STEP
        if number:
            next(edge for edge in scene.edges if edge.target is column[0]).turn = left
        left += _width(column)
    scene.width, scene.height = left, max(map(_height, columns)) + TURN - 8


def _ways(chain: Sequence[Item]) -> Iterator[list[list[Item]]]:
    """For each of some heights, the narrowest way to break the chain into columns that are no higher."""
    count = len(chain)
    runs: dict[tuple[int, int], tuple[float, float]] = {}
    for start in range(count):
        for end in range(start + 1, min(start + LONGEST, count) + 1):
            run = chain[start:end]
            torn = run[-1].kind == "input" or run[0].kind == "output"  # these stay with what they lead to or come from
            if not torn or len(run) == count:
                runs[start, end] = _height(run), _width(run)
    heights = sorted({round(high, 1) for high, _ in runs.values()})
    for limit in heights[:: max(1, len(heights) // HEIGHTS)] + heights[-1:]:
        narrowest: list[tuple[float, int]] = [(0.0, 0)]  # up to each place: the width, and where the last column begins
        for end in range(1, count + 1):
            ends = [
                (narrowest[start][0] + runs[start, end][1], start)
                for start in range(max(0, end - LONGEST), end)
                if (start, end) in runs and runs[start, end][0] <= limit + 0.1
            ]
            narrowest.append(min(ends, default=(float("inf"), end - 1)))
        if narrowest[count][0] < float("inf"):
            way, end = [], count
            while end:
                way.append(list(chain[narrowest[end][1] : end]))
                end = narrowest[end][1]
            yield way[::-1]


def _height(column: Sequence[Item]) -> float:
    return sum(item.height for item in column) + STEP * len(column)


def _left(column: Sequence[Item]) -> float:
    """How far the column reaches to the left of its first item's entry (a number below 0)."""
    return min(left for left, _ in _reaches(column))


def _width(column: Sequence[Item]) -> float:
    return max(right for _, right in _reaches(column)) - _left(column) + 2 * SIDE


def _reaches(column: Sequence[Item]) -> Iterator[tuple[float, float]]:
    axis = 0.0
    for item in column:
        middle = axis - item.entries[0]
        axis = middle + item.exits[0]
        yield middle - item.width / 2, middle + item.width / 2
