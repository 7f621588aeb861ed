"""`load`: from what a recipe says under `data:` to `Data`."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from evaluators.data.dataset import Data
from evaluators.data.prepare import Preparation, prepare
from evaluators.data.source import Found, said
from evaluators.paths import find
from nas.core.errors import DataError, NASError, RecipeError, nearest
from nas.core.registry import get, names

_KEPT: dict[str, Data] = {}
"""Data that this process has read, by what was asked and the state of the file; the last few."""
_KEEP = 4


def load(spec: Any) -> Data:
    """The data that a recipe asks for.

    Args:
        spec: a registered name (`digits`); a path of an `.npz` file or of a folder of class folders;
            `package.module:function` or `path/file.py:function`; `torchvision:CIFAR10`, `huggingface:mnist`; a mapping
            of `name` or `path`, fields of that source, and fields of `Preparation`, as in
            `{path: photos.npz, validation: 0.1}`; or `Data` itself.

    Raises:
        RecipeError: an unknown field. RegistryError: an unknown name.
        DataError: a file that is missing or damaged, or arrays that are no labelled examples.

    >>> load({"name": "digits", "validation": 100}).counts
    {'train': 1338, 'validation': 100, 'test': 359}
    """
    if isinstance(spec, Data):
        return spec
    name, fields = _name(spec)
    part = get("data", name)
    own, common = _sort(name, part, fields)
    preparation = Preparation(**common)
    with _of_user(name, part):
        source = part(**own)
    plain = dataclasses.asdict(source) if _has_fields(source) else own
    resolved = {"name": name, **plain, **dataclasses.asdict(preparation)}
    key = json.dumps(resolved, sort_keys=True, default=str) + _state(resolved.get("path"))
    if key not in _KEPT:
        with _of_user(name, part):
            found = source if isinstance(source, Data | Found) else source.read()
        if not isinstance(found, Data | Found):
            raise DataError(f"data {name!r} gave a {type(found).__name__}; expected evaluators.data.Found or Data")
        if isinstance(found, Data) and common:
            raise RecipeError(f"data {name!r} is complete as it comes; leave out {', '.join(map(repr, common))}")
        data = found if isinstance(found, Data) else prepare(found, _title(resolved), preparation)
        while len(_KEPT) >= _KEEP:
            del _KEPT[next(iter(_KEPT))]
        home = part.__module__
        reload = None if home == "__main__" or home.startswith("nas_user_") else partial(again, home)
        _KEPT[key] = dataclasses.replace(data, spec=resolved, reload=reload)
    return _KEPT[key]


def again(home: str, spec: Mapping[str, Any], fingerprint: str) -> Data:
    """The data of `spec` in another process.

    home: the module that registers their source. Raises DataError when they are no longer what they were.
    """
    importlib.import_module(home)
    data = load(spec)
    if data.fingerprint() != fingerprint:
        raise DataError(
            f"{data.name}: the data changed while it was used (fingerprint {fingerprint} became {data.fingerprint()}); "
            "start a new run"
        )
    return data


@contextmanager
def _of_user(name: str, part: Callable[..., Any]) -> Iterator[None]:
    """Turn what a source of the user's own raises into DataError; an error in ours keeps its traceback."""
    try:
        yield
    except NASError:
        raise
    except (Exception, SystemExit) as error:
        if part.__module__.startswith("evaluators."):
            raise
        raise DataError(f"data {name!r} failed: {said(error)}; mend it") from error


def _sort(name: str, part: Callable[..., Any], fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of the source, and fields of `Preparation`. Raises RecipeError for one of neither, and a missing one."""
    legal = _parameters(part)
    common = {field.name for field in dataclasses.fields(Preparation)}
    for field in fields:
        if field not in legal and field not in common:
            raise RecipeError(f"data {name!r} has no field {field!r}; {nearest(field, [*legal, *common])}")
    needed = [key for key, given in legal.items() if given.default is inspect.Parameter.empty and key not in fields]
    if needed:
        raise RecipeError(f"data {name!r} needs {needed[0]!r}, as in {{name: {name}, {needed[0]}: …}}")
    return (
        {key: value for key, value in fields.items() if key in legal},
        {key: value for key, value in fields.items() if key in common and key not in legal},
    )


def _has_fields(source: Any) -> bool:
    return dataclasses.is_dataclass(source) and not isinstance(source, type | Data | Found)


def _name(spec: Any) -> tuple[str, dict[str, Any]]:
    """A spec as the registered name of a source and its fields."""
    if isinstance(spec, Path):
        spec = str(spec)
    if isinstance(spec, str):
        if not spec.strip():
            raise DataError(f"data is {spec!r}, empty; {nearest(spec, names('data'))}; or a file.npz, a folder")
        start, colon, rest = spec.partition(":")
        if spec in names("data"):
            return spec, {}
        if colon and start in names("data"):
            legal = list(_parameters(get("data", start)))
            if not legal or not rest:
                takes = f"something after the colon ({legal[0]})" if legal else f"{start!r} alone: it has no fields"
                raise DataError(f"data {spec!r}; expected {takes}")
            return start, {legal[0]: rest}
        if colon and rest.isidentifier():
            return "function", {"call": spec}
        if _is_path(spec):
            return _by_path(spec), {"path": spec}
        raise DataError(
            f"data {spec!r}; {nearest(spec, names('data'))}; or a file.npz, a folder, package.module:function"
        )
    if isinstance(spec, Mapping):
        fields = dict(spec)
        name = fields.pop("name", None)
        if name is None and "path" in fields:
            return _by_path(fields["path"]), fields
        if isinstance(name, str) and name not in names("data"):
            short, more = _name(name)
            return short, {**more, **fields}
        if isinstance(name, str):
            return name, fields
    raise RecipeError(
        f"data {spec!r}; expected a name, a path, 'package.module:function' or a mapping with name or path"
    )


def _title(resolved: Mapping[str, Any]) -> str:
    """What to call data in messages: the name of its file, or the first thing said about it, or its source."""
    if "path" in resolved:
        return Path(resolved["path"]).name
    values = [value for key, value in resolved.items() if key != "name"]
    return values[0] if values and isinstance(values[0], str) else str(resolved["name"])


def _is_path(text: str) -> bool:
    if "/" in text or "\\" in text or text.endswith(".npz"):
        return True
    try:
        find(text, "data")
    except DataError:
        return False
    return True


def _by_path(path: Any) -> str:
    return "folder" if find(path, "data").is_dir() else "npz"


def _parameters(part: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(part).parameters


def _state(path: object) -> str:
    """Changes when the file does."""
    if not isinstance(path, str):
        return ""
    stat = Path(path).stat()
    return f"@{stat.st_mtime_ns}:{stat.st_size}"
