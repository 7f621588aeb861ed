"""Fields of parts: values as their annotations want them, and as YAML writes them."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.core.errors import RecipeError
from nas.core.profile import InputSpec
from nas.core.space import features, image, tokens


def typed(value: Any, hint: Any, where: str, words: str = "", names: Mapping[str, Any] | None = None) -> Any:
    """`value` as the annotation `hint` has it: a list where a tuple is wanted is one, nothing else is converted.

    words: the annotation as a person reads it. names: what names inside the annotation mean.

    Raises: RecipeError naming `where`, the value and the expected type.

    >>> typed([3, 5], tuple[int, ...], "kernels")
    (3, 5)
    >>> typed("3", int, "width")
    Traceback (most recent call last):
    nas.core.errors.RecipeError: width is '3'; expected int: input should be a valid integer
    """
    from pydantic import ValidationError

    adapter = _adapter(hint, names)
    if adapter is None:
        return value
    try:
        if is_json(value):
            return adapter.validate_json(json.dumps(plain(value)), strict=True)
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = "".join(f"[{step}]" if isinstance(step, int) else "" for step in first["loc"])
        said = first["msg"][:1].lower() + first["msg"][1:]
        expected = words or inspect.formatannotation(hint)
        raise RecipeError(
            f"{where} is {short(value)}; expected {expected}: {path + ': ' if path else ''}{said}"
        ) from None


def _adapter(hint: Any, names: Mapping[str, Any] | None) -> Any:
    """pydantic's checker of an annotation; None for one that only the part itself can check."""
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    for config in (ConfigDict(arbitrary_types_allowed=True), None):  # some types allow no configuration
        try:
            adapter = TypeAdapter(hint, config=config)
            return adapter if adapter.rebuild(raise_errors=False, _types_namespace=names) is not False else None
        except PydanticUserError:
            continue
    return None


def hint_of(factory: Any, name: str) -> tuple[Any, dict[str, Any]]:
    """The annotation of a parameter, and the names that it may use; Any where there is none or it cannot be found."""
    holder = factory.__init__ if isinstance(factory, type) else factory
    given = inspect.signature(factory).parameters[name].annotation
    module = sys.modules.get(getattr(factory, "__module__", ""))
    names = {**getattr(holder, "__globals__", {}), **(vars(module) if module else {})}
    if given is inspect.Parameter.empty:
        return Any, names
    if not isinstance(given, str):
        return given, names
    try:
        return eval(given, names), names
    except (NameError, AttributeError, TypeError, SyntaxError):
        return Any, names  # names that exist for the type checker only


def annotation_of(parameter: inspect.Parameter) -> str:
    given = parameter.annotation
    if given is inspect.Parameter.empty:
        return ""
    return given if isinstance(given, str) else inspect.formatannotation(given)


def as_inputs(value: Any, where: str) -> Any:
    """A space's inputs as a recipe says them: `[3, 32, 32]` (an image), `[64]` (features), `{tokens: [L, V]}`, or a
    mapping of input name to one of these. Raises RecipeError."""
    if isinstance(value, InputSpec):
        return value
    sizes = isinstance(value, list | tuple) and all(isinstance(n, int) and not isinstance(n, bool) for n in value)
    if sizes and len(value) == 3:
        return image(*value)
    if sizes and len(value) == 1:
        return features(*value)
    if isinstance(value, Mapping) and value:
        if set(value) == {"tokens"} and isinstance(value["tokens"], list | tuple) and len(value["tokens"]) == 2:
            return tokens(*value["tokens"])
        if set(value) <= {"image", "features"} and len(value) == 1:
            return as_inputs(next(iter(value.values())), where)
        return {str(name): as_inputs(one, where) for name, one in value.items()}
    raise RecipeError(
        f"{where}: inputs is {value!r}; expected [channels, height, width], [features], {{tokens: [length, "
        "vocabulary]}, or a mapping of input name to one of these"
    )


def inputs_spec(value: Any) -> Any:
    """The opposite of `as_inputs`."""
    if isinstance(value, InputSpec):
        return {"tokens": [value.shape[0], value.vocabulary]} if value.dtype == "int64" else list(value.shape)
    return {name: inputs_spec(one) for name, one in value.items()} if isinstance(value, Mapping) else value


def is_plain(value: Any, keys: Any = str | int | float) -> bool:
    """YAML takes it, with keys of these types."""
    if isinstance(value, Mapping):
        return all(isinstance(key, keys) and is_plain(one, keys) for key, one in value.items())
    if isinstance(value, list | tuple):
        return all(is_plain(one, keys) for one in value)
    return value is None or isinstance(value, bool | int | float | str | Path)


def is_json(value: Any) -> bool:
    return is_plain(value, str)


def plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def short(thing: Any) -> str:
    text = repr(thing)
    return text if len(text) <= 100 else text[:99] + "…"
