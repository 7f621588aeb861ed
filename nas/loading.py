"""From what a recipe says to parts: a name, `path/file.py:name`, a mapping with `name` and fields, or an object.

    find_part("strategy", {"name": "nsga2", "population": 12})     what is meant, its fields checked   (PartSpec)
        .make(space=…, objectives=…, seed=0)                       the part, given what it asks for by name

A part is a class or a function; its parameters are its fields. Parameters that the engine fills (INJECTED) are given
only where the signature asks for them.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nas.core import registry
from nas.core.errors import NASError, RecipeError, RegistryError, nearest
from nas.core.imports import load_object, spell_object
from nas.core.roles import Evaluator, Executor, Strategy
from nas.core.space import Space
from nas.fields import annotation_of, as_inputs, hint_of, inputs_spec, is_plain, plain, short, typed

HOMES = {
    "space": "search_spaces",
    "data": "evaluators",
    "evaluator": "evaluators",
    "strategy": "nas.engine.strategies",
    "executor": "nas.engine.executors",
}
"""Kind of part → the package whose import registers all built-in ones."""

INJECTED = {
    "space": ("inputs", "classes"),
    "data": (),
    "evaluator": ("space", "data"),
    "strategy": ("space", "objectives", "constraints", "seed"),
    "executor": (),
    "costs": (),
}
"""Kind of part → parameters that the engine fills. Those of a space may be set by the user as well."""

ROLES: dict[str, tuple[Any, str]] = {
    "space": (Space, "a Space, or a function or class that gives one"),
    "evaluator": (Evaluator, "an object with evaluate(candidate, budget, seed), metrics() and fingerprint()"),
    "strategy": (Strategy, "an object with ask() and tell(trial)"),
    "executor": (Executor, "an object with lookahead, start, submit, next and close"),
}

_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

PATHS = ("path", "file", "folder")
"""Fields that name a file: relative ones are looked for beside the recipe first."""


def load(kind: str, spec: Any, *, base: Path | None = None, **inject: Any) -> Any:
    """The part that `spec` means.

    kind: 'space', 'data', 'evaluator', 'strategy' or 'executor'.
    spec: a registered name, `path/file.py:name`, a mapping with `name` and fields, or the part itself.
    base: the folder in which relative paths are looked for before the working directory.
    inject: what parts may ask for by name: `inputs`, `classes`, `space`, `data`, `objectives`, `seed`, …

    Raises:
        RegistryError: an unknown name, a missing file. RecipeError: an unknown, missing or ill-typed field.

    >>> load("space", {"name": "nas_bench_201", "width": 8}).size()
    15625
    """
    return find_part(kind, spec, base=base).make(**inject)


def part_names(kind: str) -> list[str]:
    """Registered names of a kind, sorted, the built-in ones among them."""
    if kind in HOMES:
        importlib.import_module(HOMES[kind])
    return registry.names(kind)


def find_part(kind: str, spec: Any, *, base: Path | None = None) -> PartSpec:
    """What `spec` means, with its fields checked. Nothing is made yet. Raises as `load` does."""
    names = part_names(kind)  # first of all: it imports the home of the kind
    if kind == "data":
        return DataSpec(kind, _shown(spec), None, {}, given=_beside(spec, base))
    if isinstance(spec, Mapping):
        fields = {str(name): value for name, value in spec.items()}
        if "name" not in fields:
            raise RecipeError(f"{kind}: {dict(spec)!r} has no 'name'; {nearest('', names)}; or 'path/file.py:name'")
        name = fields.pop("name")
    else:
        name, fields = spec, {}
    if isinstance(name, str):
        asked, thing, label = name, _named(kind, name, base), _label(name, base)
    elif name is None or isinstance(name, bool | int | float | list | tuple | Mapping):
        raise RecipeError(
            f"{kind}: {name!r} is a {type(name).__name__}; expected a name, 'path/file.py:name', or a mapping with a "
            f"name and fields; {nearest(name, names)}"
        )
    else:
        label, asked, thing = _spelled(name) or _shown(name), _shown(name), name
    if not (isinstance(thing, type) or inspect.isroutine(thing)):
        if fields:
            raise RecipeError(f"{kind} {asked!r} is ready made and takes no fields; {_listed(fields)} cannot be set")
        return PartSpec(kind, label, None, {}, ready=thing, asked=asked, by_name=isinstance(name, str))
    fields = {n: _file_beside(v, base) if n in PATHS else v for n, v in fields.items()}
    by_name = isinstance(name, str) or _spelled(name) is not None
    found = PartSpec(kind, label, thing, fields, asked=asked, by_name=by_name)
    found.check()
    return found


@dataclass(frozen=True, eq=False)
class PartSpec:
    """A part that was asked for: a factory with checked fields, or the part itself (`ready`).

    label: a text that leads to it from anywhere, if there is one (`by_name`). asked: how the user called it.
    """

    kind: str
    label: str
    factory: Callable[..., Any] | None
    fields: Mapping[str, Any]
    ready: Any = None
    asked: str = ""
    by_name: bool = True

    @cached_property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """Name → parameter of the factory, without `*args` and `**kwargs`."""
        if self.factory is None:
            return {}
        return {p.name: p for p in inspect.signature(self.factory).parameters.values() if p.kind not in _VARIABLE}

    @property
    def open_ended(self) -> bool:
        """The factory takes any field."""
        every = inspect.signature(self.factory).parameters.values() if self.factory is not None else ()
        return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in every)

    @property
    def settable(self) -> list[str]:
        """Names of the fields that a recipe may set."""
        engine = () if self.kind == "space" else INJECTED[self.kind]
        return [name for name in self.parameters if name not in engine]

    def asks_for(self, name: str) -> bool:
        """Whether the part takes what the engine calls `name`."""
        return name in self.parameters

    def requires(self, name: str) -> bool:
        """Whether the part cannot be made without it."""
        return name in self.parameters and self.parameters[name].default is inspect.Parameter.empty

    @property
    def title(self) -> str:
        """What messages call it."""
        called = self.asked or self.label
        return f"{self.kind} {called!r}" if called else self.kind

    def check(self) -> None:
        """Raise RecipeError for a field that is unknown, set by the engine, missing, or of another type."""
        for name, value in self.fields.items():
            if name in INJECTED[self.kind] and self.kind != "space" and name in self.parameters:
                raise RecipeError(f"{self.title}: {name!r} is not set here; it is a key of the recipe itself")
            if name not in self.settable and not self.open_ended:
                legal = nearest(name, self.settable) if self.settable else "it has no fields"
                raise RecipeError(f"{self.title} has no field {name!r} (given: {value!r}); {legal}")
        for name, parameter in self.parameters.items():
            needed = parameter.default is inspect.Parameter.empty and name not in INJECTED[self.kind]
            if needed and name not in self.fields:
                kind = annotation_of(parameter)
                raise RecipeError(f"{self.title} needs the field {name!r}{f' ({kind})' if kind else ''}")
        checked = {name: self._typed(name, value) for name, value in self.fields.items()}
        object.__setattr__(self, "fields", checked)

    def _typed(self, name: str, value: Any) -> Any:
        if self.kind == "space" and name == "inputs":
            return as_inputs(value, self.title)
        if name not in self.parameters:
            return value
        hint, names = hint_of(self.factory, name)
        words = annotation_of(self.parameters[name])
        return value if hint is Any else typed(value, hint, f"{self.title}: {name}", words, names)

    def make(self, **inject: Any) -> Any:
        """The part. Of `inject` it gets what its signature asks for and the fields do not set.

        Raises: RecipeError when something it needs is missing, when its code fails, or when what it gives is no part
            of its kind.
        """
        made = self.ready
        if self.factory is not None:
            given = {n: v for n, v in inject.items() if n in self.parameters and n not in self.fields and v is not None}
            lacking = [n for n in self.parameters if self.requires(n) and n not in given and n not in self.fields]
            if lacking:
                filled = {"inputs": "inputs=[1,28,28]", "classes": "classes=10"}.get(lacking[0])
                hint = f"; a search fills it from its data, else say it: --set {filled}" if filled else ""
                raise RecipeError(f"{self.title} needs {lacking[0]!r}, which is not given{hint}")
            made = self._call({**self.fields, **given})
            if self.kind == "space" and not isinstance(made, Space) and callable(made):
                made = self._call(
                    {}, made
                )  # a dataclass whose fields are the parameters, and whose call gives the space
        if self.kind in ROLES:
            role, words = ROLES[self.kind]
            if not isinstance(made, role):
                raise RecipeError(f"{self.title} gives {short(made)}, a {type(made).__name__}; expected {words}")
        return made

    def _call(self, arguments: Mapping[str, Any], factory: Callable[..., Any] | None = None) -> Any:
        try:
            return (factory or self.factory)(**arguments)  # type: ignore[misc]
        except NASError as error:
            if re.match(rf"({self.kind} )?'?{re.escape(self.asked or self.label)}\b", str(error)):
                raise  # it says already who it is
            raise type(error)(f"{self.title}: {error}") from error
        except Exception as error:
            raise RecipeError(f"{self.title} failed{_place(error)}: {type(error).__name__}: {error}") from error

    def spec(self) -> Any:
        """The part as a recipe says it, every field with its value: what a run writes down."""
        if not self.by_name:
            return {"object": self.label}
        if self.factory is None:
            return self.label
        fields: dict[str, Any] = {}
        for name in self.settable:
            value = self.fields.get(name, self._default(name))
            if name in INJECTED[self.kind] and name not in self.fields:
                continue  # a space's inputs and classes follow from the data
            if name == "inputs":
                value = inputs_spec(value)
            if is_plain(value):
                fields[name] = plain(value)
        return {"name": self.label, **fields}

    def _default(self, name: str) -> Any:
        if dataclasses.is_dataclass(self.factory):
            for entry in dataclasses.fields(self.factory):
                if entry.name == name and entry.default_factory is not dataclasses.MISSING:
                    return entry.default_factory()
        return self.parameters[name].default


@dataclass(frozen=True, eq=False)
class DataSpec(PartSpec):
    """Data that was asked for; `evaluators.data` knows its many forms."""

    given: Any = field(default=None, repr=False)

    def make(self, **inject: Any) -> Any:
        """The data, read. Raises RecipeError, RegistryError, DataError."""
        from evaluators.data import load as load_data

        return load_data(self.given)

    def spec(self) -> Any:
        """As given; what was read says its complete form (`Data.spec`)."""
        return plain(self.given) if is_plain(self.given) else {"object": self.label}


# ---- names and files -------------------------------------------------------------------------------------------------


def _named(kind: str, name: str, base: Path | None) -> Any:
    place, colon, _ = name.rpartition(":")
    if not colon:
        if name.endswith(".py"):
            raise RecipeError(f"{kind}: {name!r} names a file; say which part in it, as in '{name}:name'")
        return registry.get(kind, name)
    if place.endswith(".py"):
        try:
            file = user_file(place, base)
        except RegistryError as missing:
            return _copied(name, missing)
        if str(file.parent) not in sys.path:
            sys.path.append(str(file.parent))  # so that it may import the files beside it, in workers too
        return load_object(f"{file}:{name.rpartition(':')[2]}")
    return load_object(name, base)


def _copied(name: str, missing: RegistryError) -> Any:
    """What `name` names in a run's own copy of a file that is gone. Raises `missing` where there is none."""
    try:
        return load_object(name)
    except RegistryError as error:
        raise (missing if "there is no file" in str(error) else error) from None


