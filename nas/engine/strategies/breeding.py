"""How evolutionary strategies propose: newcomers and children, made with the space's own operators, none twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nas.core.records import Candidate
from nas.core.seeds import generator
from nas.engine.strategies.ordering import Member
from nas.engine.strategies.proposed import Proposed


@dataclass
class Breeding:
    """Makes candidates for the strategy `name`.

    crossover: the share of children with two parents. mutations: decisions changed in a child, after crossover too.
    tries: draws before a repetition is accepted. asked: how many were proposed.
    """

    name: str
    space: Any
    seed: int
    crossover: float
    mutations: int
    tries: int
    asked: int = 0
    proposed: Proposed = field(init=False)

    def __post_init__(self) -> None:
        self.proposed = Proposed(self.space, self.tries)

    def propose(self, first: bool, parent: Callable[[random.Random], Member]) -> Candidate | None:
        """The next candidate: a newcomer while `first`, else a child; None when the space is exhausted."""
        if self.proposed.exhausted:
            return None
        rng = generator(self.seed, self.name, self.asked)
        self.asked += 1
        candidate = self.proposed.draw(lambda: self.newcomer(rng) if first else self.child(rng, parent))
        self.proposed.add(candidate)
        return candidate

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
