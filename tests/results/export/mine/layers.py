"""A user's file: layers, what they need, and things that have nothing to do with them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from nas.core.language import one_of, op, seq
from nas.core.space import Space, image
from tests.results.export.mine import halved

if TYPE_CHECKING:
    from pathlib import Path

SCALE, SHIFT = 0.5, 2
LIMIT: float = math.sqrt(SCALE)
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"relu": F.relu}
ACTIVATIONS["soft"] = F.softplus
ACTIVATIONS.update(squash=torch.tanh)
UNUSED = json.dumps({"not": "needed"})


@dataclass(frozen=True)
class Config:
    """Settings of a gate."""

    power: int = SHIFT


# The exponent matters: without it the gate saturates.
def _powered(x: torch.Tensor, power: int) -> torch.Tensor:
    return x.sign() * x.abs() ** power


def traced(cls: type) -> type:
    """A decorator that changes nothing but a mark."""
    cls.mark = LIMIT
    return cls


class Base(nn.Module):
    """What all layers of this file share."""

    def __init__(self, scale: float = SCALE) -> None:
        super().__init__()
        self.scale = scale

    def where(self) -> Path | None:
        """Nowhere."""
        return None


@traced
class Gated(Base):
    """A gated convolution, with settings from the top of the file."""

    mark: float

    def __init__(self, in_channels: int, width: int, kernel: int = 3, act: str = "soft") -> None:
        super().__init__()
        self.value = nn.Conv2d(in_channels, width, kernel, padding=kernel // 2)
        self.gate = nn.Conv2d(in_channels, width, 1)
        self.act = act
        self.config = Config()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        space = self.gate(x)  # a local variable with the name of something else in this file
        powered = [_powered(space, power) for power in (self.config.power,)]
        return self.value(x) * ACTIVATIONS[self.act](powered[0]) * self.scale + self.mark


class Outer:
    """A class around a module."""

    class Inner(nn.Module):
        """A module inside a class."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return halved(x) * SHIFT


class Mix(nn.Module):
    """Two operands, weighed by parameters that are one and the same tensor."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.left = nn.Linear(in_channels, in_channels)
        self.right = nn.Linear(in_channels, in_channels)
        self.right.weight = self.left.weight

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return (self.left(left.movedim(1, -1)) - self.right(right.movedim(1, -1))).movedim(-1, 1)


class Acting(nn.Module):
    """An activation, by class or by what stands for it, and numbers by name."""

    def __init__(self, act: type[nn.Module] | str = nn.Tanh, **more: float) -> None:
        super().__init__()
        self.act = act() if isinstance(act, type) else nn.ReLU()
        self.more = sum(more.values())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x) + self.more


space = Space(
    seq(gated=op(Gated, width=one_of(4, 6), act=one_of("relu", "soft", "squash")), head=op("head")), image(1, 8, 8), 3
)

if __name__ == "__main__":
    print(space.size(), UNUSED)
