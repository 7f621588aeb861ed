"""The parts of a space: frozen values, each of which says two things about itself and nothing else.

- `structure()`: which decisions it holds, in which order, at which names. Everything that is derived from decisions
  (sampling, counting, mutation, encodings, Optuna distributions) is general code over this: `nas.core.walk`.
- `assemble(at, world)`: the piece of graph it becomes once those decisions are taken.

`nas.core.language` has the functions with which a person writes parts.
"""

from __future__ import annotations

import reprlib
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias

from nas.core.errors import GraphError
from nas.core.graph import Graph, Node, chain, check_name
from nas.core.subsets import Subsets
from nas.core.values import EMPTY, FrozenDict, Value, frozen

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


def short_name(op: str) -> str:
    """An operation's name as a name of a node: the class's own name, in lower case, for a user's module."""
    return op.rpartition(":")[2].rpartition(".")[2].lower() if ":" in op else op


def gives_value(part: Part) -> bool:
    """Whether a part stands for a value (a choice of values), as against a piece of network."""
    if isinstance(part, Tie):
        return gives_value(part.part)
    return isinstance(part, Edge) or (isinstance(part, OneOf | SomeOf) and not part.of_parts)


def shown(thing: Any) -> str:
    """What was given, for a message, in the words in which a person wrote it: `one_of(3, 5)`, `op('conv', …)`."""
    if isinstance(thing, tuple | list) and any(isinstance(item, Part) for item in thing):
        return f"({', '.join(map(shown, thing))})"
    if not isinstance(thing, Part):
        return reprlib.repr(thing)
    if isinstance(thing, Op):
        return f"op({thing.op!r}{', …' if thing.attributes else ''})"
    if isinstance(thing, Edge):
        return f"optional({thing.source!r})"
    if isinstance(thing, Tie):
        return f"tie({thing.tie!r}, {shown(thing.part)})"
    word = {OneOf: "one_of", SomeOf: "some_of"}.get(type(thing), type(thing).__name__.lower())
    options = [shown(value) for _, value in thing.options[:6]] if isinstance(thing, OneOf | SomeOf) else []
    more = not options or len(options) < len(thing.options)  # type: ignore[attr-defined]
    return f"{word}({', '.join([*options, *['…'] * more])})"


Setting: TypeAlias = "Value | Part"
"""What may stand for a value: the value, or a choice of values."""


def settle(setting: Setting, at: str, world: World) -> Value:
    """The value of a setting under the decisions."""
    return setting.assemble(at, world) if isinstance(setting, Part) else setting


def _subs(settings: Iterable[tuple[str, Setting]]) -> Iterable[Sub]:
    return (Sub(name, setting) for name, setting in settings if isinstance(setting, Part))


@dataclass(frozen=True, eq=True)
class Op(Part):
    """One operation. Attributes are values, or choices of values at `ADDRESS/ATTRIBUTE`."""

    op: str = ""
    attributes: tuple[tuple[str, Setting], ...] = ()

    @property
    def name(self) -> str:
        return self.label or short_name(self.op)

    def _items(self) -> Iterable[Item]:
        return _subs(self.attributes)

    def assemble(self, at: str, world: World) -> Piece:
        values = tuple(settle(s, join(at, n), world) if isinstance(s, Part) else s for n, s in self.attributes)
        return Piece(self.op, frozen(tuple(name for name, _ in self.attributes), values))

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        changed = tuple((n, change(s) if isinstance(s, Part) else s) for n, s in self.attributes)
        return replace(self, attributes=changed)

    __hash__ = Part.__hash__


@dataclass(frozen=True)
class OneOf(Part):
    """Exactly one of several values, or of several parts. Parts: decided at `ADDRESS/op`, each under its label."""

    options: tuple[tuple[str, Setting], ...] = ()
    default_name: ClassVar[str] = "choice"

    @property
    def of_parts(self) -> bool:
        return isinstance(self.options[0][1], Part)

    def _items(self) -> Iterable[Item]:
        if not self.of_parts:
            yield Choose("", tuple(value for _, value in self.options if not isinstance(value, Part)), "value")
            return
        subs = {label: (Sub(label, option),) for label, option in self.options if isinstance(option, Part)}
        yield Choose("op", tuple(subs), "structure", lambda option: subs[str(option)])

    def assemble(self, at: str, world: World) -> Any:
        if not self.of_parts:
            return world.decisions[at]
        taken = str(world.decisions[join(at, "op")])
        return dict(self.options)[taken].assemble(join(at, taken), world)  # type: ignore[union-attr]

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        if not self.of_parts:
            return self
        left = ((label, change(option)) for label, option in self.options if isinstance(option, Part))
        options = tuple((label, option) for label, option in left if option is not None)
        return replace(self, options=options) if options else None

    __hash__ = Part.__hash__


