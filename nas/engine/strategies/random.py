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

    def __post_init__(self) -> None:
        self.space.sample(random.Random(0), self.uniform)  # refuses an unknown `uniform` here, not at the first trial
        self._proposed = Proposed(self.space, tries=20 if self.unique else 0)
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
            if candidate in self._proposed and self._proposed.size <= _LISTED:
                rest = [other for other in self.space.enumerate() if other not in self._proposed]
                rng.shuffle(rest)
                self._rest = iter(rest)
        if self._rest is not None:
            candidate = next(self._rest)
        self._proposed.add(candidate)
        return candidate.made_by("random")

    def tell(self, trial: Trial) -> None:
        """Nothing is learned."""
