"""Modules that run, and that an exporter cannot express."""

import torch
from torch import nn


class Branching(nn.Module):
    """Does one thing or another, as its input says."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.is_meta or x.mean() > 0:  # where shapes are worked out there are no values
            return x
        return torch.tanh(x)


class Around(nn.Module):
    """Has a module inside that cannot be expressed."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)
        self.inner = nn.ModuleList([nn.ReLU(), Branching()])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        for module in self.inner:
            x = module(x)
        return x


class Fixed(nn.Module):
    """Looks at examples one by one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([row / (1 + row.abs().max()) for row in x])


class Decomposed(nn.Module):
    """Uses an operator that ONNX lacks."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.linalg.svdvals(x)[..., :1, None]


class Switching(nn.Module):
    """What a Branching is to become: both are computed, and one is chosen."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x.mean() > 0, x, torch.tanh(x))


class Rounded(nn.Module):
    """A difference in the last digit becomes one in the first."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x * 1e7)
