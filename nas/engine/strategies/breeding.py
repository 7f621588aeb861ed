"""Newcomers and children: how evolutionary strategies make candidates with the space's own operators."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nas.core.records import Candidate
from nas.engine.strategies.ordering import Member


@dataclass(frozen=True)
class Breeding:
    """Makes candidates for the strategy `name`.

    crossover: the share of children with two parents. mutations: decisions changed in a child, after crossover too.
    """

    name: str
    space: Any
    crossover: float
    mutations: int

    def newcomer(self, rng: random.Random) -> Candidate:
        """A random candidate."""
        candidate: Candidate = self.space.sample(rng)
        return candidate.made_by(self.name)

    def child(self, rng: random.Random, parent: Callable[[random.Random], Member]) -> Candidate:
        """A child of one or two parents; `parent` chooses one."""
        first = parent(rng)
        if rng.random() >= self.crossover:
            mutated: Candidate = self.space.mutate(first.candidate, rng, self.mutations)
            return mutated.made_by(self.name, first.id)
        second = parent(rng)
        crossed: Candidate = self.space.crossover(first.candidate, second.candidate, rng, self.mutations)
        return crossed.made_by(self.name, first.id, second.id)