@dataclass(frozen=True)
class SomeOf(Part):
    """A subset of several options: parallel paths that are merged (`ADDRESS/paths`), or a tuple of values."""

    options: tuple[tuple[str, Setting], ...] = ()
    at_least: int = 1
    at_most: int = 1
    merge: Setting = "add"
    fit: Setting = None
    default_name: ClassVar[str] = "paths"
    merges: ClassVar[bool] = True

    @property
    def of_parts(self) -> bool:
        return isinstance(self.options[0][1], Part)

    def _items(self) -> Iterable[Item]:
        subsets = Subsets(tuple(label for label, _ in self.options), self.at_least, self.at_most)
        if not self.of_parts:
            yield Choose("", subsets, "subset")
            return
        subs = {label: Sub(label, option) for label, option in self.options if isinstance(option, Part)}
        yield Choose("paths", subsets, "subset", lambda option: tuple(subs[str(label)] for label in option))  # type: ignore[union-attr]
        yield from _subs((("merge", self.merge), ("fit", self.fit)))

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
        left = ((label, change(option)) for label, option in self.options if isinstance(option, Part))
        options = tuple((label, option) for label, option in left if option is not None)
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

    def _items(self) -> Iterable[Item]:
        inner = (Sub("", self.part),)
        yield Choose("used", (True, False), "edge", lambda option: inner if option else ())

    def assemble(self, at: str, world: World) -> Any:
        return self.part.assemble(at, world) if world.decisions[join(at, "used")] else None

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        part = change(self.part)
        return replace(self, part=part) if part is not None else Seq(label=self.label)

    __hash__ = Part.__hash__


@dataclass(frozen=True)
class Seq(Part):
    """Parts one after another. A part named '' shares its owner's address and is spliced in."""

    parts: tuple[tuple[str, Part], ...] = ()
    default_name: ClassVar[str] = "stage"

    def _items(self) -> Iterable[Item]:
        return (Sub(name, part) for name, part in self.parts)

    def assemble(self, at: str, world: World) -> Piece:
        steps: list[Node] = []
        for name, part in self.parts:
            piece = part.assemble(join(at, name), world)
            if piece is None:
                continue
            steps.extend([Node(name, piece.op, piece.attributes)] if name else piece.op.nodes)
        return whole(chain(steps, unused("x", (step.name for step in steps))))

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        parts = [(name, changed) for name, part in self.parts if (changed := change(part)) is not None]
        return replace(self, parts=tuple(parts)) if len(parts) == len(self.parts) else None

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
class Parallel(Part):
    """Branches from one input, merged."""

    parts: tuple[tuple[str, Part], ...] = ()
    merge: Setting = "add"
    fit: Setting = None
    default_name: ClassVar[str] = "branches"
    merges: ClassVar[bool] = True

    def _items(self) -> Iterable[Item]:
        yield from (Sub(name, part) for name, part in self.parts)
        yield from _subs((("merge", self.merge), ("fit", self.fit)))

    def assemble(self, at: str, world: World) -> Piece:
        return merged(self.parts, self.merge, self.fit, at, world)

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        parts = [(name, changed) for name, part in self.parts if (changed := change(part)) is not None]
        return replace(self, parts=tuple(parts)) if len(parts) == len(self.parts) else None

    __hash__ = Part.__hash__


def merged(paths: Sequence[tuple[str, Setting]], merge: Setting, fit: Setting, at: str, world: World) -> Piece:
    """Paths from one input and the merge of those that are there; no path at all is a `zero`."""
    pieces = [(name, p.assemble(join(at, name), world)) for name, p in paths if isinstance(p, Part)]
    names = [name for name, piece in pieces if piece is not None]
    source = unused("x", names)
    nodes = [Node(name, piece.op, piece.attributes, (source,)) for name, piece in pieces if piece is not None]
    how = settle(merge, join(at, "merge"), world)
    fitted = settle(fit, join(at, "fit"), world)
    if not nodes:
        return Piece("zero", EMPTY)
    if len(nodes) == 1:
        return Piece(nodes[0].op, nodes[0].attributes)
    attributes = frozen(("fit",), (fitted,)) if fitted is not None else EMPTY
    join_node = Node(unused("merge", [source, *names]), str(how), attributes, tuple(names))
    return whole(Graph((source,), (*nodes, join_node), (("y", join_node.name),)))


def unused(name: str, taken: Iterable[str]) -> str:
    """`name`, with as many underscores behind it as it takes to differ from the names that a person gave."""
    known = set(taken)
    while name in known:
        name += "_"
    return name


@dataclass(frozen=True)
class Entry:
    """A node of a `Dag`: a part, its sources (names, choices of names, optional names), and how several are merged.

    merge None: operations take all sources as operands, anything else gets their sum.
    """

    name: str
    part: Part
    sources: tuple[Setting, ...]
    merge: Setting = None
    fit: Setting = None

    @property
    def merges(self) -> Setting:
        """How several sources are merged before the part; None: they are its operands."""
        return "add" if self.merge is None and not _takes_operands(self.part) else self.merge


@dataclass(frozen=True)
class Edge(Part):
    """A source that may be absent."""

    source: str = ""

    def _items(self) -> Iterable[Item]:
        yield Choose("", (True, False), "edge")

    def assemble(self, at: str, world: World) -> str | None:
        return self.source if world.decisions[at] else None

    __hash__ = Part.__hash__


