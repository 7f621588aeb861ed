"""Blocks: operations made of other operations. Each is one function from shape and attributes to a part."""

from __future__ import annotations

from math import ceil
from typing import Annotated

from nas.core.errors import ShapeError
from nas.core.language import dag, op, parallel, seq
from nas.core.operations.layers import image, sequence
from nas.core.parts import Part
from nas.core.table import (
    Activation,
    Factor,
    Fit,
    Flag,
    Fraction,
    Kernel,
    Legal,
    Odd,
    Positive,
    Shape,
    Width,
    operation,
    whole,
)


def steps(**parts: Part | None) -> Part:
    """`seq` of the parts that are there."""
    return seq(**{name: part for name, part in parts.items() if part is not None})


def _act(name: str | None) -> Part | None:
    return op(name) if name is not None else None


# ---- images ----------------------------------------------------------------------------------------------------------


@operation()
def conv(
    x: Shape, *, width: Width = None, kernel: Kernel = 3, stride: Positive = 1, dilation: Positive = 1,
    groups: Positive = 1, act: Activation = "relu",
) -> Part:  # fmt: skip
    """Convolution, batch norm, activation; grouped and dilated ones by their attributes."""
    bare = op("conv2d", width=width, kernel=kernel, stride=stride, dilation=dilation, groups=groups, bias=False)
    return steps(conv=bare, norm=op("batch_norm"), act=_act(act))


@operation()
def depthwise(
    x: Shape, *, kernel: Odd = 3, stride: Positive = 1, dilation: Positive = 1, act: Activation = "relu"
) -> Part:
    """A convolution of each channel by itself, batch norm, activation."""
    channels = image(x, "depthwise")[0]
    return seq(conv=op("conv", kernel=kernel, stride=stride, dilation=dilation, groups=channels, act=act))


@operation()
def separable(
    x: Shape, *, width: Width = None, kernel: Odd = 3, stride: Positive = 1, dilation: Positive = 1,
    act: Activation = "relu",
) -> Part:  # fmt: skip
    """Depthwise then 1×1 convolution, each with batch norm and activation."""
    return seq(
        depthwise=op("depthwise", kernel=kernel, stride=stride, dilation=dilation, act=act),
        pointwise=op("conv", width=width, kernel=1, act=act),
    )


@operation()
def squeeze_excite(x: Shape, *, ratio: Fraction = 0.25, act: Activation = "relu") -> Part:
    """Channel gates from the pooled image. Reference: Hu et al. 2018, arXiv:1709.01507."""
    channels = image(x, "squeeze_excite")[0]
    gates = steps(
        pool=op("global_pool"),
        flatten=op("flatten"),
        squeeze=op("linear", width=max(1, round(channels * ratio))),
        act=_act(act),
        excite=op("linear", width=channels),
        sigmoid=op("sigmoid"),
    )
    return dag({"gates": (gates, "input"), "scaled": (op("gate"), ["input", "gates"])})


@operation()
def mbconv(
    x: Shape, *, width: Width = None, kernel: Odd = 3, stride: Positive = 1, expand: Factor = 6, se: Fraction = 0.0,
    act: Activation = "relu6", residual: Flag = True,
) -> Part:  # fmt: skip
    """Inverted bottleneck: widen 1×1, depthwise, optional squeeze-excite, narrow 1×1; added to its input where it fits.

    Reference: Sandler et al. 2018, arXiv:1801.04381. Differs: `se` is the squeezed share of the widened channels (0:
    none).
    """
    channels = image(x, "mbconv")[0]
    hidden = max(1, round(channels * expand))
    body = steps(
        widen=op("conv", width=hidden, kernel=1, act=act) if expand != 1 else None,
        depthwise=op("depthwise", kernel=kernel, stride=stride, act=act),
        excite=op("squeeze_excite", ratio=se) if se > 0 else None,
        narrow=op("conv", width=width, kernel=1, act=None) if width else op("conv", width=channels, kernel=1, act=None),
    )
    if residual and stride == 1 and (width or channels) == channels:
        return dag({"body": (body, "input"), "sum": (op("add"), ["body", "input"])})
    return body


@operation()
def residual(x: Shape, *, width: Width = None, kernel: Odd = 3, stride: Positive = 1, act: Activation = "relu") -> Part:
    """Two convolutions and a short cut, projected where shapes differ. Reference: He et al. 2016, arXiv:1512.03385."""
    channels = image(x, "residual")[0]
    width = width or channels
    body = seq(
        first=op("conv", width=width, kernel=kernel, stride=stride, act=act),
        second=op("conv", width=width, kernel=kernel, act=None),
    )
    plain = width == channels and stride == 1
    short = op("identity") if plain else op("conv", width=width, kernel=1, stride=stride, act=None)
    return steps(sum=parallel(body=body, short=short, merge="add"), act=_act(act))


Size = Annotated[
    tuple[int, int] | None,
    Legal(
        "a pair (height, width) of whole numbers above 0, or None",
        lambda v: v is None or (isinstance(v, tuple) and len(v) == 2 and all(whole(side, 1) for side in v)),
    ),
]


