"""Fusing: the same function from fewer layers, looked at by a small interpreter of blocks that knows nothing of it."""

import random

import pytest
import torch
from torch import Tensor

from nas.core.build import build, function_of, make_module
from nas.core.graph import Graph
from nas.core.language import dag, op, parallel, seq, some_of
from nas.core.space import Space, image
from nas.core.table import Call
from nas.core.values import FrozenDict
from results.export.branches import Window, window_of
from results.export.fuse import fuse
from results.export.tree import Block, leaves, tree_of
from tests.results.export import spaces

IMAGE = image(6, 9, 9)


def network_of(graph: Graph, inputs, seed: int = 0):
    """A network with weights and statistics as training leaves them: nothing is 0 or 1."""
    network = build(graph, inputs, seed).double().eval()
    source = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            low = 0.4 if name.endswith(("running_var", "weight")) and value.ndim == 1 else -0.5
            value.copy_(low + torch.rand(value.shape, generator=source, dtype=value.dtype))
    return network


def run(block: Block, state: dict[str, Tensor], given: list[Tensor]) -> list[Tensor]:
    """The outputs of a block in float64, from its items and a state dict alone."""
    made: list[list[Tensor]] = []
    look = lambda ref: given[ref.output] if ref.item < 0 else made[ref.item][ref.output]  # noqa: E731
    for item in block.items:
        operands = [look(ref) for ref in item.operands]
        if isinstance(item.what, Block):
            made.append(run(item.what, state, operands))
        elif item.what.is_module:
            module = make_module(item.what).double().eval()
            start = f"{item.path}."
            module.load_state_dict({name[len(start) :]: state[name] for name in state if name.startswith(start)})
            made.append([module(*operands)])
        else:
            made.append([called(item.what, operands)])
    return [look(ref) for _, ref in block.outputs]


def called(call: Call, operands: list[Tensor]) -> Tensor:
    function = function_of(call)
    if call.operands == "fold":
        total = operands[0]
        for operand in operands[1:]:
            total = function(total, operand)
        return total
    if call.operands == "tuple":
        return function(tuple(operands), *call.args, **call.kwargs)
    return function(*operands)


def fused_of(space: Space, seed: int = 0, **wanted):
    """The fused form of a random network of a space, and the largest relative difference of its outputs."""
    graph = space.sample(random.Random(seed)).graph
    network = network_of(graph, space.inputs, seed)
    source = torch.Generator().manual_seed(seed)
    x = [torch.randn(3, *spec.shape, generator=source, dtype=torch.float64) for spec in space.inputs.values()]
    root = tree_of(graph, space.inputs)
    found = fuse(root, network.state_dict(), **wanted)
    with torch.no_grad():
        right = network(*x)
        right = list(right.values()) if isinstance(right, dict) else [right]
        before = run(root, network.state_dict(), x)
        after = run(found.root, found.state, x)
    for one, other in zip(right, before, strict=True):
        assert torch.equal(one, other)  # the interpreter is right
    gap = max(float((a - b).abs().max() / b.abs().max().clamp_min(1e-9)) for a, b in zip(after, right, strict=True))
    return found, gap


def calls(block: Block) -> list[str]:
    return [item.what.target.partition(".")[2] for item in leaves(block)]


def made(part, classes: int = 3) -> Space:
    return Space(seq(part, op("head")), IMAGE, classes)


def conv(kernel, **fields):
    return op("conv", kernel=kernel, act=None, **fields)


def test_a_batch_norm_goes_into_the_convolution_before_it():
    found, gap = fused_of(made(op("conv", width=5)))
    assert calls(found.root)[:2] == ["Conv2d", "ReLU"]
    assert found.norms == 1
    assert "bias" not in leaves(found.root)[0].what.kwargs
    assert gap < 1e-12
    assert not any("norm" in name for name in found.state)
    assert found.notes == ()


def test_a_batch_norm_after_a_linear_layer():
    found, gap = fused_of(made(seq(op("global_pool"), op("flatten"), op("linear", width=4), op("batch_norm"))))
    assert "BatchNorm1d" not in calls(found.root)
    assert gap < 1e-12


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (seq(op("batch_norm"), op("conv2d")), "what they take is made outside their block"),
        (seq(op("relu"), op("batch_norm"), op("conv2d")), "no convolution or linear layer is right before them"),
        (seq(op("conv2d"), op("relu"), op("batch_norm")), "no convolution or linear layer is right before them"),
    ],
)
def test_what_stays_is_told(part, why):
    found, gap = fused_of(made(part))
    assert gap == 0
    assert found.norms == 0
    assert found.notes[0].endswith(why)
    assert "1 batch norm stays" in found.notes[0]


def test_a_layer_whose_output_is_used_elsewhere_too_keeps_its_norm():
    part = dag({"a": (op("conv2d"), "input"), "n": (op("batch_norm"), "a"), "s": (op("add"), ["a", "n"])})
    found, gap = fused_of(made(part))
    assert gap == 0
    assert "used elsewhere" in found.notes[0]


