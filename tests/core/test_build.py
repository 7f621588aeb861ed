"""From a graph to a module: seeded, without a trace, with the user's names."""

from __future__ import annotations

import copy
import pickle
import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import fx, nn

from nas.core import modules
from nas.core.build import build
from nas.core.errors import ShapeError
from nas.core.graph import Graph, Node
from nas.core.language import dag, op, parallel, repeat, seq
from nas.core.lower import TAKEN, identifier, lower
from nas.core.parts import Part
from nas.core.profile import InputSpec, profile
from nas.core.records import Candidate
from nas.core.space import Space, features, image
from nas.core.values import FrozenDict
from tests.strategies import IMAGE, candidates, graphs, specs


def space_of(part: Part) -> Space:
    return Space(part, IMAGE)


def made(part: Part, seed: int = 0) -> fx.GraphModule:
    space = space_of(part)
    return build(space[0].graph, space.inputs, seed)


mixed = seq(
    stem=op("conv", width=8),
    body=repeat(parallel(op("conv", kernel=1), op("conv"), merge="add"), times=2),
    end=op("head", classes=3),
)


def test_the_seed_alone_decides_the_weights() -> None:
    torch.manual_seed(1)
    first = made(mixed, seed=5)
    torch.manual_seed(2)
    second, other = made(mixed, seed=5), made(mixed, seed=6)
    pairs = list(zip(first.state_dict().items(), second.state_dict().values(), strict=True))
    assert all(torch.equal(a, b) for (_, a), b in pairs)
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_equal_layers_start_with_different_weights() -> None:
    weights = [m.weight for m in made(mixed).modules() if isinstance(m, nn.Conv2d)]
    assert len(weights) == 5
    twins = [w for w in weights if w.shape == (8, 8, 3, 3)]
    assert not torch.equal(*twins)


def test_the_global_random_states_are_left_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    monkeypatch.setattr(torch.cuda, "manual_seed", seeded.append)
    torch.manual_seed(3)
    seeded.clear()
    random.seed(3)
    before, python = torch.random.get_rng_state(), random.getstate()
    made(mixed, seed=9)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert random.getstate() == python
    assert seeded == []  # GPUs have generators of their own


def test_the_state_is_left_as_it_was_when_a_layer_breaks() -> None:
    before = torch.random.get_rng_state()
    with pytest.raises(ShapeError, match="end → linear takes a vector"):
        made(seq(stem=op("conv"), end=op("linear")))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_network_is_a_graph_module_with_the_users_names() -> None:
    network = made(mixed)
    assert isinstance(network, fx.GraphModule)
    assert type(network).__name__ == "Network"
    names = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    assert sorted(names) == sorted(["stem.conv", *(f"body.block{b}.conv{c}.conv" for b in (1, 2) for c in (1, 2))])
    assert isinstance(network.get_submodule("end.classifier"), nn.Linear)
    network.graph.lint()


def test_several_outputs_are_a_dict_in_order() -> None:
    heads = dag(
        {
            "shared": (op("conv"), "input"),
            "b": (op("head", classes=2), "shared"),
            "a": (op("head", classes=3), "shared"),
        },
        outputs={"letters": "b", "digits": "a", "middle": "shared"},
    )
    out = made(heads)(torch.randn(2, *IMAGE.shape))
    assert [(name, tuple(t.shape)) for name, t in out.items()] == [
        ("letters", (2, 2)), ("digits", (2, 3)), ("middle", (2, 4, 5, 5)),
    ]  # fmt: skip


def test_inputs_come_in_order() -> None:
    linear = op("linear", width=2)
    wiring = {"l": (linear, "left"), "r": (linear, "right"), "s": (op("add"), ["l", "r"])}
    part = dag(wiring, inputs=("left", "right"))
    space = Space(part, {"first": features(3), "second": features(5)})
    network = build(space[0].graph, space.inputs)
    assert network(torch.randn(2, 3), torch.randn(2, 5)).shape == (2, 2)
    assert [node.name for node in network.graph.nodes if node.op == "placeholder"] == ["first", "second"]


@settings(max_examples=40)
@given(candidates())
def test_any_candidate_of_any_space_runs_and_has_the_profiled_shape(pair: tuple[Space, Candidate]) -> None:
    space, candidate = pair
    known = profile(candidate.graph, space.inputs)
    network = build(candidate.graph, space.inputs)
    assert network(torch.randn(2, *IMAGE.shape)).shape == (2, *known.outputs["y"])
    assert sum(p.numel() for p in network.parameters()) == known.params


