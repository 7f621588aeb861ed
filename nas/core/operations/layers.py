"""Layers: operations that are one call of torch each. Shapes have no batch dimension; see `nas.core.table`."""

from __future__ import annotations

from math import ceil, prod

from nas.core.errors import ShapeError
from nas.core.language import dag, op
from nas.core.parts import Part
from nas.core.table import (
    ACTIVATIONS,
    Call,
    Fit,
    Flag,
    Fraction,
    Kernel,
    Layer,
    Padding,
    Positive,
    Shape,
    Width,
    operation,
)
from nas.core.values import FrozenDict


def image(x: Shape, what: str) -> tuple[int, int, int]:
    """(C, H, W), or ShapeError."""
    if len(x) != 3:
        raise ShapeError(f"{what} takes an image (C, H, W), got the shape {x}")
    return x[0], x[1], x[2]


def sequence(x: Shape, what: str) -> tuple[int, int]:
    """(L, D), or ShapeError."""
    if len(x) != 2:
        raise ShapeError(f"{what} takes a sequence (L, D), got the shape {x}")
    return x[0], x[1]


def _pair(kernel: Kernel) -> tuple[int, int]:
    return kernel if isinstance(kernel, tuple) else (kernel, kernel)


def _window(size: int, kernel: int, stride: int, padding: int, dilation: int, what: str) -> int:
    out = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    if out < 1:
        raise ShapeError(f"{what}: a side of {size} pixels is too small for kernel {kernel}, dilation {dilation}, "
                         f"padding {padding}")  # fmt: skip
    return out


# ---- weights ---------------------------------------------------------------------------------------------------------


