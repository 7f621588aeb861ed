"""Regularized (ageing) evolution: the best of a sample has a child, and the oldest of the population dies."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nas.core.errors import RecipeError
from nas.core.records import Candidate, Constraint, Objective, Trial
from nas.core.registry import register
from nas.engine.pareto import ranks
from nas.engine.strategies.breeding import Breeding
from nas.engine.strategies.checks import probability, whole
from nas.engine.strategies.ordering import Member, member


@register("strategy", "evolution")
@dataclass
class Evolution:
    """Regularized evolution.

    population: how many of the latest trials live. sample: how many of them compete to be a parent, drawn with
        replacement. mutations: decisions that a child changes. crossover: probability that a child has two parents
        before it is mutated. tries: draws of a child before a repetition of an earlier proposal is accepted.
    repeats_by: 'decisions', 'graph' or 'functional': what makes two candidates one class (`Proposed`). visits: how
        often a class may be proposed before that is a repetition; none for any number. until_changed: a child is
        mutated again until its class differs from its parents' (`Breeding`).

    Reference: Real et al. 2019, Regularized Evolution for Image Classifier Architecture Search, arXiv:1802.01548,
    algorithm 1. Differs: the population is smaller (100 there), children that were proposed before are drawn anew,
    crossover is possible, infeasible trials live too but lose to feasible ones (Deb's rules), and with several
    objectives a parent is drawn from the sample's non-dominated members.
    """

    space: Any
    objectives: Sequence[Objective]
    constraints: Sequence[Constraint] = ()
    seed: int = 0
    population: int = 50
    sample: int = 10
    mutations: int = 1
    crossover: float = 0.0
    tries: int = 10
    repeats_by: str = "decisions"
    visits: int | None = 1
    until_changed: bool = False

    def __post_init__(self) -> None:
        for name in ("population", "sample", "mutations"):
            whole("evolution", name, getattr(self, name), 1)
        whole("evolution", "tries", self.tries, 0)
        probability("evolution", "crossover", self.crossover)
        if self.sample > self.population:
            raise RecipeError(
                f"strategy evolution: sample is {self.sample}, more than the population of {self.population}"
            )
        self._living: deque[Member] = deque(maxlen=self.population)
        self._breeding = Breeding(
            "evolution",
            self.space,
            self.seed,
            self.crossover,
            self.mutations,
            self.tries,
            self.repeats_by,
            self.visits,
            self.until_changed,
        )

    def ask(self) -> Candidate | None:
        """A random candidate until the population is full, then children; None when the space is exhausted."""
        first = self._breeding.asked < self.population or not self._living
        return self._breeding.propose(first, self._parent)

    def tell(self, trial: Trial) -> None:
        """The trial is born; the oldest dies when there are too many."""
        born = member(trial, self.objectives, self.constraints)
        if born is not None:
            self._living.append(born)

    def _parent(self, rng: random.Random) -> Member:
        """The winner of a sample."""
        drawn = [self._living[rng.randrange(len(self._living))] for _ in range(self.sample)]
        least = min(entry.violation for entry in drawn)
        best = [entry for entry in drawn if entry.violation == least]
        if least == 0.0:
            front = ranks([entry.point for entry in best])
            best = [entry for entry, rank in zip(best, front, strict=True) if rank == 0]
        return rng.choice(best)
