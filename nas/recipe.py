"""A recipe: what a search is made of, as YAML or keywords, and whether it says something legal.

This file knows the keys and their forms; `nas.plan` makes the parts that the keys name and checks them together.

    space: {name: cnn, widths: [16, 24, 32]}       space, data, evaluator, strategy and executor are parts: a registered
    data: digits                                   name, a path/file.py:name, or a mapping with a name and fields
    evaluator: {name: train, epochs: 8}
    strategy: nsga2
    objectives: {val_accuracy: max, params: min}
    constraints: {latency_ms: "<= 2.0"}
    budget: {trials: 60, hours: 1}
    finalists: {top: 3, epochs: 40}
    seed: 0
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticUndefined

from nas.caching import EXPECTED, Caching, mapping_of
from nas.core.errors import RecipeError, nearest
from nas.core.records import Budget, Constraint, Objective
from nas.engine.finalists import STARTS, Start

Direction = Literal["max", "min"]
_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)

Positive = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Limits(BaseModel):
    """`budget`: when a search ends: after so many trials, hours, or failures, whichever comes first."""

    model_config = _STRICT
    trials: Positive | None = None
    hours: Amount | None = None
    max_failures: Positive = 10

    @model_validator(mode="after")
    def _some_limit(self) -> Limits:
        if self.trials is None and self.hours is None:
            raise ValueError("needs 'trials' or 'hours' (or both), as in {trials: 60}")
        return self


class Finalists(BaseModel):
    """`finalists`: how many of the best are evaluated again, and with what budget: epochs, steps or seconds.

    start: 'scratch', or 'checkpoint': with the weights that the search has trained, for what is left of the budget.
    """

    model_config = _STRICT
    top: Positive = 3
    epochs: Amount | None = None
    steps: Amount | None = None
    seconds: Amount | None = None
    start: Start = "scratch"

    @model_validator(mode="after")
    def _one_unit(self) -> Finalists:
        if sum(amount is not None for amount in (self.epochs, self.steps, self.seconds)) != 1:
            raise ValueError("needs one of 'epochs', 'steps' and 'seconds', as in {top: 3, epochs: 40}")
        return self

    @property
    def budget(self) -> Budget:
        """The budget of one finalist."""
        unit = next(unit for unit in ("epochs", "steps", "seconds") if getattr(self, unit) is not None)
        return Budget(getattr(self, unit), unit)


class Recipe(BaseModel):
    """A search, as it is asked for. The five parts are looked at by `nas.plan`.

    costs: how latency and memory are measured (`evaluators.bench.Bench`), where objectives or constraints want them.
    keep: weights of the trials on the 'front' only, or of 'all'.
    cache: which measurements are used again; None for none.
    """

    model_config = _STRICT
    name: Annotated[str, Field(pattern=r"^\w[\w.-]{0,99}$")] | None = None
    space: Any
    data: Any = None
    evaluator: Any = "train"
    strategy: Any = "nsga2"
    objectives: Annotated[dict[str, Direction], Field(min_length=1)]
    constraints: dict[str, Any] = Field(default_factory=dict)
    budget: Limits
    costs: dict[str, Any] = Field(default_factory=dict)
    executor: Any = "local"
    finalists: Finalists | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    keep: Literal["front", "all"] = "front"
    cache: Caching | None = Caching()

    @field_validator("cache", mode="before")
    @classmethod
    def _caching(cls, given: Any) -> Any:
        return mapping_of(given)

    def goals(self, units: Mapping[str, str]) -> tuple[Objective, ...]:
        """The objectives, in order, with the units of their metrics."""
        return tuple(Objective(name, how, units.get(name, "")) for name, how in self.objectives.items())

    def bounds(self) -> tuple[Constraint, ...]:
        """The constraints, in order. Raises RecipeError for a bound that cannot be read."""
        return tuple(Constraint.parse(name, text) for name, text in self.constraints.items())

    @property
    def title(self) -> str:
        """Its name, `search` where it has none."""
        return self.name or "search"


PARTS = ("space", "data", "evaluator", "strategy", "executor")
KEYS = tuple(Recipe.model_fields)


@dataclass(frozen=True)
class Source:
    """Where a recipe was written: what it is called in messages, the lines of its keys, and its folder."""

    name: str = "recipe"
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    base: Path | None = None
    sets: Mapping[tuple[str, ...], str] = field(default_factory=dict)

    def at(self, path: Sequence[Any]) -> str:
        """'digits.yaml, line 4: ', '--set seed=x: ', or '' for keywords."""
        keys = tuple(str(step) for step in path)
        for end in range(len(keys), 0, -1):
            if keys[:end] in self.sets:
                return f"--set {self.sets[keys[:end]]}: "
            if keys[:end] in self.lines:
                return f"{self.name}, line {self.lines[keys[:end]]}: "
        return f"{self.name}: " if self.lines else ""


def parse(given: Mapping[str, Any], source: Source | None = None) -> Recipe:
    """The recipe of a mapping. Raises RecipeError naming every key that is unknown, missing or ill-formed."""
    source = source or Source()
    try:
        return Recipe.model_validate(dict(given))
    except ValidationError as error:
        problems = [_problem(row, source) for row in error.errors(include_url=False)]
        raise RecipeError("\n".join(problems)) from None


def _problem(row: Mapping[str, Any], source: Source) -> str:
    """One of pydantic's findings as a sentence of ours: place, key, value, what was expected, the way out."""
    path = [str(step) for step in row["loc"]]
    at, key, value = source.at(path), ".".join(path), row["input"]
    if row["type"] == "extra_forbidden":
        home = f"under {'.'.join(path[:-1])!r}" if path[1:] else "of a recipe"
        return f"{at}{key!r} is no key {home} (given: {_short(value)}); {nearest(path[-1], _legal(path[:-1]))}"
    if row["type"] == "missing":
        return f"{source.at(path[:-1])}the key {key!r} is missing; expected {_EXPECTED[key]}"
    if row["type"] == "literal_error":
        return f"{at}{key} is {value!r}; {nearest(value, _literals(path))}"
    if row["type"] == "value_error":
        said = str(row["ctx"]["error"])
        return f"{at}{f'{key}: ' if key else ''}{said}"
    expected = _EXPECTED.get(key) or _WORDS.get(row["type"], row["msg"][:1].lower() + row["msg"][1:])
    return f"{at}{key or 'the recipe'} is {_short(value)}; expected {expected}"


