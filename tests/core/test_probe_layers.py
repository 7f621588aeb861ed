"""The parts of functional keys that are plain mathematics: fast layers, folding, and how small a probe may be."""

from __future__ import annotations

import copy
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from nas.core.language import op, seq
from nas.core.probe import layers, sizes
from nas.core.probe.fold import one_layer, without_bias
from nas.core.probe.program import of_graph
from nas.core.profile import assembled
from nas.core.space import features, image
from search_spaces.cnn import cnn

sides = st.tuples(st.integers(1, 9), st.integers(1, 9))


@st.composite
def convolutions(draw):
    wide = draw(st.sampled_from([1, 2, 4, 6]))
    groups = draw(st.sampled_from([1, wide, 2]))
    assume(wide % groups == 0)
    pair = st.tuples(st.integers(1, 5), st.integers(1, 5))
    small = st.tuples(st.integers(1, 2), st.integers(1, 2))
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    return nn.Conv2d(
        wide, groups * draw(st.integers(1, 3)), draw(pair), draw(small), padding, draw(small), groups,
        bias=draw(st.booleans()), dtype=torch.float64,
    )  # fmt: skip


def gives(layer: nn.Conv2d, sides: tuple[int, int]) -> bool:
    return all(layers.side_after(layers.window_of(layer, axis), side) > 0 for axis, side in enumerate(sides))


@settings(max_examples=80, deadline=None)
@given(convolutions(), sides, st.booleans())
def test_the_fast_convolution_is_torchs(layer, sides, always):
    assume(gives(layer, sides))
    x = torch.randn(3, layer.in_channels, *sides, dtype=torch.float64, requires_grad=True)
    heavy, layers._HEAVY = layers._HEAVY, 0 if always else layers._HEAVY
    try:
        found = layers.conv(x, layer.weight, layer.bias, layer)
    finally:
        layers._HEAVY = heavy
    expected = layer(x)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    slopes = [torch.autograd.grad(out.pow(2).sum(), [x, layer.weight]) for out in (found, expected)]
    assert all(torch.allclose(a, b, rtol=1e-10, atol=1e-10) for a, b in zip(*slopes, strict=True))


@settings(max_examples=80, deadline=None)
@given(convolutions(), sides)
def test_what_is_not_felt_of_a_kernel_can_go(layer, sides):
    assume(gives(layer, sides))
    felt = layers.felt(layer, *sides)
    x = torch.randn(2, layer.in_channels, *sides, dtype=torch.float64)
    assert layer(x).shape[2:] == tuple(
        layers.side_after(layers.window_of(felt, axis), side) for axis, side in enumerate(sides)
    )
    skipped = [
        (int(layer.padding[axis]) - int(felt.padding[axis])) // layer.dilation[axis] for axis in (0, 1)
    ]  # places of the kernel before the first that is felt
    (top, left), (height, width) = skipped, felt.kernel_size
    weight = layer.weight[:, :, top : top + height, left : left + width]
    assert torch.allclose(layers.conv(x, weight, layer.bias, felt), layer(x), rtol=1e-12, atol=1e-12)


def test_a_wide_kernel_on_one_column_is_a_column():
    felt = layers.felt(nn.Conv2d(3, 3, 5, padding=2), 2, 1)
    assert felt.kernel_size == (3, 1)
    assert felt.padding == (1, 0)
    assert layers.felt(nn.Conv2d(3, 3, 3, padding=1), 4, 4).kernel_size == (3, 3)


# ---- folding: both are the same set of functions ---------------------------------------------------------------------


def as_numbers(modules, shape, weights):
    """All outputs on a basis of inputs (and on zeros): the affine map as one vector."""
    size = torch.Size(shape).numel()
    x = torch.cat([torch.zeros(1, size), torch.eye(size)]).double().view(-1, *shape)
    at = 0
    for module in modules:
        given = {}
        for name, held in module.named_parameters():
            given[name] = weights[at : at + held.numel()].view(held.shape)
            at += held.numel()
        x = torch.func.functional_call(module, given, (x,))
    x = torch.cat([x[:1], x[1:] - x[:1]])
    return x.reshape(-1)


