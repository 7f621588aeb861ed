"""Names of parts: one table per kind. A part registers itself by a decorator in its own file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from nas.core.errors import RecipeError, RegistryError, nearest
from nas.core.imports import load_object

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


def made(kind: str, given: Any) -> Any:
    """The part that `given` means: a name, a mapping of `name` and fields, or the part itself, which is given back.

    For parts inside parts, whose fields check their own values. A name may be 'path/file.py:name'.

    Raises: RegistryError for an unknown name; RecipeError for a mapping without a name, and for a field that the part
        does not have, or needs.
    """
    fields = dict(given) if isinstance(given, Mapping) else {}
    name = fields.pop("name", None) if isinstance(given, Mapping) else given
    if isinstance(given, Mapping) and not isinstance(name, str):
        raise RecipeError(f"{kind}: {dict(given)!r} has no 'name'; {nearest(name, names(kind))}")
    if not isinstance(name, str):
        return given
    part = load_object(name) if ":" in name else get(kind, name)
    if not callable(part):
        if fields:
            raise RecipeError(
                f"{kind} {name!r} is ready made and takes no fields; {next(iter(fields))!r} cannot be set"
            )
        return part
    try:
        legal = inspect.signature(part).parameters
    except ValueError:  # written in C, which does not say
        legal = MappingProxyType({})
    for field, value in fields.items():
        if field not in legal:
            raise RecipeError(f"{kind} {name!r} has no field {field!r} (given: {value!r}); {nearest(field, legal)}")
    for field, parameter in legal.items():
        if parameter.default is parameter.empty and field not in fields:
            raise RecipeError(f"{kind} {name!r} needs the field {field!r}")
    return part(**fields)


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