@dataclass(frozen=True)
class Dag(Part):
    """A directed acyclic graph by names. Nodes that reach no output are left out of the decided graph."""

    entries: tuple[Entry, ...] = ()
    inputs: tuple[str, ...] = ("input",)
    outputs: tuple[tuple[str, str], ...] = ()
    default_name: ClassVar[str] = "dag"

    def _edges(self, entry: Entry) -> list[tuple[str, Setting]]:
        """Names of an entry's sources: one open source is `input`, several are numbered, edges name their source.

        How they merge is `input_merge`: `merge` is a name that the entry's own part may have.
        """
        several = sum(isinstance(s, Part) and not isinstance(s, Edge) for s in entry.sources) > 1
        named: list[tuple[str, Setting]] = []
        for place, source in enumerate(entry.sources, 1):
            if isinstance(source, Edge):
                named.append((f"{entry.name}/from_{source.source}", source))
            else:
                named.append((f"{entry.name}/input{place if several else ''}", source))
        return named

    def _items(self) -> Iterable[Item]:
        for entry in self.entries:
            yield from _subs(self._edges(entry))
            yield Sub(entry.name, entry.part)
            yield from _subs(((f"{entry.name}/input_merge", entry.merge), (f"{entry.name}/input_fit", entry.fit)))

    def assemble(self, at: str, world: World) -> Piece:
        nodes: dict[str, Node] = {}
        alive = set(self.inputs)
        single: set[str] = set()  # what stands in for a part that is left out has one output only

        def refer(ref: str) -> str:
            name = ref.partition(":")[0]
            return name if name in single else ref

        taken = [*self.inputs, *(entry.name for entry in self.entries)]
        for entry in self.entries:
            found = [settle(source, join(at, name), world) for name, source in self._edges(entry)]
            flat = [name for item in found for name in (item if isinstance(item, tuple) else (item,))]
            sources = [refer(str(ref)) for ref in flat if ref is not None and str(ref).partition(":")[0] in alive]
            piece = entry.part.assemble(join(at, entry.name), world)
            if not sources or (piece is None and len(sources) != 1):
                continue
            alive.add(entry.name)
            if piece is None:  # an optional part that was left out passes its one source on
                nodes[entry.name] = Node(entry.name, "identity", EMPTY, tuple(sources))
                single.add(entry.name)
                continue
            if len(sources) > 1 and entry.merges is not None:
                how = str(settle(entry.merges, join(at, f"{entry.name}/input_merge"), world))
                fit = settle(entry.fit, join(at, f"{entry.name}/input_fit"), world)
                merge = unused(f"{entry.name}_{how}", taken)
                taken.append(merge)
                nodes[merge] = Node(merge, how, EMPTY if fit is None else frozen(("fit",), (fit,)), tuple(sources))
                sources = [merge]
            nodes[entry.name] = Node(entry.name, piece.op, piece.attributes, tuple(sources))
        for _, ref in self.outputs:
            name = ref.partition(":")[0]
            if name not in alive:  # nothing leads there: say so with a zero, which no path crosses
                nodes[name] = Node(name, "zero", EMPTY, (self.inputs[0],))
                single.add(name)
        outputs = tuple((name, refer(ref)) for name, ref in self.outputs)
        return whole(Graph(self.inputs, reaching(list(nodes.values()), outputs), outputs))

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        entries = []
        for entry in self.entries:
            part = change(entry.part)
            if part is None:
                return None
            entries.append(replace(entry, part=part))
        return replace(self, entries=tuple(entries))

    __hash__ = Part.__hash__


def _takes_operands(part: Part) -> bool:
    """Whether a part takes several sources as they are: an operation, a choice of operations, a dag with its inputs."""
    if isinstance(part, OneOf):
        return part.of_parts and all(_takes_operands(option) for _, option in part.options if isinstance(option, Part))
    if isinstance(part, Tie | Optional):
        return _takes_operands(part.part)
    return isinstance(part, Op) or (isinstance(part, Dag) and len(part.inputs) > 1)


FITS = ("project", "crop", "pad")
"""What a merge may do where its operands differ in shape."""

MERGES = ("add", "concat", "mean", "mul", "max", "join")
"""Operations that merge any number of operands."""


def reaching(nodes: list[Node], outputs: tuple[tuple[str, str], ...]) -> tuple[Node, ...]:
    """The nodes from which an output can be reached, in their order."""
    wanted = {ref.partition(":")[0] for _, ref in outputs}
    kept: list[Node] = []
    for node in reversed(nodes):
        if node.name in wanted:
            kept.append(node)
            wanted.update(ref.partition(":")[0] for ref in node.inputs)
    return tuple(reversed(kept))


@dataclass(frozen=True)
class Tie(Part):
    """A part whose decisions stand at the address `tie`, shared by all places with this tie. Weights are not shared."""

    tie: str = ""
    part: Part = field(default_factory=Part)

    @property
    def name(self) -> str:
        return self.label or self.tie

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
        return _subs(self.values)

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
