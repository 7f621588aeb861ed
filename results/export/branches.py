"""Sums of branches that are one layer.

Convolutions of one value that are added up are one convolution with the sum of their kernels, each laid into the middle
of the largest; so are a batch norm and the value itself beside them, as 1×1 kernels (Ding et al. 2021,
arXiv:2101.03697; differs: any number of branches of any odd kernels, groups, strides and dilations that fit, found in
the graph, not a block of its own). Linear layers of one value are one linear layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from nas.core.table import Call
from nas.core.values import FrozenDict
from results.export.editing import State, affine, forget, moved_on, numbers, put, uses, without
from results.export.tree import Block, Item, Ref

PLAIN = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
"""What torch's convolutions do unless told otherwise."""


class Window(NamedTuple):
    """What a convolution sees, centred on each pixel. dilation: 1 where the kernel is one pixel, which has none."""

    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    dilation: int = 1
    groups: int = 1


class Branch(NamedTuple):
    """An operand of a sum. source: the value that it is a layer of. leaf: that layer; None for the value itself.

    kind: 'conv', 'linear', 'norm', or 'same'.
    """

    ref: Ref
    source: Ref
    leaf: Item | None
    kind: str
    window: Window = Window()


class Sums:
    """The sums of a block, whose operands may be one layer. state: weights, which `made_one` changes."""

    def __init__(self, block: Block, state: State) -> None:
        self._block, self._state, self._uses = block, state, uses(block)

    def groups(self) -> Iterator[tuple[int, list[Branch]]]:
        """Place of a sum, and those of its operands that are one layer, at least two."""
        for place, item in enumerate(self._block.items):
            if isinstance(item.what, Call) and item.what.target == "operator.add":
                group = _together([self._branch(ref) for ref in item.operands])
                if group:
                    yield place, group

    def _branch(self, ref: Ref) -> Branch:
        """An operand as a layer of a value, if it is one that nobody else uses; else as a value of its own."""
        item = self._block.items[ref.item] if ref.item >= 0 else None
        leaf = _lone(item) if item is not None and self._uses[ref] == 1 else None
        if leaf is not None and isinstance(leaf.what, Call):
            assert item is not None
            (source,) = item.operands
            if leaf.what.target == "nn.Conv2d" and (window := window_of(leaf.what)) is not None:
                return Branch(ref, source, leaf, "conv", window)
            if leaf.what.target == "nn.Linear":
                return Branch(ref, source, leaf, "linear")
            if leaf.what.target == "nn.BatchNorm2d" and affine(self._state, leaf) is not None:
                return Branch(ref, source, leaf, "norm")
        return Branch(ref, ref, None, "same")

    def made_one(self, place: int, group: Sequence[Branch], path: str) -> Block:
        """The block with one layer, at `path`, in place of a group of operands of the sum at `place`."""
        main = next(branch for branch in group if branch.kind in ("conv", "linear"))
        call, kernel = _call(main, group)
        channels, state = call.args[0], self._state
        laid = [_laid(branch, state, channels, kernel, main.window.groups) for branch in group]
        assert main.leaf is not None
        kind = state[f"{main.leaf.path}.weight"].dtype
        for branch in group:
            if branch.leaf is not None:
                forget(state, branch.leaf)
        weight, bias = (torch.stack(each).sum(0) for each in zip(*laid, strict=True))
        put(state, path, kind, weight, bias)
        layer = Item(path.rpartition(".")[2], path, call, (main.source,), self._block.items[place].shapes)
        return self._with(layer, place, group)

    def _with(self, layer: Item, place: int, group: Sequence[Branch]) -> Block:
        """The block with a layer in place of a group of operands of a sum; of the whole sum where none are left."""
        items, add = self._block.items, self._block.items[place]
        taken = {branch.ref for branch in group}
        rest = tuple(ref for ref in add.operands if ref not in taken)
        gone = {branch.ref.item: branch.source for branch in group if branch.leaf is not None}
        if not rest:
            return without(replace(self._block, items=(*items[:place], layer, *items[place + 1 :])), gone)

        def later(refs: Sequence[Ref]) -> tuple[Ref, ...]:
            return tuple(moved_on(ref, place) for ref in refs)

        summed = replace(add, operands=(Ref(place), *later(rest)))
        behind = tuple(replace(item, operands=later(item.operands)) for item in items[place + 1 :])
        outputs = tuple((name, moved_on(ref, place)) for name, ref in self._block.outputs)
        wider = replace(self._block, items=(*items[:place], layer, summed, *behind), outputs=outputs)
        return without(wider, gone)