_EXPECTED = {
    "name": "a name of letters, digits, '-', '_' and '.'",
    "space": "a space, as in 'space: cnn'",
    "objectives": "metric: max or min, as in 'objectives: {val_accuracy: max, params: min}'",
    "constraints": "metric: bound, as in 'constraints: {params: \"<= 1e6\"}'",
    "costs": "how latency is measured, as in 'costs: {batch: 1, device: cpu}'",
    "cache": EXPECTED,
    "cache.aggregate": "a whole number of at least 1",
    "cache.forget": "a probability, from 0 to 1",
    "budget": "limits of the search, as in 'budget: {trials: 60}'",
    "budget.trials": "a whole number of at least 1",
    "budget.hours": "a finite number above 0",
    "budget.max_failures": "a whole number of at least 1",
    "finalists": "how many and how long, as in 'finalists: {top: 3, epochs: 40}'",
    "finalists.top": "a whole number of at least 1",
    "seed": "a whole number of at least 0",
}
_WORDS = {
    "greater_than": "a number above 0",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "string_type": "a text",
}
_SUB: dict[str, type[BaseModel]] = {"budget": Limits, "finalists": Finalists, "cache": Caching}


def _legal(path: Sequence[str]) -> list[str]:
    return list(_SUB[path[0]].model_fields) if path else list(KEYS)


def _literals(path: Sequence[str]) -> tuple[str, ...]:
    if path == ["finalists", "start"]:
        return STARTS
    return ("front", "all") if path == ["keep"] else ("max", "min")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


# ---- files -----------------------------------------------------------------------------------------------------------


