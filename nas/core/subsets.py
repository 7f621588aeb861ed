"""Subsets of a few labels as a lazy sequence, so that a choice among thousands of subsets costs nothing to hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from math import comb
from typing import overload


class Subsets(Sequence[tuple[str, ...]]):
    """All subsets of `labels` with `at_least` to `at_most` members, small ones first, then in the order of the labels.

    >>> list(Subsets(("a", "b", "c"), 1, 2))
    [('a',), ('b',), ('c',), ('a', 'b'), ('a', 'c'), ('b', 'c')]
    """

    __slots__ = ("_sizes", "at_least", "at_most", "labels")

    def __init__(self, labels: tuple[str, ...], at_least: int, at_most: int) -> None:
        self.labels = labels
        self.at_least = at_least
        self.at_most = at_most
        self._sizes = [comb(len(labels), size) for size in range(at_least, at_most + 1)]

    def __len__(self) -> int:
        return sum(self._sizes)

    @overload
    def __getitem__(self, index: int) -> tuple[str, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[str, ...]]: ...
    def __getitem__(self, index: int | slice) -> tuple[str, ...] | list[tuple[str, ...]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        for size, count in enumerate(self._sizes, self.at_least):
            if 0 <= index < count:
                return self._unrank(size, index)
            index -= count
        raise IndexError(index)

    def _unrank(self, size: int, rank: int) -> tuple[str, ...]:
        chosen: list[str] = []
        for place, label in enumerate(self.labels):
            if len(chosen) == size:
                break
            with_label = comb(len(self.labels) - place - 1, size - len(chosen) - 1)
            if rank < with_label:
                chosen.append(label)
            else:
                rank -= with_label
        return tuple(chosen)

    def index(self, value: object, start: int = 0, stop: int | None = None) -> int:
        """The place of a subset; its labels must stand in the order of `labels`. Raises ValueError."""
        if value not in self:
            raise ValueError(f"{value!r} is not one of these subsets")
        assert isinstance(value, tuple)
        rank = sum(self._sizes[: len(value) - self.at_least])
        left = len(value)
        for place, label in enumerate(self.labels):
            if left == 0:
                break
            if label == value[len(value) - left]:
                left -= 1
            else:
                rank += comb(len(self.labels) - place - 1, left - 1)
        return rank

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, tuple) or not self.at_least <= len(value) <= self.at_most:
            return False
        places = [self.labels.index(label) for label in value if label in self.labels]
        return len(places) == len(value) and all(a < b for a, b in pairwise(places))

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        for size in range(self.at_least, self.at_most + 1):
            yield from combinations(self.labels, size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Subsets):
            return NotImplemented
        return (self.labels, self.at_least, self.at_most) == (other.labels, other.at_least, other.at_most)

    def __hash__(self) -> int:
        return hash((self.labels, self.at_least, self.at_most))

    def __repr__(self) -> str:
        return f"Subsets({list(self.labels)}, {self.at_least}..{self.at_most})"
