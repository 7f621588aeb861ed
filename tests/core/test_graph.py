"""The one noun: what it refuses, what it equals, and that its other forms are the same network."""

from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import networkx
import pytest
import torch
from hypothesis import given, settings

from nas.core.build import build
from nas.core.errors import GraphError
from nas.core.graph import Graph, Node, chain, split
from nas.core.lower import lower
from nas.core.values import FrozenDict
from tests.core.processes import in_fresh_processes
from tests.core.reference import expression
from tests.strategies import graphs, specs


def node(name: str, op: str | Graph = "relu", *inputs: str, **attributes: Any) -> Node:
    return Node(name, op, FrozenDict(attributes), inputs or ("x",))


def graph(*nodes: Node, inputs: tuple[str, ...] = ("x",), outputs: Any = None) -> Graph:
    return Graph(inputs, nodes, outputs or (("y", nodes[-1].name),))


two = graph(node("a"), node("b", "gelu"), outputs=(("left", "a"), ("right", "b")))


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: graph(node("a", "relu", "z")),
         r"node 'a': operand 'z' is not an input or an earlier node; known here: \['x'"),
        (lambda: graph(node("a", "relu", "b"), node("b")), r"node 'a': operand 'b' is not an input or an earlier node"),
        (lambda: graph(node("a", "relu", "a")), r"node 'a': operand 'a' is not an input or an earlier node"),
        (lambda: graph(node("a"), node("a")), "name 'a' is used twice in one graph; names of inputs and nodes must"),
        (lambda: graph(node("x", "relu", "x")), "name 'x' is used twice in one graph"),
        (lambda: graph(node("a"), inputs=("x", "x")), "name 'x' is used twice in one graph"),
        (lambda: Graph(("x",), (node("a"),), ()), "a graph needs at least one output"),
        (lambda: graph(node("a"), outputs=(("y", "b"),)), "output 'y': operand 'b' is not an input or an earlier node"),
        (lambda: graph(node("a"), outputs=(("y", "a"), ("y", "x"))), "output 'y' is given twice; output names must"),
        (lambda: graph(node("a"), outputs=(("y z", "a"),)), "graph output: 'y z' is no name"),
        (lambda: graph(node("a"), inputs=("x", "a/b")), "graph input: 'a/b' is no name; use a non-empty text without"),
        (lambda: node("a:b"), "node: 'a:b' is no name"),
        (lambda: node(""), "node: '' is no name"),
        (lambda: node(3), "node: 3 is no name"),  # type: ignore[arg-type]
        (lambda: node("a", "relu", size={}), r"size: \{\} is a dict; expected None, bool"),
        (lambda: graph(node("a"), node("b", "relu", "a:y")),
         r"node 'b': 'a:y' names an output that 'a' does not have \(one output only\)"),
        (lambda: graph(node("a", two), node("b", "relu", "a:up")),
         r"'a:up' names an output that 'a' does not have \(\['left', 'right'\]"),
        (lambda: graph(node("a", two), node("b", "relu", "a")),
         r"node 'b': 'a' has the outputs \['left', 'right'\]; write 'a:OUTPUT'"),
        (lambda: graph(node("a", two), outputs=(("y", "a"),)),
         r"output 'y': 'a' has the outputs \['left', 'right'\]; write 'a:OUTPUT'"),
        (lambda: graph(node("a", two, "x", "x")), r"node 'a': 2 operands for a nested graph with 1 inputs \['x'\]"),
        (lambda: graph(node("a"), outputs=(("y", "x:out"),)), "output 'y': 'x:out' names an output that 'x' does not"),
    ],
)  # fmt: skip
def test_refusals(make: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        make()


def test_outputs_may_be_inputs_and_given_as_a_mapping() -> None:
    passing = Graph(["x"], [], {"y": "x"})  # type: ignore[arg-type]
    assert passing == Graph(("x",), (), (("y", "x"),))
    assert len(passing) == 0


# ---- values ----------------------------------------------------------------------------------------------------------


def test_a_graph_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        two.nodes = ()  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        two.nodes[0].op = "gelu"  # type: ignore[misc]
    with pytest.raises(TypeError):
        two.nodes[0].attributes["a"] = 1  # type: ignore[index]


@given(graphs(), graphs())
def test_equality_is_that_of_the_json_form(a: Graph, b: Graph) -> None:
    same = json.dumps(a.to_dict()) == json.dumps(b.to_dict())
    assert (a == b) == same == (a.digest == b.digest)
    assert not same or hash(a) == hash(b)


@given(graphs())
def test_json_and_pickle_give_the_graph_back(a: Graph) -> None:
    for back in (Graph.from_dict(json.loads(json.dumps(a.to_dict()))), pickle.loads(pickle.dumps(a))):
        assert back == a
        assert hash(back) == hash(a)
        assert back.digest == a.digest
        assert len({a, back}) == 1


@pytest.mark.parametrize(
    "other",
    [
        graph(node("a"), node("b", "gelu"), outputs=(("left", "a"), ("right", "a"))),
        graph(node("a"), node("b", "gelu"), outputs=(("right", "b"), ("left", "a"))),
        graph(node("b", "gelu"), node("a"), outputs=(("left", "a"), ("right", "b"))),
        graph(node("a"), node("b", "silu"), outputs=(("left", "a"), ("right", "b"))),
        graph(node("a"), node("b", "gelu", size=1), outputs=(("left", "a"), ("right", "b"))),
        graph(node("a", size=True), node("b", "gelu"), outputs=(("left", "a"), ("right", "b"))),
        graph(node("a"), node("b", "gelu", "a"), outputs=(("left", "a"), ("right", "b"))),
        graph(node("c"), node("b", "gelu"), outputs=(("left", "c"), ("right", "b"))),
    ],
)
def test_names_order_and_attributes_are_part_of_the_value(other: Graph) -> None:
    assert other != two
    assert other.digest != two.digest


def test_graphs_are_no_equal_of_anything_else() -> None:
    assert (two == "graph") is False
    assert two != None  # noqa: E711 - that is what is tested


def test_the_order_of_attributes_is_not_part_of_the_value() -> None:
    one = graph(Node("a", "conv", FrozenDict({"width": 1, "kernel": 3}), ("x",)))
    other = graph(Node("a", "conv", FrozenDict({"kernel": 3, "width": 1}), ("x",)))
    assert one == other
    assert (hash(one), one.digest) == (hash(other), other.digest)


CODE = """
import pickle, sys, json
from nas.core.graph import Graph, Node
from nas.core.keys import graph_key
from nas.core.values import FrozenDict
conv = Node("a", "conv", FrozenDict({"width": 4, "kernel": 3}), ("x",))
inner = Graph(("x",), (conv, Node("b", "relu", inputs=("x",))), (("l", "a"), ("r", "b")))
g = Graph(("x",), (Node("n", inner, inputs=("x",)), Node("s", "add", inputs=("n:l", "n:r"))), (("y", "s"),))
held = pickle.loads(bytes.fromhex("%s"))
print(g == held, hash(g) == hash(held), g in {held}, g.digest, graph_key(g), hash("a"))
"""


def nested() -> Graph:
    conv = Node("a", "conv", FrozenDict({"kernel": 3, "width": 4}), ("x",))
    inner = Graph(("x",), (conv, node("b")), (("l", "a"), ("r", "b")))
    return Graph(("x",), (node("n", inner), node("s", "add", "n:l", "n:r")), (("y", "s"),))


def test_equality_and_digests_hold_in_fresh_processes_and_through_pickles() -> None:
    held = nested()
    hash(held)  # a hash that were carried over would be wrong there
    texts = [text.split() for text in in_fresh_processes(CODE % pickle.dumps(held).hex())]
    assert [text[:3] for text in texts] == [["True"] * 3] * 2
    assert {text[3] for text in texts} == {held.digest}
    assert len({text[4] for text in texts}) == 1
    assert len({text[5] for text in texts}) == 2  # the processes did differ in their hashes


# ---- other forms -----------------------------------------------------------------------------------------------------


@given(graphs())
def test_flattening_keeps_the_expression(a: Graph) -> None:
    flat = a.flatten()
    assert all(isinstance(n.op, str) for n in flat.nodes)
    assert flat.flatten() == flat
    assert flat.inputs == a.inputs
    assert flat.output_names == a.output_names
    assert expression(flat) == expression(a)
    assert len(flat) == sum(isinstance(n.op, str) for _, n in a.walk())


@settings(max_examples=25)
@given(graphs())
def test_flattening_keeps_the_function(a: Graph) -> None:
    flat = a.flatten()
    one, other = build(a, specs(a), seed=1), build(flat, specs(flat), seed=2)
    places = [(s.path, t.path) for s, t in zip(lower(a, specs(a)).steps, lower(flat, specs(flat)).steps, strict=True)]
    weights = one.state_dict()
    renamed = {}
    for mine, theirs in places:
        prefix = f"{mine}."
        renamed |= {f"{theirs}.{k.removeprefix(prefix)}": v for k, v in weights.items() if k.startswith(prefix)}
    other.load_state_dict(renamed)
    inputs = [torch.randn(2, *spec.shape) for spec in specs(a).values()]
    told, expected = other(*inputs), one(*inputs)
    pairs = [(told, expected)] if len(a.outputs) == 1 else [(told[name], expected[name]) for name in a.output_names]
    assert all(torch.equal(x, y) for x, y in pairs)


def test_flat_names_never_collide() -> None:
    inner = graph(node("b", "gelu"))
    flat = graph(node("a.b", "silu"), node("a", inner, "a.b"), node("a.b_", "elu", "a")).flatten()
    assert [(n.name, n.op, n.inputs) for n in flat.nodes] == [
        ("a.b", "silu", ("x",)), ("a.b_", "gelu", ("a.b",)), ("a.b__", "elu", ("a.b_",)),
    ]  # fmt: skip


def test_a_nested_graph_that_passes_its_input_through_disappears() -> None:
    passing = Graph(("u", "v"), (), (("first", "v"), ("second", "u")))
    outer = Graph(("x", "z"), (node("p", passing, "x", "z"), node("r", "sub", "p:first", "p:second")), {"y": "r"})  # type: ignore[arg-type]
    (only,) = outer.flatten().nodes
    assert only.inputs == ("z", "x")


@given(graphs())
def test_networkx_has_every_edge_with_its_place(a: Graph) -> None:
    result = a.to_networkx()
    assert networkx.is_directed_acyclic_graph(result)
    assert result.number_of_nodes() == len(a.inputs) + len(a.nodes) + len(a.outputs)
    for n in a.nodes:
        into = sorted(((d["operand"], s, d["output"]) for s, _, d in result.in_edges(n.name, data=True)))
        names = [f"input:{ref}" if ref in a.inputs else split(ref)[0] for ref in n.inputs]
        assert into == [(i, name, split(ref)[1]) for i, (name, ref) in enumerate(zip(names, n.inputs, strict=True))]
        assert result.nodes[n.name]["op"] == n.op
        assert result.nodes[n.name]["attributes"] == dict(n.attributes)
    for name, _ in a.outputs:
        assert result.in_degree(f"output:{name}") == 1


def test_walk_gives_addresses_at_every_depth() -> None:
    deep = graph(node("outer", graph(node("inner", two), outputs={"y": "inner:left"})))
    assert [address for address, _ in deep.walk()] == ["outer", "outer/inner", "outer/inner/a", "outer/inner/b"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: data.pop("nodes"),
            "this is no graph in JSON form (KeyError: 'nodes'); expected 'inputs', 'nodes'",
        ),
        (lambda data: data.update(outputs=["a"]), "this is no graph in JSON form (AttributeError: 'list'"),
        (lambda data: data["nodes"][0].pop("op"), "this is no graph in JSON form (KeyError: 'op')"),
        (lambda data: data["nodes"][0].update(inputs=None), "this is no graph in JSON form (TypeError"),
        (lambda data: data["nodes"][0].update(attributes=3), "this is no graph in JSON form (AttributeError"),
        (lambda data: data["nodes"][0].update(op=None), "this is no graph in JSON form (TypeError"),
        (lambda data: data["nodes"][0].update(inputs=["q"]), "node 'a': operand 'q' is not an input"),
        (lambda data: data.update(inputs="x"), "this is no graph in JSON form (TypeError: 'x' is no list of names)"),
        (lambda data: data["nodes"][0].update(inputs="x"), "TypeError: 'x' is no list of names"),
    ],
)
def test_damaged_json_is_refused(change: Any, message: str) -> None:
    data = json.loads(json.dumps(two.to_dict()))
    change(data)
    with pytest.raises(GraphError) as caught:
        Graph.from_dict(data)
    assert message in str(caught.value)


def test_looking_at_a_graph() -> None:
    assert two["b"].op == "gelu"
    with pytest.raises(KeyError):
        two["c"]
    assert [n.name for n in two] == ["a", "b"]
    assert repr(nested()).splitlines() == [
        "Graph(x)", "  n = graph() <- x", "    a = conv(kernel=3, width=4) <- x", "    b = relu() <- x",
        "  s = add() <- n:l, n:r", "  -> y=s",
    ]  # fmt: skip
    assert chain([node("a"), node("b", "gelu", "z")]) == graph(node("a"), node("b", "gelu", "a"))
    assert chain([]) == Graph(("x",), (), (("y", "x"),))
