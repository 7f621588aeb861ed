"""Decisions of many trials as a table of codes, in which 'not there' is a category of its own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = 60
"""Most options of a choice that are told apart; rarer ones count as one."""

Codes = NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Choices:
    """N trials by the D choices of which more than one thing was decided.

    addresses: of the choices. options: of each, by their code less 1, numbers by size; the last may be RARE.
    codes: (N, D); 0 where the choice was not there.
    """

    addresses: tuple[str, ...]
    options: tuple[tuple[Any, ...], ...]
    codes: Codes

    @classmethod
    def of(cls, decisions: Sequence[Mapping[str, Any]]) -> Choices:
        """The table of these trials' decisions, addresses in the order in which they first occur."""
        addresses, options, columns = [], [], []
        for address in dict.fromkeys(address for each in decisions for address in each):
            taken = [named(each[address]) if address in each else None for each in decisions]
            counts = Counter(option for option in taken if option is not None)
            if len(counts) + (None in taken) < 2:
                continue
            known = _ordered([option for option, _ in counts.most_common(KINDS)])
            code = {option: place + 1 for place, option in enumerate(known)}
            rest = 0 if len(counts) <= KINDS else len(known) + 1
            columns.append([0 if option is None else code.get(option, rest) for option in taken])
            addresses.append(address)
            options.append((*map(meant, known), *([RARE] if rest else [])))
        table = np.array(columns, dtype=np.int16).T if columns else np.zeros((len(decisions), 0), dtype=np.int16)
        return cls(tuple(addresses), tuple(options), table)

    @cached_property
    def parents(self) -> tuple[tuple[int, NDArray[np.bool_]] | None, ...]:
        """Of each choice that is not always there: the choice that says whether it is, and for which of its codes.

        It is found in the table: a choice that is there more often, by whose code it is always or never there; of
        several the one whose address begins most like its own, then the rarest. None of a choice that is always there,
        and where no single other one says it.
        """
        there = self.codes > 0
        often = there.sum(axis=0)
        sometimes = np.flatnonzero(often < len(there))
        found: list[tuple[int, NDArray[np.bool_]] | None] = [None] * len(self.addresses)
        best: dict[int, tuple[int, int, int]] = {}
        there_sometimes = there[:, sometimes]
        for other in range(len(self.addresses)) if len(sometimes) else ():
            size = len(self.options[other]) + 1
            of = np.stack([there_sometimes[self.codes[:, other] == code].sum(axis=0) for code in range(size)])
            number = np.bincount(self.codes[:, other], minlength=size)[:, None]
            decides = ((of == 0) | (of == number)).all(axis=0) & (often[sometimes] < often[other])
            for column, place in enumerate(sometimes.tolist()):
                if decides[column]:
                    alike = _alike(self.addresses[place], self.addresses[other])
                    rank = (-alike, int(often[other]), size)
                    if place not in best or rank < best[place]:
                        best[place] = rank
                        found[place] = (other, of[:, column] > 0)
        return tuple(found)

    @cached_property
    def below(self) -> tuple[tuple[int, ...], ...]:
        """Of each choice: those that it says are there, and those that these say are, each after its parent."""
        children: dict[int, list[int]] = {}
        for place, parent in enumerate(self.parents):
            if parent is not None:
                children.setdefault(parent[0], []).append(place)
        found = []
        for place in range(len(self.addresses)):
            order, waiting = [], list(children.get(place, ()))
            while waiting:
                each = waiting.pop(0)
                order.append(each)
                waiting += children.get(each, ())
            found.append(tuple(order))
        return tuple(found)

    def redrawn(self, place: int, rows: Codes, rng: np.random.Generator) -> Codes:
        """Trials with one decision drawn anew from those that were taken, all others as they were: (n, D).

        Only where it is there. What comes to be there by it takes what some trial decided, what is no longer there
        leaves, so that what is made is a network of the space as far as the table tells.
        """
        new = rows.copy()
        there = np.flatnonzero(rows[:, place] > 0)
        new[there, place] = rng.permutation(rows[there, place])
        for child in self.below[place]:
            parent = self.parents[child]
            assert parent is not None
            wanted = parent[1][new[:, parent[0]]]
            new[~wanted, child] = 0
            empty = np.flatnonzero(wanted & (new[:, child] == 0))
            if len(empty):
                have = self.codes[:, child]
                new[empty, child] = rng.choice(have[have > 0], len(empty))
        return new


RARE = "any other"
"""Stands for all options of a choice beyond the KINDS most frequent ones."""


def named(option: Any) -> Any:
    """An option as something that can be counted: numbers and texts as they are, the rest as JSON."""
    return option if isinstance(option, str | int | float) else _Packed(json.dumps(option, default=str))


def meant(name: Any) -> Any:
    """The option that `named` gave this for."""
    return json.loads(name) if isinstance(name, _Packed) else name


class _Packed(str):
    """JSON of an option that cannot be counted itself."""

    __slots__ = ()


def _ordered(names: list[Any]) -> list[Any]:
    """Numbers by their size, so that a model may part them there; else as texts."""
    return sorted(names) if all(isinstance(name, int | float) for name in names) else sorted(names, key=str)


def _alike(one: str, other: str) -> int:
    """How many names two addresses have in common at their beginning."""
    pairs = zip(one.split("/"), other.split("/"), strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(one.count("/"), other.count("/")) + 1)
