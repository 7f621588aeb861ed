"""Layers with weights, run with given weights in float64 on the CPU, the fast way for small maps.

torch's float64 convolution is slow where it matters here: it goes group by group, and map by map. Windows laid side by
side and one matrix product are faster on maps of a few pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.core import modules

Weights: TypeAlias = dict[str, Tensor]
"""A layer's weights by their names in the module."""

_DENSE, _HEAVY = 9, 8_192
"""A convolution is one product where its output has at most so many pixels, and at least so many weights."""

_GROUPED = 2_000
"""One with groups is, where its output's pixels times the places of its kernel are at most so many."""


def conv(x: Tensor, weight: Tensor, bias: Tensor | None, like: nn.Conv2d) -> Tensor:
    """The convolution of x (N, C, H, W) with other weights than those of `like`."""
    count, channels, height, width = x.shape
    out_height, out_width = _sides(like, height, width)
    groups = like.groups
    pixels = out_height * out_width
    dense = pixels <= _DENSE and weight.numel() >= _HEAVY
    if not (dense if groups == 1 else pixels * weight[0, 0].numel() <= _GROUPED):
        return torch.conv2d(x, weight, bias, like.stride, like.padding, like.dilation, groups)
    wide = weight.shape[0]
    if like.kernel_size == like.stride == (1, 1) and like.padding == (0, 0):
        windows = x.reshape(count, channels, pixels)  # (N, C, L)
    else:
        windows = functional.unfold(x, like.kernel_size, like.dilation, like.padding, like.stride)  # type: ignore[arg-type]  # (N, C*k*k, L)
    if groups == 1:
        out = weight.reshape(wide, -1) @ windows  # (N, O, L)
    elif groups == wide == channels:
        out = (windows.reshape(count, wide, -1, pixels) * weight.reshape(wide, -1, 1)).sum(2)  # (N, C, L)
    else:
        grouped = windows.reshape(count, groups, -1, pixels)  # (N, G, C/G*k*k, L)
        out = weight.reshape(groups, wide // groups, -1) @ grouped  # (N, G, O/G, L)
    out = out.reshape(count, wide, out_height, out_width)
    return out if bias is None else out + bias.view(-1, 1, 1)


Window: TypeAlias = tuple[int, int, int, int]
"""Kernel, stride, padding and dilation in one direction."""


def window_of(layer: Any, axis: int) -> Window:
    """The window of a convolution or a pool: in height (axis 0) or width (axis 1)."""
    kernel, stride, padding, dilation = (_pair(getattr(layer, name, 1))[axis] for name in _WINDOW)
    return kernel, stride, padding, dilation


_WINDOW = ("kernel_size", "stride", "padding", "dilation")


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1])) if isinstance(value, tuple) else (int(value), int(value))


def side_after(window: Window, side: int) -> int:
    """The side of what a window gives."""
    kernel, stride, padding, dilation = window
    return (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


@lru_cache(maxsize=10_000)
def _sides(like: nn.Conv2d, height: int, width: int) -> tuple[int, int]:
    """The sides of a convolution's output."""
    return side_after(window_of(like, 0), height), side_after(window_of(like, 1), width)


@lru_cache(maxsize=10_000)
def felt(layer: nn.Conv2d, height: int, width: int) -> nn.Conv2d:
    """The same convolution on maps of this size, without the edges of its kernel that see padding only."""
    (k0, s0, p0, d0), (k1, s1, p1, d1) = _felt(window_of(layer, 0), height), _felt(window_of(layer, 1), width)
    if (k0, k1) == layer.kernel_size:
        return layer
    wide, narrow, bias = layer.in_channels, layer.out_channels, layer.bias is not None
    meta = torch.device("meta")
    return nn.Conv2d(wide, narrow, (k0, k1), (s0, s1), (p0, p1), (d0, d1), layer.groups, bias, device=meta)


def _felt(window: Window, side: int) -> Window:
    """A window in one direction without the places that see padding only."""
    kernel, stride, padding, dilation = window
    starts = [place * stride - padding for place in range(side_after(window, side))]
    seen = [tap for tap in range(kernel) if any(0 <= start + tap * dilation < side for start in starts)]
    if not seen:
        return window
    shorter = seen[-1] - seen[0] + 1, stride, padding - seen[0] * dilation, dilation
    return shorter if shorter[2] >= 0 and side_after(shorter, side) == len(starts) else window


def _conv2d(layer: nn.Conv2d, x: Tensor, given: Weights) -> Tensor:
    return conv(x, given["weight"], given.get("bias"), layer)


def _linear(layer: nn.Linear, x: Tensor, given: Weights) -> Tensor:
    return functional.linear(x, given["weight"], given.get("bias"))


def _batch_norm(layer: nn.BatchNorm2d, x: Tensor, given: Weights) -> Tensor:
    """By the batch's own statistics, as in training."""
    return torch.batch_norm(x, given.get("weight"), given.get("bias"), None, None, True, 0.0, layer.eps, False)


def _layer_norm(layer: nn.LayerNorm, x: Tensor, given: Weights) -> Tensor:
    return torch.layer_norm(x, layer.normalized_shape, given.get("weight"), given.get("bias"), layer.eps)


def _group_norm(layer: nn.GroupNorm, x: Tensor, given: Weights) -> Tensor:
    return torch.group_norm(x, layer.num_groups, given.get("weight"), given.get("bias"), layer.eps)


def _embedding(layer: nn.Embedding, x: Tensor, given: Weights) -> Tensor:
    return functional.embedding(x, given["weight"])


def _position(layer: modules.Position, x: Tensor, given: Weights) -> Tensor:
    return x + given["weight"]


_RUN: Mapping[type[nn.Module], Callable[[Any, Tensor, Weights], Tensor]] = {
    nn.Conv2d: _conv2d,
    nn.Linear: _linear,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.GroupNorm: _group_norm,
    nn.Embedding: _embedding,
    modules.Position: _position,
}


def known(layer: nn.Module) -> bool:
    """Whether `run_with` does just what the layer does while it trains."""
    if type(layer) not in _RUN:
        return False
    plain_conv = not isinstance(layer, nn.Conv2d) or (
        layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    )
    plain_words = not isinstance(layer, nn.Embedding) or (layer.padding_idx is None and layer.max_norm is None)
    return plain_conv and plain_words and all(p.requires_grad for p in layer.parameters())


def run_with(layer: nn.Module, x: Tensor, given: Weights) -> Tensor:
    """A known layer's output with these weights."""
    return _RUN[type(layer)](layer, x, given)


def weight_shapes(layer: nn.Module, x: Tensor) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a layer's weights; a position's as long as what arrives."""
    if type(layer) is modules.Position:
        return {"weight": tuple(x.shape[1:])}
    return {name: tuple(held.shape) for name, held in layer._parameters.items() if held is not None}


def windows(layer: nn.Module) -> str:
    """How a layer's window moves, as text: maps of a few pixels may not feel it."""
    if not isinstance(layer, nn.modules.conv._ConvNd):
        return ""
    dilation = layer.dilation if max(layer.kernel_size) > 1 else (1,) * len(layer.kernel_size)
    return f" {layer.stride} {layer.padding} {dilation} {layer.groups} {layer.padding_mode}"