@operation()
def project(x: Shape, *, width: Width = None, size: Size = None) -> Part:
    """A 1×1 convolution to `width` channels, and a stride or a resize to `size`: what makes shapes fit."""
    if len(x) == 1:
        return seq(linear=op("linear", width=width))
    _, height, across = image(x, "project")
    wanted = size or (height, across)
    stride = max(ceil(height / wanted[0]), 1)
    reached = (ceil(height / stride), ceil(across / stride))
    return steps(
        conv=op("conv", width=width, kernel=1, stride=stride, act=None),
        resize=op("resize", height=wanted[0], width=wanted[1]) if reached != tuple(wanted) else None,
    )


@operation(arity=(1, None))
def join(*shapes: Shape, fit: Fit = None) -> Part:
    """Operands side by side, then a 1×1 convolution back to the width of the first."""
    inputs = tuple(f"x{place}" for place in range(1, len(shapes) + 1))
    image(shapes[0], "join")
    nodes = {
        "concat": (op("concat", fit=fit), list(inputs)),
        "conv": (op("conv", width=shapes[0][0], kernel=1), "concat"),
    }
    return dag(nodes, inputs=inputs)


@operation()
def downsample(x: Shape, *, width: Width = None, kernel: Odd = 3, act: Activation = "relu") -> Part:
    """A convolution with stride 2: half the sides, `width` channels."""
    return seq(conv=op("conv", width=width, kernel=kernel, stride=2, act=act))


@operation()
def stem(x: Shape, *, width: Positive, kernel: Odd = 3, stride: Positive = 1, act: Activation = "relu") -> Part:
    """The first convolution of a network."""
    return seq(conv=op("conv", width=width, kernel=kernel, stride=stride, act=act))


# ---- vectors and sequences -------------------------------------------------------------------------------------------


@operation()
def dense(x: Shape, *, width: Positive, act: Activation = "relu", dropout: Fraction = 0.0) -> Part:
    """A linear layer, activation, dropout."""
    return steps(linear=op("linear", width=width), act=_act(act), dropout=op("dropout", p=dropout) if dropout else None)


@operation()
def mlp(x: Shape, *, hidden: Positive, width: Width = None, act: Activation = "gelu", dropout: Fraction = 0.0) -> Part:
    """Two linear layers with an activation between them."""
    return steps(
        first=op("linear", width=hidden),
        act=_act(act),
        second=op("linear", width=width or x[-1]),
        dropout=op("dropout", p=dropout) if dropout else None,
    )


@operation()
def attention(x: Shape, *, heads: Positive = 4, head_width: Width = None) -> Part:
    """Multi-head self-attention, (L, D) to (L, D). Reference: Vaswani et al. 2017, arXiv:1706.03762.

    head_width: features per head; None: D / heads.
    """
    width = sequence(x, "attention")[1]
    if head_width is None and width % heads:
        raise ShapeError(f"attention: {width} features do not divide into {heads} heads; say head_width")
    inner = heads * (head_width or width // heads)
    return dag(
        {
            "query": (op("linear", width=inner), "input"),
            "key": (op("linear", width=inner), "input"),
            "value": (op("linear", width=inner), "input"),
            "attend": (op("attend", heads=heads), ["query", "key", "value"]),
            "output": (op("linear", width=width), "attend"),
        }
    )


@operation()
def transformer(
    x: Shape, *, heads: Positive = 4, head_width: Width = None, ratio: Factor = 4, act: Activation = "gelu",
    dropout: Fraction = 0.0,
) -> Part:  # fmt: skip
    """A transformer block with norms first: attention and MLP, each added to its input.

    Reference: Vaswani et al. 2017; norms first after Xiong et al. 2020, arXiv:2002.04745. ratio: hidden width of the
    MLP over D.
    """
    width = sequence(x, "transformer")[1]
    mixing = steps(
        norm=op("layer_norm"),
        attention=op("attention", heads=heads, head_width=head_width),
        dropout=op("dropout", p=dropout) if dropout else None,
    )
    thinking = seq(norm=op("layer_norm"), mlp=op("mlp", hidden=max(1, round(width * ratio)), act=act, dropout=dropout))
    return dag(
        {
            "mixing": (mixing, "input"),
            "mixed": (op("add"), ["input", "mixing"]),
            "thinking": (thinking, "mixed"),
            "sum": (op("add"), ["mixed", "thinking"]),
        }
    )


@operation()
def tokens(x: Shape, *, vocabulary: Positive, width: Positive) -> Part:
    """Token embedding with learned positions, (L,) to (L, width)."""
    return seq(embedding=op("embedding", vocabulary=vocabulary, width=width), position=op("position"))


@operation()
def patches(x: Shape, *, width: Positive, size: Positive = 4) -> Part:
    """An image as a sequence of patches with learned positions, (C, H, W) to (H / size * W / size, width)."""
    _, height, across = image(x, "patches")
    if height % size or across % size:
        raise ShapeError(f"patches: an image of {height}×{across} does not divide into patches of {size}×{size}")
    return seq(
        conv=op("conv2d", width=width, kernel=size, stride=size, padding=0),
        sequence=op("to_sequence"),
        position=op("position"),
    )


@operation()
def head(x: Shape, *, classes: Positive, dropout: Fraction = 0.0) -> Part:
    """Pooling of whatever comes in, dropout, and a linear layer to one logit per class."""
    return steps(
        pool=op("global_pool") if len(x) == 3 else op("length_mean") if len(x) == 2 else None,
        flatten=op("flatten") if len(x) == 3 else None,
        dropout=op("dropout", p=dropout) if dropout else None,
        classifier=op("linear", width=classes),
    )
