"""Parts that hold other parts or nothing: one operation, a sequence, branches, any wiring by names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from nas.core.graph import Graph, Node, chain
from nas.core.parts.part import Choose, Item, Part, Piece, Setting, Sub, World, join, settle, subs_of, whole
from nas.core.values import EMPTY, frozen

FITS = ("project", "crop", "pad")
"""What a merge may do where its operands differ in shape."""

MERGES = ("add", "concat", "mean", "mul", "max", "join")
"""Operations that merge any number of operands."""


def short_name(op: str) -> str:
    """An operation's name as a name of a node: the class's own name, in lower case, for a user's module."""
    return op.rpartition(":")[2].rpartition(".")[2].lower() if ":" in op else op


@dataclass(frozen=True, eq=True)
class Op(Part):
    """One operation. Attributes are values, or choices of values at `ADDRESS/ATTRIBUTE`."""

    op: str = ""
    attributes: tuple[tuple[str, Setting], ...] = ()

    @property
    def name(self) -> str:
        return self.label or short_name(self.op)

    @property
    def takes_operands(self) -> bool:
        return True

    def written(self) -> str:
        return f"op({self.op!r}{', …' if self.attributes else ''})"

    def _items(self) -> Iterable[Item]:
        return subs_of(self.attributes)

    def assemble(self, at: str, world: World) -> Piece:
        values = tuple(settle(s, join(at, n), world) if isinstance(s, Part) else s for n, s in self.attributes)
        return Piece(self.op, frozen(tuple(name for name, _ in self.attributes), values))

    def rebuild(self, change: Callable[[Part], Part | None]) -> Part | None:
        changed = tuple((n, change(s) if isinstance(s, Part) else s) for n, s in self.attributes)
        return replace(self, attributes=changed)

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
class Parallel(Part):
    """Branches from one input, merged."""

    parts: tuple[tuple[str, Part], ...] = ()
    merge: Setting = "add"
    fit: Setting = None
    default_name: ClassVar[str] = "branches"
    merges: ClassVar[bool] = True

    def _items(self) -> Iterable[Item]:
        yield from (Sub(name, part) for name, part in self.parts)
        yield from subs_of((("merge", self.merge), ("fit", self.fit)))

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
        return "add" if self.merge is None and not self.part.takes_operands else self.merge


@dataclass(frozen=True)
class Edge(Part):
    """A source that may be absent."""

    source: str = ""

    @property
    def gives_value(self) -> bool:
        return True

    def written(self) -> str:
        return f"optional({self.source!r})"

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

    @property
    def takes_operands(self) -> bool:
        return len(self.inputs) > 1

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
            yield from subs_of(self._edges(entry))
            yield Sub(entry.name, entry.part)
            yield from subs_of(((f"{entry.name}/input_merge", entry.merge), (f"{entry.name}/input_fit", entry.fit)))

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


def reaching(nodes: list[Node], outputs: tuple[tuple[str, str], ...]) -> tuple[Node, ...]:
    """The nodes from which an output can be reached, in their order."""
    wanted = {ref.partition(":")[0] for _, ref in outputs}
    kept: list[Node] = []
    for node in reversed(nodes):
        if node.name in wanted:
            kept.append(node)
            wanted.update(ref.partition(":")[0] for ref in node.inputs)
    return tuple(reversed(kept))
