"""The exact operations of three tabular benchmarks; parameter counts equal those of their tables.

References: NAS-Bench-201, Dong & Yang 2020, arXiv:2001.00326; NAS-Bench-101, Ying et al. 2019, arXiv:1902.09635;
NAS-Bench-Macro, Su et al. 2021, arXiv:2103.11922.
"""

from __future__ import annotations

from nas.core.language import op, parallel, seq
from nas.core.operations.layers import image
from nas.core.parts import Part
from nas.core.table import Odd, Positive, Shape, Width, operation


def _relu_conv_norm(width: int, kernel: int, stride: int = 1) -> Part:
    return seq(
        act=op("relu"),
        conv=op("conv2d", width=width, kernel=kernel, stride=stride, bias=False),
        norm=op("batch_norm"),
    )


@operation()
def nb201_conv(x: Shape, *, kernel: Odd) -> Part:
    """NAS-Bench-201's `nor_conv_1x1` and `nor_conv_3x3`: ReLU, convolution, batch norm."""
    return _relu_conv_norm(image(x, "nb201_conv")[0], kernel)


@operation()
def nb201_reduce(x: Shape) -> Part:
    """NAS-Bench-201's residual block between stages: half the sides, twice the channels."""
    width = 2 * image(x, "nb201_reduce")[0]
    return parallel(
        body=seq(first=_relu_conv_norm(width, 3, 2), second=_relu_conv_norm(width, 3)),
        short=seq(
            pool=op("avg_pool", kernel=2, stride=2, padding=0), conv=op("conv2d", width=width, kernel=1, bias=False)
        ),
        merge="add",
    )


@operation()
def macro_skip(x: Shape, *, width: Width = None, stride: Positive = 2) -> Part:
    """NAS-Bench-Macro's identity where the shape changes: a 1×1 convolution and batch norm."""
    return seq(conv=op("conv", width=width, kernel=1, stride=stride, act=None))


@operation()
def macro_head(x: Shape, *, classes: Positive) -> Part:
    """NAS-Bench-Macro's end: 1×1 convolution to 1,280 channels, pooling, classifier."""
    return seq(conv=op("conv", width=1280, kernel=1), head=op("head", classes=classes))
