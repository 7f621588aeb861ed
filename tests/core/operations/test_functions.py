"""What operations compute: against torch's own functions, and against modules written by hand with copied weights.

The modules here are written from the papers' descriptions and share no code with the operations. N batch, C channels,
H height, W width, L length, D features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from nas.core.build import build
from nas.core.graph import Graph, Node
from nas.core.profile import InputSpec
from nas.core.values import FrozenDict


def network(name: str, *shapes: tuple[int, ...], **attributes: Any) -> fx.GraphModule:
    inputs = tuple(f"in{place}" for place in range(len(shapes)))
    graph = Graph(inputs, (Node("node", name, FrozenDict(attributes), inputs),), (("y", "node"),))
    return build(graph, dict(zip(inputs, map(InputSpec, shapes), strict=True)), seed=3)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def unsettle(module: nn.Module) -> None:
    """Weights and statistics away from their first values, so that leaving one out would be seen."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.3)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and part.running_var is not None:
                part.running_var.copy_(torch.rand(part.running_var.shape, generator=generator) + 0.5)


def same(built: fx.GraphModule, reference: nn.Module, *operands: Tensor) -> None:
    """Equal outputs with the weights copied in the order of running, in evaluation and in training."""
    unsettle(built)
    paths = [str(node.target) for node in built.graph.nodes if node.op == "call_module"]
    mine = [tensor for path in paths for tensor in built.get_submodule(path).state_dict().values()]
    theirs = list(reference.state_dict().values())
    assert [tuple(t.shape) for t in mine] == [tuple(t.shape) for t in theirs]
    reference.load_state_dict(dict(zip(reference.state_dict(), mine, strict=True)))
    for mode in (False, True):
        torch.testing.assert_close(built.train(mode)(*operands), reference.train(mode)(*operands), rtol=1e-4, atol=1e-5)


# ---- functions of torch ----------------------------------------------------------------------------------------------

x, v, s = numbers(2, 4, 7, 6), numbers(2, 5), numbers(2, 5, 8)
weight = numbers(2, 4, seed=1)

