"""Parts among which one chooses: exactly one of several, a subset of several, one that may be left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from nas.core.parts.part import Choose, Item, Part, Setting, Sub, World, join, shown, subs_of
from nas.core.parts.wiring import Seq, merged
from nas.core.subsets import Subsets


@dataclass(frozen=True)
class _Options(Part):
    """What a choice among values and one among parts have in common."""

    options: tuple[tuple[str, Setting], ...] = ()
    word: ClassVar[str] = ""

    @property
    def of_parts(self) -> bool:
        """Whether it is a choice among parts, not among values."""
        return isinstance(self.options[0][1], Part)

    @property
    def gives_value(self) -> bool:
        return not self.of_parts

    def written(self) -> str:
        options = [shown(value) for _, value in self.options[:6]]
        more = len(options) < len(self.options)
        return f"{self.word}({', '.join([*options, *['…'] * more])})"

    def _parts(self) -> Iterable[tuple[str, Part]]:
        return ((label, option) for label, option in self.options if isinstance(option, Part))

    def _changed(self, change: Callable[[Part], Part | None]) -> tuple[tuple[str, Part], ...]:
        """The parts with `change` applied, without those that it leaves out."""
        changed = ((label, change(option)) for label, option in self._parts())
        return tuple((label, option) for label, option in changed if option is not None)

    __hash__ = Part.__hash__


@dataclass(frozen=True)
class OneOf(_Options):
    """Exactly one of several values, or of several parts. Parts: decided at `ADDRESS/op`, each under its label."""

    default_name: ClassVar[str] = "choice"
    word: ClassVar[str] = "one_of"

    @property
    def takes_operands(self) -> bool:
        return self.of_parts and all(option.takes_operands for _, option in self._parts())

    def _items(self) -> Iterable[Item]:
        if not self.of_parts:
            yield Choose("", tuple(value for _, value in self.options if not isinstance(value, Part)), "value")
            return
        subs = {label: (Sub(label, option),) for label, option in self._parts()}
        yield Choose("op", tuple(subs), "structure", lambda option: subs[str(option)])

    def assemble(self, at: str, world: World) -> Any:
        if not self.of_parts:
            return world.decisions[at]
        taken = str(world.decisions[join(at, "op")])
        return dict(self.options)[taken].assemble(join(at, taken), world)  # type: ignore[union-attr]

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        if not self.of_parts:
            return self
        options = self._changed(change)
        return replace(self, options=options) if options else None

    __hash__ = Part.__hash__


@dataclass(frozen=True)
class SomeOf(_Options):
    """A subset of several options: parallel paths that are merged (`ADDRESS/paths`), or a tuple of values."""

    at_least: int = 1
    at_most: int = 1
    merge: Setting = "add"
    fit: Setting = None
    default_name: ClassVar[str] = "paths"
    merges: ClassVar[bool] = True
    word: ClassVar[str] = "some_of"

    def _items(self) -> Iterable[Item]:
        subsets = Subsets(tuple(label for label, _ in self.options), self.at_least, self.at_most)
        if not self.of_parts:
            yield Choose("", subsets, "subset")
            return
        subs = {label: Sub(label, option) for label, option in self._parts()}
        yield Choose("paths", subsets, "subset", lambda option: tuple(subs[str(label)] for label in option))  # type: ignore[union-attr]
        yield from subs_of((("merge", self.merge), ("fit", self.fit)))

    def assemble(self, at: str, world: World) -> Any:
        if not self.of_parts:
            values = dict(self.options)
            return tuple(values[str(label)] for label in world.decisions[at])  # type: ignore[union-attr]
        taken = world.decisions[join(at, "paths")]
        paths = [(label, option) for label, option in self.options if label in taken]  # type: ignore[operator]
        return merged(paths, self.merge, self.fit, at, world)

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        if not self.of_parts:
            return self
        options = self._changed(change)
        if len(options) < max(self.at_least, 1):
            return None
        return replace(self, options=options, at_most=min(self.at_most, len(options)))

    __hash__ = Part.__hash__


@dataclass(frozen=True)
class Optional(Part):
    """A part that may be left out (`ADDRESS/used`): skipped in a sequence, not an operand among branches."""

    part: Part = field(default_factory=Part)

    @property
    def name(self) -> str:
        return self.label or self.part.name

    @property
    def takes_operands(self) -> bool:
        return self.part.takes_operands

    def _items(self) -> Iterable[Item]:
        inner = (Sub("", self.part),)
        yield Choose("used", (True, False), "edge", lambda option: inner if option else ())

    def assemble(self, at: str, world: World) -> Any:
        return self.part.assemble(at, world) if world.decisions[join(at, "used")] else None

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        part = change(self.part)
        return replace(self, part=part) if part is not None else Seq(label=self.label)

    __hash__ = Part.__hash__
