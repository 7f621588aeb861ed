"""Another file of a user, whose names are also names of other things."""

import torch as nn
from torch.nn import Conv2d, Module

from .common import SCALE as QUARTER

SCALE = 3.0
WEIGHTS = {"Zero": 1.0}


def load(x: nn.Tensor, SCALE: float = SCALE) -> nn.Tensor:  # noqa: N803
    """Not the function that loads the network."""
    return x * SCALE * sum(WEIGHTS[name] for name in WEIGHTS)


def count() -> float:
    """Changes a constant of the file."""
    global SCALE
    SCALE = 3.0
    return SCALE


class Zero(Module):
    """Not a zero."""

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        WEIGHTS = x + SCALE  # noqa: N806
        return load(WEIGHTS) + count()


class Network(Module):
    """Not the network."""

    SCALE = 2.0

    def __init__(self, in_channels: int, OrderedDict: int = 1) -> None:  # noqa: N803
        super().__init__()
        self.conv = Conv2d(in_channels, in_channels, OrderedDict)
        self.zero = Zero()

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        return self.zero(self.conv(x)) * self.SCALE * QUARTER


class Base(Network):
    """Also a class of the other file."""


class ConvNormReLU(Base):
    """The name that a block of the engine would have."""
