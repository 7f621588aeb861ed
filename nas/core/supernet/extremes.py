"""The largest and the smallest network of a space, and networks that together use all of it.

What is larger: of values the greater number, of repeats the more, of subsets the one with more members, of optional
parts the one that is there. Structures, and subsets with as many members, have no such order: they are told apart by
the multiply-adds of the network.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import combinations, islice

from nas.core import walk
from nas.core.errors import RecipeError
from nas.core.profile import profile
from nas.core.records import Candidate
from nas.core.seeds import generator
from nas.core.space import Space
from nas.core.subsets import Subsets
from nas.core.values import Value
from nas.core.walk import Choice

TRIES = 2000
"""Most networks that are compared for an extreme one; the choices that are left then keep their first option."""
DRAWS = 200
"""Most random candidates that are looked at for one that is a network."""


def ordered(choice: Choice) -> tuple[Value, ...] | None:
    """The options from small to large; None where they have no order.

    Of a subset's options one of each size, each within the next.

    >>> ordered(Choice("width", (32, 8, 16), "value")), ordered(Choice("merge", ("add", "mean"), "value"))
    ((8, 16, 32), None)
    """
    options = choice.options
    if isinstance(options, Subsets):
        return tuple(options.labels[:size] for size in range(options.at_least, options.at_most + 1))
    if choice.kind != "structure" and all(isinstance(option, int | float) for option in options):
        return tuple(sorted(options, key=float))  # type: ignore[arg-type]
    return None


def draw(choice: Choice, rng: random.Random) -> Value:
    """A random option, each as likely; of a subset first how many members, evenly, and then which.

    Reference: the counts: Chu et al. 2023, MixPath, arXiv:2001.05887, so that each count is met as often.
    """
    options = choice.options
    if isinstance(options, Subsets):
        members = set(rng.sample(options.labels, rng.randint(options.at_least, options.at_most)))
        return tuple(label for label in options.labels if label in members)
    return walk.draw(choice, rng)


def drawn(
    space: Space, draws: Callable[[int], random.Random], take: Callable[[Choice, random.Random], Value] = draw
) -> Candidate:
    """A random candidate that is a network; `draws` gives the randomness of each attempt.

    Raises: RecipeError when none of many is.
    """
    trouble = None
    for attempt in range(DRAWS):
        rng = draws(attempt)
        candidate = space.decide(lambda choice, rng=rng: take(choice, rng))  # type: ignore[misc]
        trouble = space.trouble(candidate)
        if trouble is None:
            return candidate
    raise RecipeError(f"none of {DRAWS} drawn candidates is a network; the last one: {trouble}")


def largest(space: Space) -> Candidate:
    """The largest network: every choice with an order at its end, then the structures with most multiply-adds.

    Structures, and which members the subsets have, are settled one after another, in one pass in the order of deciding,
    with the rest as it is. Candidates that are no networks are left out.
    """
    return _extreme(space, -1)


def smallest(space: Space) -> Candidate:
    """The smallest network, found as `largest` is."""
    return _extreme(space, 0)


def _extreme(space: Space, end: int) -> Candidate:
    def usual(choice: Choice) -> Value:
        options = ordered(choice)
        return options[end] if options else choice.options[0]

    def size(candidate: Candidate) -> tuple[int, int]:
        known = profile(candidate.graph, space.inputs)
        return (known.macs, known.params) if end else (-known.macs, -known.params)

    best = space.decide(usual)
    stuck = space.trouble(best) is not None
    if stuck:  # then choices with an order are settled by size too
        best = max((drawn(space, partial(generator, 0, "extreme", number)) for number in range(16)), key=size)
    settled: set[str] = set()
    tries = 0
    while tries < TRIES:
        choice = _next(space, best, settled, lambda choice: stuck or choice.kind == "subset" or not ordered(choice))
        if choice is None:
            break
        settled.add(choice.address)
        fixed, most = best.decisions, size(best)
        for option in _shown(choice) if stuck else _alike(choice, end):
            tries += 1
            other = space.decide(_taking({choice.address: option}, fixed, usual))
            if space.trouble(other) is None and size(other) > most:
                best, most = other, size(other)
    return best


def _next(space: Space, candidate: Candidate, settled: set[str], wanted: Callable[[Choice], bool]) -> Choice | None:
    """The first choice of a candidate, in the order of deciding, that is wanted and not settled."""
    found: list[Choice] = []

    def take(choice: Choice) -> Value:
        if not found and choice.address not in settled and len(choice) > 1 and wanted(choice):
            found.append(choice)
        return candidate.decisions[choice.address]

    space.decide(take)
    return found[0] if found else None


def _alike(choice: Choice, end: int) -> list[Value]:
    """All options; of a subset those with most or fewest members."""
    if isinstance(choice.options, Subsets):
        size = choice.options.at_most if end else choice.options.at_least
        return list(islice(combinations(choice.options.labels, size), 64))
    return _shown(choice)


def _taking(
    wanted: Mapping[str, Value], fixed: Mapping[str, Value], usual: Callable[[Choice], Value]
) -> Callable[[Choice], Value]:
    def take(choice: Choice) -> Value:
        for known in (wanted, fixed):
            if choice.address in known:
                return known[choice.address]
        return usual(choice)

    return take


def _shown(choice: Choice) -> list[Value]:
    """All options; of a subset one of each size, and each label by itself."""
    if isinstance(choice.options, Subsets):
        alone = [(label,) for label in choice.options.labels] if 1 in range(
            choice.options.at_least, choice.options.at_most + 1) else []  # fmt: skip
        return list(dict.fromkeys([*(ordered(choice) or ()), *alone]))
    return list(islice(choice.options, 1000))


def options_of(space: Space) -> list[tuple[Choice, Value]]:
    """Every option of every choice, but of a subset those of `cover` only."""
    return [(choice, option) for choice in space.choices() for option in _shown(choice)]


def cover(space: Space, more: int = 0, seed: int = 0, most: int = 10_000) -> Iterator[Candidate]:
    """Networks that together use every layer of a space, nearly: a supernet that holds them need not grow later.

    The largest and the smallest; each option of each choice once with everything else largest (of a subset one of each
    size and each member alone); and `more` random ones. most: where there are more options than this, so many of them.
    """
    top = largest(space)
    yield top
    yield smallest(space)
    universe = {choice.address: choice for choice in space.choices()}
    pairs = options_of(space)
    if len(pairs) > most:
        pairs = generator(seed, "cover").sample(pairs, most)

    def usual(choice: Choice) -> Value:
        return (ordered(choice) or choice.options)[-1 if ordered(choice) else 0]

    for choice, option in pairs:
        if choice.address in top.decisions and _same(top.decisions[choice.address], option):
            continue
        wanted = _needed(choice, universe, top.decisions, usual) | {choice.address: option}
        candidate = space.decide(_taking(wanted, top.decisions, usual))
        if choice.address in candidate.decisions and space.trouble(candidate) is None:
            yield candidate
    for number in range(more):
        yield drawn(space, partial(generator, seed, "cover", number))


def _same(one: Value, other: Value) -> bool:
    return type(one) is type(other) and one == other


def _needed(
    choice: Choice, universe: Mapping[str, Choice], fixed: Mapping[str, Value], usual: Callable[[Choice], Value]
) -> dict[str, Value]:
    """Decisions that make a choice active, as near to `fixed` as they can be."""
    wanted: dict[str, Value] = {}
    for address, options in choice.needs:
        owner = universe[address]
        held = fixed.get(address, usual(owner))
        if isinstance(owner.options, Subsets):
            labels = [label for option in options if isinstance(option, tuple) for label in option]
            if not (isinstance(held, tuple) and set(held) & set(labels)):
                held = _with(owner.options, held, str(labels[0]))
        elif not any(_same(held, option) for option in options):
            held = options[0]
        wanted |= {address: held, **_needed(owner, universe, fixed, usual)}
    return wanted


def _with(options: Subsets, held: Value, label: str) -> Value:
    """A subset near to `held` that has a label."""
    members = [name for name in (held if isinstance(held, tuple) else ()) if name != label]
    members = [*members[: options.at_most - 1], label]
    return tuple(name for name in options.labels if name in members)
