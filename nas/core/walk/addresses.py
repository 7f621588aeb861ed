"""Every choice that a part can have, by address, with what makes it active."""

from __future__ import annotations

from collections.abc import Sequence

from nas.core.errors import GraphError
from nas.core.parts import Choose, Item, Part, Sub, Tied, join
from nas.core.subsets import Subsets
from nas.core.values import Value
from nas.core.walk.deciding import Choice, address_of, reachable

LIMIT = 200_000
"""Most addresses that a space may have when all of them are listed."""

VISITS = 5 * LIMIT
"""Most places at which parts may stand in a space, open or not."""

DEEPEST = 150
"""How deep parts may be nested: within this, nothing here runs into Python's own limit on recursion."""


def universe(part: Part) -> dict[str, Choice]:
    """Every choice that can be active, by address, in the order of deciding.

    Raises: GraphError when two choices that are not tied have one address, when there are more than `LIMIT`, or when
        parts are nested deeper than `DEEPEST`.
    """
    found: dict[str, Choice] = {}
    tied: set[str] = set()
    shared: set[str] = set()
    visits = 0

    def visit(at: str, items: Sequence[Item], needs: tuple[tuple[str, tuple[Value, ...]], ...], depth: int) -> None:
        nonlocal visits
        visits += 1
        if visits > VISITS:
            raise GraphError(f"{at[:80]}: the space has more than {VISITS} parts; lower `times` of its repeats or the "
                             "depth of its recursion")  # fmt: skip
        if depth > DEEPEST:
            raise GraphError(f"{at[:80]}…: parts are nested more than {DEEPEST} deep; lower the depth of the recursion")
        for item in items:
            if isinstance(item, Sub):
                visit(join(at, item.name), item.part.structure(), needs, depth + 1)
            elif isinstance(item, Tied):
                if item.name not in tied:
                    tied.add(item.name)
                    visit(item.name, item.part.structure(), (), depth + 1)
            else:
                address = address_of(at, item)
                enter(Choice(address, item.options, item.kind, () if item.tied else needs), item.tied)
                subs = reachable(item)
                opened = [(option, frozenset(item.active(option))) for option in _witnesses(item)] if subs else []
                for sub in subs:
                    by = tuple(option for option, active in opened if sub in active)
                    always = len(by) == len(item.options)  # whatever is decided here
                    own = needs if always else ((address, by),)
                    visit(join(at, sub.name), sub.part.structure(), own, depth + 1)

    def enter(choice: Choice, tie: bool) -> None:
        known = found.get(choice.address)
        if known is None:
            found[choice.address] = choice
            shared.update({choice.address} if tie else ())
        elif not (tie and choice.address in shared and known == choice):
            raise GraphError(
                f"two choices have the address {choice.address!r}: {known.options!r} ({known.kind}) and "
                f"{choice.options!r} ({choice.kind}); give one of the parts another name with .named(…)"
            )
        if len(found) > LIMIT:
            raise GraphError(f"the space has more than {LIMIT} addresses; lower the depth of its recursion or "
                             "`times` of its repeats")  # fmt: skip

    visit("", part.structure(), (), 0)
    return found


def _witnesses(item: Choose) -> Sequence[Value]:
    """Options to show as conditions: single labels stand for 'any subset with this label'."""
    if isinstance(item.options, Subsets):
        return [(label,) for label in item.options.labels]
    return item.options
