"""How many ways there are to decide a part, the way with a given number, and all of them in this order.

Counting is exact with ties: the state that goes along is the set of ties already decided, so the count of a part is a
table "ties newly decided → number of ways".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from nas.core.parts import Choose, Item, Part, Sub, Tied, join
from nas.core.subsets import Subsets
from nas.core.values import Value
from nas.core.walk.deciding import address_of, reachable

State: TypeAlias = frozenset[tuple[str, Value]]
"""Ties already decided: (name, option), where the option is None for a tied part."""

NOTHING: State = frozenset()
Agenda: TypeAlias = "tuple[str, Item, Agenda] | None"
"""What is still to be decided, nearest first."""


class Counter:
    """Exact counts of the ways to decide a part, and the way with a given number."""

    def __init__(self) -> None:
        self._ways: dict[tuple[Part, State], dict[State, int]] = {}
        self._ties: dict[Part, frozenset[str]] = {}

    def size(self, part: Part) -> int:
        """How many different decisions there are."""
        return sum(self.ways(part, NOTHING).values())

    def ties(self, part: Part) -> frozenset[str]:
        """Names of the ties that can be reached from a part."""
        known = self._ties.get(part)
        if known is None:
            names: set[str] = set()
            for item in part.structure():
                names |= self._item_ties(item)
            known = self._ties[part] = frozenset(names)
        return known

    def _item_ties(self, item: Item) -> set[str]:
        if isinstance(item, Sub):
            return set(self.ties(item.part))
        if isinstance(item, Tied):
            return {item.name, *self.ties(item.part)}
        found = {item.name} if item.tied else set()
        for sub in reachable(item):
            found |= self.ties(sub.part)
        return found

    def ways(self, part: Part, state: State) -> dict[State, int]:
        """Ties newly decided → number of ways, given the ties decided before."""
        if state:
            names = self.ties(part)
            state = frozenset(pair for pair in state if pair[0] in names)
        key = (part, state)
        known = self._ways.get(key)
        if known is None:
            known = self._ways[key] = self.together(part.structure(), state)
        return known

    def together(self, items: Sequence[Item], state: State) -> dict[State, int]:
        """The same for parts that are all active."""
        total: dict[State, int] = {NOTHING: 1}
        for item in items:
            grown: dict[State, int] = {}
            for added, count in total.items():
                for more, ways in self._item(item, state | added).items():
                    both = added | more
                    grown[both] = grown.get(both, 0) + count * ways
            total = grown
        return total

    def _item(self, item: Item, state: State) -> dict[State, int]:
        if isinstance(item, Sub):
            return self.ways(item.part, state)
        if isinstance(item, Tied):
            own: State = frozenset({(item.name, None)})
            if own <= state:
                return {NOTHING: 1}
            return {added | own: count for added, count in self.ways(item.part, state | own).items()}
        if item.then is None and not item.tied:
            return {NOTHING: len(item.options)}
        counts = self._independent(item)
        if counts is not None:
            assert isinstance(item.options, Subsets)
            return {NOTHING: sum(symmetric_sums(counts, item.options.at_most)[item.options.at_least :])}
        total: dict[State, int] = {}
        for option, own in self._open(item, state):
            for added, count in self.together(item.active(option), state | own).items():
                total[added | own] = total.get(added | own, 0) + count
        return total

    def _independent(self, item: Choose) -> list[int] | None:
        """Ways of each member of a subset choice; None where it is no such choice, or where members share a tie."""
        if item.then is None or item.tied or not isinstance(item.options, Subsets):
            return None
        subs = item.then(item.options.labels)
        if any(self.ties(sub.part) for sub in subs):
            return None
        return [sum(self.ways(sub.part, NOTHING).values()) for sub in subs]

    @staticmethod
    def _open(item: Choose, state: State) -> Iterator[tuple[Value, State]]:
        """Options still open, each with the tie that taking it decides."""
        if not item.tied:
            yield from ((option, NOTHING) for option in item.options)
            return
        forced = [option for name, option in state if name == item.name]
        if forced:
            yield forced[0], NOTHING
        else:
            yield from ((option, frozenset({(item.name, option)})) for option in item.options)

    def number(self, part: Part, index: int) -> dict[str, Value]:
        """The decisions with number `index`, 0 <= index < size, in the order of `listing`."""
        taken: dict[str, Value] = {}
        self._place("", part.structure(), NOTHING, index, lambda _: 1, taken)
        return taken

    def _place(
        self, at: str, items: Sequence[Item], state: State, index: int, after: Callable[[State], int],
        taken: dict[str, Value],
    ) -> tuple[State, int]:  # fmt: skip
        """Decide `items` as number `index` says; `after` gives the ways of all that follows. Returns what is left."""
        for place, item in enumerate(items):
            rest = self._rest(items[place + 1 :], after)
            if isinstance(item, Sub):
                state, index = self._place(join(at, item.name), item.part.structure(), state, index, rest, taken)
            elif isinstance(item, Tied):
                own: State = frozenset({(item.name, None)})
                if not own <= state:
                    inner = item.part.structure()
                    state, index = self._place(item.name, inner, state | own, index, rest, taken)
            elif item.then is None and not item.tied:
                number, index = divmod(index, rest(state))
                taken[join(at, item.name)] = item.options[number]
            elif (counts := self._independent(item)) is not None:
                after_all = rest(state)
                chosen_subset, left = _numbered_subset(item.options, counts, index // after_all)
                taken[address_of(at, item)] = chosen_subset
                index = left * after_all + index % after_all
                state, index = self._place(at, item.active(chosen_subset), state, index, rest, taken)
            else:
                for option, own in self._open(item, state):
                    active = item.active(option)
                    chosen = state | own
                    ways = sum(n * rest(chosen | added) for added, n in self.together(active, chosen).items())
                    if index < ways:
                        taken[address_of(at, item)] = option
                        state, index = self._place(at, active, chosen, index, rest, taken)
                        break
                    index -= ways
        return state, index

    def _rest(self, items: Sequence[Item], after: Callable[[State], int]) -> Callable[[State], int]:
        memo: dict[State, int] = {}

        def ways(state: State) -> int:
            if state not in memo:
                memo[state] = sum(n * after(state | added) for added, n in self.together(items, state).items())
            return memo[state]

        return ways


def symmetric_sums(counts: Sequence[int], most: int) -> list[int]:
    """For 0, 1, …, `most` members: the sum over all subsets with so many of the product of their counts.

    >>> symmetric_sums([2, 3, 5], 3)
    [1, 10, 31, 30]
    """
    sums = [1] + [0] * most
    for count in counts:
        for size in range(most, 0, -1):
            sums[size] += sums[size - 1] * count
    return sums


def _numbered_subset(options: Sequence[Value], counts: Sequence[int], index: int) -> tuple[tuple[str, ...], int]:
    """The subset in which number `index` falls when each counts as often as its members have ways, and what is left.

    Subsets are in their own order: small ones first, then in the order of the labels.
    """
    assert isinstance(options, Subsets)
    sums = symmetric_sums(counts, options.at_most)
    size = options.at_least
    while index >= sums[size]:
        index -= sums[size]
        size += 1
    chosen: list[str] = []
    product = 1
    for place, label in enumerate(options.labels):
        if len(chosen) == size:
            break
        left = size - len(chosen) - 1
        with_it = product * counts[place] * symmetric_sums(counts[place + 1 :], left)[left]
        if index < with_it:
            chosen.append(label)
            product *= counts[place]
        else:
            index -= with_it
    return tuple(chosen), index


def listing(part: Part) -> Iterator[dict[str, Value]]:
    """All decisions, in the order of `Counter.number`: the last choice changes first."""

    def push(at: str, items: Sequence[Item], agenda: Agenda) -> Agenda:
        for item in reversed(items):
            agenda = (at, item, agenda)
        return agenda

    taken: dict[str, Value] = {}
    back: list[tuple[str, Choose, Agenda, int, int, frozenset[str]]] = []
    tied: frozenset[str] = frozenset()
    agenda = push("", part.structure(), None)
    while True:
        while agenda is not None:
            at, item, agenda = agenda
            if isinstance(item, Sub):
                agenda = push(join(at, item.name), item.part.structure(), agenda)
            elif isinstance(item, Tied):
                if item.name not in tied:
                    tied |= {item.name}
                    agenda = push(item.name, item.part.structure(), agenda)
            else:
                address = address_of(at, item)
                if not (item.tied and address in taken):
                    back.append((at, item, agenda, 0, len(taken), tied))
                    taken[address] = item.options[0]
                agenda = push(at, item.active(taken[address]), agenda)
        yield dict(taken)
        while back:
            at, item, agenda, place, held, tied = back.pop()
            for address in list(taken)[held:]:
                del taken[address]
            if place + 1 < len(item.options):
                back.append((at, item, agenda, place + 1, held, tied))
                option = item.options[place + 1]
                taken[address_of(at, item)] = option
                agenda = push(at, item.active(option), agenda)
                break
        else:
            return
