"""How small a probe may be: the smallest images on which a network still does what it does on its own.

A network of convolutions with canonical weights is a composition of unlike functions on maps of any size: two that
differ, differ on small maps too. What could make two networks one on small maps only is what has no weights: a pool
whose window covers the whole map is another pool. So the height of maps keeps 2 pixels, and more than a pool's window
reaches. What has no weights here treats both directions alike, so one of them is enough: the width may go down to 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import prod
from typing import Any, TypeAlias

from torch import nn

from nas.core import modules
from nas.core.probe.program import Program, Step
from nas.core.table import ACTIVATIONS, Shape

Ratio: TypeAlias = tuple[Fraction, Fraction]
"""What to multiply heights and widths with."""

FULL: Ratio = (Fraction(1), Fraction(1))

LEAST = (2, 1)
"""Fewest pixels of a map's height and of its width."""

_LAYERS = (
    nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm, nn.Linear, nn.Flatten,
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Upsample,
    modules.Zero, modules.Subsample, modules.CropChannels, modules.PadChannels, modules.ToSequence,
    modules.LengthMean, modules.Position, modules.Attention,
    *(getattr(nn, name) for name in ACTIVATIONS.values()),
)  # fmt: skip
"""Layers that do the same to images of any size."""

_FORMS = (
    "fold ", "cat ", "flatten ", "add ", "sub ", "mul ", "truediv ", "neg ",
    "relu ", "gelu ", "silu ", "tanh ", "sigmoid ", "mean (('operand 0', (2, 3)", "mean (('operand 0', [2, 3]",
)  # fmt: skip
"""How the forms of functions begin that do the same to images of any size."""

_OURS = ("mean", "gate")
"""Forms of functions of `nas.core.modules` that do."""


def ratios(program: Program) -> Iterator[Ratio]:
    """What to multiply the sides of all images with: the smallest that should do, then 1."""
    small = _smallest(program) if all(_scales(step, program) for step in program.steps) else FULL
    if small != FULL:
        yield small
    yield FULL


def _smallest(program: Program) -> Ratio:
    maps = {shape[1:] for shape in program.shapes if _is_image(shape)}
    pools = [step for step in program.steps if isinstance(step.run, nn.MaxPool2d | nn.AvgPool2d)]
    alike = all(_both_ways_alike(step.run) for step in pools)
    found: list[Fraction] = []
    for axis in (0, 1) if maps else ():
        sides = {sides[axis] for sides in maps}
        least = min(sides)
        seen = [] if axis and alike else [(program.shapes[s.operands[0]][1 + axis], _reach(s.run, axis)) for s in pools]
        fitting = (
            ratio
            for ratio in (Fraction(pixels, least) for pixels in range(LEAST[axis], least))
            if all((side * ratio).denominator == 1 for side in sides)
            and all(side * ratio >= reach + 2 for side, reach in seen)
        )
        found.append(next(fitting, Fraction(1)))
    return (found[0], found[1]) if found else FULL


def _is_image(shape: Shape) -> bool:
    return len(shape) == 3 and shape[1:] != (1, 1)


def scaled(shape: Shape, ratio: Ratio) -> Shape:
    """An image's shape at a ratio; a shape of anything else as it is.

    >>> half = (Fraction(1, 2), Fraction(1, 8))
    >>> scaled((16, 32, 32), half), scaled((16, 1, 1), half), scaled((10,), half)
    ((16, 16, 4), (16, 1, 1), (10,))
    """
    if not _is_image(shape):
        return shape
    return shape[0], int(shape[1] * ratio[0]), int(shape[2] * ratio[1])


def fits(found: Shape, expected: Shape) -> bool:
    """Whether a value has the shape that it should have; the length of sequences is free."""
    return found == expected or (len(found) == len(expected) == 2 and found[1] == expected[1])


def macs(program: Program, ratio: Ratio) -> float:
    """Multiply-adds of convolutions and linear layers for one input, about, at a ratio."""
    total = 0.0
    for step in program.steps:
        layer = step.run
        if isinstance(layer, nn.Conv2d):
            area = prod(scaled(step.shape, ratio)[1:])
            total += layer.out_channels * layer.in_channels // layer.groups * prod(layer.kernel_size) * area
        elif isinstance(layer, nn.Linear):
            total += layer.in_features * layer.out_features * prod(step.shape[:-1])
    return total


def _scales(step: Step, program: Program) -> bool:
    """Whether a step does the same to images of any size."""
    if not isinstance(step.run, nn.Module):
        return step.form in _OURS or step.form.startswith(_FORMS)
    if isinstance(step.run, nn.LayerNorm) and len(program.shapes[step.operands[0]]) == 3:
        return False
    return type(step.run) in _LAYERS


def _reach(pool: Any, axis: int) -> int:
    """How far from its place a pool looks."""
    kernel, padding, dilation = (_pair(getattr(pool, name, 1))[axis] for name in ("kernel_size", "padding", "dilation"))
    return max(padding, dilation * (kernel - 1) - padding)


def _both_ways_alike(pool: Any) -> bool:
    pairs = [_pair(getattr(pool, name, 1)) for name in ("kernel_size", "stride", "padding", "dilation")]
    return all(one == other for one, other in pairs)


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1])) if isinstance(value, tuple) else (int(value), int(value))
