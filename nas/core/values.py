"""Values that a graph may hold, and their canonical text.

A value is None, a bool, an int, a finite float, a str, or a tuple of values. Everything else is refused at the door, so
that whatever is in a graph can be hashed, compared, written as JSON and read back as the same thing.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias

from nas.core.errors import GraphError

Value: TypeAlias = "bool | int | float | str | tuple[Value, ...] | None"


LONGEST = 4096
"""Most bits of a whole number: Python refuses to write down those that are much longer."""


def digits(number: int) -> str:
    """A whole number in decimal, of any length: `str` refuses more than 4300 digits.

    >>> digits(-15625), len(digits(3**10_000))
    ('-15625', 4772)
    """
    return format(Decimal(number), "f")


def freeze(value: Any, where: str = "value") -> Value:
    """`value` with lists made tuples, -0.0 made 0.0, and instances of subclasses (an IntEnum, numpy.float64) plain.

    Raises: GraphError for anything that is not a value.
    """
    if isinstance(value, int) and value.bit_length() > LONGEST:
        raise GraphError(f"{where}: a whole number of {value.bit_length()} bits; expected at most {LONGEST} bits")
    if value is None or type(value) in (bool, int, str):
        return value  # type: ignore[no-any-return]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise GraphError(f"{where}: {value!r} is not finite; use a finite number or None")
        return float(value) + 0.0
    if isinstance(value, int):
        return int.__index__(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, list | tuple):
        return tuple(freeze(item, where) for item in value)
    raise GraphError(
        f"{where}: {value!r} is a {type(value).__name__}; expected None, bool, int, float, str or a tuple of these"
    )


def thaw(value: Any) -> Any:
    """`value` with tuples made lists, as JSON has them."""
    return [thaw(item) for item in value] if isinstance(value, tuple | list) else value


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def canonical(value: Any) -> str:
    """One text per value: JSON with sorted keys and no spaces. 1, 1.0 and True stay apart."""
    return _ENCODER.encode(value)


def digest(text: str, size: int = 16) -> str:
    """A hex digest of `text`, `2 * size` characters, the same in every process."""
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def alike(a: Value, b: Value) -> bool:
    """Whether two equal values are of one type all the way down: 1, 1.0 and True are not alike."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return all(alike(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b)


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise GraphError(f"{name!r} is a {type(name).__name__} where a name stands; expected a text")
    return name


class FrozenDict(Mapping[str, Value]):
    """An immutable, hashable mapping from names to values. Order does not matter for equality; it is kept for display.

    Two mappings are equal when their canonical texts are: `{"a": 1}` and `{"a": True}` differ.
    """

    __slots__ = ("_hash", "_items", "_key")

    def __init__(self, items: Mapping[str, Any] | None = None) -> None:
        self._items: dict[str, Value] = {_name(name): freeze(value, name) for name, value in (items or {}).items()}
        self._key: str | None = None
        self._hash: int | None = None

    @property
    def text(self) -> str:
        """The canonical text."""
        if self._key is None:
            self._key = canonical(self._items)
        return self._key

    def __getitem__(self, name: str) -> Value:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FrozenDict):
            return NotImplemented
        mine, theirs = self._items, other._items
        return mine is theirs or (mine == theirs and all(alike(value, theirs[name]) for name, value in mine.items()))

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._items.items()))
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._items,)  # hashes of strings differ between processes: never carry one over

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._items!r})"


def frozen(names: tuple[str, ...], values: tuple[Value, ...]) -> FrozenDict:
    """The mapping of names to values; equal ones are one object, so comparing them costs nothing."""
    return _frozen(names, values, repr(values))


@lru_cache(maxsize=100_000)
def _frozen(names: tuple[str, ...], values: tuple[Value, ...], spelled: str) -> FrozenDict:
    return FrozenDict(dict(zip(names, values, strict=True)))  # `spelled` keeps 1 and True apart


EMPTY = FrozenDict()
"""The mapping of nothing; one is enough."""