def user_file(place: str, base: Path | None = None) -> Path:
    """The absolute path of a user's Python file: in `base`, then in the working directory.

    Raises: RegistryError naming both places and the nearest file there.
    """
    asked = Path(place).expanduser()
    places = [asked] if asked.is_absolute() else [*([base / asked] if base else []), Path.cwd() / asked]
    for path in places:
        if path.is_file():
            return path.resolve()
    beside = {file.name for path in places if path.parent.is_dir() for file in path.parent.glob("*.py")}
    looked = " and ".join(dict.fromkeys(str(path) for path in places))
    hint = f"; {nearest(asked.name, beside)}" if beside else ""
    raise RegistryError(f"there is no file {place!r}; looked at {looked}{hint}")


def _label(name: str, base: Path | None) -> str:
    place, colon, thing = name.rpartition(":")
    if not colon or not place.endswith(".py"):
        return name
    try:
        return f"{user_file(place, base)}:{thing}"
    except RegistryError:
        return name


def _beside(spec: Any, base: Path | None) -> Any:
    """A data spec with the files it names looked for beside the recipe first."""
    if isinstance(spec, str):
        place, colon, name = spec.rpartition(":")
        if colon and place.endswith(".py"):
            return f"{_file_beside(place, base)}:{name}"
        return spec if spec in registry.names("data") else _file_beside(spec, base)
    if isinstance(spec, Mapping):
        return {key: _beside(value, base) if key in ("path", "call", "name") else value for key, value in spec.items()}
    return spec


def _file_beside(value: Any, base: Path | None) -> Any:
    if base is None or not isinstance(value, str | Path) or not str(value):
        return value
    path = base / Path(value).expanduser()
    return str(path.resolve()) if path.exists() else value


# ---- how things are shown --------------------------------------------------------------------------------------------


def _spelled(thing: Any) -> str | None:
    """The text that leads back to a class or function, where there is one."""
    if not (isinstance(thing, type) or inspect.isroutine(thing)):
        return None
    try:
        return spell_object(thing)
    except (NASError, AttributeError):
        return None


def _shown(thing: Any) -> str:
    """What to call an object."""
    if isinstance(thing, str):
        return thing
    if isinstance(thing, type) or inspect.isroutine(thing):
        return getattr(thing, "__qualname__", repr(thing))
    if isinstance(thing, Mapping):
        return str(thing.get("name", thing.get("path", "data")))
    return short(thing)


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in names)


def _place(error: Exception) -> str:
    """' (file.py, line 3)' of the innermost frame of an exception."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" ({Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno})" if trace is not None else ""
