"""Functional keys: what must merge beside what must split. After section 9 of the paper's notes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from nas.core.graph import Graph
from nas.core.keys import graph_key
from nas.core.language import dag, op, parallel, seq
from nas.core.probe import Probe, ProbeError, functional_key
from nas.core.probe.numbers import coarse, mixed
from nas.core.profile import assembled
from nas.core.space import features, image
from tests.core.processes import in_fresh_processes

X = {"input": image(4, 8, 8)}
VECTOR = {"input": features(6)}
CONV = op("conv", kernel=1)
BARE = op("conv2d", kernel=3)
NARROW = op("conv2d", kernel=1, width=2)


def key(part, inputs=X, **settings) -> str:
    graph = part if isinstance(part, Graph) else assembled(part)
    named = dict(zip(graph.inputs, inputs.values(), strict=True))
    return functional_key(graph, named, Probe(**settings))


def apart(pool, other=None):
    """Two paths, each pooled, then added."""
    return dag({
        "a": (op("conv", kernel=3), "input"), "b": (CONV, "input"),
        "p": (pool, "a"), "q": (other or pool, "b"), "s": (op("add"), ["p", "q"]),
    })  # fmt: skip


def together(pool):
    """Two paths added, then pooled."""
    return dag({
        "a": (op("conv", kernel=3), "input"), "b": (CONV, "input"), "s": (op("add"), ["a", "b"]), "p": (pool, "s"),
    })  # fmt: skip


AVERAGE, LARGEST = op("avg_pool"), op("max_pool")

SAME_AND_NEAR = {
    "average pooling is linear": (apart(AVERAGE), together(AVERAGE), (apart(LARGEST), together(LARGEST))),
    "only by the same windows": (
        apart(AVERAGE),
        together(AVERAGE),
        (apart(AVERAGE, op("avg_pool", kernel=5)), together(op("avg_pool", kernel=5)), apart(AVERAGE)),
    ),
    "a second relu is dead": (
        seq(CONV, op("relu"), CONV),
        seq(CONV, CONV),
        (seq(op("conv", kernel=1, act=None), CONV), seq(CONV, CONV)),
    ),
    "so is a leaky one": (
        seq(CONV, op("leaky_relu"), CONV),
        seq(CONV, CONV),
        (seq(op("conv", kernel=1, act="tanh"), op("leaky_relu"), CONV), seq(op("conv", kernel=1, act="tanh"), CONV)),
    ),
    "dilation of 1×1 changes nothing": (
        seq(op("conv2d", kernel=1, dilation=2), CONV),
        seq(op("conv2d", kernel=1), CONV),
        (seq(op("conv2d", kernel=3, dilation=2), CONV), seq(op("conv2d", kernel=3), CONV)),
    ),
    "a pool of 1×1": (seq(CONV, op("max_pool", kernel=1)), CONV, (seq(CONV, op("max_pool", kernel=2)), CONV)),
    "pooling maxima and relu commute": (
        seq(CONV, LARGEST, op("relu"), CONV),
        seq(CONV, op("relu"), LARGEST, CONV),
        (seq(CONV, AVERAGE, op("tanh"), CONV), seq(CONV, op("tanh"), AVERAGE, CONV)),
    ),
    "up and down again": (
        seq(CONV, op("upsample"), op("avg_pool", kernel=2, stride=2, padding=0)),
        CONV,
        (seq(CONV, op("avg_pool", kernel=2, stride=2, padding=0), op("upsample")), CONV),
    ),
    "dropout of nothing": (seq(CONV, op("dropout", p=0.0), CONV), seq(CONV, CONV), (CONV, seq(CONV, CONV))),
    "a bias that a norm takes away": (
        seq(BARE, op("batch_norm"), CONV),
        seq(op("conv2d", kernel=3, bias=False), op("batch_norm"), CONV),
        (seq(BARE, op("group_norm", groups=2), CONV),
         seq(op("conv2d", kernel=3, bias=False), op("group_norm", groups=2), CONV)),
    ),
    "a 1×1 convolution after another": (
        seq(op("conv2d", kernel=3, width=9), op("conv2d", kernel=1, width=4)),
        op("conv2d", kernel=3, width=4),
        (
            seq(NARROW, op("conv2d", kernel=3, width=4)),
            seq(op("conv2d", kernel=3, width=2), op("conv2d", kernel=1, width=4)),
            seq(op("conv2d", kernel=3, width=9), op("relu"), op("conv2d", kernel=1, width=4)),
            seq(op("conv2d", kernel=3, width=9), op("batch_norm"), op("conv2d", kernel=1, width=4)),
            op("conv2d", kernel=3, width=4),
            op("conv2d", kernel=3, width=4, stride=2),
        ),
    ),
    "a 1×1 convolution before another, without a bias": (
        seq(op("conv2d", kernel=1, width=4, bias=False), op("conv2d", kernel=3, width=6)),
        op("conv2d", kernel=3, width=6),
        (seq(op("conv2d", kernel=1, width=4), op("conv2d", kernel=3, width=6)), op("conv2d", kernel=3, width=6)),
    ),
    "two wide convolutions without padding": (
        seq(op("conv2d", kernel=3, width=36, padding=0), op("conv2d", kernel=3, width=4, padding=0)),
        op("conv2d", kernel=5, width=4, padding=0),
        (
            seq(op("conv2d", kernel=3, width=20, padding=0), op("conv2d", kernel=3, width=4, padding=0)),
            seq(op("conv2d", kernel=3, width=36), op("conv2d", kernel=3, width=4)),
            op("conv2d", kernel=5, width=4, padding=0),
            op("conv2d", kernel=5, width=4),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME_AND_NEAR)
def test_it_finds_what_no_rewrite_lists_and_not_its_near_misses(name):
    left, right, near = SAME_AND_NEAR[name]
    assert graph_key(assembled(left)) != graph_key(assembled(right))
    assert key(left) == key(right)
    keys = [key(part) for part in near]
    assert len(set(keys)) == len(keys)


def linears(*widths, **settings):
    return seq(*(op("linear", width=width, **settings) for width in widths), op("relu"), op("linear", width=3))


@pytest.mark.parametrize(
    ("widths", "same"),
    [((8, 5), True), ((9, 7, 5), True), ((6, 5), True), ((5, 5), True), ((2, 5), False), ((8, 2, 5), False)],
)
def test_linear_layers_with_nothing_between_them_are_one_unless_one_is_a_bottleneck(widths, same):
    assert (key(linears(*widths), VECTOR) == key(linears(5), VECTOR)) is same


def test_linear_layers_with_an_activation_between_them_are_two():
    two = seq(op("linear", width=8), op("tanh"), op("linear", width=5), op("relu"), op("linear", width=3))
    assert key(two, VECTOR) != key(linears(5), VECTOR)


def test_the_place_of_a_bottleneck_does_not_matter():
    assert key(linears(8, 2, 5), VECTOR) == key(linears(2, 8, 5), VECTOR) == key(linears(2, 5), VECTOR)


def test_a_bias_before_a_layer_without_one_needs_room():
    """6 inputs, 6 hidden, 9 outputs: with a bias in the first layer only, outputs cannot be shifted at will."""
    first, last = op("linear", width=6), op("linear", width=9, bias=False)
    assert key(seq(first, last), VECTOR) != key(op("linear", width=9), VECTOR)
    assert key(seq(op("linear", width=7), last), VECTOR) == key(op("linear", width=9), VECTOR)


ACTIVATIONS = ("relu", "relu6", "gelu", "silu", "hardswish", "leaky_relu", "elu", "tanh", "sigmoid", "hardsigmoid")


@pytest.mark.parametrize("layer", ["conv", "conv2d"])
def test_every_kernel_activation_and_width_is_told_apart(layer):
    parts = [seq(op(layer, kernel=kernel, width=width), op(act), op("conv2d", kernel=1))
             for kernel in (1, 3) for width in (4, 5) for act in ACTIVATIONS]  # fmt: skip
    if layer == "conv":  # each ends in a relu of its own, and on what is left relu, leaky relu and elu do nothing
        parts = [seq(op(layer, kernel=kernel, width=width, act=act), op("conv2d", kernel=1))
                 for kernel in (1, 3) for width in (4, 5) for act in ACTIVATIONS]  # fmt: skip
    assert len({key(part) for part in parts}) == len(parts)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (op("conv"), seq(op("conv"), op("conv"))),
        (op("conv2d", kernel=3), op("conv2d", kernel=3, stride=2)),
        (op("conv2d", kernel=3), op("conv2d", kernel=3, groups=2)),
        (op("conv2d", kernel=3, dilation=4), op("conv2d", kernel=3, dilation=5)),
        (parallel(CONV, CONV), dag({"a": (CONV, "input"), "s": (op("add"), ["a", "a"])})),
        (
            dag({"a": (CONV, "input"), "c": (CONV, "a"), "s": (op("add"), ["a", "c"])}),
            dag({"a": (CONV, "input"), "b": (CONV, "input"), "c": (CONV, "b"), "s": (op("add"), ["a", "c"])}),
        ),
        (seq(CONV, op("max_pool")), seq(CONV, op("avg_pool"))),
        (parallel(CONV, op("conv", kernel=3), merge="concat"), parallel(op("conv", kernel=3), CONV, merge="concat")),
        (seq(CONV, op("avg_pool", kernel=7)), seq(CONV, op("avg_pool", kernel=5))),
        (seq(CONV, op("avg_pool")), seq(CONV, op("avg_pool"), op("avg_pool"))),
        (seq(CONV, op("squeeze_excite")), CONV),
        (seq(CONV, op("resize", height=4, width=4), CONV), seq(CONV, op("resize", height=2, width=2), CONV)),
        (seq(op("conv", kernel=3), op("head", classes=3)), seq(op("conv", kernel=3), op("head", classes=4))),
    ],
    ids=[
        "depth", "stride", "groups", "dilations that both leave small maps", "twins and sharing", "trap 2", "pools",
        "order of a concat", "two wide pools", "a pool twice", "gates", "sizes", "classes",
    ],
)  # fmt: skip
def test_it_tells_apart_what_differs(left, right):
    assert key(left) != key(right)


def test_a_resize_to_what_a_smaller_image_has_is_not_nothing():
    inputs = {"input": image(4, 32, 32)}
    assert key(seq(CONV, op("resize", height=16, width=16), CONV), inputs) != key(seq(CONV, CONV), inputs)


@pytest.mark.parametrize("settings", [{"lr": 0.055}, {"steps": (2,)}, {"batch": 4}, {"bits": 15}])
def test_keys_of_different_probes_differ(settings):
    assert key(CONV, **settings) != key(CONV)


def test_what_is_taken_is_part_of_the_key():
    part = seq(CONV, op("head", classes=2))
    assert key(part, {"input": image(4, 16, 16)}) != key(part, {"input": image(4, 8, 8)})


def test_names_and_the_order_of_operands_do_not_matter():
    one = dag({"a": (CONV, "input"), "b": (op("conv", kernel=3), "input"), "s": (op("add"), ["a", "b"])})
    two = dag({"z": (op("conv", kernel=3), "input"), "y": (CONV, "input"), "t": (op("add"), ["y", "z"])})
    assert key(one) == key(two)


def test_dead_nodes_double_identities_and_added_zeros_do_not_matter():
    plain = dag({"a": (CONV, "input"), "b": (op("conv", kernel=3), "a")})
    dressed = dag({
        "dead": (op("conv", kernel=5), "input"), "a": (CONV, "input"), "i": (op("identity"), "a"),
        "j": (op("identity"), "i"), "zero": (op("zero"), "a"), "s": (op("add"), ["j", "zero"]),
        "b": (op("conv", kernel=3), "s"),
    })  # fmt: skip
    assert key(plain) == key(dressed)


def test_the_order_of_nodes_does_not_matter_even_among_twins():
    """Twins that are used unlike: which of them gets which weights must not follow the order of nodes."""
    nodes = {
        "a": (CONV, "input"), "b": (CONV, "input"), "c": (op("conv", kernel=3), "b"), "d": (CONV, "input"),
        "e": (op("mul"), ["a", "d"]), "f": (op("mul"), ["c", "d"]), "s": (op("add"), ["e", "f", "a"]),
    }  # fmt: skip
    orders = ["abcdefs", "dbacfes", "badecfs"]
    assert len({key(dag({name: nodes[name] for name in order})) for order in orders}) == 1


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_fewer_bits_never_tell_more_apart():
    parts = [op("conv", kernel=k, act=a) for k in (1, 3, 5) for a in ("relu", "gelu", "silu", "relu6")]
    counts = [len({key(part, bits=bits) for part in parts}) for bits in (1, 8, 16, 40, 52)]
    assert counts == sorted(counts)
    assert counts[2] == len(parts)


def test_more_bits_never_merge_what_fewer_tell_apart():
    drawn = np.random.default_rng(0)
    numbers = drawn.normal(size=20_000) * (1 + drawn.integers(-3, 4, 20_000) * 2.0**-10)
    counts = [len(set(coarse(numbers, bits).tolist())) for bits in range(1, 53)]
    assert counts == sorted(counts)
    assert counts[0] < 100 < counts[-1]


def test_coarse_numbers_forget_noise_and_keep_signs_and_exponents():
    numbers = np.array([1.0, -1.0, 0.1, 0.5, 2.0, 1e5])
    for noise in (3e-14, -3e-14):
        assert coarse(numbers * (1 + noise), 16).tolist() == coarse(numbers, 16).tolist()
    assert len(set(coarse(numbers, 1).tolist())) == 6
    assert coarse(np.array([1.0, 1.01]), 16)[0] != coarse(np.array([1.0, 1.01]), 16)[1]


def test_mixing_is_sensitive_to_order_and_length():
    lists = ([1.0], [1.0, 1.0], [1.0, 2.0], [2.0, 1.0], [-1.0], [0.0], [0.0, 0.0])
    assert len({mixed(np.array(numbers), 16) for numbers in lists}) == len(lists)


def test_the_shape_of_an_output_is_part_of_the_key():
    assert functional_key(lambda x: x, VECTOR) != functional_key(lambda x: x.reshape(-1, 2, 3), VECTOR)


# ---- functions of tensors --------------------------------------------------------------------------------------------

PAIR = {"a": features(5), "b": features(5)}

SAME_FUNCTIONS = {
    "a square": [lambda a, b: (a + b) ** 2, lambda a, b: a * a + 2 * a * b + b * b],
    "squared error": [
        functional.mse_loss, nn.MSELoss(), lambda a, b: ((a - b) ** 2).mean(), lambda a, b: (b - a).pow(2).sum() / 15
    ],
    "absolute error": [functional.l1_loss, lambda a, b: (a - b).abs().mean()],
    "gelu": [lambda a, b: functional.gelu(a), lambda a, b: a * 0.5 * (1 + torch.erf(a / 2**0.5))],
    "gelu by tanh": [lambda a, b: functional.gelu(a, approximate="tanh")],
    "silu": [lambda a, b: functional.silu(a), lambda a, b: a * torch.sigmoid(a)],
    "relu6": [lambda a, b: functional.relu6(a), lambda a, b: a.clamp(0, 6)],
    "relu": [lambda a, b: functional.relu(a), lambda a, b: a.clamp(min=0), lambda a, b: (a + a.abs()) / 2],
    "a product": [lambda a, b: a * b],
    "its negative": [lambda a, b: -(a * b)],
    "both": [lambda a, b: (a * b, a)],
    "both, the other way round": [lambda a, b: (a, a * b)],
}  # fmt: skip


def test_pure_functions_are_known_by_what_they_do():
    keys = {name: {functional_key(f, PAIR) for f in functions} for name, functions in SAME_FUNCTIONS.items()}
    assert {name: len(found) for name, found in keys.items()} == dict.fromkeys(SAME_FUNCTIONS, 1)
    assert len(set().union(*keys.values())) == len(keys)


def test_functions_of_one_value_and_other_slopes_differ():
    inputs = {"x": features(5)}

    def straight_through(x):
        return x + (torch.round(x) - x).detach()

    assert functional_key(torch.round, inputs) != functional_key(straight_through, inputs)
    assert functional_key(lambda x: x, inputs) != functional_key(lambda x: x.detach(), inputs)


def test_an_activation_is_one_as_a_module_and_as_a_function():
    for inputs in (VECTOR, X):
        keys = {functional_key(f, inputs) for f in (nn.GELU(), functional.gelu, nn.Sequential(nn.GELU()))}
        assert len(keys) == 1
        assert functional_key(nn.GELU(approximate="tanh"), inputs) not in keys


def test_functions_of_images_are_probed_at_full_size_where_it_matters():
    def inputs(side):
        return {"x": image(2, side, side)}

    def pool(kernel):
        return lambda x: functional.max_pool2d(x, kernel, 1, kernel // 2)

    keys = {functional_key(f, inputs(8)) for f in (pool(1), pool(3), pool(5), pool(7), lambda x: x)}
    assert len(keys) == 4  # a window of one pixel does nothing
    assert functional_key(lambda x: x[:, :, :4, :4], inputs(8)) != functional_key(lambda x: x[:, :, :6, :6], inputs(8))


def test_functions_of_tokens_have_keys():
    from nas.core.space import tokens

    inputs = {"x": tokens(7, vocabulary=11)}
    doubled = {functional_key(f, inputs) for f in (lambda x: 2 * x, lambda x: x + x)}
    assert len(doubled) == 1
    assert functional_key(lambda x: 3 * x, inputs) not in doubled


def test_candidates_and_the_exported_name():
    import nas
    from search_spaces.cnn import cnn

    space = cnn(image(1, 8, 8))
    candidate = space[12_345]
    assert nas.functional_key(candidate, space.inputs) == functional_key(candidate.graph, space.inputs)
    assert nas.ProbeError is ProbeError


def test_a_key_is_remembered_and_so_is_that_there_is_none(monkeypatch):
    part, none = assembled(seq(CONV, op("conv", kernel=5))), assembled(seq(op("tanh"), op("relu")))
    known = functional_key(part, {part.inputs[0]: image(4, 8, 8)})
    with pytest.raises(ProbeError, match="no weights"):
        functional_key(none, {none.inputs[0]: image(4, 8, 8)})
    monkeypatch.setattr("nas.core.probe.key._of_graph", None)
    assert functional_key(part, {part.inputs[0]: image(4, 8, 8)}) == known
    with pytest.raises(ProbeError, match="no weights"):
        functional_key(none, {none.inputs[0]: image(4, 8, 8)})


def test_importing_nas_brings_no_torch():
    code = "import sys, nas\nassert 'functional_key' in dir(nas)\nprint('torch' in sys.modules)"
    assert in_fresh_processes(code, 1) == ["False\n"]
