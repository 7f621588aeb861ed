"""The best so far, while trials come: for what is shown during a search; results are computed anew from the store."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from nas.core.records import Objective, Trial, losses
from nas.engine.pareto import Cloud
from results.units import written


@dataclass(frozen=True)
class Point:
    """A trial that nothing dominates so far. losses, values: in the order of the objectives."""

    losses: tuple[float, ...]
    trial: int
    values: tuple[float, ...]


class Standing:
    """The points that nothing dominates. `points` is replaced, never changed, so that any thread may read it."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self.objectives = tuple(objectives)
        self.points: tuple[Point, ...] = ()
        self._cloud = Cloud()

    def add(self, trial: Trial) -> None:
        """Take a complete trial into account, unless it has its numbers from one that is here."""
        if not trial.complete:
            return
        new = losses(trial, self.objectives)
        better, equal, worse = self._cloud.beside(new)
        if better or (equal and trial.source == "cache"):
            return
        values = tuple(trial.metrics[objective.name] for objective in self.objectives)
        kept = self.points
        if worse:
            gone = set(worse)
            places = [place for place in range(len(kept)) if place not in gone]
            self._cloud.keep(places)
            kept = tuple(kept[place] for place in places)
        self._cloud.add(new)
        self.points = (*kept, Point(new, trial.id, values))

    def best(self, most: int) -> list[Point]:
        """The best few by the first objective."""
        return heapq.nsmallest(most, self.points, key=lambda point: point.losses)

    def text(self) -> str:
        """`best val_accuracy 98.61 %, front of 5`."""
        if not self.points:
            return "nothing measured yet"
        first = self.objectives[0]
        value = min(self.points, key=lambda point: point.losses).values[0]
        front = f", front of {len(self.points)}" if len(self.objectives) > 1 else ""
        return f"best {first.name} {written(first.name, value, {first.name: first.unit})}{front}"
