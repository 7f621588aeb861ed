"""Costs in tooltips and in the table of layers: they are those of the profile."""

from __future__ import annotations

import random
import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings

import search_spaces  # noqa: F401 - registers the spaces
from nas.core import registry
from nas.core.errors import ShapeError
from nas.core.graph import Graph, Node, chain
from nas.core.profile import InputSpec, profile
from results.drawing import draw, layers_of
from results.drawing.costs import span
from tests.results.samples import network
from tests.strategies import graphs, specs

INPUTS = {"x": InputSpec((3, 8, 8))}
SVG = "{http://www.w3.org/2000/svg}"


def tooltips(text: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(text).iter(f"{SVG}title")]


def test_nodes_and_boxes_tell_shape_parameters_and_multiply_adds() -> None:
    left = Node("left", "linear", {"width": 5}, ("x",))
    right = Node("right", "linear", {"width": 5}, ("x",))
    inner = Graph(("x",), (left, right, Node("sum", "add", {}, ("left", "right"))), {"y": "sum"})
    found = tooltips(draw(chain([Node("pair", inner)]), {"x": InputSpec((4,))}))
    bias = profile(chain([Node("left", "linear", {"width": 5})]), {"x": InputSpec((4,))}).params - 20
    assert f"pair/left = linear(width=5) of x\noutput 5 · {20 + bias} parameters · 20 multiply-adds" in found
    assert "pair/sum = add() of left, right\noutput 5" in found
    assert f"pair\noutput 5 · {2 * (20 + bias)} parameters · 40 multiply-adds" in found


def test_what_is_drawn_once_tells_of_each() -> None:
    found = tooltips(draw(network(3, 4), INPUTS, collapse=True))
    block = profile(network(3, 1).nodes[1].op.nodes[0].op, {"x": InputSpec((16, 8, 8))})  # type: ignore[union-attr]
    said = f"stage/block0\noutput 16×8×8 · {block.params:,} parameters · {block.macs:,} multiply-adds (each of 4)"
    assert said in found


def test_each_output_of_a_box_has_its_own_shape() -> None:
    nodes = (Node("wide", "conv", {"width": 7}, ("x",)), Node("small", "max_pool", {"stride": 2}, ("x",)))
    inner = Graph(("x",), nodes, {"a": "wide", "b": "small"})
    outer = (Node("box", inner, {}, ("x",)), Node("c", "relu", {}, ("box:b",)), Node("d", "relu", {}, ("box:a",)))
    found = tooltips(draw(Graph(("x",), outer, {"c": "c", "d": "d"}), INPUTS))
    assert "c = relu() of box:b\noutput 3×4×4" in found
    assert "d = relu() of box:a\noutput 7×8×8" in found
    assert any(text.startswith("box\noutput 7×8×8 and 3×4×4") for text in found)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_layers_add_up_to_the_network(graph: Graph) -> None:
    whole = profile(graph, specs(graph))
    for fold in (False, True):
        rows = layers_of(graph, specs(graph), fold=fold)
        assert (sum(row["params"] for row in rows), sum(row["macs"] for row in rows)) == (whole.params, whole.macs)


@pytest.mark.parametrize("name", registry.names("space"))
def test_layers_of_our_spaces(name: str) -> None:
    space = registry.get("space", name)()
    graph = next(c for c in map(space.sample, map(random.Random, range(50))) if space.trouble(c) is None).graph
    whole = profile(graph, space.inputs)
    plain, folded = layers_of(graph, space.inputs), layers_of(graph, space.inputs, fold=True)
    for rows in (plain, folded, layers_of(graph, space.inputs, most=4)):
        assert (sum(row["params"] for row in rows), sum(row["macs"] for row in rows)) == (whole.params, whole.macs)
    assert len(layers_of(graph, space.inputs, most=4)) == min(4, len(plain))
    assert sum(row["count"] for row in folded) == len(plain)
    addresses = dict(graph.walk())
    assert all(row["place"] in addresses for row in plain)
    assert set(plain[0]) == {"place", "what", "shape", "params", "macs"}


def test_equal_blocks_are_folded_when_asked() -> None:
    rows = layers_of(network(3, 4), INPUTS, fold=True)
    found = {row["place"]: row for row in rows}
    assert list(found) == ["stem", "stage/block0–3/left", "stage/block0–3/right", "stage/block0–3/sum", "head"]
    one = layers_of(network(3, 4), INPUTS)[1]
    folded = found["stage/block0–3/left"]
    assert (folded["count"], folded["params"], folded["macs"]) == (4, 4 * one["params"], 4 * one["macs"])
    assert (one["place"], one["what"], one["shape"]) == ("stage/block0/left", "conv 3×3 · width 16", "16×8×8")


def test_what_does_not_fit_is_refused_by_address() -> None:
    with pytest.raises(ShapeError, match="stem"):
        layers_of(network(), {"x": InputSpec((7,))})


def test_names_in_a_row_are_shortened_only_where_they_count_on() -> None:
    assert span(["b9", "b10", "b11"]) == "b9–11"
    assert re.fullmatch("b1, b3", span(["b1", "b3"]))
    assert span(["b01", "b02"]) == "b01, b02"
    assert span(["1", "2"]) == "1–2"
