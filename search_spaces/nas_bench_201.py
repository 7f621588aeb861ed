"""NAS-Bench-201: 15,625 cells of four nodes and six edges, five operations each; one cell repeated 15 times.

Reference: Dong & Yang 2020, arXiv:2001.00326.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from nas.core.errors import NotInSpaceError, nearest
from nas.core.graph import Graph
from nas.core.language import dag, one_of, op, repeat, seq, tie
from nas.core.parts import Part
from nas.core.profile import InputSpec
from nas.core.records import Candidate
from nas.core.registry import register
from nas.core.space import Space, image
from search_spaces.cnn import check_width

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The benchmark's names, in its own order."""

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Edges (from, to) in the order in which the benchmark writes them."""

NODES = ("input", "node1", "node2", "node3")


def _edge() -> Part:
    return one_of(
        none=op("zero"),
        skip_connect=op("identity"),
        nor_conv_1x1=op("nb201_conv", kernel=1),
        nor_conv_3x3=op("nb201_conv", kernel=3),
        avg_pool_3x3=op("avg_pool", kernel=3),
    )


def _cell() -> Part:
    nodes: dict[str, tuple[Part, object]] = {}
    for end in (1, 2, 3):
        into = [(start, stop) for start, stop in EDGES if stop == end]
        for start, stop in into:
            nodes[f"edge{start}{stop}"] = (_edge(), NODES[start])
        nodes[NODES[end]] = (op("add"), [f"edge{start}{stop}" for start, stop in into])
    return dag(nodes)


@register("space", "nas_bench_201")
def nas_bench_201(
    inputs: InputSpec | Mapping[str, InputSpec] | None = None, classes: int = 10, width: int = 16, cells: int = 5
) -> Space:
    """The space as published: `width` 16 channels, three stages of `cells` 5 cells, on 32×32 RGB images."""
    check_width(width, "nas_bench_201")
    cell = tie("cell", _cell())
    part = seq(
        stem=op("conv", width=width, act=None),
        stage1=repeat(cell.named("cell"), times=cells),
        reduce1=op("nb201_reduce"),
        stage2=repeat(cell.named("cell"), times=cells),
        reduce2=op("nb201_reduce"),
        stage3=repeat(cell.named("cell"), times=cells),
        norm=op("batch_norm"),
        act=op("relu"),
        head=op("head"),
    )
    return Space(part, inputs or image(3, 32, 32), classes, spell=spell, parse=parse)


def spell(graph: Graph) -> str:
    """The benchmark's text of a network of this space: `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|…|`.

    Raises: NotInSpaceError when the graph has no such cell.
    """
    known = {"zero": "none", "identity": "skip_connect", "avg_pool": "avg_pool_3x3"}
    found: dict[tuple[int, int], str] = {}
    stage = next((node.op for node in graph.nodes if node.name == "stage1"), None)
    cell = stage.nodes[0].op if isinstance(stage, Graph) and stage.nodes else None
    for start, stop in EDGES if isinstance(cell, Graph) else ():
        node = next((node for node in cell.nodes if node.name == f"edge{start}{stop}"), None)  # type: ignore[union-attr]
        if node is not None:
            kernel = node.attributes.get("kernel")
            found[start, stop] = known.get(str(node.op), f"nor_conv_{kernel}x{kernel}")
    if len(found) != len(EDGES):
        raise NotInSpaceError("this graph is no network of nas_bench_201: it has no cell with six edges")
    rows = ["".join(f"|{found[start, stop]}~{start}" for start, stop in EDGES if stop == end) for end in (1, 2, 3)]
    return "|+".join(rows) + "|"


def parse(space: Space, text: str) -> Candidate:
    """The candidate of a text. Raises NotInSpaceError naming what does not fit."""
    terms = re.findall(r"\|([^|~+]+)~(\d)", text)
    if len(terms) != len(EDGES) or [int(start) for _, start in terms] != [start for start, _ in EDGES]:
        raise NotInSpaceError(f"{text!r} is no cell of NAS-Bench-201; expected '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|'")
    decisions = {}
    for (name, _), (start, stop) in zip(terms, EDGES, strict=True):
        if name not in OPERATIONS:
            raise NotInSpaceError(f"{text!r}: operation {name!r}; {nearest(name, OPERATIONS)}")
        decisions[f"cell/edge{start}{stop}/op"] = name
    return space.decide(decisions)
