"""Functional keys: what they promise whoever asks, and what has none."""

from __future__ import annotations

import os
import random
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn
from torch.nn import functional

from nas.core.build import build
from nas.core.graph import Graph
from nas.core.language import dag, op, parallel, seq
from nas.core.parts import Part
from nas.core.probe import Probe, ProbeError, functional_key
from nas.core.probe.key import VERSION
from nas.core.probe.states import states
from nas.core.profile import assembled
from nas.core.space import features, image, tokens
from search_spaces.cnn import cnn
from search_spaces.nas_bench_201 import nas_bench_201
from tests.core.processes import in_fresh_processes
from tests.strategies import graphs, specs

X = {"input": image(4, 8, 8)}
CONV = op("conv", kernel=1)


def key(part, inputs=X, **settings) -> str:
    graph = part if isinstance(part, Graph) else assembled(part)
    return functional_key(graph, dict(zip(graph.inputs, inputs.values(), strict=True)), Probe(**settings))


# ---- one key for one function, however it is written -----------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(graphs(largest=4, several=False))
def test_a_graph_a_flat_one_and_its_module_have_one_key(graph):
    inputs = specs(graph)
    try:
        known = functional_key(graph, inputs)
    except ProbeError:
        return
    assert functional_key(graph.flatten(), inputs) == known
    if not any(node.op == "zero" for node in graph.flatten()):  # rewritten in a graph, run in a module
        assert functional_key(build(graph, inputs, seed=3), inputs) == known


@pytest.mark.parametrize("number", range(8))
def test_candidates_of_cnn_and_their_modules_have_one_key(number):
    space = cnn(image(3, 8, 8))
    candidate = space.sample(random.Random(number))
    assert functional_key(build(candidate.graph, space.inputs), space.inputs) == functional_key(candidate, space.inputs)


class Written(nn.Module):
    """By hand: a residual block and a head, with functions where a graph has layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.stem_norm = nn.BatchNorm2d(8)
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
            nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Dropout(0.0),
        )  # fmt: skip
        self.unused = nn.Linear(3, 3)
        self.head = nn.ModuleList([nn.Linear(8, 16), nn.Linear(16, 10)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.stem_norm(self.stem(x)))
        y = self.body(x)
        y += x
        x = torch.flatten(functional.adaptive_avg_pool2d(y.relu(), 1), 1)
        for layer in self.head:
            x = layer(x)
        return x


def test_a_module_written_by_hand_has_the_key_of_the_graph_it_equals():
    graph = assembled(seq(op("conv", width=8), op("residual"), op("head", classes=10)))
    inputs = {graph.inputs[0]: image(3, 16, 16)}
    assert functional_key(Written(), inputs) == functional_key(graph, inputs)

    class Other(Written):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return -super().forward(x)

    assert functional_key(Other(), inputs) != functional_key(graph, inputs)


class Steered(nn.Module):
    """What torch.fx cannot follow: the way depends on numbers, or hides in a hook."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(self.first(x))
        if float(hidden.detach().abs().max()) > 5.0:
            hidden = hidden * 2.0
        return self.second(hidden)


def test_what_cannot_be_followed_has_the_same_key_where_nothing_is_made_smaller():
    plain = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    hooked = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    hooked[1].register_forward_hook(lambda *_: None)
    changed = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    changed[1].register_forward_hook(lambda module, operands, output: output * 2.0)
    inputs = {"x": features(6)}
    assert functional_key(Steered(), inputs) == functional_key(plain, inputs) == functional_key(hooked, inputs)
    assert functional_key(changed, inputs) != functional_key(plain, inputs)


class Tied(nn.Module):
    """Two linear layers that share their weights, or do not."""

    def __init__(self, tied: bool, twice: bool = False) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        if tied:
            self.second.weight, self.second.bias = self.first.weight, self.first.bias
        self.twice = twice

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        again = self.first if self.twice else self.second
        return again(torch.tanh(self.first(x)))


def test_tied_weights_are_not_separate_ones():
    inputs = {"x": features(6)}
    assert functional_key(Tied(True), inputs) == functional_key(Tied(False, twice=True), inputs)
    assert functional_key(Tied(True), inputs) != functional_key(Tied(False), inputs)


