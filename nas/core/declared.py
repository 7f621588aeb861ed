"""What is done with a part before it is decided: what the space knows is written into it, and it is described."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any

from nas.core.errors import GraphError
from nas.core.operations import find
from nas.core.parts import Op, Part
from nas.core.table import TABLE
from nas.core.values import digest, freeze


def settled(part: Part, context: Mapping[str, Any]) -> Part:
    """The part with `classes` and `vocabulary` written on the operations that take them and were given none."""

    def settle(inner: Part) -> Part:
        changed = inner.rebuild(settle) or inner
        if isinstance(changed, Op):
            attributes = TABLE[changed.op].attributes if changed.op in TABLE else {}
            given = {name for name, _ in changed.attributes}
            for name, value in context.items():
                if name in attributes and name not in given and value is not None:
                    if isinstance(value, Mapping):
                        raise GraphError(
                            f"op {changed.op!r}: outputs differ in {name} ({dict(value)}); say {name}=… in each"
                        )
                    changed = replace(changed, attributes=(*changed.attributes, (name, value)))
        return changed

    return settle(part)


def described(thing: Any) -> Any:
    """A part as JSON values, for the fingerprint."""
    if isinstance(thing, Op) and ":" in thing.op:
        return ["Op", thing.label, thing.op, find(thing.op).source, described(thing.attributes)]
    if is_dataclass(thing) and not isinstance(thing, type):
        return [type(thing).__name__, *(described(getattr(thing, f.name)) for f in fields(thing))]
    if isinstance(thing, tuple):
        return [described(item) for item in thing]
    if isinstance(thing, partial):
        return ["partial", *map(described, (thing.func, thing.args, tuple(sorted(thing.keywords.items()))))]
    if callable(thing):
        return _described_function(thing)
    return freeze(thing, "a function of compute remembers")


def _described_function(function: Callable[..., Any]) -> Any:
    """A function by its name, its source, and what it remembers of the function it was made in."""
    name = f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', repr(function))}"
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        raise GraphError(f"compute: the source of {name} cannot be read, so no change of it would be noticed; "
                         "use a function from a file") from None  # fmt: skip
    held = tuple(cell.cell_contents for cell in getattr(function, "__closure__", None) or ())
    return [name, digest(source), described(tuple(value for value in held if value is not function))]