RICH = {
    "kernels": parallel(conv(1), conv(3), conv(5), merge="add"),
    "oblong": parallel(conv((1, 7)), conv((3, 1)), merge="add"),
    "identity": parallel(conv(3), op("identity"), merge="add"),
    "norm and identity": parallel(conv(3), op("batch_norm"), op("identity"), merge="add"),
    "groups": parallel(conv(3, groups=3), conv(1, groups=3), op("batch_norm"), op("identity"), merge="add"),
    "depthwise": parallel(op("depthwise", kernel=5, act=None), op("depthwise", kernel=3, act=None), merge="add"),
    "strides": parallel(conv(3, stride=2, width=4), conv(1, stride=2, width=4), merge="add"),
    "dilation": parallel(conv(3, dilation=2), conv(1), merge="add"),
    "dilation that a pixel does not have": parallel(conv(3), conv(1, dilation=2), merge="add"),
    "nested": parallel(conv(3), parallel(conv(1), op("identity"), merge="add"), merge="add"),
    "norm behind": seq(parallel(conv(3), conv(1), merge="add"), op("batch_norm")),
    "bare": parallel(op("conv2d", kernel=3), op("conv2d", kernel=1, bias=False), merge="add"),
}


@pytest.mark.parametrize("name", RICH)
def test_parallel_branches_become_one_convolution(name):
    found, gap = fused_of(made(RICH[name]), branches=True)
    assert gap < 1e-12
    kinds = calls(found.root)
    assert kinds.count("Conv2d") == 1
    assert "add" not in kinds
    assert "BatchNorm2d" not in kinds


def test_linear_branches_become_one_layer():
    branches = parallel(op("linear", width=4), op("linear", width=4), merge="add")
    found, gap = fused_of(made(seq(op("global_pool"), op("flatten"), branches)), branches=True)
    assert calls(found.root).count("Linear") == 2  # and the head's
    assert gap < 1e-12


UNLIKE = {
    "an activation between": parallel(op("conv", kernel=3), conv(1), merge="add"),
    "other strides": parallel(conv(3), seq(conv(1), conv(1)), merge="add"),
    "a product": parallel(conv(3), conv(1), merge="mul"),
    "even kernels": parallel(conv(3), op("conv2d", kernel=2, dilation=2, padding=1), merge="add"),
    "off centre": parallel(op("conv2d", padding=0, stride=3), op("conv2d", kernel=1, stride=3), merge="add"),
    "two dilations": parallel(conv(3, dilation=2), conv(3), merge="add"),
    "other groups": parallel(conv(3, groups=2), conv(3), merge="add"),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_branches_that_are_no_one_layer_stay(name):
    found, gap = fused_of(made(UNLIKE[name]), branches=True)
    assert gap < 1e-12
    assert found.branches == 0
    assert calls(found.root).count("Conv2d") >= 2


def test_only_those_that_fit_are_merged():
    part = parallel(conv(3), conv(1), op("max_pool"), merge="add")
    found, gap = fused_of(made(part), branches=True)
    kinds = calls(found.root)
    assert (kinds.count("Conv2d"), kinds.count("MaxPool2d"), kinds.count("add")) == (1, 1, 1)
    assert gap < 1e-12


def test_those_of_one_dilation_are_merged_beside_another():
    part = parallel(conv(3), conv(3, dilation=2), conv(5, dilation=2), merge="add")
    found, gap = fused_of(made(part), branches=True)
    assert found.branches == 2
    assert calls(found.root).count("Conv2d") == 2
    assert gap < 1e-12


def test_only_windows_that_are_understood_are_merged():
    def window(*args, **kwargs):
        return window_of(Call("nn.Conv2d", args, FrozenDict(kwargs)))

    assert window(4, 4, 3, padding=1) == Window((3, 3))
    assert window(4, 4, (1, 5), padding=(0, 2), groups=2, bias=False) == Window((1, 5), groups=2)
    assert window(4, 4, 3, padding=1, padding_mode="circular") is None
    assert window(4, 4, 3, padding="same") is None
    assert window(4, 4, 3, 1, 1) is None
    assert window(4, 4, 1, stride=(1, 2)) is None
    assert window(4, 4, 3, padding=2, dilation=(2, 2)) is None


def test_what_is_given_stays_as_it_is():
    space = made(RICH["norm and identity"])
    graph = space.sample(random.Random(0)).graph
    network = network_of(graph, space.inputs)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fuse(tree_of(graph, space.inputs), network.state_dict(), branches=True)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


ALL = ["cnn", "tree", "nas_bench_101", "nas_bench_201", "nas_bench_macro", "resnet_pooling"]


@pytest.mark.parametrize("branches", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_networks_of_all_spaces_are_the_same_function(name, branches):
    space = spaces.registered(name)
    for seed in range(4):
        found, gap = fused_of(space, seed, branches=branches)
        assert gap < 1e-9
        assert found.norms > 0 or not any("norm" in name for name in found.state)


@pytest.mark.parametrize("make", ["multi_task", "paths", "grown", "wired", "own"])
def test_networks_of_rich_spaces_are_the_same_function(make):
    space = getattr(spaces, make)()
    for seed in range(4):
        _, gap = fused_of(space, seed, branches=True)
        assert gap < 1e-9


def test_any_selection_of_paths():
    paths = some_of(conv(1), conv(3), conv(5), op("identity"), op("max_pool"), at_least=1, merge="add")
    space = made(seq(paths, op("relu"), paths))
    assert max(fused_of(space, seed, branches=True)[1] for seed in range(12)) < 1e-12
