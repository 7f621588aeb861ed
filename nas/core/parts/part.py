"""What a part is: its decisions by name, what it becomes, and what is said of any part from outside.

- `structure()`: which decisions it holds, in which order, at which names. Everything that is derived from decisions
  (sampling, counting, mutation, encodings, Optuna distributions) is general code over this: `nas.core.walk`.
- `assemble(at, world)`: the piece of graph it becomes once those decisions are taken.
"""

from __future__ import annotations

import reprlib
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias

from nas.core.graph import Graph, check_name
from nas.core.values import EMPTY, FrozenDict, Value

_SHARED: weakref.WeakKeyDictionary[Graph, weakref.ref[Graph]] = weakref.WeakKeyDictionary()


def whole(graph: Graph) -> Piece:
    """A graph as a piece. Equal graphs are one object while one is in use, so what is known of it is known at once."""
    known = _SHARED.get(graph)
    shared = known() if known is not None else None
    if shared is None:
        shared = graph
        _SHARED[graph] = weakref.ref(graph)  # weak on both sides: a graph that is its own key would never be forgotten
    return Piece(shared, EMPTY)


class Piece(NamedTuple):
    """What a part becomes: the operation and attributes of one node."""

    op: str | Graph
    attributes: FrozenDict


@dataclass(frozen=True)
class Sub:
    """A part that is active whenever its owner is, at `name` below its owner's address ('' for the same address)."""

    name: str
    part: Part


@dataclass(frozen=True, eq=False)
class Choose:
    """A choice of its owner at `name`, and the parts that each option makes active.

    tied: `name` is an absolute address, and the choice is taken once for all places that have it.
    """

    name: str
    options: Sequence[Value]
    kind: str
    then: Callable[[Value], tuple[Sub, ...]] | None = None
    tied: bool = False

    def active(self, option: Value) -> tuple[Sub, ...]:
        return self.then(option) if self.then is not None else ()


@dataclass(frozen=True)
class Tied:
    """A part whose decisions are taken once, at the absolute address `name`, however often it occurs."""

    name: str
    part: Part


Item: TypeAlias = "Sub | Choose | Tied"


@dataclass
class World:
    """What assembling needs: the decisions, and the pieces of tied parts, made once."""

    decisions: Mapping[str, Value]
    tied: dict[str, Any] = field(default_factory=dict)


def join(at: str, name: str) -> str:
    """An address below another."""
    return f"{at}/{name}" if at and name else at or name


@dataclass(frozen=True)
class Part:
    """A piece of a space. Frozen; equal parts are equal values. `label` is the user's name for it, or ''."""

    label: str = field(default="", kw_only=True)

    default_name: ClassVar[str] = "part"
    merges: ClassVar[bool] = False
    """Its parts are branches that are merged; one that is alone stands in its owner's place."""

    @property
    def gives_value(self) -> bool:
        """Whether it stands for a value (a choice of values), as against a piece of network."""
        return False

    @property
    def takes_operands(self) -> bool:
        """Whether it takes several sources as they are; anything else in a `Dag` gets them merged."""
        return False

    def structure(self) -> tuple[Item, ...]:
        """The decisions it holds, in the order in which they are taken."""
        known: tuple[Item, ...] | None = self.__dict__.get("_structure")
        if known is None:
            known = tuple(self._items())
            self.__dict__["_structure"] = known
        return known

    def _items(self) -> Iterable[Item]:
        raise NotImplementedError  # pragma: no cover - every part says its own

    def assemble(self, at: str, world: World) -> Any:
        """The piece of graph at address `at` under the decisions of `world`; None where it is left out."""
        raise NotImplementedError  # pragma: no cover - every part says its own

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        """The part with `change` applied to the parts directly in it; None when it cannot exist without one of them."""
        return self

    def written(self) -> str:
        """It in the words in which a person wrote it, in short: `seq(…)`."""
        return f"{type(self).__name__.lower()}(…)"

    def named(self, name: str) -> Self:
        """The same part under the user's own name. Raises GraphError for what cannot stand in an address."""
        return replace(self, label=check_name(name, f"{self.name}.named"))

    @property
    def name(self) -> str:
        """The label, or a name made from what it is."""
        return self.label or self.default_name

    def __hash__(self) -> int:
        known: int | None = self.__dict__.get("_hash")
        if known is None:
            known = hash((type(self), *(getattr(self, f.name) for f in fields(self))))
            self.__dict__["_hash"] = known
        return known

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if not key.startswith("_")}


def shown(thing: Any) -> str:
    """What was given, for a message, in the words in which a person wrote it: `one_of(3, 5)`, `op('conv', …)`."""
    if isinstance(thing, tuple | list) and any(isinstance(item, Part) for item in thing):
        return f"({', '.join(map(shown, thing))})"
    return thing.written() if isinstance(thing, Part) else reprlib.repr(thing)


Setting: TypeAlias = "Value | Part"
"""What may stand for a value: the value, or a choice of values."""


def settle(setting: Setting, at: str, world: World) -> Value:
    """The value of a setting under the decisions."""
    return setting.assemble(at, world) if isinstance(setting, Part) else setting


def subs_of(settings: Iterable[tuple[str, Setting]]) -> Iterable[Sub]:
    """The settings that are open, as parts of their owner."""
    return (Sub(name, setting) for name, setting in settings if isinstance(setting, Part))
