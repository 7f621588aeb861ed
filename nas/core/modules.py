"""Torch modules and functions that `torch.nn` lacks. Exports copy what they use, so this file imports torch only.

Shapes: N batch, C channels, H height, W width, L length, D features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: F401 - exports copy the imports too
from torch import Tensor, nn


class Zero(nn.Module):
    """All zeros, (N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride)), with a zero gradient."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        return x * 0.0


class Subsample(nn.Module):
    """Every `stride`-th pixel, (N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride))."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride]


class CropChannels(nn.Module):
    """The first `width` channels, (N, C, …) to (N, width, …)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return x[:, : self.width]


class PadChannels(nn.Module):
    """Zero channels after the last, (N, C, H, W) to (N, width, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x.new_zeros(x.shape[0], self.width - x.shape[1], *x.shape[2:])], dim=1)


class ToSequence(nn.Module):
    """Pixels as a sequence, (N, C, H, W) to (N, H * W, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)


class LengthMean(nn.Module):
    """The mean over the length, (N, L, D) to (N, D)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=1)


class Position(nn.Module):
    """A learned vector per place, added, (N, L, D) to (N, L, D)."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(length, width) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


class Attention(nn.Module):
    """Scaled dot-product attention of queries, keys and values, each (N, L, D), in `heads` heads, to (N, L, D)."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        def split(x: Tensor) -> Tensor:
            return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)  # (N, heads, L, D / heads)

        mixed = torch.nn.functional.scaled_dot_product_attention(split(query), split(key), split(value))
        return mixed.transpose(1, 2).flatten(2)  # (N, L, D)


def mean(*operands: Tensor) -> Tensor:
    """The mean of equal-shaped operands."""
    total = operands[0]
    for operand in operands[1:]:
        total = total + operand
    return total / len(operands)


def gate(x: Tensor, weight: Tensor) -> Tensor:
    """Channels scaled one by one: x (N, C, H, W), weight (N, C), to (N, C, H, W)."""
    return x * weight[:, :, None, None]
