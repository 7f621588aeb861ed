"""How small a probe may be: the smallest images on which a network still does what it does on its own.

A network of convolutions with canonical weights is a composition of unlike functions on maps of any size. What could
make two networks one on small maps only is what has no weights: a pool whose window covers the whole map is another
pool. So maps keep 2×2 pixels, and those that a pool sees keep more than its window reaches.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import prod
from typing import Any

from torch import nn

from nas.core import modules
from nas.core.probe.program import Program, Step
from nas.core.table import ACTIVATIONS, Shape

SMALLEST = 2
"""Least pixels on a side of a map inside."""

_LAYERS = (
    nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm, nn.Linear, nn.Flatten,
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Upsample,
    modules.Zero, modules.Subsample, modules.CropChannels, modules.PadChannels, modules.ToSequence,
    modules.LengthMean, modules.Position, modules.Attention,
    *(getattr(nn, name) for name in ACTIVATIONS.values()),
)  # fmt: skip
"""Layers that do the same to images of any size."""

_FORMS = (
    "fold ", "cat ", "mean", "gate", "flatten ", "add ", "sub ", "mul ", "truediv ", "neg ",
    "relu ", "gelu ", "silu ", "tanh ", "sigmoid ",
)  # fmt: skip
"""How the forms of functions begin that do the same to images of any size. `mean` and `gate` are those of ours."""


def ratios(program: Program) -> Iterator[Fraction]:
    """What to multiply the sides of all images with, smallest first; the last is 1."""
    maps = {shape[1:] for shape in program.shapes if len(shape) == 3 and shape[1:] != (1, 1)}
    if maps and all(_scales(step, program) for step in program.steps):
        least = min(min(sides) for sides in maps)
        for pixels in range(SMALLEST, least):
            ratio = Fraction(pixels, least)
            if all((side * ratio).denominator == 1 for sides in maps for side in sides) and not any(
                _covered(step, program, ratio) for step in program.steps
            ):
                yield ratio
                break
    yield Fraction(1)


def scaled(shape: Shape, ratio: Fraction) -> Shape:
    """An image's shape at a ratio; a shape of anything else as it is.

    >>> scaled((16, 32, 32), Fraction(1, 8)), scaled((16, 1, 1), Fraction(1, 8)), scaled((10,), Fraction(1, 8))
    ((16, 4, 4), (16, 1, 1), (10,))
    """
    if len(shape) != 3 or shape[1:] == (1, 1):
        return shape
    return shape[0], int(shape[1] * ratio), int(shape[2] * ratio)


def fits(small: Shape, full: Shape, ratio: Fraction) -> bool:
    """Whether a value's shape on small images is that on full ones, scaled; the length of sequences is free."""
    if len(full) == 2:
        return len(small) == 2 and small[1] == full[1]
    return small == scaled(full, ratio)


def macs(program: Program, ratio: Fraction) -> float:
    """Multiply-adds of convolutions and linear layers for one input, about, at a ratio."""
    total = 0.0
    for step in program.steps:
        layer = step.run
        if isinstance(layer, nn.Conv2d):
            area = prod(step.shape[1:]) * float(ratio) ** 2
            total += layer.out_channels * layer.in_channels // layer.groups * prod(layer.kernel_size) * area
        elif isinstance(layer, nn.Linear):
            total += layer.in_features * layer.out_features * prod(step.shape[:-1])
    return total


def _scales(step: Step, program: Program) -> bool:
    """Whether a step does the same to images of any size."""
    if not isinstance(step.run, nn.Module):
        return step.form.startswith(_FORMS)
    if isinstance(step.run, nn.LayerNorm) and len(program.shapes[step.operands[0]]) == 3:
        return False
    return type(step.run) in _LAYERS


def _covered(step: Step, program: Program, ratio: Fraction) -> bool:
    """Whether a pool's window would cover a whole map at this ratio."""
    if not isinstance(step.run, nn.MaxPool2d | nn.AvgPool2d):
        return False
    sides = program.shapes[step.operands[0]][1:]
    kernel, padding = _pair(step.run.kernel_size), _pair(step.run.padding)
    dilation = _pair(getattr(step.run, "dilation", 1))
    reach = (max(p, d * (k - 1) - p) for k, p, d in zip(kernel, padding, dilation, strict=True))
    return any(side * ratio < far + 2 for side, far in zip(sides, reach, strict=True))


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1])) if isinstance(value, tuple) else (int(value), int(value))