def _call(main: Branch, group: Sequence[Branch]) -> tuple[Call, tuple[int, int]]:
    """The layer that a group is, and its kernel."""
    assert main.leaf is not None
    assert isinstance(main.leaf.what, Call)
    channels, width = main.leaf.what.args[:2]
    if main.kind == "linear":
        return Call("nn.Linear", (channels, width)), (1, 1)
    high, wide = (max(branch.window.kernel[side] for branch in group) for side in (0, 1))
    dilation = max(branch.window.dilation for branch in group)
    down, across = (dilation * (side - 1) // 2 for side in (high, wide))
    settings = {
        "stride": main.window.stride,
        "padding": down if down == across else (down, across),
        "dilation": dilation,
        "groups": main.window.groups,
    }
    given = FrozenDict({name: value for name, value in settings.items() if value != PLAIN[name]})
    return Call("nn.Conv2d", (channels, width, high if high == wide else (high, wide)), given), (high, wide)


def _laid(branch: Branch, state: State, channels: int, kernel: tuple[int, int], groups: int) -> tuple[Tensor, Tensor]:
    """Weight and bias of a branch as those of a layer with this kernel, in float64."""
    if branch.kind == "linear":
        assert branch.leaf is not None
        return numbers(state, branch.leaf)
    if branch.kind == "conv":
        assert branch.leaf is not None
        weight, bias = numbers(state, branch.leaf)
    else:
        known = affine(state, branch.leaf) if branch.leaf is not None else None
        unit = torch.ones(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64)
        scale, bias = unit if known is None else known
        weight = torch.zeros(channels, channels // groups, 1, 1, dtype=torch.float64)
        index = torch.arange(channels)
        weight[index, index % (channels // groups), 0, 0] = scale
    down, across = ((kernel[side] - weight.shape[2 + side]) // 2 for side in (0, 1))
    return torch.nn.functional.pad(weight, (across, across, down, down)), bias


def _together(branches: Sequence[Branch]) -> list[Branch]:
    """The first group of branches that are one layer, at least two of them; [] where there is none."""
    for main in branches:
        group = [other for other in branches if _fits(other, main)]
        if len(group) > 1 and len({branch.ref for branch in group}) == len(group):
            return group
    return []


def _fits(other: Branch, main: Branch) -> bool:
    """Whether a branch is a layer of the same value that can be laid into a convolution or linear layer."""
    if main.leaf is None or main.kind == "norm" or other.source != main.source:
        return False
    if main.kind == "linear" or other.kind in ("conv", "linear"):
        near, far = other.window, main.window
        spread = near.dilation == far.dilation or near.kernel == (1, 1)
        return other.kind == main.kind and (near.stride, near.groups) == (far.stride, far.groups) and spread
    assert isinstance(main.leaf.what, Call)
    channels, width = main.leaf.what.args[:2]
    return main.window.stride == 1 and channels == width


def window_of(call: Call) -> Window | None:
    """The window of a convolution; None for one that is not centred on its pixels, or not filled up with zeros."""
    if len(call.args) != 3 or not set(call.kwargs) <= {*PLAIN, "bias"}:
        return None
    stride, padding, dilation, groups = (call.kwargs.get(name, PLAIN[name]) for name in PLAIN)
    if not isinstance(stride, int) or not isinstance(dilation, int):
        return None
    kernel, edges = _pair(call.args[2]), _pair(padding)
    centred = all(
        side % 2 == 1 and edge == dilation * (side - 1) // 2 for side, edge in zip(kernel, edges, strict=True)
    )
    return Window(kernel, stride, 1 if kernel == (1, 1) else dilation, groups) if centred else None


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _lone(item: Item) -> Item | None:
    """The one layer that an item is, however deep it lies; None for one that is more."""
    if isinstance(item.what, Call):
        return item if item.what.is_module and len(item.operands) == 1 else None
    if len(item.what.items) != 1 or not item.what.is_chain:
        return None
    return _lone(item.what.items[0])