def freedom(modules, shape):
    """How many directions the affine map can move in, at a random place."""
    count = sum(p.numel() for module in modules for p in module.parameters())
    generator = torch.Generator().manual_seed(0)
    place = torch.randn(count, dtype=torch.float64, generator=generator)
    slopes = torch.func.jacrev(lambda weights: as_numbers(modules, shape, weights))(place)
    return slopes, int(torch.linalg.matrix_rank(slopes, rtol=1e-9))


def check_fold(first, second, shape):
    """A fold says: the two reach all that the one reaches, and the one all that the two do."""
    one = one_layer(first, second)
    if one is None:
        return False
    real = copy.deepcopy(one).to_empty(device="cpu").double()
    _, two_ways = freedom([first, second], shape)
    inside, one_ways = freedom([real], shape)
    reached = as_numbers([first, second], shape, torch.cat([p.detach().reshape(-1) for m in (first, second)
                                                             for p in m.parameters()]))  # fmt: skip
    fitted = torch.linalg.lstsq(inside, reached[:, None]).solution
    assert torch.allclose(inside @ fitted, reached[:, None], rtol=1e-8, atol=1e-8)
    assert two_ways == one_ways
    return True


LINEARS = [
    (wide, hidden, narrow, bias, other)
    for wide, hidden, narrow in ((3, 2, 4), (3, 3, 4), (3, 4, 4), (4, 3, 3), (4, 3, 2), (2, 5, 2))
    for bias in (True, False)
    for other in (True, False)
]


@pytest.mark.parametrize(("wide", "hidden", "narrow", "bias", "other"), LINEARS)
def test_linear_layers_fold_exactly_where_they_reach_the_same_maps(wide, hidden, narrow, bias, other):
    first = nn.Linear(wide, hidden, bias=bias, dtype=torch.float64)
    second = nn.Linear(hidden, narrow, bias=other, dtype=torch.float64)
    full = wide * narrow + narrow * (bias or other)
    assert check_fold(first, second, (wide,)) is (freedom([first, second], (wide,))[1] == full)


PAIRS = [
    ((1, 1, 0), (3, 1, 1), False), ((1, 1, 0), (3, 1, 1), True), ((1, 1, 0), (3, 1, 0), True),
    ((3, 1, 1), (1, 1, 0), True), ((3, 2, 1), (1, 1, 0), True), ((3, 1, 1), (1, 2, 0), False),
    ((3, 1, 0), (1, 1, 1), False), ((2, 1, 0), (2, 1, 0), True), ((2, 1, 1), (2, 1, 0), False),
    ((2, 1, 0), (2, 1, 1), False), ((2, 2, 0), (2, 1, 0), False), ((1, 1, 1), (3, 1, 1), False),
    ((1, 1, 0), (1, 1, 1), False), ((1, 1, 0), (1, 1, 1), True), ((1, 2, 0), (2, 1, 0), False),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "bias"), PAIRS)
@pytest.mark.parametrize("hidden", [1, 2, 8, 9])
def test_convolutions_fold_only_where_they_reach_the_same_maps(first, second, bias, hidden):
    (k, s, p), (k2, s2, p2) = first, second
    one = nn.Conv2d(2, hidden, k, s, p, bias=bias, dtype=torch.float64)
    two = nn.Conv2d(hidden, 2, k2, s2, p2, bias=True, dtype=torch.float64)
    check_fold(one, two, (2, 4, 4))


def test_convolutions_fold_somewhere():
    one, two = nn.Conv2d(2, 8, 3, padding=1, dtype=torch.float64), nn.Conv2d(8, 2, 1, dtype=torch.float64)
    assert check_fold(one, two, (2, 4, 4))
    assert one_layer(nn.Conv2d(2, 8, 3, groups=2), nn.Conv2d(8, 2, 1)) is None
    assert one_layer(nn.Conv2d(2, 8, 3), nn.Linear(8, 2)) is None


