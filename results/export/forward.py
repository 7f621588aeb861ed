"""The body of a `forward`: what runs in which order, with a name for each value that needs one.

The order of calls is that of the built module. A value that is used once, by a function that follows, is written inside
it; a value after which nothing older is needed is called `x`; others have their submodule's name.
"""

from __future__ import annotations

import builtins
from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from nas.core.table import Call
from results.export.parameters import literal
from results.export.style import Bracket, Expression, Operation, Text, call, many, remark, statement
from results.export.tree import Block, Item, Ref

LONGEST = 96
"""Longest expression, in columns, that is written inside another."""

_SIGNS = {
    "operator.add": ("+", 4), "operator.sub": ("-", 4), "operator.mul": ("*", 5), "operator.truediv": ("/", 5),
    "operator.matmul": ("@", 5),
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """Submodules `prefix` + number from first to last that are made alike and follow each other."""

    prefix: str
    first: int
    last: int
    place: int

    @property
    def numbers(self) -> str:
        return f"range({self.first}, {self.last + 1})"


class Forward:
    """Writes one `forward`.

    reserved: names that no variable may have. shape_of: the comment for a value. functions: how helper functions are
    called in the source. runs: loops, by the place of their first item.
    """

    def __init__(
        self, block: Block, arguments: Sequence[str], reserved: Container[str], shape_of: Callable[[Ref], str],
        functions: Callable[[Call], str], runs: Sequence[Run] = (),
    ) -> None:  # fmt: skip
        self._block = block
        self._reserved = reserved
        self._shape_of = shape_of
        self._functions = functions
        self._runs = {run.place: run for run in runs}
        self._uses = _uses(block)
        self._names: dict[Ref, str] = {Ref(-1, place): name for place, name in enumerate(arguments)}
        self._waiting: dict[Ref, Expression] = {}
        self._taken = {*arguments, "x", "self"}
        self._lines: list[str] = []

    def lines(self, named: bool) -> list[str]:
        """The statements, indented by eight. named: several outputs are returned as a dict, else as a tuple."""
        skip = -1
        for place, item in enumerate(self._block.items):
            if place <= skip:
                continue
            run = self._runs.get(place)
            if run is not None:
                skip = place + run.last - run.first
                self._loop(run, skip)
            else:
                self._step(place, item)
        self._return(named)
        return self._lines

    # ---- statements --------------------------------------------------------------------------------------------------

    def _step(self, place: int, item: Item) -> None:
        uses = [self._uses[Ref(place, output)] for output in range(len(item.shapes))]
        if not any(uses) and not item.is_module:
            return
        waits = uses == [1] and self._can_wait(Ref(place), item)
        inside = self._inside(item.operands)
        value = self._value(item, inside) if inside is not None and self._nests(item, inside) else None
        if value is None or (inside and self._too_long(value, nested=waits and not self._returned(Ref(place)))):
            self._flush()
            value = self._value(item, [])
        else:
            for ref in inside or []:
                del self._waiting[ref]
        if waits:
            self._waiting[Ref(place)] = value
            return
        self._flush()
        if not any(uses):
            self._lines += statement("", value, 8, "the result is not used")
        elif len(uses) == 1:
            self._assign(Ref(place), value)
        else:
            names = [self._name(Ref(place, output)) if use else "_" for output, use in enumerate(uses)]
            self._lines += statement(f"{', '.join(names)} = ", value, 8)

    def _assign(self, ref: Ref, value: Expression) -> None:
        self._lines += statement(f"{self._name(ref)} = ", value, 8, self._shape_of(ref))

    def _flush(self) -> None:
        for ref, value in list(self._waiting.items()):
            del self._waiting[ref]
            self._assign(ref, value)

    def _loop(self, run: Run, last: int) -> None:
        self._flush()
        before = self._names[self._block.items[run.place].operands[0]]
        name = self._name(Ref(last))
        if name != before:
            self._lines.append(f"        {name} = {before}")
        self._lines.append(f"        for i in {run.numbers}:")
        step = f'            {name} = self.get_submodule(f"{run.prefix}{{i}}")({name})'
        self._lines += remark([step], self._shape_of(Ref(last)))

    def _return(self, named: bool) -> None:
        refs = [ref for _, ref in self._block.outputs]
        if not refs:
            self._flush()
            return
        inside = self._inside(refs)
        if inside is None or any(ref not in inside for ref in self._waiting):
            self._flush()
        values = [self._operand(ref) for ref in refs]
        if not named and len(refs) == 1:
            self._lines += statement("return ", values[0], 8, self._shape_of(refs[0]))
        elif not named:
            flat = Text(", ".join(value.flat for value in values))
            self._lines += statement("return ", flat if len(flat.text) < LONGEST else many(values, "()"), 8)
        else:
            names = [literal(name) for name, _ in self._block.outputs]
            pairs = tuple((f"{name}: ", value) for name, value in zip(names, values, strict=True))
            self._lines += statement("return ", Bracket("", pairs, "{}"), 8)

    # ---- values ------------------------------------------------------------------------------------------------------

    def _inside(self, operands: Sequence[Ref]) -> list[Ref] | None:
        """The operands that wait to be written, if they may be written here: they are the last ones, in their order."""
        wanted = [ref for ref in operands if ref in self._waiting]
        waiting = list(self._waiting)
        return wanted if not wanted or waiting[-len(wanted) :] == wanted else None

    def _nests(self, item: Item, inside: Sequence[Ref]) -> bool:
        """Whether expressions may stand inside: in a function, among several operands, or a function in a module."""
        return not item.is_module or len(item.operands) > 1 or not any(self._is_module(ref) for ref in inside)

    def _is_module(self, ref: Ref) -> bool:
        return self._block.items[ref.item].is_module

    def _can_wait(self, ref: Ref, item: Item) -> bool:
        """Whether the one use of a value is of the kind in which an expression may stand."""
        for place, user in enumerate(self._block.items[ref.item + 1 :]):
            if ref in user.operands:
                return not user.is_module or len(user.operands) > 1 or (place == 0 and not item.is_module)
        return True

    def _returned(self, ref: Ref) -> bool:
        return [ref] == [output for _, output in self._block.outputs]

    @staticmethod
    def _too_long(value: Expression, nested: bool) -> bool:
        """Whether an expression is hard to read: on one line where it is nested, else any of its parts."""
        if nested:
            return len(value.flat) > LONGEST
        parts = value.operands if isinstance(value, Operation) else [Text(value.flat)]
        return any(len(part.flat) > LONGEST for part in parts)

    def _operand(self, ref: Ref) -> Expression:
        return self._waiting[ref] if ref in self._waiting else Text(self._names[ref])

    def _value(self, item: Item, inside: Sequence[Ref]) -> Expression:
        operands = [self._waiting[ref] if ref in inside else Text(self._names.get(ref, "")) for ref in item.operands]
        if item.is_module:
            return call(f"self.{item.name}", *operands)
        assert isinstance(item.what, Call)
        what = item.what
        if what.operands == "fold" and what.target in _SIGNS:
            sign, strength = _SIGNS[what.target]
            first = operands[0]
            if isinstance(first, Operation) and first.sign == sign:
                operands = [*first.operands, *operands[1:]]
            return Operation(sign, tuple(operands), strength)
        function = self._functions(what)
        if what.operands == "fold":
            value = operands[0]
            for operand in operands[1:]:
                value = call(function, value, operand)
            return value
        if what.operands == "tuple":
            rest = [
                *(("", value) for value in what.args),
                *((f"{name}=", value) for name, value in what.kwargs.items()),
            ]
            return Bracket(function, (("", many(operands)), *((name, Text(literal(value))) for name, value in rest)))
        return call(function, *operands)

    # ---- names -------------------------------------------------------------------------------------------------------

    def _name(self, ref: Ref) -> str:
        """A variable for a value, `x` where nothing else is needed any more."""
        later = {use for item in self._block.items[ref.item + 1 :] for use in item.operands}
        later |= {use for _, use in self._block.outputs}
        alive = {use for use in later if use.item <= ref.item}
        if alive == {ref}:
            name = "x"
        else:
            item = self._block.items[ref.item]
            own = item.name
            if isinstance(item.what, Block) and len(item.what.outputs) > 1:
                own = item.what.outputs[ref.output][0]
                own = own if own.lower() not in self._taken else f"{item.name}_{own}"
            name = own = variable(own)
            number = 2
            while name in self._taken or name in self._reserved:
                name = f"{own}_" if number == 2 else f"{own}_{number}"
                number += 1
            self._taken.add(name)
        self._names[ref] = name
        return name


def _uses(block: Block) -> Counter[Ref]:
    """How often each value is used; functions whose result leads nowhere do not count."""
    uses = Counter(ref for _, ref in block.outputs)
    for place in reversed(range(len(block.items))):
        item = block.items[place]
        if item.is_module or any(uses[Ref(place, output)] for output in range(len(item.shapes))):
            uses.update(item.operands)
    return uses


def variable(name: str) -> str:
    """A name as a variable that ruff accepts: lower case, no builtin, no single letter that looks like a digit."""
    name = name.lower()
    return f"{name}_" if hasattr(builtins, name) or name in ("l", "o", "i") else name
