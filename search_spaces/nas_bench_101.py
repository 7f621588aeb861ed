"""NAS-Bench-101: cells of up to seven vertices and nine edges with three operations; one cell repeated nine times.

A network's text is `VERTICES:ADJACENCY:OPERATIONS`: bit i + j(j-1)/2 of ADJACENCY is the edge i → j (vertex 0 the
input, the last the output), OPERATIONS one digit per inner vertex (0 conv3x3, 1 conv1x1, 2 maxpool3x3).

A network is made of its cell's *first numbering*, the one with the smallest text, not of the numbering in which the
cell was decided: the order of vertices decides which of them get the remainder of the channels and in what order they
are concatenated. The benchmark does not train the numberings of a cell apart either: its generator keeps the first one
that it meets, and looks every other one up by isomorphism. So equal cells are equal graphs here (not only graphs of one
key), a vertex's number in the network need not be the one in the decisions, and parameter counts are the table's.

Reference: Ying et al. 2019, arXiv:1902.09635, section 2.1, its published model builder and `generate_graphs.py`.
Differs: a cell is declared on seven vertices and pruned, so decisions may hold vertices that reach nothing; their
networks are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import permutations
from typing import Any

from nas.core.errors import NotInSpaceError
from nas.core.graph import Graph, split
from nas.core.language import compute, dag, one_of, op, repeat, seq, some_of, tie
from nas.core.parts import Part
from nas.core.profile import InputSpec
from nas.core.records import Candidate
from nas.core.registry import register
from nas.core.space import Space, image
from search_spaces.cnn import check_width

VERTICES = 7
MOST_EDGES = 9
OPERATIONS = ("conv3x3", "conv1x1", "maxpool3x3")
"""What the digits 0, 1 and 2 mean."""

Edge = tuple[int, int]


def _edge(text: str) -> Edge:
    start, _, stop = text.partition("-")
    return int(start), int(stop)


def pruned(edges: set[Edge], last: int) -> set[Edge]:
    """The edges on a way from vertex 0 to vertex `last`."""
    ahead, back = {0}, {last}
    for start, stop in sorted(edges):
        if start in ahead:
            ahead.add(stop)
    for start, stop in sorted(edges, key=lambda edge: -edge[1]):
        if stop in back:
            back.add(start)
    alive = ahead & back
    return {(start, stop) for start, stop in edges if start in alive and stop in alive}


def adjacency(edges: Iterable[Edge]) -> int:
    """ADJACENCY of edges that point forward."""
    return sum(1 << (start + stop * (stop - 1) // 2) for start, stop in edges)


Order = tuple[int, ...]
"""The inner vertices of a cell in the order in which they are numbered from 1 on."""


def renumbered(edges: Iterable[Edge], order: Order) -> frozenset[Edge]:
    """The edges with the inner vertices numbered in this order and the output after them."""
    number = {vertex: place for place, vertex in enumerate((0, *order, VERTICES - 1))}
    return frozenset((number[start], number[stop]) for start, stop in edges)


def orders(edges: frozenset[Edge]) -> Iterator[Order]:
    """Every order of the inner vertices in which all edges point forward."""
    inner = sorted({vertex for edge in edges for vertex in edge} - {0, VERTICES - 1})
    return (o for o in permutations(inner) if all(start < stop for start, stop in renumbered(edges, o)))


@lru_cache(maxsize=100_000)
def _lowest(edges: frozenset[Edge]) -> tuple[Order, ...]:
    """The orders with the smallest ADJACENCY: several where the wiring is symmetric."""
    found = {order: adjacency(renumbered(edges, order)) for order in orders(edges)}
    lowest = min(found.values())
    return tuple(order for order, bits in found.items() if bits == lowest)


def first_order(edges: frozenset[Edge], digits: Mapping[int, int]) -> Order:
    """The order of the first numbering: the smallest ADJACENCY, then the smallest OPERATIONS.

    Where several orders give it, they are images of each other and the renumbered cells are equal.
    """
    return min(_lowest(edges), key=lambda order: [digits[vertex] for vertex in order])


def channels(edges: Iterable[Edge], last: int, width: int) -> dict[int, int]:
    """Channels of every vertex but the first, as the benchmark computes them.

    Inner vertices that feed the output share its `width` channels, the first ones taking the remainder; others take
    the most of what they feed.
    """
    feeding = [start for start, stop in sorted(edges) if stop == last and start != 0]
    share, rest = divmod(width, len(feeding)) if feeding else (width, 0)
    found = {vertex: share + (place < rest) for place, vertex in enumerate(feeding)}
    inner = sorted({vertex for edge in edges for vertex in edge} - {0, last} - set(feeding), reverse=True)
    for vertex in inner:
        found[vertex] = max(found[stop] for start, stop in edges if start == vertex and stop != last)
    return {**found, last: width}


def cell(width: int, edges: tuple[str, ...], **operations: str) -> Part:
    """The cell of a stack with `width` channels, in its first numbering. A cell that joins nothing is a zero."""
    kept, digits = _numbered(edges, tuple(OPERATIONS.index(operations[f"op{v}"]) for v in range(1, VERTICES - 1)))
    return _numbered_cell(width, kept, digits) if kept else op("zero")


@lru_cache(maxsize=64)  # a network has its cell nine times
def _numbered(edges: tuple[str, ...], operations: tuple[int, ...]) -> tuple[frozenset[Edge], tuple[int, ...]]:
    """The first numbering of a decided cell: its edges, the output as the last vertex, and its digits."""
    kept = frozenset(pruned({_edge(text) for text in edges}, VERTICES - 1))
    order = first_order(kept, dict(enumerate(operations, 1)))
    return renumbered(kept, order), tuple(operations[vertex - 1] for vertex in order)


@lru_cache(maxsize=64)
def _numbered_cell(width: int, edges: frozenset[Edge], digits: tuple[int, ...]) -> Part:
    """The cell as it is numbered: vertex 0 the input, 1, 2, … of the operations `digits`, and the output."""
    last = len(digits) + 1
    wide = channels(edges, last, width)
    nodes: dict[str, tuple[Part, Any]] = {}

    def incoming(vertex: int) -> list[str]:
        operands = []
        for start in sorted(start for start, stop in edges if stop == vertex):
            if start == 0:
                nodes[f"project{vertex}"] = (op("conv", width=wide[vertex], kernel=1), "input")
                operands.append(f"project{vertex}")
            elif wide[start] > wide[vertex]:
                nodes[f"crop{start}{vertex}"] = (op("crop", width=wide[vertex]), f"vertex{start}")
                operands.append(f"crop{start}{vertex}")
            else:
                operands.append(f"vertex{start}")
        return operands

    for vertex, digit in enumerate(digits, 1):
        kind = OPERATIONS[digit]
        part = op("max_pool") if kind == "maxpool3x3" else op("conv", width=wide[vertex], kernel=int(kind[-1]))
        operands = incoming(vertex)
        if len(operands) > 1:
            nodes[f"sum{vertex}"] = (op("add"), operands)
            operands = [f"sum{vertex}"]
        nodes[f"vertex{vertex}"] = (part, operands[0])
    inner = [f"vertex{start}" for start, stop in sorted(edges) if stop == last and start != 0]
    output = inner
    if len(inner) > 1:
        nodes["concat"] = (op("concat"), inner)
        output = ["concat"]
    if (0, last) in edges:
        nodes["project"] = (op("conv", width=width, kernel=1), "input")
        output = [*output, "project"]
    if len(output) > 1:
        nodes["sum"] = (op("add"), output)
        output = ["sum"]
    return dag(nodes, outputs={"y": output[0]})


@register("space", "nas_bench_101")
def nas_bench_101(
    inputs: InputSpec | Mapping[str, InputSpec] | None = None, classes: int = 10, width: int = 128, cells: int = 3
) -> Space:
    """The space as published: `width` 128 channels, three stacks of `cells` 3 cells, on 32×32 RGB images."""
    check_width(width, "nas_bench_101")
    pairs = [f"{start}-{stop}" for stop in range(1, VERTICES) for start in range(stop)]
    open_edges = tie("cell/edges", some_of(*pairs, at_least=1, at_most=MOST_EDGES))
    kinds = {f"op{v}": tie(f"cell/op{v}", one_of(*OPERATIONS)) for v in range(1, VERTICES - 1)}

    def stack(wide: int) -> Part:
        return repeat(compute(cell, width=wide, edges=open_edges, **kinds).named("cell"), times=cells)

    part = seq(
        stem=op("stem", width=width),
        stack1=stack(width),
        pool1=op("max_pool", kernel=2, stride=2, padding=0),
        stack2=stack(2 * width),
        pool2=op("max_pool", kernel=2, stride=2, padding=0),
        stack3=stack(4 * width),
        head=op("head"),
    )
    return Space(part, inputs or image(3, 32, 32), classes, spell=spell, spellings=spellings, parse=parse)


def _wiring(graph: Graph) -> tuple[frozenset[Edge], dict[int, int]]:
    """Edges between the vertices of a network's cell, and each inner vertex's digit."""
    stack = next((node.op for node in graph.nodes if node.name == "stack1"), None)
    inside = stack.nodes[0].op if isinstance(stack, Graph) and stack.nodes else None
    if not isinstance(inside, Graph):
        raise NotInSpaceError("this graph is no network of nas_bench_101: it has no cell with a way through it")
    nodes = {node.name: node for node in inside.nodes}

    def sources(refs: tuple[str, ...]) -> Iterator[int]:
        for ref in refs:
            name = split(ref)[0]
            if name in inside.inputs:
                yield 0
            elif name.startswith("vertex"):
                yield int(name.removeprefix("vertex"))
            else:
                yield from sources(nodes[name].inputs)

    last = VERTICES - 1
    edges = {(start, last) for start in sources(tuple(ref for _, ref in inside.outputs))}
    digits: dict[int, int] = {}
    for name, node in nodes.items():
        if name.startswith("vertex"):
            vertex = int(name.removeprefix("vertex"))
            edges |= {(start, vertex) for start in sources(node.inputs)}
            digits[vertex] = 2 if node.op == "max_pool" else int(node.attributes["kernel"] == 1)
    return frozenset(edges), digits


def _text(edges: frozenset[Edge], digits: Mapping[int, int], order: Order) -> str:
    bits = adjacency(renumbered(edges, order))
    return f"{len(order) + 2}:{bits}:{''.join(str(digits[vertex]) for vertex in order)}"


def spell(graph: Graph) -> str:
    """The text of a network of this space: that of the first numbering of its cell. Raises NotInSpaceError."""
    edges, digits = _wiring(graph)
    return _text(edges, digits, first_order(edges, digits))


def spellings(graph: Graph) -> Iterator[str]:
    """The text under every order of the inner vertices in which all edges point forward."""
    edges, digits = _wiring(graph)
    return (_text(edges, digits, order) for order in orders(edges))


def parse(space: Space, text: str) -> Candidate:
    """The candidate of a text. Raises NotInSpaceError naming what does not fit."""
    try:
        count, bits, digits = text.split(":")
        vertices, adjacency = int(count), int(bits)
        if not (2 <= vertices <= VERTICES and len(digits) == vertices - 2 and set(digits) <= set("012")):
            raise ValueError
        if not 0 <= adjacency < 1 << (vertices * (vertices - 1) // 2):
            raise ValueError
    except ValueError:
        raise NotInSpaceError(
            f"{text!r} is no cell of NAS-Bench-101; expected 'VERTICES:ADJACENCY:OPERATIONS' such as '7:1205349:02001'"
        ) from None
    last = VERTICES - 1
    at = [*range(vertices - 1), last]
    edges = {(at[i], at[j]) for j in range(vertices) for i in range(j) if adjacency >> (i + j * (j - 1) // 2) & 1}
    ordered = tuple(f"{i}-{j}" for j in range(1, VERTICES) for i in range(j) if (i, j) in edges)
    kinds = {f"cell/op{v}": OPERATIONS[0] for v in range(1, last)}
    kinds |= {f"cell/op{v}": OPERATIONS[int(digit)] for v, digit in enumerate(digits, 1)}
    return space.decide({"cell/edges": ordered, **kinds})
