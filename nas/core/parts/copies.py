"""Parts that stand in several places, or are made on the way: ties, copies in a row, recursion, a function's part."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from nas.core.errors import GraphError
from nas.core.graph import Node, chain
from nas.core.parts.choices import OneOf
from nas.core.parts.part import (
    Choose,
    Item,
    Part,
    Piece,
    Setting,
    Sub,
    Tied,
    World,
    join,
    settle,
    shown,
    subs_of,
    whole,
)
from nas.core.values import Value


@dataclass(frozen=True)
class Tie(Part):
    """A part whose decisions stand at the address `tie`, shared by all places with this tie. Weights are not shared."""

    tie: str = ""
    part: Part = field(default_factory=Part)

    @property
    def name(self) -> str:
        return self.label or self.tie

    @property
    def gives_value(self) -> bool:
        return self.part.gives_value

    @property
    def takes_operands(self) -> bool:
        return self.part.takes_operands

    def written(self) -> str:
        return f"tie({self.tie!r}, {shown(self.part)})"

    def _items(self) -> Iterable[Item]:
        yield Tied(self.tie, self.part)

    def assemble(self, at: str, world: World) -> Any:
        if self.tie not in world.tied:
            world.tied[self.tie] = self.part.assemble(self.tie, world)
        return world.tied[self.tie]

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        part = change(self.part)
        return replace(self, part=part) if part is not None else None

    __hash__ = Part.__hash__


@dataclass(frozen=True)
class Repeat(Part):
    """The same part several times in a row, each time with decisions of its own; `ADDRESS/times` where that is open."""

    part: Part = field(default_factory=Part)
    times: Setting = 1
    default_name: ClassVar[str] = "blocks"

    def _child(self, place: int) -> str:
        return f"{self.part.label or 'block'}{place}"

    @property
    def most(self) -> int:
        """The largest number of copies."""
        inner = self.times.part if isinstance(self.times, Tie) else self.times
        counts = [value for _, value in inner.options] if isinstance(inner, OneOf) else [inner]
        return max(count for count in counts if isinstance(count, int))

    @property
    def children(self) -> tuple[str, ...]:
        """Names of the copies, all that there can be."""
        return tuple(self._child(place) for place in range(1, self.most + 1))

    def _items(self) -> Iterable[Item]:
        def copies(times: Value) -> tuple[Sub, ...]:
            assert isinstance(times, int)
            return tuple(Sub(self._child(place), self.part) for place in range(1, times + 1))

        if not isinstance(self.times, Part):
            yield from copies(self.times)
            return
        tie = self.times.tie if isinstance(self.times, Tie) else ""
        counts = self.times.part if isinstance(self.times, Tie) else self.times
        if not isinstance(counts, OneOf) or counts.of_parts:
            raise GraphError(
                f"repeat: times is {shown(self.times)}; expected a number, one_of numbers, or a tie of these"
            )
        values = tuple(value for _, value in counts.options if not isinstance(value, Part))
        yield Choose(tie or "times", values, "repeat", copies, tied=bool(tie))

    def assemble(self, at: str, world: World) -> Piece:
        times = settle(self.times, join(at, "times"), world)
        names = [self._child(place) for place in range(1, int(times) + 1)]  # type: ignore[arg-type]
        pieces = [(name, self.part.assemble(join(at, name), world)) for name in names]
        return whole(chain(Node(name, p.op, p.attributes) for name, p in pieces if p is not None))

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        part = change(self.part)
        return replace(self, part=part) if part is not None else None

    __hash__ = Part.__hash__


@dataclass(frozen=True)
class Again(Part):
    """The place where a recursive part contains itself."""

    recursion: str = ""

    @property
    def name(self) -> str:
        return self.label or self.recursion

    def _items(self) -> Iterable[Item]:
        raise GraphError(f"recursive {self.recursion!r} is used outside its own body")

    __hash__ = Part.__hash__


@dataclass(frozen=True)
class Recursive(Part):
    """A part that may contain itself, at most `depth` levels deep. On the last level, options that need it are gone."""

    recursion: str = ""
    body: Part = field(default_factory=Part)
    depth: int = 1

    @property
    def name(self) -> str:
        return self.label or self.recursion

    def unrolled(self) -> Part:
        """The body with itself, one level less deep, in place of `Again`. Raises GraphError when it can never end."""
        known: Part | None = self.__dict__.get("_unrolled")
        if known is None:
            smaller: dict[str, Recursive] = {}  # one object per label, so that unrolling does not double what is held

            def without(part: Part) -> Part | None:
                if not (isinstance(part, Again) and part.recursion == self.recursion):
                    return part.rebuild(without)
                if self.depth > 1 and part.label not in smaller:
                    smaller[part.label] = replace(self, depth=self.depth - 1, label=part.label)
                return smaller.get(part.label)

            known = without(self.body)
            if known is None:
                raise GraphError(f"recursive {self.recursion!r} never ends: every option contains it again; add one "
                                 "that does not")  # fmt: skip
            self.__dict__["_unrolled"] = known
        return known

    def _items(self) -> Iterable[Item]:
        yield Sub("", self.unrolled())

    def assemble(self, at: str, world: World) -> Any:
        return self.unrolled().assemble(at, world)

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        body = change(self.body)
        return replace(self, body=body) if body is not None else None

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in super().__getstate__().items() if key != "_unrolled"}

    __hash__ = Part.__hash__


@dataclass(frozen=True)
class Compute(Part):
    """A part that a function makes from decided values: for rules that no other word can say."""

    function: Callable[..., Part] = field(default=lambda: Part())
    values: tuple[tuple[str, Setting], ...] = ()
    default_name: ClassVar[str] = "computed"

    def _items(self) -> Iterable[Item]:
        return subs_of(self.values)

    def assemble(self, at: str, world: World) -> Any:
        values = {name: settle(value, join(at, name), world) for name, value in self.values}
        made = self.function(**values)

        def where() -> str:
            return f"{at or 'compute'}: {getattr(self.function, '__name__', self.function)}({values})"

        if not isinstance(made, Part):
            raise GraphError(f"{where()} gives {shown(made)}, a {type(made).__name__}; expected a part such as seq(…)")
        if "_piece" not in made.__dict__:  # nothing is open in it: wherever it stands, it becomes the same piece
            try:
                made.__dict__["_piece"] = made.assemble(at, World({}))
            except KeyError as error:
                raise GraphError(
                    f"{where()} gives a part that leaves {error} open; make it a value of compute"
                ) from None
        return made.__dict__["_piece"]

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        return replace(self, values=tuple((n, change(v) if isinstance(v, Part) else v) for n, v in self.values))

    __hash__ = Part.__hash__