FUNCTIONS: list[tuple[str, dict[str, Any], tuple[Tensor, ...], Callable[..., Tensor]]] = [
    ("relu", {}, (x,), F.relu),
    ("relu6", {}, (10 * x,), F.relu6),
    ("gelu", {}, (x,), F.gelu),
    ("silu", {}, (x,), F.silu),
    ("hardswish", {}, (5 * x,), F.hardswish),
    ("leaky_relu", {}, (x,), F.leaky_relu),
    ("elu", {}, (x,), F.elu),
    ("tanh", {}, (x,), torch.tanh),
    ("sigmoid", {}, (x,), torch.sigmoid),
    ("hardsigmoid", {}, (5 * x,), F.hardsigmoid),
    ("identity", {}, (x,), lambda x: x),
    ("zero", {}, (x,), torch.zeros_like),
    ("zero", {}, (s,), torch.zeros_like),
    ("zero", {"stride": 2}, (x,), lambda x: torch.zeros(2, 4, 4, 3)),
    ("zero", {"stride": 3}, (x,), lambda x: torch.zeros(2, 4, 3, 2)),
    ("subsample", {"stride": 2}, (x,), lambda x: x[:, :, ::2, ::2]),
    ("max_pool", {}, (x,), lambda x: F.max_pool2d(x, 3, 1, 1)),
    ("max_pool", {"kernel": 2, "stride": 2}, (x,), lambda x: F.max_pool2d(x, 2, 2)),
    ("max_pool", {"kernel": 5, "stride": 2, "padding": 1}, (x,), lambda x: F.max_pool2d(x, 5, 2, 1)),
    ("avg_pool", {}, (x,), lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)),
    ("avg_pool", {"kernel": 2, "stride": 2, "padding": 0}, (x,), lambda x: F.avg_pool2d(x, 2, 2)),
    ("global_pool", {}, (x,), lambda x: x.mean((2, 3), keepdim=True)),
    ("length_mean", {}, (s,), lambda s: s.mean(1)),
    ("flatten", {}, (x,), lambda x: x.reshape(2, -1)),
    ("flatten", {}, (s,), lambda s: s.reshape(2, -1)),
    ("to_sequence", {}, (x,), lambda x: x.permute(0, 2, 3, 1).reshape(2, -1, 4)),
    ("dropout", {"p": 0.0}, (x,), lambda x: x),
    ("upsample", {"factor": 3}, (x,), lambda x: x.repeat_interleave(3, 2).repeat_interleave(3, 3)),
    ("resize", {"height": 3, "width": 9}, (x,), lambda x: F.interpolate(x, (3, 9))),
    ("crop", {"width": 3}, (x,), lambda x: x[:, :3]),
    ("pad", {"width": 6}, (x,), lambda x: torch.cat([x, torch.zeros(2, 2, 7, 6)], 1)),
    ("pad", {"width": 7}, (v,), lambda v: torch.cat([v, torch.zeros(2, 2)], 1)),
    ("add", {}, (x, 2 * x, 3 * x), lambda a, b, c: a + b + c),
    ("add", {}, (x,), lambda a: a),
    ("mul", {}, (x, x, x), lambda a, b, c: a * b * c),
    ("max", {}, (x, -x, 0 * x), lambda a, b, c: torch.stack([a, b, c]).amax(0)),
    ("mean", {}, (x, 2 * x, 6 * x), lambda a, b, c: torch.stack([a, b, c]).mean(0)),
    ("mean", {}, (x,), lambda a: a),
    ("concat", {}, (x, -x[:, :2]), lambda a, b: torch.cat([a, b], 1)),
    ("concat", {}, (v, v), lambda a, b: torch.cat([a, b], 1)),
    ("concat", {}, (s, s[:, :, :3]), lambda a, b: torch.cat([a, b], 2)),
    ("gate", {}, (x, weight), lambda x, w: x * w[:, :, None, None]),
    ("attend", {"heads": 1}, (s, s, s), lambda q, k, v: torch.softmax(q @ k.transpose(1, 2) / 8**0.5, -1) @ v),
    ("attend", {"heads": 4}, (s, 2 * s[:, :3], s[:, :3]), lambda q, k, v: _attend(q, k, v, 4)),
    ("batch_norm", {}, (x,), lambda x: x / (1 + 1e-5) ** 0.5),  # as it comes: mean 0, variance 1
    ("layer_norm", {}, (s,), lambda s: F.layer_norm(s, (8,))),
    ("layer_norm", {}, (v,), lambda v: F.layer_norm(v, (5,))),
    ("layer_norm", {}, (x,), lambda x: F.layer_norm(x, (4, 7, 6))),
    ("group_norm", {"groups": 2}, (x,), lambda x: F.group_norm(x, 2)),
]


def _attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """One head after another, by slices of the features."""
    width = query.shape[2] // heads
    told = []
    for place in range(heads):
        q, k, v = (t[:, :, place * width : (place + 1) * width] for t in (query, key, value))
        told.append(torch.softmax(q @ k.transpose(1, 2) / width**0.5, -1) @ v)
    return torch.cat(told, 2)


@pytest.mark.parametrize(
    ("name", "attributes", "operands", "function"), FUNCTIONS, ids=[f"{f[0]}{f[1]}" for f in FUNCTIONS]
)
def test_functions(
    name: str, attributes: dict[str, Any], operands: tuple[Tensor, ...], function: Callable[..., Tensor]
) -> None:
    built = network(name, *(tuple(t.shape[1:]) for t in operands), **attributes).eval()
    torch.testing.assert_close(built(*operands), function(*operands))


