"""The same function from fewer layers: batch norms folded into the layer before them, parallel convolutions made one.

In eval mode a batch norm is a scale and a shift of each channel, which a convolution or linear layer before it takes
into its weight and bias. Convolutions of one value that are added up are one convolution with the sum of their kernels,
each laid into the middle of the largest; so are a batch norm and the value itself beside them, as 1×1 kernels (Ding et
al. 2021, arXiv:2101.03697; differs: any number of branches of any odd kernels, groups, strides and dilations that fit,
found in the graph, not a block of its own). All sums are made in float64.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from nas.core.table import Call
from nas.core.values import FrozenDict
from results.export.tree import Block, Item, Ref

State = dict[str, Tensor]

NORMS = {"nn.BatchNorm2d": "nn.Conv2d", "nn.BatchNorm1d": "nn.Linear"}
"""Kind of batch norm → kind of the layer that takes it in."""
EPS = 1e-5
"""What torch's batch norms add to a variance unless told otherwise."""


@dataclass(frozen=True)
class Fused:
    """A network's blocks and its weights after fusing. norms, branches: how many were folded, and how many merged.

    notes: which batch norms are still there, and why.
    """

    root: Block
    state: State
    norms: int
    branches: int
    notes: tuple[str, ...]


def fuse(root: Block, state: Mapping[str, Tensor], *, norms: bool = True, branches: bool = True) -> Fused:
    """Fold batch norms and merge parallel branches of a network in eval mode.

    root: as `tree_of` gives it. state: its state dict; both stay as they are. norms: fold them. branches: merge them,
    for which batch norms are folded too.
    """
    if not norms and not branches:
        return Fused(root, dict(state), 0, 0, ())
    work = _Fusing(dict(state), branches)
    fused = work.block(root)
    return Fused(fused, work.state, work.folded, work.merged, tuple(_left(fused)))


def _left(block: Block) -> list[str]:
    """Batch norms that could not be folded, by what stands before them."""
    found: dict[str, list[str]] = {}
    for inside in _blocks(block):
        for item in inside.items:
            if isinstance(item.what, Call) and item.what.target in NORMS:
                found.setdefault(_why(inside, item), []).append(item.path)
    return [
        f"{len(paths)} batch norm{'s stay' if len(paths) > 1 else ' stays'} ({', '.join(paths[:3])}"
        f"{', …' if len(paths) > 3 else ''}): {why}"
        for why, paths in found.items()
    ]


def _blocks(block: Block) -> list[Block]:
    return [block, *(b for item in block.items if isinstance(item.what, Block) for b in _blocks(item.what))]


def _why(block: Block, item: Item) -> str:
    (source,) = item.operands
    if source.item < 0:
        return "what they take is made outside their block"
    assert isinstance(item.what, Call)
    if _maker(block.items[source.item], source.output, NORMS[item.what.target]) is not None:
        return "the layer before them is used elsewhere too"
    return "no convolution or linear layer is right before them"


