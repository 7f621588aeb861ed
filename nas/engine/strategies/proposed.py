"""What a strategy has proposed so far, so that it need not propose it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nas.core.records import Candidate


class Proposed:
    """Remembers proposals by their decisions.

    space: says how many there can be. tries: how many draws to make before a repetition is accepted; 0: repetitions
        are not looked for, and the space never counts as exhausted.
    """

    def __init__(self, space: Any, tries: int) -> None:
        self._space = space
        self._tries = tries
        self._keys: set[str] = set()
        self._size: int | None = None

    def __contains__(self, candidate: Candidate) -> bool:
        return candidate.decisions.key in self._keys

    @property
    def size(self) -> int:
        """How many candidates the space has."""
        if self._size is None:
            self._size = int(self._space.size())
        return self._size

    @property
    def exhausted(self) -> bool:
        """Whether every candidate of the space was proposed."""
        return self._tries > 0 and len(self._keys) >= self.size

    def draw(self, draw: Callable[[], Candidate]) -> Candidate:
        """The first draw that is new, or the last of `tries`."""
        candidate = draw()
        for _ in range(self._tries - 1):
            if candidate not in self:
                break
            candidate = draw()
        return candidate

    def add(self, candidate: Candidate) -> None:
        """The candidate is proposed now."""
        if self._tries:
            self._keys.add(candidate.decisions.key)