def test_zero_lets_no_gradient_through_and_identity_lets_all() -> None:
    for name, expected in (("zero", 0.0), ("identity", 1.0)):
        start = x.clone().requires_grad_()
        network(name, (4, 7, 6))(start).sum().backward()
        assert torch.equal(start.grad, torch.full_like(x, expected))  # type: ignore[arg-type]


def test_zero_of_an_infinite_input_is_told_as_it_is() -> None:
    """x * 0.0, as NAS-Bench-201 writes it: infinities become NaN, so a broken network does not look healthy."""
    assert network("zero", (1,))(torch.tensor([[float("inf")]])).isnan().all()


def test_dropout_drops_while_training_only() -> None:
    built = network("dropout", (1000,), p=0.25)
    dropped = built.train()(torch.ones(1, 1000))
    assert 0.65 < (dropped > 0).float().mean() < 0.85
    assert dropped.max() == pytest.approx(1 / 0.75)
    assert torch.equal(built.eval()(torch.ones(1, 1000)), torch.ones(1, 1000))


# ---- layers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "layer"),
    [
        ({"width": 6}, nn.Conv2d(4, 6, 3, padding=1)),
        ({"width": 6, "kernel": 1, "bias": False}, nn.Conv2d(4, 6, 1, bias=False)),
        ({"kernel": 5, "stride": 2}, nn.Conv2d(4, 4, 5, stride=2, padding=2)),
        ({"kernel": 3, "dilation": 2}, nn.Conv2d(4, 4, 3, padding=2, dilation=2)),
        ({"kernel": (1, 5), "groups": 2}, nn.Conv2d(4, 4, (1, 5), padding=(0, 2), groups=2)),
        ({"kernel": 2, "padding": 1}, nn.Conv2d(4, 4, 2, padding=1)),
        ({"kernel": 4, "stride": 4, "padding": 0}, nn.Conv2d(4, 4, 4, stride=4)),
    ],
)
def test_convolutions(attributes: dict[str, Any], layer: nn.Module) -> None:
    same(network("conv2d", (4, 7, 6), **attributes), layer, x)


def test_layers_with_weights() -> None:
    same(network("linear", (5,), width=3), nn.Linear(5, 3), v)
    same(network("linear", (5, 8), width=3, bias=False), nn.Linear(8, 3, bias=False), s)
    same(network("batch_norm", (4, 7, 6)), nn.BatchNorm2d(4), x)
    same(network("batch_norm", (5,)), nn.BatchNorm1d(5), v)
    same(network("layer_norm", (5, 8)), nn.LayerNorm(8), s)
    same(network("embedding", (5,), vocabulary=7, width=3), nn.Embedding(7, 3), torch.arange(10).reshape(2, 5) % 7)


class Position(nn.Module):
    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(length, width))

    def forward(self, s: Tensor) -> Tensor:
        return s + self.weight


def test_positions_are_added() -> None:
    same(network("position", (5, 8)), Position(5, 8), s)


# ---- blocks on images ------------------------------------------------------------------------------------------------


