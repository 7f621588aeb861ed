"""Layers with weights, run with given weights in float64 on the CPU, the fast way for small maps.

torch's float64 convolution is slow where it matters here: it goes group by group, and map by map. Windows laid side by
side and one matrix product are faster on maps of a few pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.core import modules

Weights: TypeAlias = dict[str, Tensor]
"""A layer's weights by their names in the module."""

_SMALL = 9
"""Most pixels of an output for which a dense convolution is one product; depthwise ones are worth it up to 8×8."""


def conv(x: Tensor, weight: Tensor, bias: Tensor | None, like: nn.Conv2d) -> Tensor:
    """The convolution of x (N, C, H, W) with other weights than those of `like`."""
    kernel, stride, padding, dilation = like.kernel_size, like.stride, like.padding, like.dilation
    groups = like.groups
    height, width = (
        (x.shape[2 + d] + 2 * int(padding[d]) - dilation[d] * (kernel[d] - 1) - 1) // stride[d] + 1 for d in (0, 1)
    )
    if height * width > (_SMALL if groups == 1 else 64):
        return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)
    count, wide = x.shape[0], weight.shape[0]
    if kernel == (1, 1) and stride == (1, 1) and padding == (0, 0):
        windows = x.reshape(count, x.shape[1], -1)  # (N, C, L)
    else:
        windows = functional.unfold(x, kernel, dilation, padding, stride)  # type: ignore[arg-type]  # (N, C*k*k, L)
    if groups == 1:
        out = weight.reshape(wide, -1) @ windows  # (N, O, L)
    elif groups == wide == x.shape[1]:
        out = (windows.view(count, wide, -1, windows.shape[-1]) * weight.view(wide, -1, 1)).sum(2)
    else:
        grouped = windows.view(count, groups, -1, windows.shape[-1])  # (N, G, C/G*k*k, L)
        out = weight.view(groups, wide // groups, -1) @ grouped  # (N, G, O/G, L)
    out = out.reshape(count, wide, height, width)
    return out if bias is None else out + bias.view(-1, 1, 1)


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
