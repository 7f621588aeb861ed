"""Identities of graphs and of measurements: hex digests of a canonical form, with a version in front.

`graph_key` is exact: two graphs have one key when, after sound simplification (`nas.core.simplify`), they are the same
labelled DAG up to names and numbering. One node used twice and two equal nodes stay apart. Nesting does not count, but
for one case that errs to the safe side: a zero inside a nested graph is not moved out of it (`zero_of_source`), so a
nested and a flat spelling with a zero that something with weights listens to may have two keys.

    graph ──simplify──▶ flat rows ──cut where all paths meet──▶ segments ──canonical numbering──▶ texts ──▶ digest

A network is a long chain of short segments, so each segment is numbered by itself, and repeated ones only once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from nas.core.graph import Graph
from nas.core.records import Budget
from nas.core.simplify import Flat, Row, flat, kind_of
from nas.core.values import canonical, digest

VERSION = "g2"
"""Changes whenever the keys of some graphs do: keys of different versions are never compared."""


def graph_key(graph: Graph) -> str:
    """The key of a graph, the same in every process."""
    return f"{VERSION}:{_graph_digest(graph)}"


@lru_cache(maxsize=100_000)
def _graph_digest(graph: Graph) -> str:
    return digest("\n".join(segment.text for segment in segments(graph)))


def evaluation_key(graph: str, evaluator: str, budget: Budget, seed: int, stage: str = "search") -> str:
    """The key of a number: a graph's key, the evaluator's fingerprint, the budget, the seed and the stage."""
    return "e1:" + digest(canonical([graph, evaluator, float(budget.amount), budget.unit, seed, stage]))


class Segment(NamedTuple):
    """A stretch of a network between two places where all paths meet, in canonical form. silent: it is a zero."""

    text: str
    idempotent: bool = False
    silent: bool = False


@lru_cache(maxsize=100_000)
def segments(graph: Graph) -> tuple[Segment, ...]:
    """The segments of a graph from input to output; one for the whole where it has several inputs or outputs."""
    chained = _chained(graph)
    return chained if chained is not None else _cut(flat(graph))


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
            inner = () if kind.passes_one else (Segment(kind.label, kind.idempotent, kind.silent),)
        if any(segment.silent for segment in inner):
            return None  # a zero changes what comes after it
        repeated = bool(found and inner) and inner[0].idempotent and inner[0] == found[-1]
        found.extend(inner[1:] if repeated else inner)
    whole = len(graph.inputs) == 1 and [ref for _, ref in graph.outputs] == [last]
    return tuple(found) if whole else None


def _cut(rows: Flat) -> tuple[Segment, ...]:
    """The segments of a flat graph."""
    if len(rows.inputs) != 1 or len(rows.outputs) != 1:
        return (Segment(_number_whole(rows)[0]),)
    return tuple(_segment(rows.rows[start:stop], start) for start, stop in _stretches(rows))


def canonical_order(rows: Flat) -> Flat:
    """The same flat graph with its rows in an order that depends on the labelled DAG alone."""
    count = len(rows.inputs)
    if count != 1 or len(rows.outputs) != 1:
        stretches = [(0, len(rows.rows), _number_whole(rows)[1][count:])]
    else:
        stretches = [(a, b, _number_segment(rows.rows[a:b], a)[1][1:]) for a, b in _stretches(rows)]
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


def _segment(rows: Sequence[Row], start: int) -> Segment:
    kinds = [row.kind for row in rows]
    if len(rows) == 1 and len(rows[0].operands) == 1:
        return Segment(kinds[0].label, kinds[0].idempotent, kinds[0].silent)
    return Segment(_number_segment(rows, start)[0])


def _number_segment(rows: Sequence[Row], start: int) -> tuple[str, tuple[int, ...]]:
    operands = tuple(tuple(number - start for number in row.operands) for row in rows)
    labels = ("input", *(row.kind.label for row in rows))
    return _numbered(labels, ((), *operands), (False, *(row.kind.commutes for row in rows)), ())


def _number_whole(rows: Flat) -> tuple[str, tuple[int, ...]]:
    count = len(rows.inputs)
    kinds = [row.kind for row in rows.rows]
    labels = (*(f"input {place}" for place in range(count)), *(kind.label for kind in kinds))
    operands = (*((),) * count, *(row.operands for row in rows.rows))
    commutes = (*(False,) * count, *(kind.commutes for kind in kinds))
    return _numbered(labels, operands, commutes, rows.outputs)


@lru_cache(maxsize=100_000)
def _numbered(
    labels: tuple[str, ...],
    operands: tuple[tuple[int, ...], ...],
    commutes: tuple[bool, ...],
    outputs: tuple[tuple[str, int], ...],
) -> tuple[str, tuple[int, ...]]:
    """The canonical text of a labelled DAG, and the canonical number of each node.

    Colour refinement numbers the nodes. Where some still look alike, each of them is tried as the first, and the
    smallest text is kept, so symmetric graphs get one text too. Nodes whose first tries agree are images of each other,
    and one of them is enough.
    """
    marked = list(labels)
    for name, number in outputs:
        marked[number] += f" output {name}"
    users: list[list[tuple[int, int]]] = [[] for _ in labels]
    for node, sources in enumerate(operands):
        for place, source in enumerate(sources):
            users[source].append((node, -1 if commutes[node] else place))

    def refine(ranks: list[int]) -> list[int]:
        classes = len(set(ranks))
        while classes < len(ranks):
            rows = []
            for node, sources in enumerate(operands):
                heard = [ranks[source] for source in sources]
                if commutes[node]:
                    heard.sort()
                told = sorted([(ranks[user], place) for user, place in users[node]])
                rows.append((ranks[node], tuple(heard), tuple(told)))
            ranks = _ranked(rows)
            if len(set(ranks)) == classes:
                break
            classes = len(set(ranks))
        return ranks

    def write(ranks: list[int]) -> str:
        lines = [""] * len(ranks)
        for node, sources in enumerate(operands):
            heard = [ranks[source] for source in sources]
            lines[ranks[node]] = f"{marked[node]} of {sorted(heard) if commutes[node] else heard}"
        return "; ".join(lines)

    def first_alike(ranks: list[int]) -> int | None:
        return min((rank for rank, count in Counter(ranks).items() if count > 1), default=None)

    def search(ranks: list[int]) -> tuple[str, tuple[int, ...]]:
        alike = first_alike(ranks)
        if alike is None:
            return write(ranks), tuple(ranks)
        tries = {first_try(apart): apart for apart in individualised(ranks, alike)}
        return min(search(apart) for apart in tries.values())

    def individualised(ranks: list[int], alike: int) -> Iterator[list[int]]:
        for node, rank in enumerate(ranks):
            if rank == alike:
                apart = [2 * r for r in ranks]
                apart[node] -= 1
                yield refine(_ranked(apart))

    def first_try(ranks: list[int]) -> str:
        alike = first_alike(ranks)
        return write(ranks) if alike is None else first_try(next(individualised(ranks, alike)))

    return search(refine(_ranked(marked)))


_Colour = TypeVar("_Colour", str, int, tuple[int, tuple[int, ...], tuple[tuple[int, int], ...]])


def _ranked(colours: Sequence[_Colour]) -> list[int]:
    order = {colour: rank for rank, colour in enumerate(sorted(set(colours)))}
    return [order[colour] for colour in colours]