def test_the_weights_a_module_has_do_not_count_wherever_they_are_held():
    inputs = {"x": image(3, 4, 4)}
    for make in (lambda: nn.Conv2d(3, 2, 3, padding=1), lambda: Attends(), lambda: Scaled()):
        torch.manual_seed(1)
        one = functional_key(make(), inputs)
        torch.manual_seed(2)
        assert functional_key(make(), inputs) == one


class Attends(nn.Module):
    """torch's own attention uses weights of a layer that it never calls."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(3, 1, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pixels = x.flatten(2).transpose(1, 2)
        mixed: torch.Tensor = self.attention(pixels, pixels, pixels)[0]
        return mixed


class Scaled(nn.Module):
    """A weight of its own, outside any layer."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


def test_frozen_weights_are_not_trained_ones():
    free, frozen = nn.Linear(6, 3), nn.Linear(6, 3)
    frozen.requires_grad_(False)
    assert functional_key(free, {"x": features(6)}) != functional_key(frozen, {"x": features(6)})


# ---- the same everywhere, and nothing disturbed ----------------------------------------------------------------------

KEYS_IN_ANOTHER_PROCESS = """
import os
import torch
from nas.core.probe import functional_key
from nas.core.profile import assembled
from nas.core.space import image
from nas.core.language import op, parallel, seq
graph = assembled(seq(a=op("conv"), b=parallel(op("conv", kernel=1), op("conv", kernel=5)), c=op("mbconv")))
inputs = {graph.inputs[0]: image(4, 8, 8)}
things = {
    "graph": graph,
    "module": torch.nn.Sequential(torch.nn.Conv2d(4, 8, 3), torch.nn.Tanh()),
    "function": torch.nn.functional.gelu,
}
names = sorted(things, reverse=os.environ["PYTHONHASHSEED"] == "2")
print(sorted((name, functional_key(things[name], inputs)) for name in names))
"""


def test_keys_are_the_same_in_fresh_processes_in_any_order():
    said = in_fresh_processes(KEYS_IN_ANOTHER_PROCESS)
    assert len(said) == 2
    assert len(set(said)) == 1
    assert said[0].count(f"'{VERSION}:") == 3


def test_the_number_of_threads_changes_nothing_and_is_left_as_it_was():
    graph = assembled(seq(op("conv", width=32), op("mbconv"), op("conv", kernel=5)))
    inputs = {graph.inputs[0]: image(16, 32, 32)}
    before = torch.get_num_threads()
    try:
        keys = set()
        for threads in (1, 2):
            torch.set_num_threads(threads)
            keys.add(functional_key(build(graph, inputs), inputs))
            keys.add(functional_key(graph, inputs))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(keys) == 1


class Draws(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        random.random()
        np.random.rand()
        return x + torch.rand(()) * 0


def test_random_states_are_left_as_they_were():
    linear = nn.Linear(6, 3)
    before = states()
    key(seq(CONV, CONV, op("conv", kernel=5)))
    functional_key(linear, {"x": features(6)})
    functional_key(functional.gelu, X)
    key(seq(CONV, mine=op(Holds)))
    for refused in (Draws(), nn.Dropout(0.5)):
        with pytest.raises(ProbeError, match="random"):
            functional_key(refused, X)
    assert states() == before


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_where_it_is_asked_does_not_matter(context):
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    inputs = {"x": features(6)}
    outside = functional_key(module, inputs)
    with context():
        assert functional_key(module, inputs) == outside


def test_the_module_that_was_asked_about_is_not_touched():
    module = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)).eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    functional_key(module, X)
    assert not module.training
    assert module[2].inplace
    assert module[0].weight.dtype == torch.float32
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


# ---- what has no key -------------------------------------------------------------------------------------------------


class Holds(nn.Module):
    """A user's module with a constant drawn when it is made."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.register_buffer("constant", torch.rand(in_channels, 1, 1))
        self.conv = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) * self.constant


class DropsOut(nn.Module):
    def __init__(self, in_channels: int, p: float = 0.5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.dropout(self.conv(x), self.p, self.training)


class Counts(nn.Module):
    """Not a function: what it gives depends on how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.calls = nn.Linear(6, 3), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.linear(x) * (1.0 + float(os.urandom(1)[0]) + time.perf_counter())


