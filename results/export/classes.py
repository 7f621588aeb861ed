"""Which classes a network's source has: equal blocks share one, and what differs becomes a constructor argument.

Blocks are looked at from the innermost out. Those of one wiring, with equal classes inside, form a group; where the
values in a group differ, they become parameters. A chain that stands at one place only stays in place as an
`nn.Sequential`. A group that would need too many parameters is not one class in a person's eyes: its chains are
written where they stand, its other blocks become one class per set of values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.core.table import Call
from results.export.parameters import Parameter, Slot, assign, leaf_slots, unwritable
from results.export.tree import Block, Item

MOST_PARAMETERS = {True: 8, False: 5}
"""Most parameters of a class for an operation of the table (True), and for a nested graph."""
MOST_LINES = 8
"""Longest chain, in layers, that is written in place."""


@dataclass(eq=False)
class Made:
    """A submodule that a constructor makes: `nn.Conv2d`, a helper, a user's class, or a class of the source."""

    name: str
    constructor: Call | Class
    slots: list[Slot]


@dataclass(eq=False)
class Chain:
    """A submodule that is an `nn.Sequential` written in place."""

    name: str
    members: list[Member]


Member = Made | Chain


@dataclass(eq=False)
class Class:
    """A class of the source: its blocks (all written as one), its submodules, its parameters."""

    blocks: list[Block]
    members: list[Member]
    parameters: list[Parameter]
    name: str = ""
    arguments: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def model(self) -> Block:
        """The block that the class is written after."""
        return self.blocks[0]


def classes_of(root: Block) -> list[Class]:
    """The classes of a network, each after those that it uses; the last is the network. They have no names yet."""
    return _Classes(root).found


class _Classes:
    def __init__(self, root: Block) -> None:
        self.found: list[Class] = []
        self._class: dict[int, Class] = {}
        self._wiring: dict[int, tuple[Any, ...]] = {}
        self._places: dict[tuple[Any, ...], set[Any]] = {}
        levels: dict[int, list[Block]] = {}
        self._look(root, levels)
        for _, blocks in sorted(levels.items()):
            groups: dict[tuple[Any, ...], list[Block]] = {}
            for block in blocks:
                groups.setdefault(self._key(block), []).append(block)
            for group in groups.values():
                self._decide(group)
        self._enter([root])

    def _look(self, block: Block, levels: dict[int, list[Block]]) -> int:
        """Note the blocks inside by their height, and the places at which each wiring stands; return the own height."""
        height = 0
        for item in block.items:
            if isinstance(item.what, Block):
                inner = self._look(item.what, levels)
                levels.setdefault(inner, []).append(item.what)
                height = max(height, inner + 1)
        for item in block.items:
            if isinstance(item.what, Block):
                place = (self._wired(block), item.name)
                self._places.setdefault(self._wired(item.what), set()).add(place)
        return height

    def _wired(self, block: Block) -> tuple[Any, ...]:
        """The wiring of a block, without any value."""
        known = self._wiring.get(id(block))
        if known is None:
            known = self._wiring[id(block)] = _shape_of(block, self._wired)
        return known

    def _key(self, block: Block) -> tuple[Any, ...]:
        """The wiring of a block, with the classes that are inside."""

        def inner(child: Block) -> tuple[Any, ...]:
            made = self._class.get(id(child))
            return ("class", id(made)) if made is not None else self._key(child)

        return _shape_of(block, inner)

    def _decide(self, group: list[Block]) -> None:
        """Make a group one class, several, or leave its chains in place."""
        chain = group[0].is_chain
        short = chain and _lines(group[0], self._class) <= MOST_LINES
        if short and len(self._places[self._wired(group[0])]) == 1:
            return
        members, slots = self._members(group)
        parameters = assign(slots, group)
        if len(parameters) <= MOST_PARAMETERS[all(block.operation is not None for block in group)]:
            self._keep(group, members, parameters)
        elif not short:
            alike: dict[tuple[Any, ...], list[Block]] = {}
            for place, block in enumerate(group):
                alike.setdefault(tuple(slot.values[place] for slot in slots), []).append(block)
            for blocks in alike.values():
                self._enter(blocks)

    def _enter(self, blocks: list[Block]) -> None:
        members, slots = self._members(blocks)
        self._keep(blocks, members, assign(slots, blocks))

    def _keep(self, blocks: list[Block], members: list[Member], parameters: list[Parameter]) -> None:
        made = Class(blocks, members, parameters)
        for place, block in enumerate(blocks):
            self._class[id(block)] = made
            made.arguments[id(block)] = {parameter.name: parameter.column[place] for parameter in parameters}
        self.found.append(made)

    def _members(self, blocks: Sequence[Block], where: tuple[str, ...] = ()) -> tuple[list[Member], list[Slot]]:
        """The submodules of blocks of one key, and all their arguments."""
        members: list[Member] = []
        slots: list[Slot] = []
        for place, item in enumerate(blocks[0].items):
            if not item.is_module:
                continue
            alike = [block.items[place] for block in blocks]
            path = (*where, item.name)
            if isinstance(item.what, Call):
                made = Made(item.name, item.what, leaf_slots([it.what for it in alike], path))  # type: ignore[misc]
            elif id(item.what) in self._class:
                made = self._instance(alike, path)
            else:
                inner, inside = self._members([it.what for it in alike], path)  # type: ignore[misc]
                members.append(Chain(item.name, inner))
                slots += inside
                continue
            members.append(made)
            slots += made.slots
        return members, slots

    def _instance(self, items: Sequence[Item], where: tuple[str, ...]) -> Made:
        kind = self._class[id(items[0].what)]
        slots = [
            Slot(
                parameter.name,
                tuple(kind.arguments[id(item.what)][parameter.name] for item in items),
                parameter.kind,
                parameter.default,
                where,
                positional=parameter.kind == "size" and place < 2,
            )
            for place, parameter in enumerate(kind.parameters)
        ]
        return Made(items[0].name, kind, slots)


def _shape_of(block: Block, inner: Any) -> tuple[Any, ...]:
    items = []
    for item in block.items:
        if isinstance(item.what, Block):
            what = inner(item.what)
        elif item.is_module:
            user = item.what.args[0] if item.what.target == "user" else len(item.what.args)
            what = (item.what.target, user, unwritable(item.what))
        else:
            what = (item.what.target, repr(item.what.args), item.what.kwargs.text, item.what.operands)
        items.append((item.name if item.is_module else "", what, item.operands))
    what = "" if block.is_plain else block.operation
    return what, len(block.inputs), tuple(items), tuple(ref for _, ref in block.outputs)


def _lines(block: Block, known: Mapping[int, Class]) -> int:
    inner = (item.what for item in block.items if isinstance(item.what, Block) and id(item.what) not in known)
    return len(block.items) + sum(1 + _lines(child, known) for child in inner)
