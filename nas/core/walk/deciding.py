"""Taking decisions: what one is, where it stands, and a walk that takes all of a part in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nas.core.parts import Choose, Item, Part, Sub, Tied, join
from nas.core.subsets import Subsets
from nas.core.values import Value


@dataclass(frozen=True)
class Choice:
    """One open place of a space.

    kind: 'value', 'structure' (one of several parts), 'subset' (options are tuples of labels), 'repeat' or 'edge'
    (True: there).
    needs: (address, options) pairs: it is active when the choice there takes one of these options.
    """

    address: str
    options: Sequence[Value]
    kind: str
    needs: tuple[tuple[str, tuple[Value, ...]], ...] = field(default=(), compare=False)

    def __len__(self) -> int:
        return len(self.options)


def address_of(at: str, item: Choose) -> str:
    """Where a choice is decided: below its owner's address, or at its own where it is tied."""
    return item.name if item.tied else join(at, item.name)


def decide(part: Part, choose: Callable[[Choice], Value]) -> dict[str, Value]:
    """Take all decisions of `part` in order; `choose` is called once for each choice that is active."""
    taken: dict[str, Value] = {}
    tied: set[str] = set()

    def visit(at: str, items: Sequence[Item]) -> None:
        for item in items:
            if isinstance(item, Sub):
                inner = item.part.structure()
                if inner:  # most parts are operations with nothing open
                    visit(join(at, item.name), inner)
            elif isinstance(item, Tied):
                if item.name not in tied:
                    tied.add(item.name)
                    visit(item.name, item.part.structure())
            else:
                address = address_of(at, item)
                if not (item.tied and address in taken):
                    taken[address] = choose(Choice(address, item.options, item.kind))
                if item.then is not None:
                    visit(at, item.then(taken[address]))

    visit("", part.structure())
    return taken


def reachable(item: Choose) -> list[Sub]:
    """Every part that some option of a choice makes active."""
    if item.then is None:
        return []
    if isinstance(item.options, Subsets):
        return list(item.then(item.options.labels))
    subs: dict[Sub, None] = {}
    for option in item.options:
        subs.update(dict.fromkeys(item.then(option)))
    return list(subs)


def visit_all(part: Part, see: Callable[[str, Part], None]) -> None:
    """Call `see` with every part that can be active, and its address; with what is in a tied part once."""
    tied: set[tuple[str, Part]] = set()

    def visit(at: str, owner: Part) -> None:
        see(at, owner)
        for item in owner.structure():
            if isinstance(item, Sub):
                visit(join(at, item.name), item.part)
            elif isinstance(item, Tied):
                if (item.name, item.part) not in tied:
                    tied.add((item.name, item.part))
                    visit(item.name, item.part)
            else:
                for sub in reachable(item):
                    visit(join(at, sub.name), sub.part)

    visit("", part)
