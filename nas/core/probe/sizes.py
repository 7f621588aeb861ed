"""How small a probe may be: the smallest images on which a network still does what it does on its own.

A network of convolutions with canonical weights is a composition of unlike functions on maps of any size: two that
differ, differ on small maps too. What could make two networks one on small maps only is what has no weights: a pool
whose window covers the whole map is another pool, and so are pools of pools. So the height of maps keeps 2 pixels, and
more than pools reach together from one convolution to the next. What has no weights here treats both directions alike,
so one of them is enough where no pool follows another: the width may go down to 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import prod
from typing import TypeAlias

from torch import nn

from nas.core import modules
from nas.core.probe.layers import Window, side_after, window_of
from nas.core.probe.program import Program, Step
from nas.core.table import ACTIVATIONS, Shape

_Pool: TypeAlias = nn.MaxPool2d | nn.AvgPool2d

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
    "adaptive_avg_pool2d (('operand 0', 1)",
)  # fmt: skip
"""How the forms of functions begin that do the same to images of any size."""

_OURS = ("mean", "gate")
"""Forms of functions of `nas.core.modules` that do."""


def ratios(program: Program) -> Iterator[Ratio]:
    """What to multiply the sides of all images with: the smallest that should do, then 1.

    What has no weights is probed at full size: there nothing keeps two functions apart but what they do.
    """
    weights = any(step.layer is not None for step in program.steps)
    small = FULL
    if weights and all(_scales(step, program) for step in program.steps):
        small = _smallest(program, 0), _smallest(program, 1)
    if small != FULL:
        yield small
    yield FULL


def _smallest(program: Program, axis: int) -> Fraction:
    """What to multiply all heights (axis 0) or widths (axis 1) with."""
    shapes = program.shapes
    sides = {shape[1 + axis] for shape in shapes if _is_image(shape)}
    windows = [step for step in program.steps if isinstance(step.run, nn.Conv2d | _Pool)]
    pools = [step.run for step in windows if isinstance(step.run, _Pool)]
    alike = all(window_of(pool, 0) == window_of(pool, 1) for pool in pools)
    reaches = _reaches(program, axis)

    def does(step: Step, ratio: Fraction) -> bool:
        """Whether a window gives a map of the right size, and sees a part of it only."""
        window, side = window_of(step.run, axis), int(shapes[step.operands[0]][1 + axis] * ratio)
        before = reaches[step.operands[0]]
        seen = isinstance(step.run, nn.Conv2d) or (axis == 1 and alike and not before)
        seen = seen or side >= before + _reach(window) + 2
        return seen and side_after(window, side) == step.shape[1 + axis] * ratio

    for pixels in range(LEAST[axis], min(sides, default=0)):
        ratio = Fraction(pixels, min(sides))
        if all((side * ratio).denominator == 1 for side in sides) and all(does(step, ratio) for step in windows):
            return ratio
    return Fraction(1)


def _reaches(program: Program, axis: int) -> list[int]:
    """For each value, how far pools have looked since the last convolution, in its own pixels."""
    found = [0] * (len(program.shapes) - len(program.steps))
    for step in program.steps:
        before = max((found[number] for number in step.operands), default=0)
        if isinstance(step.run, nn.Conv2d):
            found.append(0)
        elif isinstance(step.run, _Pool):
            window = window_of(step.run, axis)
            found.append(-(-(before + _reach(window)) // window[1]))
        else:
            found.append(before)
    return found


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
    if step.opaque or (isinstance(step.run, nn.LayerNorm) and len(program.shapes[step.operands[0]]) == 3):
        return False
    absolute = isinstance(step.run, nn.Upsample) and step.run.size is not None
    return type(step.run) in _LAYERS and not absolute and not getattr(step.run, "ceil_mode", False)


def _reach(window: Window) -> int:
    """How far from its place a window looks."""
    kernel, _, padding, dilation = window
    return max(padding, dilation * (kernel - 1) - padding)