@dataclass
class _Fusing:
    state: State
    branches: bool
    folded: int = 0
    merged: int = 0
    paths: set[str] = field(default_factory=set)

    def block(self, block: Block) -> Block:
        """A block whose inner blocks are fused, and then its own layers, as long as something is found."""
        self.paths |= {item.path for item in block.items}
        items = tuple(
            replace(item, what=self.block(item.what)) if isinstance(item.what, Block) else item for item in block.items
        )
        inner = any(isinstance(new.what, Block) and new.what.fused for new in items)
        found = replace(block, items=items, fused=inner)
        while True:
            step = self._fold(found) or (self.branches and self._merge(found))
            if not step:
                return found
            found = replace(step, fused=True)

    # ---- batch norms -------------------------------------------------------------------------------------------------

    def _fold(self, block: Block) -> Block | None:
        """The block with one batch norm less, or None."""
        uses = _uses(block)
        for place, item in enumerate(block.items):
            if not isinstance(item.what, Call) or item.what.target not in NORMS:
                continue
            (source,) = item.operands
            before = block.items[source.item] if source.item >= 0 and uses[source] == 1 else None
            layer = _maker(before, source.output, NORMS[item.what.target]) if before is not None else None
            scale_shift = self._affine(item)
            if before is None or layer is None or scale_shift is None:
                continue
            self._take_in(layer, *scale_shift)
            self._forget(item)
            self.folded += 1
            items = [_biased(before, layer) if other is before else other for other in block.items]
            return _without(replace(block, items=tuple(items)), {place: source})
        return None

    def _affine(self, item: Item) -> tuple[Tensor, Tensor] | None:
        """Scale and shift of a batch norm, in float64, (C,) each; None where it keeps no statistics."""
        assert isinstance(item.what, Call)
        mean, variance = (self.state.get(f"{item.path}.running_{name}") for name in ("mean", "var"))
        if mean is None or variance is None:
            return None
        scale = (variance.double() + item.what.kwargs.get("eps", EPS)).rsqrt()
        shift = -mean.double() * scale
        weight, bias = (self.state.get(f"{item.path}.{name}") for name in ("weight", "bias"))
        if weight is not None and bias is not None:
            scale, shift = scale * weight.double(), shift * weight.double() + bias.double()
        return scale, shift

    def _take_in(self, layer: Item, scale: Tensor, shift: Tensor) -> None:
        weight, bias = self._numbers(layer)
        kind = self.state[f"{layer.path}.weight"].dtype
        self.state[f"{layer.path}.weight"] = (weight * scale.reshape(-1, *[1] * (weight.ndim - 1))).to(kind)
        self.state[f"{layer.path}.bias"] = (bias * scale + shift).to(kind)

    def _numbers(self, layer: Item) -> tuple[Tensor, Tensor]:
        """Weight and bias of a layer, in float64."""
        weight = self.state[f"{layer.path}.weight"].double()
        bias = self.state.get(f"{layer.path}.bias")
        return weight, torch.zeros(len(weight), dtype=torch.float64) if bias is None else bias.double()

    def _forget(self, item: Item) -> None:
        for name in [name for name in self.state if name.rpartition(".")[0] == item.path]:
            del self.state[name]

    # ---- branches ----------------------------------------------------------------------------------------------------

    def _merge(self, block: Block) -> Block | None:
        """The block with one group of branches made one, or None."""
        uses = _uses(block)
        for place, item in enumerate(block.items):
            if not isinstance(item.what, Call) or item.what.target != "operator.add":
                continue
            branches = [self._branch(block, ref, uses) for ref in item.operands]
            group = _together([branch for branch in branches if branch is not None])
            if len(group) > 1:
                return self._made_one(block, place, group)
        return None

    def _branch(self, block: Block, ref: Ref, uses: Counter[Ref]) -> _Branch | None:
        """An operand of a sum as a convolution of a value; None for one that is something else.

        A value itself is one too (its kernel is the unit), as what it would be beside a convolution of it.
        """
        item = block.items[ref.item] if ref.item >= 0 else None
        leaf = _lone(item) if item is not None and uses[ref] == 1 else None
        if leaf is not None and isinstance(leaf.what, Call):
            assert item is not None
            (source,) = item.operands
            if leaf.what.target == "nn.Conv2d" and (window := _window(leaf.what)) is not None:
                return _Branch(ref, source, leaf, window, "conv")
            if leaf.what.target == "nn.Linear":
                return _Branch(ref, source, leaf, _UNIT, "linear")
            if leaf.what.target == "nn.BatchNorm2d" and self._affine(leaf) is not None:
                return _Branch(ref, source, leaf, _UNIT, "norm")
        return _Branch(ref, ref, None, _UNIT, "same")

    def _made_one(self, block: Block, place: int, group: Sequence[_Branch]) -> Block:
        """The block with one layer in place of a group of operands of the sum at `place`."""
        main = next(branch for branch in group if branch.kind in ("conv", "linear"))
        assert main.leaf is not None
        assert isinstance(main.leaf.what, Call)
        channels, width = main.leaf.what.args[:2]
        kernel = tuple(max(branch.window.kernel[side] for branch in group) for side in (0, 1))
        dilation = max(branch.window.dilation for branch in group)
        numbers = [self._laid(branch, channels, kernel, main.window.groups) for branch in group]
        kind = self.state[f"{main.leaf.path}.weight"].dtype
        for branch in group:
            if branch.leaf is not None:
                self._forget(branch.leaf)
        add = block.items[place]
        path = self._free(f"{block.path}.merged" if block.path else "merged")
        self.state[f"{path}.weight"] = sum(weight for weight, _ in numbers).to(kind)
        self.state[f"{path}.bias"] = sum(bias for _, bias in numbers).to(kind)
        call = Call("nn.Linear", (channels, width))
        if main.kind == "conv":
            padding = tuple(dilation * (side - 1) // 2 for side in kernel)
            settings = {
                "stride": main.window.stride,
                "padding": padding[0] if padding[0] == padding[1] else padding,
                "dilation": dilation,
                "groups": main.window.groups,
            }
            plain = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
            given = FrozenDict({name: value for name, value in settings.items() if value != plain[name]})
            call = Call("nn.Conv2d", (channels, width, kernel[0] if kernel[0] == kernel[1] else kernel), given)
        layer = Item(path.rpartition(".")[2], path, call, (main.source,), add.shapes)
        self.merged += len(group)
        taken = {branch.ref for branch in group}
        rest = tuple(ref for ref in add.operands if ref not in taken)
        gone = {branch.ref.item: main.source for branch in group if branch.leaf is not None}
        if not rest:
            items = [*block.items[:place], layer, *block.items[place + 1 :]]
            return _without(replace(block, items=tuple(items)), gone)
        summed = replace(add, operands=(Ref(place), *(_after(ref, place) for ref in rest)))
        items = [*block.items[:place], layer, summed]
        items += [
            replace(item, operands=tuple(_after(ref, place) for ref in item.operands))
            for item in block.items[place + 1 :]
        ]
        outputs = tuple((name, _after(ref, place)) for name, ref in block.outputs)
        return _without(replace(block, items=tuple(items), outputs=outputs), gone)

    def _laid(self, branch: _Branch, channels: int, kernel: tuple[int, ...], groups: int) -> tuple[Tensor, Tensor]:
        """Weight and bias of a branch as a kernel of this size."""
        if branch.kind == "linear":
            assert branch.leaf is not None
            return self._numbers(branch.leaf)
        if branch.kind == "conv":
            assert branch.leaf is not None
            weight, bias = self._numbers(branch.leaf)
        else:
            scale, bias = torch.ones(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64)
            if branch.leaf is not None:
                affine = self._affine(branch.leaf)
                assert affine is not None
                scale, bias = affine
            weight = torch.zeros(channels, channels // groups, 1, 1, dtype=torch.float64)
            index = torch.arange(channels)
            weight[index, index % (channels // groups), 0, 0] = scale
        down, across = ((kernel[side] - weight.shape[2 + side]) // 2 for side in (0, 1))
        return torch.nn.functional.pad(weight, (across, across, down, down)), bias

    def _free(self, path: str) -> str:
        while path in self.paths:
            path += "_"
        self.paths.add(path)
        return path


class _Window(NamedTuple):
    kernel: tuple[int, int]
    stride: int
    dilation: int
    groups: int


_UNIT = _Window((1, 1), 1, 1, 1)


class _Branch(NamedTuple):
    """An operand of a sum. source: the value that it is a convolution of. leaf: its layer; None for the value itself.

    kind: 'conv', 'linear', 'norm', or 'same'.
    """

    ref: Ref
    source: Ref
    leaf: Item | None
    window: _Window
    kind: str


def _together(branches: Sequence[_Branch]) -> list[_Branch]:
    """The first group of branches that are one layer, at least two of them; [] where there is none."""
    for main in branches:
        if main.kind == "linear":
            group = [other for other in branches if other.kind == "linear" and other.source == main.source]
        elif main.kind == "conv":
            group = [other for other in branches if _fits(other, main)]
            spread = {other.window.dilation for other in group if other.window.kernel != (1, 1)}
            if len(spread) > 1:
                group = [o for o in group if o.window.kernel == (1, 1) or o.window.dilation == min(spread)]
        else:
            continue
        if len(group) > 1 and len({branch.ref for branch in group}) == len(group):
            return group
    return []


def _fits(other: _Branch, main: _Branch) -> bool:
    """Whether a branch can be laid into the kernel of a convolution."""
    assert main.leaf is not None
    assert isinstance(main.leaf.what, Call)
    if other.source != main.source:
        return False
    if other.kind == "conv":
        return (other.window.stride, other.window.groups) == (main.window.stride, main.window.groups)
    channels, width = main.leaf.what.args[:2]
    return other.kind in ("norm", "same") and main.window.stride == 1 and channels == width


def _window(call: Call) -> _Window | None:
    """The window of a convolution; None for one that is not centred on its pixels."""
    kernel = call.args[2]
    kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    stride, dilation, groups = (call.kwargs.get(name, 1) for name in ("stride", "dilation", "groups"))
    padding = call.kwargs.get("padding", 0)
    padding = padding if isinstance(padding, tuple) else (padding, padding)
    centred = all(
        side % 2 == 1 and edge == dilation * (side - 1) // 2 for side, edge in zip(kernel, padding, strict=True)
    )
    return _Window(kernel, stride, dilation, groups) if centred else None


def _lone(item: Item) -> Item | None:
    """The one layer that an item is, however deep it lies; None for one that is more."""
    if isinstance(item.what, Call):
        return item if item.what.is_module and len(item.operands) == 1 else None
    if len(item.what.items) != 1 or not item.what.is_chain:
        return None
    return _lone(item.what.items[0])


def _maker(item: Item, output: int, target: str) -> Item | None:
    """The layer that makes an output of an item, if it is of this kind and nobody else uses what it makes."""
    if isinstance(item.what, Call):
        return item if item.what.target == target else None
    ref = item.what.outputs[output][1]
    return _maker(item.what.items[ref.item], ref.output, target) if _uses(item.what)[ref] == 1 else None


def _biased(item: Item, layer: Item) -> Item:
    """The item with a bias in that layer of it."""
    if isinstance(item.what, Block):
        inside = tuple(_biased(other, layer) for other in item.what.items)
        changed = any(new is not old for new, old in zip(inside, item.what.items, strict=True))
        return replace(item, what=replace(item.what, items=inside, fused=True)) if changed else item
    if item is not layer:
        return item
    given = FrozenDict({name: value for name, value in item.what.kwargs.items() if name != "bias"})
    return replace(item, what=replace(item.what, kwargs=given))


def _uses(block: Block) -> Counter[Ref]:
    """How often each value of a block is used, inside it and as its output."""
    return Counter([ref for item in block.items for ref in item.operands] + [ref for _, ref in block.outputs])


def _after(ref: Ref, place: int) -> Ref:
    """A value when one item has been put in at `place`."""
    return Ref(ref.item + 1, ref.output) if ref.item >= place else ref


def _without(block: Block, gone: Mapping[int, Ref]) -> Block:
    """The block without some items; who took what one of them made takes the value given for it."""
    kept = [place for place in range(len(block.items)) if place not in gone]
    number = {old: new for new, old in enumerate(kept)}

    def moved(ref: Ref) -> Ref:
        while ref.item in gone:
            ref = gone[ref.item]
        return Ref(number[ref.item], ref.output) if ref.item >= 0 else ref

    items = tuple(
        replace(block.items[place], operands=tuple(map(moved, block.items[place].operands))) for place in kept
    )
    return replace(block, items=items, outputs=tuple((name, moved(ref)) for name, ref in block.outputs))