def test_a_users_module_with_a_drawn_constant_is_the_same_each_time():
    part = seq(CONV, mine=op(Holds))
    torch.manual_seed(5)
    one = key(part, bits=17)
    torch.manual_seed(6)
    functional_key.__globals__["_graph_key"].cache_clear()
    assert key(part, bits=17) == one


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (seq(CONV, op("dropout")), "random"),
        (seq(CONV, mine=op(DropsOut)), "random"),
        (seq(CONV, mine=op(DropsOut, p=1e-9)), "random"),
        (seq(op("relu"), op("tanh")), "no weights"),
        (seq(op("conv", kernel=9, act=None), op("avg_pool", kernel=11, padding=0)), "cannot be built"),
        (seq(CONV, op("linear", width=3)), "cannot be built"),
        (nn.Sequential(nn.Flatten(), nn.Linear(256, 3), nn.Dropout(0.5)), "random"),
        (lambda x: x + torch.rand(()), "random"),
        (lambda x: x / 0.0 * 0.0, "NaN"),
        (lambda x: 1.0 / (x * 0.0), "NaN or infinity"),
        (lambda x: x @ x.new_zeros(3, 3), "does not run"),
        (lambda x: "text", "gives a str"),
        (lambda x: 1 / 0, "ZeroDivisionError"),
        (3, "expected a graph"),
    ],
)
def test_what_cannot_be_trusted_has_no_key(thing, words):
    graph = assembled(thing) if isinstance(thing, Part) else thing
    inputs = dict.fromkeys(graph.inputs, X["input"]) if isinstance(graph, Graph) else X
    with pytest.raises(ProbeError, match=words) as caught:
        functional_key(graph, inputs)
    assert "\n" not in str(caught.value)


def test_what_differs_from_call_to_call_has_no_key():
    with pytest.raises(ProbeError, match="different outputs"):
        functional_key(Counts(), {"x": features(6)})


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (lambda: assembled(op("conv", width=4)), X),
        (lambda: nn.Conv2d(4, 4, 3), X),
        (lambda: Steered(), {"x": features(6)}),
    ],
)
def test_too_large_is_said_before_it_is_run(make, inputs):
    thing = make()
    named = dict(zip(thing.inputs, inputs.values(), strict=True)) if isinstance(thing, Graph) else inputs
    for small in (Probe(most_macs=10), Probe(most_numbers=10)):
        with pytest.raises(ProbeError, match="too large"):
            functional_key(thing, named, small)


def test_a_huge_network_is_refused_at_once():
    graph = assembled(seq(op("linear", width=300_000), op("linear", width=300_000)))
    with pytest.raises(ProbeError, match="too large"):
        functional_key(graph, {graph.inputs[0]: features(300_000)})
    words = assembled(op("tokens", vocabulary=10**9, width=64))
    with pytest.raises(ProbeError, match="too large"):
        functional_key(words, {words.inputs[0]: tokens(8, vocabulary=10**9)})


def test_inputs_must_be_declared():
    with pytest.raises(ProbeError, match="say what it takes"):
        functional_key(assembled(CONV))
    with pytest.raises(ProbeError, match="cannot be built"):
        functional_key(assembled(CONV), {"other": image(4, 8, 8)})


# ---- small probes ----------------------------------------------------------------------------------------------------


def _partition(keys):
    return {key: [place for place, other in enumerate(keys) if other == key] for key in keys}.values()


def test_what_small_images_merge_large_ones_merge_too(monkeypatch):
    """Cells of NAS-Bench-201, half of them with pools, on the smallest images and on 8×8."""
    space = nas_bench_201()
    drawn = random.Random(3).sample(range(15625), 120)
    cells = [space[number].graph["stage1"].op["cell1"].op for number in drawn]

    def keys():
        found = []
        for cell in cells:
            try:
                found.append(functional_key(cell, {cell.inputs[0]: image(16, 8, 8)}, Probe(bits=14)))
            except ProbeError:
                found.append("none")
        return found

    small = keys()
    monkeypatch.setattr("nas.core.probe.sizes._smallest", lambda program, axis: 1)
    functional_key.__globals__["_graph_key"].cache_clear()
    large = keys()
    functional_key.__globals__["_graph_key"].cache_clear()
    assert set(small).isdisjoint(set(large) - {"none"})
    assert len(set(zip(small, large, strict=True))) == len(set(small)) >= 80


def test_parallel_twins_differ_and_swapping_them_changes_nothing():
    twins = parallel(a=op("conv"), b=op("conv"), merge="concat")
    other = parallel(b=op("conv"), a=op("conv"), merge="concat")
    shared = dag({"a": (op("conv"), "input"), "s": (op("concat"), ["a", "a"])})
    assert key(twins) == key(other) != key(shared)