def read(path: str | Path) -> tuple[dict[str, Any], Source]:
    """The mapping that a recipe file holds, and where each key of it stands.

    Raises: RecipeError: no such file (with the nearest), no text, broken YAML (line and column), no mapping, a key
        twice.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise RecipeError(f"{path} is a folder; expected a recipe file (to go on with a run: nas resume {path})")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        beside = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        raise RecipeError(f"there is no recipe {str(path)!r}; {nearest(path.name, beside)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read as a recipe: {error}") from None
    given, lines = parse_yaml(text, path.name)
    if not isinstance(given, dict):
        what = "is empty" if given is None else f"holds a {type(given).__name__}, {_short(given)}"
        raise RecipeError(f"{path.name} {what}; expected a mapping of keys such as {', '.join(KEYS[1:7])}")
    return given, Source(path.name, lines, path.resolve().parent)


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: 1e-3 is a number, `no` and `1:30` are texts, 010 is ten, and a key stands once."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rows if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float",
                                                                   "tag:yaml.org,2002:int",
                                                                   "tag:yaml.org,2002:timestamp")]
    for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
}  # fmt: skip
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF")
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9][0-9_]*$"), "-+0123456789")
_Loader.add_constructor(
    "tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node).replace("_", ""))
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))$|^\.(?:nan|NaN|NAN)$"
    ),
    "-+0123456789.",
)


class _Dumper(yaml.SafeDumper):
    """Quotes a text that YAML 1.1 or `_Loader` would read as something else."""


_Dumper.yaml_implicit_resolvers = {
    first: [*yaml.SafeLoader.yaml_implicit_resolvers.get(first, []), *_Loader.yaml_implicit_resolvers.get(first, [])]
    for first in {*yaml.SafeLoader.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
}


def write_yaml(value: Any) -> str:
    """`value` as YAML that `parse_yaml` reads as the same value, keys in their order.

    >>> parse_yaml(write_yaml({"a": "1e3", "b": "no", "c": [1, 2.5, None]}), "x")[0]
    {'a': '1e3', 'b': 'no', 'c': [1, 2.5, None]}
    """
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)


def parse_yaml(text: str, name: str) -> tuple[Any, dict[tuple[str, ...], int]]:
    """The value of a YAML text, and the line of each key. Raises RecipeError with line and column."""
    lines: dict[tuple[str, ...], int] = {}
    try:
        loader = _Loader(text)
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise RecipeError(f"{name}: a recipe takes no YAML aliases (`*name`); write the value out")
        node = loader.get_single_node()
        if node is None:
            return None, lines
        _walk(node, (), lines, name)
        return loader.construct_document(node), lines
    except RecursionError:
        raise RecipeError(f"{name}: this is nested too deeply to be a recipe") from None
    except ValueError as error:
        if isinstance(error, RecipeError):
            raise
        raise RecipeError(f"{name}: a value cannot be read: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        row = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
        hint = '; put a bound in quotes, as in ">= 0.5"' if re.search(r"[:{,]\s*>", row) else ""
        shown = f": {row.strip()!r}" if row.strip() else ""
        raise RecipeError(f"{name}{at}: this is no YAML: {error.problem}{shown}{hint}") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"{name}: this is no YAML: {' '.join(str(error).split())}") from None


def _walk(node: yaml.Node, path: tuple[str, ...], lines: dict[tuple[str, ...], int], name: str) -> None:
    if isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            _walk(item, (*path, str(place)), lines, name)
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        here = (*path, str(key.value))
        line = key.start_mark.line + 1
        if here in lines and key.tag != "tag:yaml.org,2002:merge":
            raise RecipeError(f"{name}, line {line}: {'.'.join(here)!r} is given twice, first in line {lines[here]}")
        lines[here] = line
        _walk(value, here, lines, name)


# ---- changes ---------------------------------------------------------------------------------------------------------


def change(given: Mapping[str, Any], sets: Iterable[str], source: Source) -> tuple[dict[str, Any], Source]:
    """A recipe's mapping with `key=value` applied, values read as YAML: `evaluator.epochs=2`, `strategy=random`.

    A field of a part that was given by its name alone, or left out, makes a mapping of it. A new name for a part drops
    the fields of the old one.

    Raises: RecipeError for a text that is no `key=value`, or a key below something that has no keys.
    """
    result: dict[str, Any] = {key: dict(value) if isinstance(value, Mapping) else value for key, value in given.items()}
    noted = dict(source.sets)
    for text in sets:
        key, equals, written = text.partition("=")
        path = tuple(key.strip().split("."))
        if not equals or not all(path):
            raise RecipeError(f"--set {text}: expected key=value, as in --set budget.trials=20")
        value, _ = parse_yaml(written, f"--set {text}")
        if path[0] not in KEYS:
            raise RecipeError(f"--set {text}: {path[0]!r} is no key of a recipe; {nearest(path[0], KEYS)}")
        _put(result, path, value, text)
        noted[path] = text
    return result, Source(source.name, source.lines, source.base, noted)


def _put(holder: dict[str, Any], path: tuple[str, ...], value: Any, text: str) -> None:
    for depth, step in enumerate(path[:-1]):
        inner = holder.get(step)
        if inner is None and depth == 0 and step in PARTS:
            inner = Recipe.model_fields[step].default
        if isinstance(inner, str) and depth == 0 and step in PARTS:
            inner = {"name": inner} if step != "data" or not _is_place(inner) else {"path": inner}
        elif step == "cache" and depth == 0 and isinstance(inner, bool | str):
            inner = {"at": inner} if isinstance(inner, str) else {}
        elif inner is None or inner is PydanticUndefined:
            inner = {}
        elif isinstance(inner, Mapping):
            inner = dict(inner)
        else:
            raise RecipeError(f"--set {text}: {'.'.join(path[: depth + 1])!r} is {inner!r}, which has no keys")
        holder[step] = inner
        holder = inner
    if path[-1] == "name" and value != holder.get("name") and len(path) == 2 and path[0] in PARTS:
        holder.clear()
    holder[path[-1]] = value


def _is_place(text: str) -> bool:
    """Whether the name of data is rather a file or folder."""
    return "/" in text or text.endswith(".npz")
