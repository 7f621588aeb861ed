"""What parts keep of the graphs that they become."""

from __future__ import annotations

import gc
from weakref import ref

from nas.core.graph import Graph
from nas.core.language import compute, one_of, op, repeat, seq, tie
from nas.core.parts import Part
from nas.core.space import Space, image


def made(width: int) -> Part:
    return seq(op("conv", width=width), op("relu"))


def space() -> Space:
    return Space(repeat(compute(made, width=tie("width", one_of(4, 8))).named("block"), times=2), image(3, 8, 8))


def inner(graph: Graph, name: str) -> Graph:
    nested = graph[name].op
    assert isinstance(nested, Graph)
    return nested


def test_equal_graphs_are_one_object_while_one_is_in_use() -> None:
    first, second = space().decide({"width": 8}).graph, space().decide({"width": 8}).graph
    assert inner(first, "block1") is inner(first, "block2") is inner(second, "block1")
    assert inner(first, "block1") == made(8).assemble("", None).op  # type: ignore[arg-type]


def test_graphs_that_nobody_holds_are_forgotten() -> None:
    graph = space().decide({"width": 8}).graph
    held = ref(inner(graph, "block1"))
    assert held() is not None
    del graph
    gc.collect()
    assert held() is None