def conv_bn(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    return [
        nn.Conv2d(c_in, c_out, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(c_out),
    ]


def test_convolution_blocks() -> None:
    same(network("conv", (4, 7, 6), width=6, act="gelu"), nn.Sequential(*conv_bn(4, 6, 3), nn.GELU()), x)
    same(network("conv", (4, 7, 6), act=None, groups=2), nn.Sequential(*conv_bn(4, 4, 3, groups=2)), x)
    dilated = nn.Sequential(*conv_bn(4, 4, 5, 2, groups=4, dilation=2), nn.ReLU())
    same(network("depthwise", (4, 7, 6), kernel=5, stride=2, dilation=2), dilated, x)
    separable = nn.Sequential(*conv_bn(4, 4, 5, 2, groups=4), nn.SiLU(), *conv_bn(4, 6, 1), nn.SiLU())
    same(network("separable", (4, 7, 6), width=6, kernel=5, stride=2, act="silu"), separable, x)
    same(network("downsample", (4, 7, 6), width=8), nn.Sequential(*conv_bn(4, 8, 3, 2), nn.ReLU()), x)
    same(network("stem", (4, 7, 6), width=8, kernel=5), nn.Sequential(*conv_bn(4, 8, 5), nn.ReLU()), x)


class SqueezeExcite(nn.Module):
    """Hu et al. 2018, figure 3: global pooling, FC, ReLU, FC, sigmoid, scale."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.down = nn.Linear(channels, squeezed)
        self.up = nn.Linear(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        z = x.mean(dim=(2, 3))  # (N, C)
        gates = torch.sigmoid(self.up(torch.relu(self.down(z))))
        return x * gates[..., None, None]


@pytest.mark.parametrize(("ratio", "squeezed"), [(0.25, 1), (0.5, 2), (1, 4), (0, 1)])
def test_squeeze_excite(ratio: float, squeezed: int) -> None:
    same(network("squeeze_excite", (4, 7, 6), ratio=ratio), SqueezeExcite(4, squeezed), x)


class InvertedBottleneck(nn.Module):
    """Sandler et al. 2018, table 1: 1×1 widening, depthwise, linear 1×1; a shortcut where nothing changes shape."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int, stride: int, expand: int, squeezed: int, shortcut: bool
    ) -> None:
        super().__init__()
        hidden = c_in * expand
        self.shortcut = shortcut and stride == 1 and c_in == c_out
        self.widen = nn.Sequential(*conv_bn(c_in, hidden, 1), nn.ReLU6()) if expand != 1 else nn.Identity()
        self.depthwise = nn.Sequential(*conv_bn(hidden, hidden, kernel, stride, groups=hidden), nn.ReLU6())
        self.excite = nn.Identity()
        if squeezed:
            self.excite = SqueezeExcite(hidden, squeezed)  # type: ignore[assignment]
        self.narrow = nn.Sequential(*conv_bn(hidden, c_out, 1))

    def forward(self, x: Tensor) -> Tensor:
        out = self.widen(x)
        if isinstance(self.excite, SqueezeExcite):
            z = self.depthwise(out)
            gates = torch.sigmoid(self.excite.up(F.relu6(self.excite.down(z.mean((2, 3))))))
            out = z * gates[..., None, None]
        else:
            out = self.depthwise(out)
        return x + self.narrow(out) if self.shortcut else self.narrow(out)


@pytest.mark.parametrize(
    ("width", "kernel", "stride", "expand", "se", "residual"),
    [(None, 3, 1, 6, 0.0, True), (None, 5, 1, 3, 0.25, True), (6, 3, 1, 6, 0.0, True), (4, 3, 2, 2, 0.5, True),
     (None, 3, 1, 1, 0.0, True), (None, 3, 1, 6, 0.0, False), (4, 7, 1, 6, 0.0, True)],
)  # fmt: skip
def test_mbconv(width: int | None, kernel: int, stride: int, expand: int, se: float, residual: bool) -> None:
    squeezed = round(4 * expand * se)
    built = network(
        "mbconv", (4, 7, 6), width=width, kernel=kernel, stride=stride, expand=expand, se=se, residual=residual
    )
    if squeezed:  # the squeeze uses the block's activation unless it says otherwise
        assert any(type(m) is nn.Linear for m in built.modules())
    same(built, InvertedBottleneck(4, width or 4, kernel, stride, expand, squeezed, residual), x)


class Residual(nn.Module):
    """He et al. 2016, figure 2, with option B: a projection shortcut where the shape changes."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*conv_bn(c_in, c_out, kernel, stride), nn.ReLU(), *conv_bn(c_out, c_out, kernel))
        self.short = nn.Sequential(*(conv_bn(c_in, c_out, 1, stride) if stride > 1 or c_in != c_out else []))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.short(x))


@pytest.mark.parametrize(("width", "kernel", "stride"), [(None, 3, 1), (4, 5, 1), (6, 3, 1), (None, 3, 2), (8, 3, 2)])
def test_residual(width: int | None, kernel: int, stride: int) -> None:
    built = network("residual", (4, 7, 6), width=width, kernel=kernel, stride=stride)
    same(built, Residual(4, width or 4, kernel, stride), x)


@pytest.mark.parametrize(
    ("shape", "attributes", "layers"),
    [
        ((4, 8, 8), {"width": 6}, conv_bn(4, 6, 1)),
        ((4, 8, 8), {"width": 6, "size": (4, 4)}, conv_bn(4, 6, 1, 2)),
        ((4, 8, 8), {"size": (3, 3)}, [*conv_bn(4, 4, 1, 3)]),
        ((4, 4, 4), {"size": (8, 8)}, [*conv_bn(4, 4, 1), nn.Upsample((8, 8))]),
        ((4, 8, 6), {"size": (4, 6)}, [*conv_bn(4, 4, 1, 2), nn.Upsample((4, 6))]),
        ((5,), {"width": 3}, [nn.Linear(5, 3)]),
    ],
)
def test_projections(shape: tuple[int, ...], attributes: dict[str, Any], layers: list[nn.Module]) -> None:
    same(network("project", shape, **attributes), nn.Sequential(*layers), numbers(2, *shape))


def test_joins_come_back_to_the_first_width() -> None:
    class Join(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Sequential(*conv_bn(6, 4, 1), nn.ReLU())

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            out: Tensor = self.conv(torch.cat([a, b], 1))
            return out

    same(network("join", (4, 7, 6), (2, 7, 6)), Join(), x, x[:, :2])


# ---- vectors and sequences -------------------------------------------------------------------------------------------


def test_vectors_and_sequences() -> None:
    same(network("dense", (5,), width=3, act="tanh"), nn.Sequential(nn.Linear(5, 3), nn.Tanh()), v)
    same(network("mlp", (5, 8), hidden=6), nn.Sequential(nn.Linear(8, 6), nn.GELU(), nn.Linear(6, 8)), s)
    same(network("mlp", (5,), hidden=6, width=2, act=None), nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 2)), v)
    same(
        network("head", (4, 7, 6), classes=3), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)), x
    )
    same(network("head", (5,), classes=3), nn.Linear(5, 3), v)


class TokenStart(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 3)
        self.position = Position(5, 3)

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.embedding(ids) + self.position.weight
        return out


class PatchStart(nn.Module):
    """Patches by unfolding, as in Dosovitskiy et al. 2021: rows of patches from the left, top row first."""

    def __init__(self, channels: int, size: int, width: int, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, channels, size, size))
        self.bias = nn.Parameter(torch.zeros(width))
        self.position = nn.Parameter(torch.zeros(count, width))
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        patches = F.unfold(x, self.size, stride=self.size).transpose(1, 2)  # (N, L, C * size * size)
        return F.linear(patches, self.weight.flatten(1), self.bias) + self.position


def test_starts_of_sequence_models() -> None:
    same(network("tokens", (5,), vocabulary=7, width=3), TokenStart(), torch.arange(10).reshape(2, 5) % 7)
    same(network("patches", (4, 6, 8), width=5, size=2), PatchStart(4, 2, 5, 12), numbers(2, 4, 6, 8))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_is_torchs_multi_head_attention(heads: int) -> None:
    built = network("attention", (5, 8), heads=heads).eval()
    unsettle(built)
    weights = dict(built.named_parameters())
    names = [f"node.{name}" for name in ("query", "key", "value")]
    expected, _ = F.multi_head_attention_forward(
        *(s.transpose(0, 1),) * 3,
        embed_dim_to_check=8,
        num_heads=heads,
        in_proj_weight=torch.cat([weights[f"{name}.weight"] for name in names]),
        in_proj_bias=torch.cat([weights[f"{name}.bias"] for name in names]),
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=weights["node.output.weight"],
        out_proj_bias=weights["node.output.bias"],
        need_weights=False,
    )
    torch.testing.assert_close(built(s), expected.transpose(0, 1), rtol=1e-4, atol=1e-5)


def test_heads_may_be_wider_than_the_sequence_divides() -> None:
    built = network("attention", (5, 8), heads=3, head_width=4)
    assert [tuple(p.shape) for p in built.parameters()] == [(12, 8), (12,)] * 3 + [(8, 12), (8,)]
    assert built(s).shape == (2, 5, 8)


@pytest.mark.parametrize(("heads", "ratio"), [(2, 4), (4, 1.5)])
def test_the_transformer_block_is_torchs_with_norms_first(heads: int, ratio: float) -> None:
    built = network("transformer", (5, 8), heads=heads, ratio=ratio).eval()
    unsettle(built)
    theirs = nn.TransformerEncoderLayer(
        8, heads, round(8 * ratio), dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).eval()
    mine = dict(built.named_parameters())
    at = "node.mixing.attention."
    renamed = {
        "self_attn.in_proj_weight": torch.cat([mine[f"{at}{n}.weight"] for n in ("query", "key", "value")]),
        "self_attn.in_proj_bias": torch.cat([mine[f"{at}{n}.bias"] for n in ("query", "key", "value")]),
    }
    for part, home in [
        ("self_attn.out_proj", f"{at}output"), ("linear1", "node.thinking.mlp.first"),
        ("linear2", "node.thinking.mlp.second"), ("norm1", "node.mixing.norm"), ("norm2", "node.thinking.norm"),
    ]:  # fmt: skip
        renamed |= {f"{part}.{kind}": mine[f"{home}.{kind}"] for kind in ("weight", "bias")}
    theirs.load_state_dict(renamed)
    with torch.no_grad():
        torch.testing.assert_close(built(s), theirs(s), rtol=1e-4, atol=1e-5)


# ---- benchmarks ------------------------------------------------------------------------------------------------------


def relu_conv_bn(c_in: int, c_out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """NAS-Bench-201, section 2.1: 'an operation sequence of ReLU, convolution, and batch normalization'."""
    return [nn.ReLU(), *conv_bn(c_in, c_out, kernel, stride)]


class ReductionBlock(nn.Module):
    """NAS-Bench-201, section 2.1: a basic residual block with stride 2; its shortcut is 2×2 pooling and a 1×1."""

    def __init__(self, c_in: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*relu_conv_bn(c_in, 2 * c_in, 3, 2))
        self.second = nn.Sequential(*relu_conv_bn(2 * c_in, 2 * c_in, 3))
        self.short = nn.Conv2d(c_in, 2 * c_in, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        short: Tensor = self.short(F.avg_pool2d(x, 2, 2))
        out: Tensor = short + self.second(self.first(x))
        return out


def test_nas_bench_201() -> None:
    even = numbers(2, 4, 8, 6)
    same(network("nb201_conv", (4, 7, 6), kernel=3), nn.Sequential(*relu_conv_bn(4, 4, 3)), x)
    same(network("nb201_conv", (4, 7, 6), kernel=1), nn.Sequential(*relu_conv_bn(4, 4, 1)), x)
    same(network("nb201_reduce", (4, 8, 6)), ReductionBlock(4), even)


def test_nas_bench_macro() -> None:
    """Su et al. 2021, appendix: an identity that changes shape is a 1×1 convolution with batch norm."""
    same(network("macro_skip", (4, 7, 6), width=6, stride=2), nn.Sequential(*conv_bn(4, 6, 1, 2)), x)
    head = nn.Sequential(*conv_bn(4, 1280, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 10))
    same(network("macro_head", (4, 7, 6), classes=10), head, x)
