"""Functional keys: what must merge, what must split, what has no key. After section 9 of the paper's notes."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from nas.core.build import build
from nas.core.graph import Graph
from nas.core.keys import graph_key
from nas.core.language import dag, op, parallel, seq
from nas.core.parts import Part
from nas.core.probe import Probe, ProbeError, functional_key
from nas.core.probe.numbers import coarse
from nas.core.profile import InputSpec, assembled
from nas.core.simplify import simplify
from nas.core.space import features, image
from tests.core.processes import in_fresh_processes
from tests.strategies import IMAGE, WIDTH, graphs, specs

X = {"input": image(4, 8, 8)}
CONV = op("conv", kernel=1)


def key(part, inputs=X, **settings) -> str:
    graph = part if isinstance(part, Graph) else assembled(part)
    named = dict(zip(graph.inputs, inputs.values(), strict=True))
    return functional_key(graph, named, Probe(**settings))


def pooled_apart():
    return dag({
        "a": (op("conv", kernel=3), "input"), "b": (CONV, "input"),
        "p": (op("avg_pool"), "a"), "q": (op("avg_pool"), "b"), "s": (op("add"), ["p", "q"]),
    })  # fmt: skip


def pooled_together():
    return dag({
        "a": (op("conv", kernel=3), "input"), "b": (CONV, "input"),
        "s": (op("add"), ["a", "b"]), "p": (op("avg_pool"), "s"),
    })  # fmt: skip


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (pooled_apart(), pooled_together()),
        (seq(CONV, op("relu"), CONV), seq(CONV, CONV)),
        (seq(CONV, op("leaky_relu"), CONV), seq(CONV, CONV)),
        (seq(op("conv2d", kernel=1, dilation=2), CONV), seq(op("conv2d", kernel=1), CONV)),
        (seq(CONV, op("max_pool", kernel=1)), CONV),
        (seq(CONV, op("max_pool"), op("relu"), CONV), seq(CONV, op("relu"), op("max_pool"), CONV)),
        (seq(CONV, op("upsample"), op("avg_pool", kernel=2, stride=2, padding=0)), CONV),
    ],
    ids=[
        "average pooling is linear", "a second relu is dead", "so is a leaky one", "dilation of 1×1 changes nothing",
        "a pool of 1×1", "pooling maxima and relu commute", "up and down again",
    ],
)  # fmt: skip
def test_it_finds_what_no_rewrite_lists(left, right):
    assert graph_key(assembled(left)) != graph_key(assembled(right))
    assert key(left) == key(right)


def test_two_linear_layers_with_nothing_between_them_are_one():
    inputs = {"input": features(6)}
    two = seq(op("linear", width=8), op("linear", width=5), op("relu"), op("linear", width=3))
    one = seq(op("linear", width=5), op("relu"), op("linear", width=3))
    narrow = seq(op("linear", width=2), op("linear", width=5), op("relu"), op("linear", width=3))
    apart = seq(op("linear", width=8), op("tanh"), op("linear", width=5), op("relu"), op("linear", width=3))
    assert key(two, inputs) == key(one, inputs)
    assert len({key(one, inputs), key(narrow, inputs), key(apart, inputs)}) == 3


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (op("conv", kernel=1), op("conv", kernel=3)),
        (op("conv", act="gelu"), op("conv", act="silu")),
        (op("conv", width=4), op("conv", width=5)),
        (op("conv"), seq(op("conv"), op("conv"))),
        (parallel(CONV, CONV), dag({"a": (CONV, "input"), "s": (op("add"), ["a", "a"])})),
        (
            dag({"a": (CONV, "input"), "c": (CONV, "a"), "s": (op("add"), ["a", "c"])}),
            dag({"a": (CONV, "input"), "b": (CONV, "input"), "c": (CONV, "b"), "s": (op("add"), ["a", "c"])}),
        ),
        (seq(CONV, op("max_pool")), seq(CONV, op("avg_pool"))),
        (parallel(CONV, op("conv", kernel=3), merge="concat"), parallel(op("conv", kernel=3), CONV, merge="concat")),
    ],
    ids=["kernel", "activation", "width", "depth", "twins and sharing", "trap 2", "pools", "order of a concat"],
)
def test_it_tells_apart_what_differs(left, right):
    assert key(left) != key(right)


@settings(max_examples=25)
@given(graphs(largest=4, several=False))
def test_a_graph_and_its_module_have_one_key(graph):
    inputs = specs(graph)
    try:
        known = functional_key(graph, inputs)
    except ProbeError:
        return
    assert functional_key(graph.flatten(), inputs) == known
    module = build(graph, inputs, seed=3)
    alive = [node for node in simplify(graph) if node.op == "conv"]
    twins = Counter((node.attributes, node.inputs) for node in alive)
    dead = sum(node.op == "conv" for node in graph.flatten()) - len(alive)
    if max(twins.values(), default=0) < 2 and not dead:  # a module's twins are numbered in the order of its calls
        assert functional_key(module, inputs) == known


def test_names_and_the_order_of_operands_do_not_matter():
    one = dag({"a": (CONV, "input"), "b": (op("conv", kernel=3), "input"), "s": (op("add"), ["a", "b"])})
    two = dag({"z": (op("conv", kernel=3), "input"), "y": (CONV, "input"), "t": (op("add"), ["y", "z"])})
    assert key(one) == key(two)


def test_functions_of_tensors_have_keys():
    inputs = {"a": features(5), "b": features(5)}
    keys = [
        functional_key(f, inputs)
        for f in (lambda a, b: (a + b) ** 2, lambda a, b: a * a + 2 * a * b + b * b, lambda a, b: -((a + b) ** 2))
    ]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (seq(CONV, op("dropout")), "random"),
        (seq(op("relu"), op("tanh")), "no weights"),
        (nn.Sequential(nn.Flatten(), nn.Linear(256, 3), nn.Dropout(0.5)), "random"),
        (lambda x: x / 0.0 * 0.0, "NaN"),
        (lambda x: x @ x.new_zeros(3, 3), "does not run"),
        (lambda x: "text", "gives a str"),
        (3, "expected a graph"),
    ],
)
def test_what_cannot_be_trusted_has_no_key(thing, words):
    graph = assembled(thing) if isinstance(thing, Part) else thing
    inputs = dict.fromkeys(graph.inputs, X["input"]) if isinstance(graph, Graph) else X
    with pytest.raises(ProbeError, match=words):
        functional_key(graph, inputs)


def test_too_large_is_said():
    with pytest.raises(ProbeError, match="too large"):
        key(op("conv"), most_macs=10)


def test_random_states_are_left_as_they_were():
    class Draws(nn.Module):
        def forward(self, x):
            random.random()
            np.random.rand()
            return x + torch.rand(()) * 0

    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    key(seq(CONV, CONV))
    with pytest.raises(ProbeError, match="random"):
        functional_key(Draws(), X)
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_fewer_bits_never_tell_more_apart():
    parts = [op("conv", kernel=k, act=a) for k in (1, 3, 5) for a in ("relu", "gelu", "silu", "relu6")]
    counts = [len({key(part, bits=bits) for part in parts}) for bits in (1, 8, 16, 40)]
    assert counts == sorted(counts)
    assert counts[2] == len(parts)


def test_coarse_numbers_forget_noise_and_keeps_signs():
    numbers = np.array([1.0, -1.0, 0.1, 1e5])
    noisy = numbers * (1 + 3e-14)
    assert coarse(noisy, 16).tolist() == coarse(numbers, 16).tolist()
    assert coarse(numbers, 16)[0] != coarse(numbers, 16)[1]
    assert coarse(np.array([1.0, 1.01]), 16)[0] != coarse(np.array([1.0, 1.01]), 16)[1]


KEY_IN_ANOTHER_PROCESS = """
import torch
from nas.core.parts import Part
from nas.core.probe import functional_key
from nas.core.probe.numbers import coarse
from nas.core.profile import assembled
from nas.core.space import image
from nas.core.language import op, parallel, seq
graph = assembled(seq(a=op("conv"), b=parallel(op("conv", kernel=1), op("conv", kernel=5)), c=op("mbconv")))
print(functional_key(graph, {graph.inputs[0]: image(4, 8, 8)}))
"""


def test_the_key_is_the_same_in_fresh_processes():
    said = in_fresh_processes(KEY_IN_ANOTHER_PROCESS)
    assert len(set(said)) == 1
    assert said[0].startswith("f2:")


def test_the_number_of_threads_changes_nothing():
    graph = assembled(seq(op("conv", width=32), op("mbconv"), op("conv", kernel=5)))
    inputs = {graph.inputs[0]: image(16, 32, 32)}
    before = torch.get_num_threads()
    try:
        keys = set()
        for threads in (1, 2):
            torch.set_num_threads(threads)
            keys.add(functional_key(build(graph, inputs), inputs))
    finally:
        torch.set_num_threads(before)
    assert len(keys) == 1


def test_inputs_must_be_declared():
    with pytest.raises(ProbeError, match="say what it takes"):
        functional_key(assembled(CONV))


def test_the_shared_image_is_what_the_tests_think():
    assert InputSpec((WIDTH, 5, 5)) == IMAGE


class DropsOut(nn.Module):
    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(self.conv(x), 0.5, self.training)


def test_a_users_module_in_a_graph_that_draws_has_no_key():
    with pytest.raises(ProbeError, match="random"):
        key(seq(CONV, mine=op(DropsOut)))
