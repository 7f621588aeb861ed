"""Two linear layers with nothing between them are one linear layer, where every such one can be written as the two."""

from __future__ import annotations

from functools import lru_cache
from math import prod

import torch
from torch import nn

_Pair = tuple[int, int]


def one_layer(first: nn.Module, second: nn.Module) -> nn.Module | None:
    """The one layer that does whatever `second` after `first` can do, no more and no less; None where there is none."""
    if type(first) is nn.Linear and type(second) is nn.Linear:
        if first.out_features < _needed(first, second, first.in_features, second.out_features):
            return None
        return _linear(first.in_features, second.out_features, _biased(first) or _biased(second))
    if type(first) is nn.Conv2d and type(second) is nn.Conv2d:
        return _one_conv(first, second)
    return None


def without_bias(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """The same layer without a bias."""
    if isinstance(layer, nn.Linear):
        return _linear(layer.in_features, layer.out_features, False)
    kernel, stride, padding, dilation = (_pair(getattr(layer, name)) for name in _WINDOW)
    return _conv(layer.in_channels, layer.out_channels, kernel, stride, padding, dilation, layer.groups, False)


def _biased(layer: nn.Linear | nn.Conv2d) -> bool:
    return getattr(layer, "bias", None) is not None


def _needed(first: nn.Linear | nn.Conv2d, second: nn.Linear | nn.Conv2d, wide: int, narrow: int) -> int:
    """The hidden width from which on nothing is lost.

    Either the first layer copies all its `wide` inputs (and a constant, where the second has no bias to add what the
    first's would), or the second copies all its `narrow` sums.
    """
    return min(wide + (_biased(first) and not _biased(second)), narrow)


_WINDOW = ("kernel_size", "stride", "padding", "dilation")


def _pair(value: object) -> _Pair:
    assert isinstance(value, tuple)
    return int(value[0]), int(value[1])


def _one_conv(first: nn.Conv2d, second: nn.Conv2d) -> nn.Module | None:
    """One convolution for two.

    Zeros that the second pads with are not what the first would give beyond its edge, unless it is 1×1 and has no bias.
    With strides or dilation between two real kernels, the sum of both has holes, so it is another kind of layer.
    """
    if first.groups != 1 or second.groups != 1:
        return None
    kernel_1, stride_1, padding_1, dilation_1 = (_pair(getattr(first, name)) for name in _WINDOW)
    kernel_2, stride_2, padding_2, dilation_2 = (_pair(getattr(second, name)) for name in _WINDOW)
    one_1, one_2 = kernel_1 == (1, 1), kernel_2 == (1, 1)
    if padding_2 != (0, 0) and (not one_1 or _biased(first) or stride_1 != (1, 1)):
        return None
    if not one_2 and (stride_1 != (1, 1) or (not one_1 and (dilation_1 != (1, 1) or dilation_2 != (1, 1)))):
        return None
    wide, narrow = first.in_channels * prod(kernel_1), second.out_channels * prod(kernel_2)
    if first.out_channels < _needed(first, second, wide, narrow):
        return None
    return _conv(
        first.in_channels,
        second.out_channels,
        (kernel_1[0] + kernel_2[0] - 1, kernel_1[1] + kernel_2[1] - 1),
        (stride_1[0] * stride_2[0], stride_1[1] * stride_2[1]),
        (padding_1[0] + padding_2[0], padding_1[1] + padding_2[1]),
        dilation_2 if one_1 else dilation_1,
        1,
        _biased(first) or _biased(second),
    )


@lru_cache(maxsize=1_024)
def _linear(wide: int, narrow: int, bias: bool) -> nn.Module:
    return nn.Linear(wide, narrow, bias, device=torch.device("meta"))


@lru_cache(maxsize=1_024)
def _conv(
    wide: int, narrow: int, kernel: _Pair, stride: _Pair, padding: _Pair, dilation: _Pair, groups: int, bias: bool
) -> nn.Module:
    meta = torch.device("meta")
    return nn.Conv2d(wide, narrow, kernel, stride, padding, dilation, groups, bias, device=meta)
