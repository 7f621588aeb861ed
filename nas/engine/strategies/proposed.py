"""What a strategy has proposed so far, so that it need not propose it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nas.core.errors import RecipeError, nearest
from nas.core.records import Candidate
from nas.engine.identity import Identity
from nas.engine.strategies.checks import whole


def _functional(identity: Identity, candidate: Candidate) -> str:
    """The functional key; the graph key of a candidate that has none (it draws random numbers, gives NaN, …)."""
    exact = identity.graph(candidate.graph)
    key, _ = identity.functional(candidate.graph, exact)
    return key or exact


KINDS: Mapping[str, Callable[[Identity, Candidate], str]] = {
    "decisions": lambda identity, candidate: identity.decisions(candidate),
    "graph": lambda identity, candidate: identity.graph(candidate.graph),
    "functional": _functional,
}
"""What `repeats_by` may be → the key by which two candidates are one class."""


class Proposed:
    """Counts proposals by class; a proposal is a repetition when its class was visited as often as it may be.

    strategy: the name for messages. space: makes the candidates, and says how many there can be.
    tries: how many draws to make before a repetition is accepted; 0: repetitions are not looked for, and the space
        never counts as exhausted. switch: how the strategy's user said that it is 0.
    repeats_by: what makes a class. 'decisions': each candidate is its own. 'graph': candidates that are one network
        spelled differently (`graph_key`). 'functional': those that do the same on a probe (`functional_key`), at some
        milliseconds each; a candidate without such a key goes by its graph key.
    visits: how often a class may be proposed; None for any number.

    Reference: Gillard et al. 2023, Unified Functional Hashing, arXiv:2302.05433, the tabu list. Differs: when `tries`
    draws are all repetitions, the last one is accepted.

    Raises: RecipeError for an unknown `repeats_by`, a wrong `visits`, and for either where `tries` is 0.
    """

    def __init__(
        self,
        strategy: str,
        space: Any,
        tries: int,
        repeats_by: str = "decisions",
        visits: int | None = 1,
        switch: str = "tries is 0",
    ) -> None:
        if repeats_by not in KINDS:
            raise RecipeError(f"strategy {strategy}: repeats_by is {repeats_by!r}; {nearest(repeats_by, KINDS)}")
        if visits is not None:
            whole(strategy, "visits", visits, 1)
        if not tries and (repeats_by != "decisions" or visits not in (1, None)):
            raise RecipeError(
                f"strategy {strategy}: repeats_by is {repeats_by!r} and visits is {visits}, but {switch}, so that no "
                "repetition is looked for; change it, or leave these out"
            )
        self._space = space
        self._tries = tries
        self._kind = KINDS[repeats_by]
        self._identity = Identity(space.inputs)
        self._visits = visits
        self._keys: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._full = 0
        self._size: int | None = None

    def __contains__(self, candidate: Candidate) -> bool:
        """Whether proposing the candidate would be a repetition."""
        return self._visits is not None and self._counts[self.key(candidate)] >= self._visits

    def key(self, candidate: Candidate) -> str:
        """The key of the candidate's class, worked out once per candidate."""
        decisions = candidate.decisions.key
        if decisions not in self._keys:
            self._keys[decisions] = self._kind(self._identity, candidate)
            self._counts.setdefault(self._keys[decisions], 0)
        return self._keys[decisions]

    def looked_at(self, candidate: Candidate) -> bool:
        """Whether the candidate's key is known."""
        return candidate.decisions.key in self._keys

    @property
    def size(self) -> int:
        """How many candidates the space has."""
        if self._size is None:
            self._size = int(self._space.size())
        return self._size

    @property
    def exhausted(self) -> bool:
        """Whether every candidate of the space was looked at, and every class was visited as often as it may be."""
        return self._tries > 0 and self._full == len(self._counts) and len(self._keys) >= self.size

    def draw(self, draw: Callable[[], Candidate]) -> Candidate:
        """The first draw that is no repetition, or the last of `tries`."""
        candidate = draw()
        for _ in range(self._tries - 1):
            if candidate not in self:
                break
            candidate = draw()
        return candidate

    def add(self, candidate: Candidate) -> None:
        """The candidate is proposed now."""
        if self._tries and self._visits is not None:
            key = self.key(candidate)
            self._counts[key] += 1
            self._full += self._counts[key] == self._visits
