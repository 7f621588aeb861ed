"""Identities of graphs and of measurements: hex digests of a canonical form, with a version in front.

`graph_key` is exact: two graphs have one key when, after sound simplification (`nas.core.simplify`), they are the same
labelled DAG up to names and numbering. One node used twice and two equal nodes stay apart. Nesting does not count, but
for one case that errs to the safe side: a zero inside a nested graph is not moved out of it (`zero_of_source`), so a
nested and a flat spelling with a zero that something with weights listens to may have two keys.

    graph ──simplify──▶ flat rows ──cut where all paths meet──▶ segments ──canonical numbering──▶ texts ──▶ digest

A network is a long chain of short segments, so each segment is numbered by itself, and repeated ones only once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from nas.core.graph import Graph
from nas.core.records import Budget
from nas.core.simplify import Flat, Kind, Row, flat, flattened, kind_of
from nas.core.values import canonical, digest

VERSION = "g3"
"""Changes whenever the keys of some graphs do: keys of different versions are never compared."""


def graph_key(graph: Graph) -> str:
    """The key of a graph, the same in every process."""
    return f"{VERSION}:{_graph_digest(graph)}"


@lru_cache(maxsize=10_000)
def _graph_digest(graph: Graph) -> str:
    return digest("\n".join([segment.text for segment in segments(graph)]))


def evaluation_key(graph: str, evaluator: str, budget: Budget, seed: int, stage: str = "search") -> str:
    """The key of a number: a graph's key, the evaluator's fingerprint, the budget, the seed and the stage."""
    return "e1:" + digest(canonical([graph, evaluator, float(budget.amount), budget.unit, seed, stage]))


class Segment(NamedTuple):
    """A stretch of a network between two places where all paths meet, in canonical form. silent: it is a zero."""

    text: str
    idempotent: bool = False
    silent: bool = False


class Stretch(NamedTuple):
    """A segment with the labels still apart: `wiring` refers to places in `labels`, and is '' for a single operation.

    labels: each once, in the order of `_by_size`.
    """

    wiring: str
    labels: tuple[str, ...]
    idempotent: bool = False
    silent: bool = False

    def segment(self, names: Sequence[str] | None = None) -> Segment:
        """With its labels, or where these are numbers with the names at those places."""
        labels = self.labels if names is None else [names[int(label)] for label in self.labels]
        return Segment(f"{self.wiring}[{','.join(labels)}]", self.idempotent, self.silent)


@lru_cache(maxsize=10_000)
def segments(graph: Graph) -> tuple[Segment, ...]:
    """The segments of a graph from input to output; one for the whole where it has several inputs or outputs."""
    found = _patterned(graph)
    if found is None:
        found = _chained(graph)
    return found if found is not None else tuple([stretch.segment() for stretch in _cut(flat(graph))])


def _patterned(graph: Graph) -> tuple[Segment, ...] | None:
    """The segments of a graph without nested graphs, worked out on its pattern; None where some are nested.

    The cells of a network often differ in their widths alone. They have one pattern: labels that are numbers.
    """
    number = {name: place for place, name in enumerate(graph.inputs)}
    kinds: list[Kind] = []
    operands: list[tuple[int, ...]] = []
    for node in graph.nodes:
        if isinstance(node.op, Graph):
            return None
        kinds.append(kind_of(node.op, node.attributes))
        operands.append(tuple(map(number.__getitem__, node.inputs)))
        number[node.name] = len(number)
    labels = sorted({kind.label for kind in kinds}, key=_by_size)
    place = {label: place for place, label in enumerate(labels)}
    pattern = tuple([kind.numbered[place[kind.label]] for kind in kinds])
    outputs = tuple([(name, number[ref]) for name, ref in graph.outputs])
    return tuple([stretch.segment(labels) for stretch in _of_pattern(graph.inputs, pattern, tuple(operands), outputs)])


@lru_cache(maxsize=10_000)
def _of_pattern(
    inputs: tuple[str, ...],
    kinds: tuple[Kind, ...],
    operands: tuple[tuple[int, ...], ...],
    outputs: tuple[tuple[str, int], ...],
) -> tuple[Stretch, ...]:
    return _cut(flattened(inputs, kinds, operands, outputs))


def _by_size(label: str) -> tuple[int, str]:
    """Short labels first, so that numbers in them are mostly in their own order: 64 before 128, 128 before 256."""
    return len(label), label


def _chained(graph: Graph) -> tuple[Segment, ...] | None:
    """The segments of a chain of nodes, each worked out by itself; None where that would not be the whole truth."""
    last = graph.inputs[0]
    found: list[Segment] = []
    for node in graph.nodes:
        if node.inputs != (last,) or (isinstance(node.op, Graph) and len(node.op.outputs) > 1):
            return None
        last = node.name
        if isinstance(node.op, Graph):
            inner = segments(node.op)
        else:
            kind = kind_of(node.op, node.attributes)
            inner = () if kind.passes_one else (_alone(kind).segment(),)
        for segment in inner:
            if segment.silent:
                return None  # a zero changes what comes after it
        repeated = bool(found and inner) and inner[0].idempotent and inner[0] == found[-1]
        found.extend(inner[1:] if repeated else inner)
    whole = len(graph.inputs) == 1 and [ref for _, ref in graph.outputs] == [last]
    return tuple(found) if whole else None


def _cut(rows: Flat) -> tuple[Stretch, ...]:
    """The stretches of a flat graph."""
    if len(rows.inputs) != 1 or len(rows.outputs) != 1:
        return (_number(rows.rows, len(rows.inputs), 0, rows.outputs)[0],)
    return tuple([_stretch(rows.rows[start:stop], start) for start, stop in _stretches(rows)])


def _alone(kind: Kind) -> Stretch:
    return Stretch("", (kind.label,), kind.idempotent, kind.silent)


def _stretch(rows: Sequence[Row], start: int) -> Stretch:
    return _alone(rows[0].kind) if len(rows) == 1 and len(rows[0].operands) == 1 else _number(rows, 1, start)[0]


def canonical_order(rows: Flat) -> Flat:
    """The same flat graph with its rows in an order that depends on the labelled DAG alone."""
    count = len(rows.inputs)
    if count != 1 or len(rows.outputs) != 1:
        stretches = [(0, len(rows.rows), _number(rows.rows, count, 0, rows.outputs)[1])]
    else:
        stretches = [(a, b, _number(rows.rows[a:b], 1, a)[1]) for a, b in _stretches(rows)]
    order: list[int] = []
    known = set(range(count))
    for start, stop, ranks in stretches:
        left = set(range(start, stop))
        while left:
            ready = [place for place in left if known.issuperset(rows.rows[place].operands)]
            place = min(ready, key=lambda place: ranks[place - start])
            left.remove(place)
            known.add(count + place)
            order.append(place)
    renumbered = {**{n: n for n in range(count)}, **{count + old: count + new for new, old in enumerate(order)}}
    moved = tuple(
        Row(row.address, row.kind, tuple(renumbered[n] for n in row.operands)) for row in (rows.rows[i] for i in order)
    )
    return Flat(rows.inputs, moved, tuple((name, renumbered[number]) for name, number in rows.outputs))


def _stretches(rows: Flat) -> list[tuple[int, int]]:
    """Where a flat graph can be cut: after every value through which all later values hear of the input."""
    uses = [0] * (len(rows.rows) + 1)
    for row in rows.rows:
        for operand in row.operands:
            uses[operand] += 1
    found: list[tuple[int, int]] = []
    start, alive = 0, 1  # `alive`: values that are still to be used
    for number, row in enumerate(rows.rows, 1):
        for operand in row.operands:
            uses[operand] -= 1
            alive -= uses[operand] == 0
        alive += 1
        if alive == 1:
            found.append((start, number))
            start = number
    return found


def _number(
    rows: Sequence[Row], inputs: int, start: int, outputs: tuple[tuple[str, int], ...] = ()
) -> tuple[Stretch, tuple[int, ...]]:
    """A stretch in canonical form, and the canonical number of each of its rows.

    inputs: how many values it takes. start: the number of the first of them. outputs: names, where these count.
    """
    labels = sorted({row.kind.label for row in rows}, key=_by_size)
    place = {label: place for place, label in enumerate(labels)}
    text, numbers = _numbered(
        (*range(-inputs, 0), *[place[row.kind.label] for row in rows]),
        (*((),) * inputs, *[tuple([number - start for number in row.operands]) for row in rows]),
        (*(False,) * inputs, *[row.kind.commutes for row in rows]),
        outputs,
    )
    return Stretch(text, tuple(labels)), numbers[inputs:]


_Colour: TypeAlias = "tuple[int, list[str]] | bool | tuple[list[int], list[tuple[int, int]]]"


@lru_cache(maxsize=10_000)
def _numbered(
    labels: tuple[int, ...],
    operands: tuple[tuple[int, ...], ...],
    commutes: tuple[bool, ...],
    outputs: tuple[tuple[str, int], ...],
) -> tuple[str, tuple[int, ...]]:
    """The canonical text of a labelled DAG, and the canonical number of each node."""
    ranks = [0] * len(labels)
    dag = _Dag(labels, operands, commutes, outputs)
    dag.split(ranks, range(len(labels)), list(zip(labels, dag.outputs, strict=True)))
    return dag.search(dag.refined(ranks))


class _Dag:
    """A DAG whose nodes are to be numbered. `ranks`: for every node, how many nodes come before all that look like it.

    Colour refinement tells nodes apart by their operands and users. Where some still look alike, each of them is tried
    as the first, and the smallest text is kept, so symmetric graphs get one text too. Nodes whose first tries agree are
    images of each other, and one of them is enough.
    """

    def __init__(
        self,
        labels: tuple[int, ...],
        operands: tuple[tuple[int, ...], ...],
        commutes: tuple[bool, ...],
        outputs: tuple[tuple[str, int], ...],
    ) -> None:
        self.labels, self.operands, self.commutes = labels, operands, commutes
        self.outputs: list[list[str]] = [[] for _ in labels]
        for name, node in outputs:
            self.outputs[node] = sorted([*self.outputs[node], name])
        self.users: list[list[tuple[int, int]]] = [[] for _ in labels]
        for node, sources in enumerate(operands):
            for place, source in enumerate(sources):
                self.users[source].append((node, -1 if commutes[node] else place))

    @staticmethod
    def split(ranks: list[int], alike: Sequence[int], colours: Sequence[_Colour]) -> bool:
        """Rank nodes that looked alike by their colours; False where they still look alike."""
        start = ranks[alike[0]]
        rows = sorted(zip(colours, alike, strict=True))
        last, rank = rows[0][0], start
        for place, (colour, node) in enumerate(rows, start):
            if colour != last:
                last, rank = colour, place
            ranks[node] = rank
        return rank != start

    @staticmethod
    def classes(ranks: list[int]) -> list[list[int]]:
        """The nodes that look alike, where there are several."""
        found: dict[int, list[int]] = {}
        for node, rank in enumerate(ranks):
            found.setdefault(rank, []).append(node)
        return [nodes for nodes in found.values() if len(nodes) > 1] if len(found) < len(ranks) else []

    def refined(self, ranks: list[int]) -> list[int]:
        """Ranks in which nodes look alike only where their operands and users do."""
        changed = True
        while changed:
            changed, old = False, ranks
            ranks = list(old)
            for alike in self.classes(old):
                colours = [(self.heard(node, old), sorted([(old[user], place) for user, place in self.users[node]]))
                           for node in alike]  # fmt: skip
                changed |= self.split(ranks, alike, colours)
        return ranks

    def heard(self, node: int, ranks: list[int]) -> list[int]:
        """The ranks of a node's operands."""
        heard = [ranks[source] for source in self.operands[node]]
        if self.commutes[node]:
            heard.sort()
        return heard

    def write(self, ranks: list[int]) -> str:
        """The text of the DAG under a numbering."""
        lines: list[list[Any]] = [[]] * len(ranks)
        for node, rank in enumerate(ranks):
            lines[rank] = [self.labels[node], *self.heard(node, ranks), *self.outputs[node]]
        return str(lines)

    def search(self, ranks: list[int]) -> tuple[str, tuple[int, ...]]:
        """The smallest text that refining and trying leads to, and its numbering."""
        tries = {self.first_try(apart): apart for apart in self.apart(ranks)}
        return min(map(self.search, tries.values())) if tries else (self.write(ranks), tuple(ranks))

    def apart(self, ranks: list[int]) -> Iterator[list[int]]:
        """The ranks with one of the first nodes that look alike put before the others, for each of them."""
        alike = min(self.classes(ranks), key=lambda nodes: ranks[nodes[0]], default=[])
        for first in alike:
            moved = list(ranks)
            self.split(moved, alike, [node != first for node in alike])
            yield self.refined(moved)

    def first_try(self, ranks: list[int]) -> str:
        """The text when of nodes that look alike the first is taken."""
        for apart in self.apart(ranks):
            return self.first_try(apart)
        return self.write(ranks)
