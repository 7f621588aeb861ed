"""What is known before anything is built: memory, shapes by address, paths; and that remembering changes nothing."""

from __future__ import annotations

import networkx
import pytest
from hypothesis import given, settings

from nas.core.errors import GraphError, ShapeError
from nas.core.graph import Graph, Node
from nas.core.language import compute, dag, one_of, op, optional, parallel, repeat, seq
from nas.core.operations import find
from nas.core.parts import Part
from nas.core.profile import assembled, disconnected, expand, graph_cost, profile
from nas.core.records import Candidate
from nas.core.space import Space, features, image
from nas.core.values import FrozenDict
from tests.strategies import IMAGE, candidates, graphs


def test_costs_that_a_person_counts() -> None:
    space = Space(seq(op("conv", width=8, stride=2), op("head", classes=3)), image(4, 6, 6))
    known = profile(space[0].graph, space.inputs)
    conv, norm, linear = 8 * 4 * 9, 2 * 8, 8 * 3 + 3
    assert known.params == conv + norm + linear
    assert known.macs == conv * 3 * 3 + 8 * 3
    pixels = 8 * 3 * 3
    assert known.activations == 3 * pixels + 8 + 8 + 3  # convolution, norm, activation, pool, flatten, linear
    assert known.outputs == {"y": (3,)}


@pytest.mark.parametrize("batch", [1, 7, 256])
def test_training_memory_is_weights_gradients_two_moments_and_kept_activations(batch: int) -> None:
    space = Space(seq(op("linear", width=5), op("relu")), features(3))
    known = profile(space[0].graph, space.inputs)
    params, activations = 3 * 5 + 5, 5 + 5
    assert known.train_memory_bytes(batch) == 4 * (params * 4 + batch * activations)


@given(candidates())
def test_remembering_changes_nothing(pair: tuple[Space, Candidate]) -> None:
    space, candidate = pair
    for memo in (graph_cost, expand):
        memo.cache_clear()
    first = profile(candidate.graph, space.inputs)
    again = profile(candidate.graph, space.inputs)
    assert graph_cost.cache_info().hits > 0
    assert first == again
    assert first.shapes == again.shapes


@given(candidates())
def test_a_nested_network_costs_what_its_flat_form_does(pair: tuple[Space, Candidate]) -> None:
    space, candidate = pair
    nested, flat = profile(candidate.graph, space.inputs), profile(candidate.graph.flatten(), space.inputs)
    assert (nested.params, nested.macs, nested.activations) == (flat.params, flat.macs, flat.activations)
    assert nested.outputs == flat.outputs
    leaves = {a.replace("/", "."): s for a, s in nested.shapes.items() if isinstance(_at(candidate.graph, a).op, str)}
    assert leaves == flat.shapes


def _at(graph: Graph, address: str) -> Node:
    return dict(graph.walk())[address]


def test_shapes_are_told_by_address() -> None:
    inner = repeat(seq(op("conv", width=6), op("max_pool", stride=2)), times=2)
    space = Space(seq(stem=op("conv", width=8), body=inner, end=op("head", classes=2)), image(3, 8, 8))
    assert profile(space[0].graph, space.inputs).shapes == {
        "stem": (8, 8, 8), "body": (6, 2, 2),
        "body/block1": (6, 4, 4), "body/block1/conv": (6, 8, 8), "body/block1/max_pool": (6, 4, 4),
        "body/block2": (6, 2, 2), "body/block2/conv": (6, 4, 4), "body/block2/max_pool": (6, 2, 2),
        "end": (2,),
    }  # fmt: skip


def test_an_error_names_the_whole_address() -> None:
    space = Space(seq(body=repeat(seq(deep=op("linear", width=3)), times=2)), image(3, 8, 8))
    with pytest.raises(ShapeError, match=r"^body/block1/deep → linear takes a vector"):
        profile(space[0].graph, space.inputs)
    wrong = dag({"body": (seq(narrow=seq(conv=op("conv2d", width=3, groups=2))), "input")})
    space = Space(seq(block=wrong), image(8, 4, 4))
    with pytest.raises(ShapeError, match=r"^block/body/narrow/conv → conv2d: 8 channels in and 3 out"):
        profile(space[0].graph, space.inputs)