@settings(max_examples=40)
@given(graphs())
def test_any_graph_runs_with_all_its_outputs(graph: Graph) -> None:
    known = profile(graph, specs(graph))
    out = build(graph, specs(graph))(*(torch.randn(2, *spec.shape) for spec in specs(graph).values()))
    shapes = {"y": tuple(out.shape[1:])} if len(graph.outputs) == 1 else {n: tuple(t.shape[1:]) for n, t in out.items()}
    assert shapes == dict(known.outputs)


def test_networks_are_copied_and_pickled_like_any_module() -> None:
    network = made(mixed).eval()
    x = torch.randn(2, *IMAGE.shape)
    assert torch.equal(copy.deepcopy(network)(x), network(x))
    assert torch.equal(pickle.loads(pickle.dumps(network))(x), network(x))


# ---- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["train", "type", "meta", "3x3", "class", "_hidden", "a-b", "forward", "été", "a.b", "T_destination"]
)
def test_any_name_of_a_part_can_be_a_submodules(name: str) -> None:
    network = made(seq(part=seq(**{name: op("conv")}), other=op("relu")))
    assert network(torch.randn(2, *IMAGE.shape)).shape == (2, *IMAGE.shape)
    network.train().eval().to(torch.float64)
    assert identifier(name).isidentifier()
    assert network.get_submodule(f"part.{identifier(name)}.conv")


def test_every_member_of_a_module_is_known_to_be_taken() -> None:
    members = {name for name in dir(fx.GraphModule({}, fx.Graph())) if not name.startswith("_")}
    assert members <= TAKEN


@pytest.mark.parametrize("names", [("a-b", "a_b"), ("a.b", "a-b"), ("class", "class_"), ("1", "_1_")])
def test_names_that_become_one_identifier_stay_apart(names: tuple[str, str]) -> None:
    network = made(seq(part=seq(**{name: op("conv", width=8 + place) for place, name in enumerate(names)})))
    assert [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)] == [8, 9]
    both = Graph(names, (Node("s", "concat", FrozenDict(), names),), (("y", "s"),))
    out = build(both, {names[0]: features(1), names[1]: features(1)})(torch.zeros(1, 1), torch.ones(1, 1))
    assert out.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("name", ["input", "self", "x", "torch", "lambda", "train", "forward", "inf", "nan", "device"])
def test_any_name_of_an_input_works(name: str) -> None:
    graph = Graph(
        (name,), (Node("a", "linear", FrozenDict({"width": 2}), (name,)), Node("r", "relu", inputs=("a",))), {"y": "r"}
    )  # type: ignore[arg-type]
    assert build(graph, {name: features(3)})(torch.randn(2, 3)).shape == (2, 2)


def test_lowering_resolves_what_computes_nothing() -> None:
    part = seq(a=op("identity"), b=op("conv"), c=parallel(op("identity"), merge="add"), d=repeat(op("relu"), times=0))
    space = space_of(part)
    lowered = lower(space[0].graph, space.inputs)
    assert [step.path for step in lowered.steps] == ["b.conv", "b.norm", "b.act"]
    assert lowered.outputs == (("y", "b.act"),)
    assert [step.operands for step in lowered.steps] == [("x",), ("b.conv",), ("b.norm",)]


def test_a_network_of_nothing_passes_its_input_on() -> None:
    x = torch.randn(2, *IMAGE.shape)
    assert torch.equal(made(seq(op("identity")))(x), x)


# ---- modules that torch lacks ----------------------------------------------------------------------------------------


def test_modules_that_torch_lacks_are_used_and_told_in_words() -> None:
    own: list[Any] = [m for m in vars(modules).values() if isinstance(m, type) and m.__module__ == modules.__name__]
    assert all(m.__doc__ and "(N" in m.__doc__ for m in own)
    wide = Space(seq(op("patches", width=4, size=2), op("transformer", heads=2), op("length_mean")), image(3, 4, 4))
    used = {type(m) for m in build(wide[0].graph, wide.inputs).modules()}
    assert {modules.ToSequence, modules.Position, modules.Attention, modules.LengthMean} <= used


def test_token_networks_take_numbers_of_words() -> None:
    spec = InputSpec((6,), "int64", 11)
    space = Space(seq(op("tokens", width=4), op("transformer", heads=2), op("head", classes=2)), spec)
    assert build(space[0].graph, space.inputs)(torch.randint(0, 11, (3, 6))).shape == (3, 2)