def test_a_norm_takes_a_bias_away():
    layer = nn.Conv2d(3, 4, 3, stride=2, padding=1, dilation=2, groups=1)
    bare = without_bias(layer)
    assert bare.bias is None
    assert (bare.stride, bare.padding, bare.dilation) == (layer.stride, layer.padding, layer.dilation)
    x = torch.randn(5, 3, 9, 9)
    with_it, without_it = layer(x), functional.conv2d(x, layer.weight, None, 2, 1, 2)
    norm = nn.BatchNorm2d(4)
    assert torch.allclose(norm(with_it), norm(without_it), atol=1e-5)


# ---- sizes -----------------------------------------------------------------------------------------------------------


def smallest(part, shape=(4, 32, 32)):
    graph = assembled(part)
    return next(sizes.ratios(of_graph(graph, {graph.inputs[0]: image(*shape)})))


def small_sides(part, shape=(4, 32, 32)):
    return sizes.scaled(shape, smallest(part, shape))[1:]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (op("conv"), (2, 1)),
        (op("conv", kernel=5, dilation=4), (2, 1)),
        (seq(op("conv"), op("downsample"), op("downsample")), (8, 4)),
        (seq(op("conv"), op("avg_pool")), (3, 1)),
        (seq(op("conv"), op("avg_pool", kernel=7)), (5, 1)),
        (seq(op("conv"), op("avg_pool"), op("downsample")), (4, 2)),
        (seq(op("conv"), op("downsample"), op("avg_pool")), (6, 2)),
        (seq(op("conv"), op("head", classes=3)), (2, 1)),
        (seq(op("conv2d", padding=0), op("conv")), (32, 32)),
        (seq(op("conv"), op("resize", height=16, width=16)), (32, 32)),
        (seq(op("conv"), op("flatten"), op("linear", width=3)), (2, 1)),
    ],
    ids=[
        "any size", "windows in weights", "two halvings", "a pool", "a wide pool", "a pool before", "a pool behind",
        "pooled to one pixel", "no padding", "absolute sizes", "flattened maps",
    ],
)  # fmt: skip
def test_how_small_a_probe_is(part, expected):
    assert small_sides(part) == expected


def test_a_flattened_map_is_probed_at_full_size_after_all():
    from nas.core.probe.numbers import probe_input
    from nas.core.probe.running import Filling, ScaleError, Stepwise

    graph = assembled(seq(op("conv"), op("flatten"), op("linear", width=3)))
    program = of_graph(graph, {graph.inputs[0]: image(4, 8, 8)})
    ratio = next(sizes.ratios(program))
    x = probe_input(image(*sizes.scaled((4, 8, 8), ratio)), 3, 0, 0)
    with pytest.raises(ScaleError):
        Stepwise(program, ratio).forward([x], Filling(0))


def test_what_is_not_an_image_has_one_size():
    graph = assembled(seq(op("linear", width=8), op("relu"), op("linear", width=3)))
    assert list(sizes.ratios(of_graph(graph, {graph.inputs[0]: features(6)}))) == [sizes.FULL]


def test_every_map_of_a_small_probe_is_the_large_one_scaled():
    space = cnn(image(3, 32, 32))
    program = of_graph(space[98_765].graph, space.inputs)
    heights, widths = next(sizes.ratios(program))
    assert heights < 1
    assert widths <= heights
    maps = [shape for shape in program.shapes if len(shape) == 3 and shape[1:] != (1, 1)]
    assert all((shape[1] * heights).denominator == 1 == (shape[2] * widths).denominator for shape in maps)
    assert min(shape[1] * heights for shape in maps) >= 2


def test_multiply_adds_of_a_program_are_those_of_the_graph():
    from nas.core.profile import profile

    space = cnn(image(3, 16, 16))
    graph = space[4_321].graph
    program = of_graph(graph, space.inputs)
    assert sizes.macs(program, sizes.FULL) == profile(graph, space.inputs).macs
    falling = [sizes.macs(program, (Fraction(1, n), Fraction(1))) for n in (1, 2, 4)]
    assert all(a > b for a, b in pairwise(falling))
