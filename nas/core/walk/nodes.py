"""What the decisions of a graph say about the places of its nodes: which options stand there without a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nas.core.parts import Part, Sub, Tied, join
from nas.core.values import Value
from nas.core.walk.deciding import address_of


@dataclass(frozen=True)
class Place:
    """What stands at a node's address without a node of its own.

    options: labels of the options that were taken there, outermost first. alone: the last of them, where it is the only
    path of several that could have been merged.
    """

    options: tuple[str, ...] = ()
    alone: str = ""

    def below(self, option: str, alone: bool = False) -> Place:
        """The same with one more option in it."""
        return Place((*self.options, option), option if alone else "")


BARE = Place()


def places(part: Part, decisions: Mapping[str, Value]) -> dict[str, Place]:
    """Address of a node of the decided graph → what was taken there and has no node of its own.

    An option of `one_of`, and the only path of a `some_of`, stand in the place of their owner: their labels are in the
    addresses of decisions, but not in those of nodes. With them, what stands at one place can be told apart.
    """
    found: dict[str, Place] = {}

    def visit(at: str, node: str, part: Part) -> bool:
        """Go through a part; whether there is anything at its place."""
        there = True
        branches: list[tuple[str, Sub]] = []
        for item in part.structure():
            if isinstance(item, Tied):
                there = visit(item.name, node, item.part) and there
            elif isinstance(item, Sub):
                if part.merges:
                    branches += [] if item.part.gives_value else [(join(at, item.name), item)]
                else:
                    here = visit(join(at, item.name), join(node, item.name), item.part)
                    there = there and (here or bool(item.name))
            elif item.then is not None:
                option = decisions[address_of(at, item)]
                subs = item.active(option)
                if item.kind == "structure":
                    for sub in subs:
                        found[node] = found.get(node, BARE).below(sub.name)
                    inside = [visit(join(at, sub.name), node, sub.part) for sub in subs]
                    there = there and all(inside)
                elif part.merges:
                    branches += [(join(at, sub.name), sub) for sub in subs]
                else:
                    inside = [visit(join(at, sub.name), join(node, sub.name), sub.part) for sub in subs]
                    there = there and (item.kind != "edge" or (bool(option) and all(inside)))
        if branches:
            merge(node, branches)
        return there

    def merge(node: str, branches: list[tuple[str, Sub]]) -> None:
        """Branches stand below their owner, but the only one that is there stands in its place."""
        before = dict(found)
        present = [(at, sub) for at, sub in branches if visit(at, join(node, sub.name), sub.part)]
        if len(present) == 1:
            found.clear()
            found.update(before)
            ((at, sub),) = present
            found[node] = found.get(node, BARE).below(sub.name, alone=True)
            visit(at, node, sub.part)

    visit("", "", part)
    return found
