"""A space of one's own, with a torch module of one's own in it. Constructor arguments may be choices."""

import torch
from torch import nn

from nas import InputSpec, Space, one_of, op, repeat, seq


class GatedConv(nn.Module):
    """A convolution whose output is gated by a second one. `in_channels` is filled with what arrives.

    x: (N, C, H, W). Returns: (N, width, H, W).
    """

    def __init__(self, in_channels: int, width: int, kernel: int = 3, gate: str = "sigmoid") -> None:
        super().__init__()
        self.value = nn.Conv2d(in_channels, width, kernel, padding=kernel // 2)
        self.open = nn.Conv2d(in_channels, width, 1)
        self.norm = nn.BatchNorm2d(width)
        self.gate = {"sigmoid": nn.Sigmoid(), "tanh": nn.Tanh()}[gate]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.value(x) * self.gate(self.open(x)))


def gated(inputs: InputSpec, classes: int, width: int = 16) -> Space:
    """Two stages of gated or plain convolutions. `inputs` and `classes` come from the data."""
    block = one_of(
        gated=op(GatedConv, width=width, kernel=one_of(1, 3, 5), gate=one_of("sigmoid", "tanh")),
        plain=op("conv", width=width, kernel=one_of(3, 5)),
        bottleneck=op("mbconv", width=width, expand=one_of(2, 4)),
    )
    stage = repeat(block, times=one_of(1, 2, 3))
    return Space(seq(stem=op("stem", width=width), early=stage, half=op("max_pool"), late=stage, head=op("head")),
                 inputs, classes)  # fmt: skip
