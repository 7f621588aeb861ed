"""The arguments of a class's constructor calls: what is written as it is, and what becomes a parameter of the class.

Arguments that are the same in all blocks of a class are literals. Others are parameters; widths that are always equal
are one parameter, and what follows from another (padding from a kernel, a hidden width from the incoming one) is an
expression.
"""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from nas.core import modules
from nas.core.errors import GraphError
from nas.core.imports import load_object
from nas.core.table import Call, Shape
from nas.core.values import freeze
from results.export.tree import Block

EMPTY = inspect.Parameter.empty
SIZES = frozenset(
    ("in_channels", "out_channels", "num_features", "num_channels", "in_features", "out_features", "normalized_shape",
     "embedding_dim", "channels", "features", "width", "dim")
)  # fmt: skip
"""Constructor parameters that say how wide something is: equal values of these are one and the same width."""


@dataclass(eq=False)
class Slot:
    """One argument of one constructor call, in all blocks of a class.

    column: its value in each block. kind: 'size' for widths, else the parameter's name. where: names of the items that
    lead to the call. text: how the class writes it; None until decided. parameter: whether `text` is a bare parameter.
    """

    argument: str
    column: tuple[Any, ...]
    kind: str
    default: Any
    where: tuple[str, ...]
    positional: bool = False
    text: str | None = None

    @property
    def values(self) -> tuple[str, ...]:
        """The column as texts, in which 1, 1.0 and True differ."""
        return tuple(map(repr, self.column))

    @property
    def constant(self) -> bool:
        return len(set(self.values)) == 1

    @property
    def omitted(self) -> bool:
        """Whether every block takes the constructor's own default."""
        return self.default is not EMPTY and not self.positional and set(self.values) == {repr(self.default)}


@dataclass(frozen=True)
class Parameter:
    """A constructor parameter of a class, and its value in each of the class's blocks."""

    name: str
    kind: str
    column: tuple[Any, ...]
    default: Any = EMPTY


def constructor_of(call: Call) -> type:
    """The class that a call constructs."""
    if call.target == "user":
        return load_object(call.args[0])  # type: ignore[no-any-return]
    home = nn if call.target.startswith("nn.") else modules
    return getattr(home, call.target.partition(".")[2])  # type: ignore[no-any-return]


def leaf_slots(calls: Sequence[Call], where: tuple[str, ...]) -> list[Slot]:
    """The arguments of one constructor, called alike in several blocks; arguments left out take their default."""
    parameters = inspect.signature(constructor_of(calls[0])).parameters
    by_place = [
        p.name
        for p in parameters.values()
        if p.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ]
    rows = [call.args if call.target != "user" else () for call in calls]
    slots = []
    for place in range(len(rows[0])):
        named = place < len(by_place)
        name = by_place[place] if named else f"argument{place + 1}"
        column = tuple(row[place] for row in rows)
        default = parameters[name].default if named else EMPTY
        positional = not named or (place < 2 and calls[0].target.startswith("nn."))
        slots.append(Slot(name, column, _kind(name), default, where, positional))
    given = {name for call in calls for name in call.kwargs}
    order = [name for name in parameters if name in given] + sorted(given - set(parameters))
    for name in order:
        default = parameters[name].default if name in parameters else EMPTY
        column = tuple(call.kwargs.get(name, default) for call in calls)
        slots.append(Slot(name, column, _kind(name), default, where))
    return slots


def unwritable(call: Call) -> tuple[str, ...]:
    """Arguments of a call whose default cannot be written (`act=nn.ReLU`): given or not, these are two constructors."""
    if call.target != "user":
        return ()
    parameters = inspect.signature(constructor_of(call)).parameters

    def writable(name: str) -> bool:
        try:
            freeze(parameters[name].default)
        except KeyError:  # taken by **kwargs
            return False
        except GraphError:
            return parameters[name].default is EMPTY
        return True

    return tuple(sorted(name for name in call.kwargs if not writable(name)))


def _kind(argument: str) -> str:
    return "size" if argument in SIZES else argument


def assign(slots: Sequence[Slot], blocks: Sequence[Block]) -> list[Parameter]:
    """Decide how each slot is written; return the parameters this needs, widths first, those with defaults last."""
    ends = _open_ends(blocks)
    groups: dict[tuple[str, tuple[str, ...]], list[Slot]] = {}
    for slot in slots:
        kind = "size" if _each_by_itself(slot, slots) else slot.kind
        if not (slot.constant and (kind != "size" or not ends)) and _padding(slot, slots) is None:
            groups.setdefault((kind, slot.values), []).append(slot)
    names = _Names(groups, blocks)
    parameters = []
    for (kind, values), members in groups.items():
        text = names.multiple(kind, members)
        if text is None and not (members[0].constant and values not in ends):
            text = names.name(kind, members)
            parameters.append(Parameter(text, kind, members[0].column, _default(kind, members)))
        for slot in members:
            slot.text = text
    for slot in slots:
        if slot.text is None:
            slot.text = literal(slot.column[0]) if slot.constant else _padding(slot, slots)
    rank = {name: place for place, name in enumerate(names.sizes)}
    return sorted(parameters, key=lambda p: (p.default is not EMPTY, p.kind != "size", rank.get(p.name, len(rank))))


