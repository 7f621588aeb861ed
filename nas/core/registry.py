"""Names of parts: one table per kind. A part registers itself by a decorator in its own file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from nas.core.errors import RegistryError, nearest

KINDS = ("space", "data", "evaluator", "strategy", "executor", "weights", "statistics", "training")
"""Kinds of parts that a recipe names; the last three are those of a supernet."""

_TABLES: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}

T = TypeVar("T")


def register(kind: str, name: str) -> Callable[[T], T]:
    """A decorator: make a class or function known as `name` among parts of `kind`.

    Raises RegistryError for an unknown kind, and for a second registration of a name (naming both origins).
    """
    table = _table(kind)

    def enter(part: T) -> T:
        if name in table and _origin(table[name]) != _origin(part):
            raise RegistryError(
                f"{kind} {name!r} is registered twice: by {_origin(table[name])} and by {_origin(part)}; rename one"
            )
        table[name] = part
        return part

    return enter


def get(kind: str, name: str) -> Any:
    """The part registered as `name`. Raises RegistryError with the nearest names."""
    table = _table(kind)
    if name not in table:
        raise RegistryError(f"{kind} {name!r} is unknown; {nearest(name, table)}; or give 'path/file.py:name'")
    return table[name]


def names(kind: str) -> list[str]:
    """Registered names of a kind, sorted."""
    return sorted(_table(kind))


def _table(kind: str) -> dict[str, Any]:
    if kind not in _TABLES:
        raise RegistryError(f"part of kind {kind!r}; {nearest(kind, KINDS)}")
    return _TABLES[kind]


def _origin(part: Any) -> str:
    try:
        return f"{inspect.getsourcefile(part)}:{part.__qualname__}"
    except TypeError:
        return f"{getattr(part, '__module__', '?')}:{getattr(part, '__qualname__', repr(part))}"
