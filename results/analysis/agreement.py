"""On which values the networks of a front agree, more than the search's own proportions explain."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma
from typing import Any

from results.analysis.choices import meant, named

SHARED = 0.8
"""Which share of the front's networks must have an option in common."""

FEWEST = 3
"""Fewer networks do not agree, they are alike by themselves."""

SURE = 0.05
"""The chance of listing even one value wrongly that is accepted."""


@dataclass(frozen=True)
class Agreed:
    """Of `number` networks of the front that have this choice, `having` took the option; likewise of all networks.

    chance: of so many among as many networks that are drawn blindly from all.
    """

    address: str
    option: Any
    having: int
    number: int
    all_having: int
    all_number: int
    chance: float


def agreement(front: Sequence[Mapping[str, Any]], every: Sequence[Mapping[str, Any]]) -> tuple[Agreed, ...]:
    """The options that at least SHARED of the front's networks have in common, where that is more than chance.

    front, every: decisions of the front's networks and of all complete ones, those of the front among them.

    For each choice, where it is there, the front's most frequent option: were the front drawn blindly from all
    networks, how many have it would follow the hypergeometric distribution. Listed are those whose number is too large
    for that at the level SURE over all choices together, the surest first. What the search tried only once or always
    in the end cannot show here.

    Reference: Holm 1979, A simple sequentially rejective multiple test procedure. Differs: networks that a search bred
    from one another are no independent draws, which the test takes them for.
    """
    found: list[Agreed] = []
    of_front, of_all = _counts(front), _counts(every)
    for address, mine in of_front.items():
        theirs = of_all[address]
        if len(theirs) < 2 or mine.total() < FEWEST:
            continue
        option, having = mine.most_common(1)[0]
        number, all_having, all_number = mine.total(), theirs[option], theirs.total()
        chance = at_least(having, number, all_having, all_number)
        found.append(Agreed(address, meant(option), having, number, all_having, all_number, chance))
    found.sort(key=lambda each: each.chance)
    sure = []
    for place, each in enumerate(found):
        if each.chance * (len(found) - place) > SURE:
            break
        sure.append(each)
    return tuple(each for each in sure if each.having >= SHARED * each.number)


def _counts(decisions: Sequence[Mapping[str, Any]]) -> dict[str, Counter[Any]]:
    """Address → option → networks that took it, of those that have the choice."""
    found: defaultdict[str, Counter[Any]] = defaultdict(Counter)
    for each in decisions:
        for address, option in each.items():
            found[address][named(option)] += 1
    return found


def at_least(having: int, number: int, all_having: int, all_number: int) -> float:
    """The chance that of `number` drawn of `all_number`, without putting back, `having` or more are of `all_having`.

    >>> round(at_least(2, 2, 2, 4), 6)  # both of two out of four: 1 of 6 pairs
    0.166667
    """
    rest = all_number - all_having
    ways = range(max(having, number - rest), min(number, all_having) + 1)
    whole = _log_ways(all_number, number)
    return min(1.0, sum(exp(_log_ways(all_having, k) + _log_ways(rest, number - k) - whole) for k in ways))


def _log_ways(n: int, k: int) -> float:
    """The logarithm of the number of ways to take k of n."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
