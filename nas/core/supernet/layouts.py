"""What the channels of each value are: of which operands of a concatenation, and of how many paths a sum.

A layer of a supernet must take, of its largest weight, the part that belongs to the channels that arrive. After a
concatenation whose operands have open widths these are not the first so many: each operand has a slot of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeAlias

from nas.core.lower import Lowered, Step
from nas.core.profile import InputSpec
from nas.core.table import Shape
from nas.core.values import digest

Layout: TypeAlias = tuple[tuple[str, int], ...]
"""Slots in order, each with its number of channels. A value that was not concatenated has the one slot ''."""


def single(channels: int) -> Layout:
    """The layout of a value that one layer made."""
    return (("", channels),)


def total(layout: Layout) -> int:
    """All channels."""
    return sum(channels for _, channels in layout)


@dataclass(frozen=True)
class Value:
    """What a step gives: its layout, and the paths that were merged in it since it was last normalised.

    count: how many paths; names: which, a text that is equal for equal sets of paths.
    """

    layout: Layout
    count: int = 1
    names: str = ""


def channels_of(shape: Shape) -> int:
    """The channels of an image (C, H, W), the features of a sequence (L, D) or vector (D,)."""
    return shape[1] if len(shape) == 2 else shape[0]


def flow(lowered: Lowered, inputs: Mapping[str, InputSpec]) -> list[tuple[tuple[Value, ...], Value]]:
    """For each step: the values of its operands, and its own."""
    shapes: dict[str, Shape] = dict(zip(lowered.inputs, (spec.shape for spec in inputs.values()), strict=True))
    known: dict[str, Value] = {name: Value(single(channels_of(shape))) for name, shape in shapes.items()}
    found = []
    for step in lowered.steps:
        operands = tuple(
            replace(known[name], names=alone) if alone else known[name]
            for name, alone in zip(step.operands, step.alone or ("",) * len(step.operands), strict=True)
        )
        value = _value(step, operands, tuple(shapes[name] for name in step.operands))
        if total(value.layout) != channels_of(step.shape):  # a function that does something to channels of its own
            value = Value(single(channels_of(step.shape)), value.count, value.names)
        known[step.path], shapes[step.path] = value, step.shape
        found.append((operands, value))
    return found


MAKERS = ("nn.Linear", "nn.Embedding", "user")
NORMS = ("nn.BatchNorm1d", "nn.BatchNorm2d")


def depthwise(step: Step) -> bool:
    """A convolution of each channel by itself."""
    groups = step.call.kwargs.get("groups", 1)
    return bool(groups != 1 and groups == step.call.args[0] == step.call.args[1])


def _value(step: Step, operands: Sequence[Value], shapes: Sequence[Shape]) -> Value:
    target, first = step.call.target, operands[0]
    if target in MAKERS or (target == "nn.Conv2d" and not depthwise(step)):
        return Value(single(channels_of(step.shape)), first.count, first.names)
    if target in NORMS:
        return Value(first.layout)
    if target == "torch.cat":
        slots = tuple(
            (f"{label}/{slot}" if slot else label, channels)
            for label, operand in zip(step.labels, operands, strict=True)
            for slot, channels in operand.layout
        )
        return Value(slots, max(operand.count for operand in operands), _names(step, operands))
    if step.call.operands == "fold" or target == "modules.mean":
        layout = min((operand.layout for operand in operands), key=lambda layout: (len(layout), layout))
        summed = target == "operator.add"
        counts = [operand.count for operand in operands]
        return Value(layout, sum(counts) if summed else max(counts), _names(step, operands))
    if target == "modules.Attention":
        return Value(operands[2].layout, first.count, first.names)
    if target == "nn.Flatten":
        return Value(_flattened(first.layout, shapes[0]), first.count, first.names)
    if target == "modules.CropChannels":
        return Value(_cropped(first.layout, channels_of(step.shape)), first.count, first.names)
    if target == "modules.PadChannels":
        more = channels_of(step.shape) - total(first.layout)
        return Value((*first.layout, ("padding", more)) if more else first.layout, first.count, first.names)
    return first


LONGEST = 80
"""Texts of paths that are longer are replaced by a digest: through identities they would grow without end."""


def _names(step: Step, operands: Sequence[Value]) -> str:
    """Which paths were merged: a text that does not depend on their order."""
    pairs = zip(step.labels, operands, strict=True)
    text = "+".join(sorted(f"{label}({value.names})" if value.names else label for label, value in pairs))
    return text if len(text) <= LONGEST else digest(text)


def _flattened(layout: Layout, shape: Shape) -> Layout:
    """Channels of an image become as many features as it has pixels; a sequence repeats its layout at each place."""
    if len(shape) == 2:
        if shape[0] == 1:
            return layout
        return tuple((f"{place}/{slot}", channels) for place in range(shape[0]) for slot, channels in layout)
    pixels = prod(shape[1:])
    return tuple((slot, channels * pixels) for slot, channels in layout)


def _cropped(layout: Layout, width: int) -> Layout:
    found = []
    for slot, channels in layout:
        if width > 0:
            found.append((slot, min(channels, width)))
            width -= channels
    return tuple(found)
