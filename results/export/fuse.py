"""The same function from fewer layers: batch norms folded into the layer before them, parallel branches made one.

In eval mode a batch norm is a scale and a shift of each channel, which a convolution or linear layer before it takes
into its weight and bias; `results.export.branches` says which branches are one layer. All sums are made in float64.
What is fused is for use: batch norms that are gone do not come back in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from nas.core.table import Call
from nas.core.values import FrozenDict
from results.export.branches import Sums
from results.export.editing import State, affine, forget, numbers, put, uses, without
from results.export.tree import Block, Item

NORMS = {"nn.BatchNorm2d": "nn.Conv2d", "nn.BatchNorm1d": "nn.Linear"}
"""Kind of batch norm → kind of the layer that takes it in."""


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

    def _merge(self, block: Block) -> Block | None:
        """The block with one group of branches made one, or None."""
        sums = Sums(block, self.state)
        place, group = next(sums.groups(), (0, []))
        self.merged += len(group)
        path = f"{block.path}.merged" if block.path else "merged"
        return sums.made_one(place, group, self._free(path)) if group else None

    def _free(self, path: str) -> str:
        while path in self.paths:
            path += "_"
        self.paths.add(path)
        return path

    def _fold(self, block: Block) -> Block | None:
        """The block with one batch norm less, or None."""
        used = uses(block)
        for place, item in enumerate(block.items):
            if not isinstance(item.what, Call) or item.what.target not in NORMS:
                continue
            (source,) = item.operands
            before = block.items[source.item] if source.item >= 0 and used[source] == 1 else None
            layer = _maker(before, source.output, NORMS[item.what.target]) if before is not None else None
            scale_shift = affine(self.state, item)
            if before is None or layer is None or scale_shift is None:
                continue
            self._take_in(layer, *scale_shift)
            forget(self.state, item)
            self.folded += 1
            items = [_biased(before, layer) if other is before else other for other in block.items]
            return without(replace(block, items=tuple(items)), {place: source})
        return None

    def _take_in(self, layer: Item, scale: Tensor, shift: Tensor) -> None:
        """Give a layer's outputs, channels first in its weight, a scale and a shift."""
        weight, bias = numbers(self.state, layer)
        scaled = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        put(self.state, layer.path, self.state[f"{layer.path}.weight"].dtype, scaled, bias * scale + shift)


def _maker(item: Item, output: int, target: str) -> Item | None:
    """The layer that makes an output of an item, if it is of this kind and nobody else uses what it makes."""
    if isinstance(item.what, Call):
        return item if item.what.target == target else None
    ref = item.what.outputs[output][1]
    return _maker(item.what.items[ref.item], ref.output, target) if uses(item.what)[ref] == 1 else None


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


# ---- what is left ----------------------------------------------------------------------------------------------------


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
