"""Every rewrite keeps the function for all weights: same outputs in float64 with the weights carried over."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.build import build
from nas.core.graph import Graph, Node
from nas.core.keys import graph_key
from nas.core.language import dag, op, parallel, seq
from nas.core.parts import Part
from nas.core.profile import InputSpec, assembled
from nas.core.simplify import RULES, simplify
from nas.core.values import FrozenDict
from tests.strategies import IMAGE, WIDTH, candidates, graphs, specs

X = {"x": IMAGE}


def difference(graph: Graph, inputs: dict[str, InputSpec]) -> float:
    """The largest difference of outputs, training mode and evaluation mode, after the weights were carried over."""
    plain, simple = graph.flatten(), simplify(graph)
    first, second = build(plain, inputs, seed=1).double(), build(simple, inputs, seed=2).double()
    held = first.state_dict()
    wanted = second.state_dict()
    assert set(wanted) <= set(held), "simplifying made up a weight"
    second.load_state_dict({name: held[name] for name in wanted})
    dice = torch.Generator().manual_seed(0)
    operands = [torch.randn(3, *spec.shape, dtype=torch.float64, generator=dice) for spec in inputs.values()]
    worst = 0.0
    for training in (True, False):
        with torch.no_grad():
            outputs = [network.train(training)(*operands) for network in (first, second)]
        pairs = zip(*(list(o.values()) if isinstance(o, dict) else [o] for o in outputs), strict=True)
        worst = max([worst, *(float((a - b).abs().max()) for a, b in pairs)])
    return worst


@settings(max_examples=150)
@given(graphs())
def test_simplifying_keeps_the_function_of_any_graph(graph):
    assert difference(graph, specs(graph)) <= 1e-9


@settings(max_examples=100)
@given(candidates())
def test_simplifying_keeps_the_function_of_any_candidate(pair):
    assert difference(pair[1].graph, X) <= 1e-9


@settings(max_examples=60)
@given(candidates())
def test_simplifying_twice_changes_nothing_more(pair):
    once = simplify(pair[1].graph)
    assert graph_key(simplify(once)) == graph_key(once)


def graph(part: Part) -> Graph:
    return assembled(part)


CONV = op("conv", width=WIDTH, kernel=1)
WIDE = op("conv", kernel=3)
RELU, TANH = op("relu"), op("tanh")


def nested(*operands: Part, merge: str = "add") -> Part:
    return parallel(*operands, merge=merge)


EQUAL = {
    "pass_one": (dag({"i": (op("identity"), "input"), "a": (CONV, "i"), "b": (op("add"), "a")}), seq(CONV)),
    "repeat_idempotent": (seq(op("relu"), op("relu"), CONV), seq(op("relu"), CONV)),
    "zero_of_source": (
        dag({"a": (WIDE, "input"), "z": (op("zero"), "a"), "b": (WIDE, "z")}),
        dag({"z": (op("zero"), "input"), "b": (WIDE, "z")}),
    ),
    "pass_zero": (
        seq(op("zero"), op("max_pool"), op("relu"), CONV),
        seq(op("zero"), CONV),
    ),
    "drop_zero_terms": (parallel(CONV, op("zero")), CONV),
    "absorb_zero_factor": (
        seq(parallel(CONV, op("zero"), merge="mul"), op("conv", kernel=3)),
        seq(op("zero"), op("conv", kernel=3)),
    ),
    "dedupe_max": (
        dag({"a": (CONV, "input"), "b": (op("max"), ["a", "input", "a"])}),
        dag({"a": (CONV, "input"), "b": (op("max"), ["input", "a"])}),
    ),
}


@pytest.mark.parametrize("rule", [rule.__name__ for rule in RULES])
def test_each_rule_merges_what_is_one_function(rule):
    left, right = (graph(part) for part in EQUAL[rule])
    assert graph_key(left) == graph_key(right)
    assert difference(left, specs(left)) <= 1e-12


def test_every_rule_has_its_proof():
    assert {rule.__name__ for rule in RULES} == set(EQUAL)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (nested(CONV, nested(CONV, op("relu"))), nested(op("relu"), CONV, CONV)),
        (nested(RELU, nested(CONV, TANH, merge="max"), merge="max"), nested(CONV, RELU, TANH, merge="max")),
        (seq(seq(CONV), seq(seq(op("relu")))), seq(CONV, op("relu"))),
        (dag({"a": (CONV, "input"), "dead": (op("conv", kernel=3), "a")}, outputs=["a"]), CONV),
        (op("conv", width=WIDTH, kernel=3, stride=1), op("conv", kernel=3, width=WIDTH)),
        (
            dag({"p": (op("zero"), "input"), "q": (op("zero"), "input"), "s": (op("mean"), ["p", "q"])}),
            dag({"p": (op("zero"), "input"), "s": (op("mean"), ["p", "p"])}),
        ),
    ],
    ids=["sums of sums", "maxima of maxima", "nesting", "dead nodes", "defaults", "zeros of one value are one"],
)  # fmt: skip
def test_spellings_of_one_network_have_one_key(left, right):
    assert graph_key(graph(left)) == graph_key(graph(right))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (
            dag({"a": (CONV, "input"), "s": (op("add"), ["a", "a"])}),
            dag({"a": (CONV, "input"), "b": (CONV, "input"), "s": (op("add"), ["a", "b"])}),
        ),
        (
            dag({"a": (CONV, "input"), "c": (WIDE, "a"), "s": (op("add"), ["a", "c"])}),
            dag({"a": (CONV, "input"), "b": (CONV, "input"), "c": (WIDE, "b"), "s": (op("add"), ["a", "c"])}),
        ),
        (nested(RELU, nested(CONV, TANH, merge="mean"), merge="mean"), nested(RELU, CONV, TANH, merge="mean")),
        (nested(CONV, op("relu"), merge="concat"), nested(op("relu"), CONV, merge="concat")),
        (seq(op("tanh"), op("tanh")), seq(op("tanh"))),
        (parallel(CONV, op("zero"), merge="mean"), CONV),
        (parallel(CONV, op("zero"), merge="max"), CONV),
        (seq(op("sigmoid"), CONV), seq(op("zero"), op("sigmoid"), CONV)),
        (
            dag({"p": (op("max_pool"), "input"), "q": (op("max_pool"), "input"), "s": (op("mul"), ["p", "q"])}),
            dag({"p": (op("max_pool"), "input"), "s": (op("mul"), ["p", "p"])}),
        ),
        (parallel(op("dropout"), op("dropout")), dag({"a": (op("dropout"), "input"), "s": (op("add"), ["a", "a"])})),
        (seq(CONV, op("relu")), seq(op("relu"), CONV)),
    ],
    ids=[
        "twice one node, two nodes", "trap 2", "means of means", "order of a concat", "tanh is not idempotent",
        "a mean counts zeros", "a maximum sees zeros", "sigmoid of zeros", "equal pools are two",
        "dropout draws anew", "order of a chain",
    ],
)  # fmt: skip
def test_different_networks_have_different_keys(left, right):
    assert graph_key(graph(left)) != graph_key(graph(right))


def test_a_zero_at_the_end_of_a_long_chain():
    long = seq(*(op("relu") if place % 2 else op("tanh") for place in range(3000)), op("zero"))
    assert graph_key(graph(long).flatten()) == graph_key(graph(op("zero")))


@pytest.mark.parametrize("merge", ["add", "mul"])
def test_zeros_know_no_order_of_operands(merge):
    def keyed(first: str, second: str) -> str:
        thin = {"a": (op("conv", width=2), "input"), "b": (op("conv", width=2, kernel=1), "input")}
        sums = {"s": (op(merge), [first, second]), "z": (op("zero"), "s"), "e": (op("concat"), ["z", "input"])}
        return graph_key(graph(dag(thin | sums)))

    def zeros(first: str, second: str) -> str:
        thin = {"a": (op("conv", width=2), "input"), "b": (op("conv", width=2, kernel=1), "input")}
        ends = {"za": (op("zero"), "a"), "zb": (op("zero"), "b"), "s": (op(merge), [first, second])}
        return graph_key(graph(dag(thin | ends | {"e": (op("concat"), ["s", "input"])})))

    assert keyed("a", "b") == keyed("b", "a")
    assert zeros("za", "zb") == zeros("zb", "za")


@settings(max_examples=100)
@given(graphs(), st.randoms(use_true_random=False))
def test_renumbering_and_renaming_keep_the_key(graph, rng):
    flat = graph.flatten()
    assert graph_key(shuffled(flat, rng)) == graph_key(flat)
    if not any(node.op == "zero" for node in flat):  # a zero in a nested graph stops at its inputs, in a flat one not
        assert graph_key(flat) == graph_key(graph)


def shuffled(graph: Graph, rng) -> Graph:
    """The same graph in another topological order, under other names, with the operands of sums in another order."""
    names = {
        name: f"n{place}" for place, name in enumerate(rng.sample([n.name for n in graph.nodes], len(graph.nodes)))
    }
    left, done, nodes = list(graph.nodes), set(graph.inputs), []
    while left:
        node = rng.choice([node for node in left if set(node.inputs) <= done])
        left.remove(node)
        done.add(node.name)
        inputs = [names.get(ref, ref) for ref in node.inputs]
        if node.op in ("add", "mul", "max", "mean"):
            rng.shuffle(inputs)
        nodes.append(Node(names[node.name], node.op, FrozenDict(dict(node.attributes)), tuple(inputs)))
    return Graph(graph.inputs, tuple(nodes), tuple((name, names.get(ref, ref)) for name, ref in graph.outputs))