def test_inputs_without_a_shape_are_named() -> None:
    graph = Graph(("a", "b"), (Node("s", "add", inputs=("a", "b")),), (("y", "s"),))
    with pytest.raises(
        GraphError, match=r"the graph takes \['a', 'b'\], but \['b'\] have no shape; given: \['a', 'c'\]"
    ):
        profile(graph, {"a": IMAGE, "c": IMAGE})
    assert profile(graph, {"c": features(1), "b": IMAGE, "a": IMAGE}).outputs == {"y": IMAGE.shape}


def test_a_part_with_something_open_is_no_network() -> None:
    with pytest.raises(GraphError, match="leaves 'kernel' open; give it a value"):
        assembled(op("conv", kernel=one_of(1, 3)))


# ---- paths -----------------------------------------------------------------------------------------------------------


def heard_by_networkx(graph: Graph) -> dict[str, bool]:
    """For each output whether some input reaches it when all zeros are taken away."""
    flat = graph.flatten()
    found = flat.to_networkx()
    found.remove_nodes_from([node.name for node in flat.nodes if isinstance(node.op, str) and find(node.op).silent])
    return {
        name: any(networkx.has_path(found, f"input:{i}", f"output:{name}") for i in graph.inputs)
        for name in graph.output_names
    }


@settings(max_examples=300)
@given(graphs())
def test_outputs_that_hear_nothing_are_those_that_networkx_finds(graph: Graph) -> None:
    deaf = [name for name, hears in heard_by_networkx(graph).items() if not hears]
    told = disconnected(graph)
    assert (told is None) == (not deaf)
    if told is not None:
        names = ", ".join(repr(name) for name in deaf)
        assert told == f"no path from the input to output {names}: every way there crosses a zero"


@given(candidates())
def test_the_same_for_candidates_of_spaces(pair: tuple[Space, Candidate]) -> None:
    space, candidate = pair
    assert (disconnected(candidate.graph) is None) == all(heard_by_networkx(candidate.graph).values())
    assert space.trouble(candidate) == disconnected(candidate.graph)


@pytest.mark.parametrize(
    ("part", "connected"),
    [
        (op("zero"), False),
        (seq(op("conv"), op("zero"), op("conv")), False),
        (parallel(op("zero"), op("identity")), True),
        (parallel(op("zero"), op("zero")), False),
        (seq(optional(op("zero")), op("relu")), False),
        (dag({"a": (op("zero"), "input"), "b": (op("relu"), "a"), "c": (op("add"), ["b", "input"])}), True),
        (compute(lambda: op("zero")), False),
        (repeat(op("zero"), times=0), True),
    ],
)
def test_paths(part: Part, connected: bool) -> None:
    graph = Space(part, IMAGE)[0].graph
    assert (disconnected(graph) is None) == connected


def test_several_outputs_are_told_by_name() -> None:
    part = dag(
        {"a": (op("zero"), "input"), "b": (op("relu"), "input"), "c": (op("relu"), "a")},
        outputs={"left": "a", "middle": "b", "right": "c"},
    )
    assert "output 'left', 'right': every way" in str(disconnected(Space(part, IMAGE)[0].graph))


def test_an_input_is_heard_where_one_of_two_arrives() -> None:
    nodes = (Node("z", "zero", inputs=("a",)), Node("s", "add", inputs=("z", "b")))
    assert disconnected(Graph(("a", "b"), nodes, (("y", "s"),))) is None


def test_costs_of_deep_repetition_are_worked_out_once() -> None:
    space = Space(repeat(repeat(op("conv", width=4), times=200).named("row"), times=50), IMAGE)
    graph_cost.cache_clear()
    known = profile(space[0].graph, space.inputs)
    assert known.params == 50 * 200 * (4 * 4 * 9 + 8)
    assert graph_cost.cache_info().misses <= 4  # the whole, one row, one convolution block


def test_attributes_of_any_kind_are_expanded_once_per_value() -> None:
    expand.cache_clear()
    for width in (4, 4, 8):
        expand("conv", FrozenDict({"width": width}), (IMAGE.shape,))
    assert expand.cache_info().misses >= 2
    assert expand.cache_info().hits >= 1