@operation()
def conv2d(
    x: Shape, *, width: Width = None, kernel: Kernel = 3, stride: Positive = 1, padding: Padding = None,
    dilation: Positive = 1, groups: Positive = 1, bias: Flag = True,
) -> Layer:  # fmt: skip
    """A bare convolution; padding None keeps the size at stride 1 for odd kernels."""
    channels, height, across = image(x, "conv2d")
    width = width or channels
    if channels % groups or width % groups:
        raise ShapeError(f"conv2d: {channels} channels in and {width} out do not divide into {groups} groups")
    kh, kw = _pair(kernel)
    ph, pw = (dilation * (kh - 1) // 2, dilation * (kw - 1) // 2) if padding is None else (padding, padding)
    out_h = _window(height, kh, stride, ph, dilation, "conv2d")
    out_w = _window(across, kw, stride, pw, dilation, "conv2d")
    settings = {"stride": stride, "padding": ph if ph == pw else (ph, pw), "dilation": dilation, "groups": groups}
    defaults = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    given = {name: value for name, value in settings.items() if value != defaults[name]}
    if not bias:
        given["bias"] = False
    weights = width * (channels // groups) * kh * kw
    return Layer(
        (width, out_h, out_w),
        Call("nn.Conv2d", (channels, width, kernel), FrozenDict(given)),
        params=weights + width * bias,
        macs=weights * out_h * out_w,
    )


@operation()
def linear(x: Shape, *, width: Width = None, bias: Flag = True) -> Layer:
    """A linear layer on the last dimension of a vector or a sequence."""
    if len(x) not in (1, 2):
        raise ShapeError(f"linear takes a vector (D,) or a sequence (L, D), got the shape {x}; flatten or pool first")
    width = width or x[-1]
    given = FrozenDict({} if bias else {"bias": False})
    return Layer(
        (*x[:-1], width),
        Call("nn.Linear", (x[-1], width), given),
        params=x[-1] * width + width * bias,
        macs=x[-1] * width * prod(x[:-1]),
    )


@operation()
def embedding(x: Shape, *, vocabulary: Positive, width: Positive) -> Layer:
    """A vector per token, (L,) to (L, width)."""
    if len(x) != 1:
        raise ShapeError(f"embedding takes tokens (L,), got the shape {x}")
    return Layer((x[0], width), Call("nn.Embedding", (vocabulary, width)), params=vocabulary * width)


@operation()
def position(x: Shape) -> Layer:
    """A learned vector per place of a sequence, added."""
    length, width = sequence(x, "position")
    return Layer(x, Call("modules.Position", (length, width)), params=length * width)


@operation()
def batch_norm(x: Shape) -> Layer:
    """Batch norm over the channels of an image or the features of a vector."""
    if len(x) not in (1, 3):
        raise ShapeError(f"batch_norm takes an image (C, H, W) or a vector (D,), got the shape {x}; use layer_norm")
    return Layer(x, Call("nn.BatchNorm2d" if len(x) == 3 else "nn.BatchNorm1d", (x[0],)), params=2 * x[0])


@operation()
def layer_norm(x: Shape) -> Layer:
    """Layer norm over the features of a vector or sequence; over all channels and pixels of an image."""
    if len(x) == 3:
        return Layer(x, Call("nn.GroupNorm", (1, x[0])), params=2 * x[0])
    return Layer(x, Call("nn.LayerNorm", (x[-1],)), params=2 * x[-1])


@operation()
def group_norm(x: Shape, *, groups: Positive = 8) -> Layer:
    """Group norm over the channels of an image."""
    channels, _, _ = image(x, "group_norm")
    if channels % groups:
        raise ShapeError(f"group_norm: {channels} channels do not divide into {groups} groups")
    return Layer(x, Call("nn.GroupNorm", (groups, channels)), params=2 * channels)


# ---- without weights -------------------------------------------------------------------------------------------------


def _declare_activation(name: str, module: str) -> None:
    def activation(x: Shape) -> Layer:
        return Layer(x, Call(f"nn.{module}"))

    activation.__doc__ = f"torch.nn.{module}."
    keeps_zero = name not in ("sigmoid", "hardsigmoid")
    operation(name=name, keeps_zero=keeps_zero, idempotent=name in ("relu", "relu6"))(activation)


for _name, _module in ACTIVATIONS.items():
    _declare_activation(_name, _module)


@operation(keeps_zero=True, idempotent=True)
def identity(x: Shape) -> Layer:
    """What comes in goes out."""
    return Layer(x, Call("nn.Identity"))


@operation(silent=True, keeps_zero=True)
def zero(x: Shape, *, stride: Positive = 1) -> Layer:
    """All zeros: no path goes through."""
    shape = x if stride == 1 else (x[0], *(ceil(side / stride) for side in image(x, "zero")[1:]))
    return Layer(shape, Call("modules.Zero", (stride,) if stride > 1 else ()))


@operation(keeps_zero=True)
def subsample(x: Shape, *, stride: Positive) -> Layer:
    """Every stride-th pixel."""
    channels, height, across = image(x, "subsample")
    return Layer((channels, ceil(height / stride), ceil(across / stride)), Call("modules.Subsample", (stride,)))


def _pool(x: Shape, kernel: int, stride: int, padding: int | None, what: str) -> tuple[Shape, int]:
    channels, height, across = image(x, what)
    pad = (kernel - 1) // 2 if padding is None else padding
    if pad > kernel // 2:
        raise ShapeError(f"{what}: padding {pad} is more than half of kernel {kernel}, which torch does not take")
    sides = (_window(side, kernel, stride, pad, 1, what) for side in (height, across))
    return (channels, *sides), pad


def _pool_call(module: str, kernel: int, stride: int, pad: int, extra: FrozenDict) -> Call:
    settings = {"stride": stride} | ({"padding": pad} if pad else {}) | dict(extra)
    return Call(f"nn.{module}", (kernel,), FrozenDict(settings))


@operation(keeps_zero=True)
def max_pool(x: Shape, *, kernel: Positive = 3, stride: Positive = 1, padding: Padding = None) -> Layer:
    """The maximum of each window; padding None keeps the size at stride 1 for odd kernels."""
    shape, pad = _pool(x, kernel, stride, padding, "max_pool")
    return Layer(shape, _pool_call("MaxPool2d", kernel, stride, pad, FrozenDict()))


@operation(keeps_zero=True)
def avg_pool(x: Shape, *, kernel: Positive = 3, stride: Positive = 1, padding: Padding = None) -> Layer:
    """The mean of each window; padding is not counted."""
    shape, pad = _pool(x, kernel, stride, padding, "avg_pool")
    extra = FrozenDict({"count_include_pad": False} if pad else {})
    return Layer(shape, _pool_call("AvgPool2d", kernel, stride, pad, extra))


@operation(keeps_zero=True)
def global_pool(x: Shape) -> Layer:
    """The mean over all pixels of an image, (C, H, W) to (C, 1, 1)."""
    channels, _, _ = image(x, "global_pool")
    return Layer((channels, 1, 1), Call("nn.AdaptiveAvgPool2d", (1,)))


@operation(keeps_zero=True)
def length_mean(x: Shape) -> Layer:
    """The mean over the length of a sequence, (L, D) to (D,)."""
    return Layer((sequence(x, "length_mean")[1],), Call("modules.LengthMean"))


@operation(keeps_zero=True)
def flatten(x: Shape) -> Layer:
    """Everything as one vector."""
    return Layer((prod(x),), Call("nn.Flatten"))


@operation(keeps_zero=True)
def to_sequence(x: Shape) -> Layer:
    """Pixels as a sequence, (C, H, W) to (H * W, C)."""
    channels, height, across = image(x, "to_sequence")
    return Layer((height * across, channels), Call("modules.ToSequence"))


@operation(keeps_zero=True, random=True)
def dropout(x: Shape, *, p: Fraction = 0.1) -> Layer:
    """Dropout while training."""
    return Layer(x, Call("nn.Dropout", (p,)))


@operation(keeps_zero=True)
def upsample(x: Shape, *, factor: Positive = 2) -> Layer:
    """Each pixel repeated `factor` times in both directions."""
    channels, height, across = image(x, "upsample")
    call = Call("nn.Upsample", (), FrozenDict({"scale_factor": factor}))
    return Layer((channels, height * factor, across * factor), call)


@operation(keeps_zero=True)
def resize(x: Shape, *, height: Positive, width: Positive) -> Layer:
    """The image in another size, by the nearest pixel."""
    channels, _, _ = image(x, "resize")
    return Layer((channels, height, width), Call("nn.Upsample", (), FrozenDict({"size": (height, width)})))


@operation(keeps_zero=True)
def crop(x: Shape, *, width: Positive) -> Layer:
    """The first `width` channels."""
    if len(x) not in (1, 3) or x[0] < width:
        raise ShapeError(f"crop: {x} has no {width} channels to keep")
    return Layer((width, *x[1:]), Call("modules.CropChannels", (width,)))


@operation(keeps_zero=True)
def pad(x: Shape, *, width: Positive) -> Layer:
    """Zero channels after the last, up to `width`."""
    if len(x) not in (1, 3) or x[0] > width:
        raise ShapeError(f"pad: {x} has more than {width} channels already")
    return Layer((width, *x[1:]), Call("modules.PadChannels", (width,)))


@operation(arity=(3, 3))
def attend(query: Shape, key: Shape, value: Shape, *, heads: Positive) -> Layer:
    """Scaled dot-product attention of queries, keys and values, each (L, D)."""
    length, width = sequence(query, "attend")
    other, _ = sequence(key, "attend")
    if key != value or key[1] != width:
        raise ShapeError(f"attend: queries {query}, keys {key} and values {value} do not fit")
    if width % heads:
        raise ShapeError(f"attend: {width} features do not divide into {heads} heads")
    return Layer((length, width), Call("modules.Attention", (heads,)), macs=2 * length * other * width)


# ---- merges ----------------------------------------------------------------------------------------------------------


@operation(arity=(2, 2))
def gate(x: Shape, weight: Shape) -> Layer:
    """Channels of an image (C, H, W) scaled by a vector (C,)."""
    if image(x, "gate")[0] != weight[0] or len(weight) != 1:
        raise ShapeError(f"gate: an image {x} and gates {weight}; expected one gate per channel")
    return Layer(x, Call("modules.gate"))


def _fitted(name: str, shapes: tuple[Shape, ...], fit: str | None, alike: slice) -> Part | None:
    """The same merge with fitted operands, or None where they fit. `alike`: the dimensions that must be equal."""
    target = shapes[0]
    if all(len(x) == len(target) and x[alike] == target[alike] for x in shapes):
        return None
    listed = " and ".join(str(x) for x in dict.fromkeys(shapes))
    if fit is None:
        raise ShapeError(f"{name}: operands have the shapes {listed}; make them equal, or say fit='project' (1×1 "
                         "projections), 'crop' or 'pad'")  # fmt: skip
    if any(len(x) != len(target) or len(x) not in (1, 3) for x in shapes):
        raise ShapeError(f"{name}: operands have the shapes {listed}, which fit={fit!r} cannot make equal")
    if fit != "project" and any(x[1:] != target[1:] for x in shapes):
        raise ShapeError(f"{name}: operands have the shapes {listed}; fit={fit!r} changes channels only; say 'project'")
    inputs = tuple(f"x{place}" for place in range(1, len(shapes) + 1))
    widths = [x[0] for x in shapes]
    wide = min(widths) if fit == "crop" else max(widths)
    nodes: dict[str, tuple[Part, object]] = {}
    operands: list[str] = []
    for source, x in zip(inputs, shapes, strict=True):
        if fit == "project":
            width = x[0] if alike == slice(1, None) else target[0]
            change = None if (width, *x[1:]) == x and x[1:] == target[1:] else op(
                "project", width=width, **({"size": target[1:]} if len(x) == 3 else {}))  # fmt: skip
        else:
            change = None if x[0] == wide else op(fit, width=wide)
        if change is not None:
            nodes[f"fit_{source}"] = (change, source)
        operands.append(source if change is None else f"fit_{source}")
    nodes["merged"] = (op(name), operands)
    return dag(nodes, inputs=inputs)


def _declare_merge(name: str, call: Call, words: str) -> None:
    def merge(*shapes: Shape, fit: Fit = None) -> Layer | Part:
        return _fitted(name, shapes, fit, slice(None)) or Layer(shapes[0], call)

    merge.__doc__ = words
    operation(name=name, arity=(1, None), commutes=True, keeps_zero=True)(merge)


_declare_merge("add", Call("operator.add", operands="fold"), "The sum of operands of one shape.")
_declare_merge("mul", Call("operator.mul", operands="fold"), "The product of operands of one shape.")
_declare_merge("max", Call("torch.maximum", operands="fold"), "The largest of operands of one shape, place by place.")
_declare_merge("mean", Call("modules.mean"), "The mean of operands of one shape.")


@operation(arity=(1, None), keeps_zero=True)
def concat(*shapes: Shape, fit: Fit = None) -> Layer | Part:
    """Operands side by side: the channels of images, the features of vectors and sequences."""
    if all(len(x) == 2 for x in shapes):
        if any(x[0] != shapes[0][0] for x in shapes):
            listed = " and ".join(str(x) for x in dict.fromkeys(shapes))
            raise ShapeError(f"concat: operands have the shapes {listed}; sequences must have one length")
        width = sum(x[1] for x in shapes)
        return Layer((shapes[0][0], width), Call("torch.cat", (), FrozenDict({"dim": 2}), operands="tuple"))
    fitted = _fitted("concat", shapes, fit, slice(1, None))
    if fitted is not None:
        return fitted
    width = sum(x[0] for x in shapes)
    return Layer((width, *shapes[0][1:]), Call("torch.cat", (), FrozenDict({"dim": 1}), operands="tuple"))