def _each_by_itself(slot: Slot, slots: Sequence[Slot]) -> bool:
    """Whether a slot is the groups of a convolution of each channel by itself: as many as there are channels."""
    beside = (other for other in slots if other.where == slot.where and other.kind == "size")
    return slot.kind == "groups" and any(other.values == slot.values for other in beside)


def _open_ends(blocks: Sequence[Block]) -> set[tuple[str, ...]]:
    """Incoming and outgoing widths that are parameters although they are the same everywhere.

    An operation that is used more than once takes its widths as torch's own layers do.
    """
    if len(blocks) == 1 or not (blocks[0].is_plain or blocks[0].operation is not None or blocks[0].owner):
        return set()
    return {_inward(blocks), _outward(blocks)}


def _inward(blocks: Sequence[Block]) -> tuple[str, ...]:
    """How wide the first operand of each block is, as texts."""
    return tuple(repr(_size(block.input_shapes[0])) if block.input_shapes else "" for block in blocks)


def _outward(blocks: Sequence[Block]) -> tuple[str, ...]:
    return tuple(repr(_size(block.output_shapes[0])) if block.outputs else "" for block in blocks)


def _default(kind: str, slots: Sequence[Slot]) -> Any:
    """The default of a parameter: that of all its slots, where some block takes it."""
    default = slots[0].default
    same = all(repr(slot.default) == repr(default) for slot in slots)
    return default if same and kind != "size" and repr(default) in slots[0].values else EMPTY


def _padding(slot: Slot, slots: Sequence[Slot]) -> str | None:
    """Padding that follows from kernel and dilation, as an expression of them; None where it does not."""
    if slot.argument != "padding":
        return None
    beside = {other.argument: other for other in slots if other.where == slot.where}
    kernel, dilation = beside.get("kernel_size"), beside.get("dilation")
    if kernel is None or not all(type(value) is int for value in (*kernel.column, *slot.column)):
        return None
    spread = dilation.column if dilation is not None else (1,) * len(slot.column)
    if all(pad == wide * (side // 2) for pad, wide, side in zip(slot.column, spread, kernel.column, strict=True)):
        half = f"{kernel.text} // 2" if not kernel.constant else literal(kernel.column[0] // 2)
        if dilation is None or (dilation.constant and dilation.column[0] == 1):
            return half
        if half == "1":
            return dilation.text
        return f"{dilation.text} * ({half})" if not kernel.constant else f"{dilation.text} * {half}"
    return None


class _Names:
    """Names for the parameters of a class."""

    def __init__(self, groups: Mapping[tuple[str, tuple[str, ...]], list[Slot]], blocks: Sequence[Block]) -> None:
        self._inward, self._outward = _inward(blocks), _outward(blocks)
        images = all(len(shape) == 3 for block in blocks for shape in block.input_shapes[:1])
        self._word = "channels" if images else "features"
        self._has = {values for kind, values in groups if kind == "size"}
        self._used: set[str] = set()
        self.sizes: list[str] = []
        both = self._inward == self._outward
        self._in = self._word if both else f"in_{self._word}"
        self._out = self._word if both else f"out_{self._word}"
        self.sizes += [self._in, self._out, "hidden"]

    def multiple(self, kind: str, slots: Sequence[Slot]) -> str | None:
        """A hidden width that is always the same multiple of the incoming one, as an expression."""
        values = slots[0].values
        if kind != "size" or values in (self._inward, self._outward) or self._inward not in self._has:
            return None
        inward = [int(text) for text in self._inward]
        if not all(type(value) is int for value in slots[0].column):
            return None
        factors = {divmod(value, size) for value, size in zip(slots[0].column, inward, strict=True)}
        factor, rest = next(iter(factors))
        return f"{factor} * {self._in}" if len(factors) == 1 and not rest and 2 <= factor <= 8 else None

    def name(self, kind: str, slots: Sequence[Slot]) -> str:
        first = slots[0]
        if kind == "size":
            names = [self._in] if first.values == self._inward else []
            names += [self._out] if first.values == self._outward else ["hidden"]
        else:
            names = [first.argument]
        names += ["_".join((*first.where[-depth:], first.argument)) for depth in range(1, len(first.where) + 1)]
        name = next((name for name in names if name not in self._used), None)
        name = name or f"{names[-1]}{len(self._used)}"
        name = f"{name}_" if hasattr(builtins, name) else name
        self._used.add(name)
        return name


def _size(shape: Shape) -> int:
    """How wide a value is: channels of an image, features of the rest."""
    return shape[0] if len(shape) == 3 else shape[-1]


def literal(value: Any) -> str:
    """A value as ruff writes it.

    >>> literal("a"), literal((3,)), literal(1e-5), literal([1, None])
    ('"a"', '(3,)', '1e-05', '[1, None]')
    """
    if isinstance(value, str):
        text = repr(value)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in value else text
    if isinstance(value, tuple):
        inner = ", ".join(map(literal, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)


def type_of(values: Sequence[Any]) -> str:
    """A type hint for values.

    >>> type_of([1, 2]), type_of([3, (3, 5)]), type_of(["a", None])
    ('int', 'int | tuple[int, int]', 'str | None')
    """
    hints = dict.fromkeys(_hint(value) for value in values)
    return " | ".join(sorted(hints, key=lambda hint: (hint == "None", hint.startswith("tuple"))))


def _hint(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, tuple):
        return f"tuple[{', '.join(map(_hint, value))}]" if value else "tuple[()]"
    return type(value).__name__
