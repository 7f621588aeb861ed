"""Orders of points to be minimised: by front, by crowding. moocore finds the fronts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Point = Sequence[float]


def ranks(points: Sequence[Point]) -> list[int]:
    """The number of each point's front: 0 for the points that nothing dominates, 1 for those left without these, …"""
    if not points:
        return []
    if len(points[0]) == 1:  # fronts of one number are its distinct values
        place = {value: rank for rank, value in enumerate(sorted({point[0] for point in points}))}
        return [place[point[0]] for point in points]
    import moocore
    import numpy

    return [int(rank) for rank in moocore.pareto_rank(numpy.asarray(points, dtype=float))]


def by_front(points: Sequence[Point]) -> list[int]:
    """Places of the points: front after front, in a front by the first objective, then as they came."""
    front = ranks(points)
    return sorted(range(len(points)), key=lambda place: (front[place], points[place][0], place))


class Cloud:
    """Points, to be minimised, that come one by one and go: which are better than one, and which it is better than.

    Its places count from 0 in the order in which points came, without those that have gone. A look costs a few numpy
    operations over all points, so that fronts of tens of thousands can be kept while trials come.
    """

    def __init__(self) -> None:
        self._room: Any = None
        self._number = 0

    def __len__(self) -> int:
        return self._number

    def add(self, point: Point) -> None:
        """A point, at the last place."""
        import numpy

        if self._room is None:
            self._room = numpy.empty((16, len(point)))
        elif self._number == len(self._room):
            self._room = numpy.concatenate([self._room, numpy.empty_like(self._room)])
        self._room[self._number] = point
        self._number += 1

    def keep(self, places: Sequence[int]) -> None:
        """Only the points at these places, which ascend, stay."""
        if len(places) != self._number:
            self._room[: len(places)] = self._room[places]
            self._number = len(places)

    def beside(self, point: Point) -> tuple[list[int], list[int], list[int]]:
        """Places of the points that dominate this one, of those that equal it, and of those that it dominates."""
        if not self._number:
            return [], [], []
        points = self._room[: self._number]
        better, worse = points[:, 0] <= point[0], points[:, 0] >= point[0]
        for axis in range(1, len(point)):
            better &= points[:, axis] <= point[axis]
            worse &= points[:, axis] >= point[axis]
        found = better & ~worse, better & worse, worse & ~better
        return tuple(each.nonzero()[0].tolist() if each.any() else [] for each in found)  # type: ignore[return-value]


def crowding(points: Sequence[Point]) -> list[float]:
    """The crowding distance of each point of one front: how far apart its neighbours are, infinite at the ends.

    Reference: Deb et al. 2002, NSGA-II, section III.B. Differs: an objective in which all points agree adds nothing.
    """
    distance = [0.0] * len(points)
    for axis in range(len(points[0]) if points else 0):
        order = sorted(range(len(points)), key=lambda place: points[place][axis])
        low, high = points[order[0]][axis], points[order[-1]][axis]
        if low == high:
            continue
        distance[order[0]] = distance[order[-1]] = float("inf")
        half = 1.0 if math.isfinite(high - low) else 0.5  # far ends of what a float holds have no difference
        span = high * half - low * half
        for before, place, after in zip(order, order[1:], order[2:], strict=False):
            distance[place] += (points[after][axis] * half - points[before][axis] * half) / span
    return distance
