"""How evolutionary strategies propose: newcomers and children, made with the space's own operators, none twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nas.core.errors import RecipeError
from nas.core.records import Candidate
from nas.core.seeds import generator
from nas.engine.strategies.ordering import Member
from nas.engine.strategies.proposed import Proposed


@dataclass
class Breeding:
    """Makes candidates for the strategy `name`.

    crossover: the share of children with two parents. mutations: decisions changed in a child, after crossover too.
    tries, repeats_by, visits: what counts as a repetition, and how long one is avoided; see `Proposed`.
    until_changed: a child that is of a parent's class by `repeats_by` is mutated again, at most `tries` times, until it
        is not. asked: how many were proposed.

    Reference: Gillard et al. 2023, Unified Functional Hashing, arXiv:2302.05433, functional change mutation. Differs:
    bounded by `tries`; what an earlier mutation changed is kept, so that a child can cross a plateau; a child of two
    parents must differ from both.

    Raises: RecipeError as `Proposed` does, and for `until_changed` where `tries` is 0.
    """

    name: str
    space: Any
    seed: int
    crossover: float
    mutations: int
    tries: int
    repeats_by: str = "decisions"
    visits: int | None = 1
    until_changed: bool = False
    asked: int = 0
    proposed: Proposed = field(init=False)

    def __post_init__(self) -> None:
        self.proposed = Proposed(self.name, self.space, self.tries, self.repeats_by, self.visits)
        if self.until_changed and not self.tries:
            raise RecipeError(
                f"strategy {self.name}: until_changed is {self.until_changed!r}, but tries is 0, so that no child is "
                "mutated again; expected tries of at least 1"
            )

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
            return self._changed(mutated, rng, first).made_by(self.name, first.id)
        second = parent(rng)
        crossed: Candidate = self.space.crossover(first.candidate, second.candidate, rng, self.mutations)
        return self._changed(crossed, rng, first, second).made_by(self.name, first.id, second.id)

    def _changed(self, child: Candidate, rng: random.Random, *parents: Member) -> Candidate:
        """The child, mutated until its class is none of its parents' where that is wanted."""
        if not self.until_changed:
            return child
        old = {self.proposed.key(parent.candidate) for parent in parents}
        for _ in range(self.tries):
            if self.proposed.key(child) not in old:
                break
            child = self.space.mutate(child, rng, max(self.mutations, 1))
        return child
