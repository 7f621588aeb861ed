"""Random search: the yardstick of all others."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nas.core.records import Candidate, Constraint, Objective, Trial
from nas.core.registry import register
from nas.core.seeds import generator
from nas.engine.strategies.proposed import Proposed

_LISTED = 100_000
"""Largest space whose remaining candidates are listed when drawing finds no new ones any more."""


@register("strategy", "random")
@dataclass
class Random:
    """Independent draws.

    uniform: 'choices' draws each choice evenly; 'networks' draws every network evenly.
    unique: nothing is proposed twice, and the search ends when all was proposed. Otherwise draws are with replacement.
    repeats_by: 'decisions', 'graph' or 'functional': what makes two candidates one class (`Proposed`). visits: how
        often a class is proposed. In a space that is too large to be listed, 20 draws are made before a repetition is
        accepted.

    >>> from nas.core.language import one_of, op, seq
    >>> from nas.core.space import Space, image
    >>> strategy = Random(space=Space(seq(op("conv", width=one_of(4, 8))), image(3, 8, 8)))
    >>> widths = [strategy.ask().decisions["conv/width"] for _ in range(2)]
    >>> sorted(widths), strategy.ask()
    ([4, 8], None)
    """

    space: Any
    objectives: Sequence[Objective] = ()
    constraints: Sequence[Constraint] = ()
    seed: int = 0
    uniform: str = "choices"
    unique: bool = True
    repeats_by: str = "decisions"
    visits: int | None = 1

    def __post_init__(self) -> None:
        self.space.sample(random.Random(0), self.uniform)  # refuses an unknown `uniform` here, not at the first trial
        tries = 20 if self.unique else 0
        self._proposed = Proposed("random", self.space, tries, self.repeats_by, self.visits, "unique is false")
        self._asked = 0
        self._rest: Iterator[Candidate] | None = None

    def ask(self) -> Candidate | None:
        """A random candidate; None when the space is exhausted."""
        if self._proposed.exhausted:
            return None
        rng = generator(self.seed, "random", self._asked)
        self._asked += 1
        if self._rest is None:
            candidate = self._proposed.draw(lambda: self.space.sample(rng, self.uniform))
            if candidate in self._proposed and self._proposed.size * (self.visits or 1) <= _LISTED:
                self._rest = self._listed(rng)
        if self._rest is not None:
            rest = next(self._rest, None)
            if rest is None:
                return None
            candidate = rest
        self._proposed.add(candidate)
        return candidate.made_by("random")

    def _listed(self, rng: random.Random) -> Iterator[Candidate]:
        """The candidates that can still be proposed, in random order; each is looked at only when its turn comes."""
        proposed = self._proposed
        left = [c for c in self.space.enumerate() if not (proposed.looked_at(c) and c in proposed)]
        rest = left * (self.visits or 1)
        rng.shuffle(rest)
        return (candidate for candidate in rest if candidate not in proposed)

    def tell(self, trial: Trial) -> None:
        """Nothing is learned."""
