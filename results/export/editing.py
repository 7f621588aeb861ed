"""Blocks with other items, and the numbers of their layers: what fusing is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from nas.core.table import Call
from results.export.tree import Block, Item, Ref

State = dict[str, Tensor]

EPS = 1e-5
"""What torch's batch norms add to a variance unless told otherwise."""

# ---- items -----------------------------------------------------------------------------------------------------------


def uses(block: Block) -> Counter[Ref]:
    """How often each value of a block is used, inside it and as its output."""
    return Counter([ref for item in block.items for ref in item.operands] + [ref for _, ref in block.outputs])


def moved_on(ref: Ref, place: int) -> Ref:
    """A value when one item has been put in at `place`."""
    return Ref(ref.item + 1, ref.output) if ref.item >= place else ref


def without(block: Block, gone: Mapping[int, Ref]) -> Block:
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


# ---- numbers ---------------------------------------------------------------------------------------------------------


def numbers(state: State, layer: Item) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution or linear layer, in float64; a bias of zeros where it has none."""
    weight = state[f"{layer.path}.weight"].double()
    bias = state.get(f"{layer.path}.bias")
    return weight, torch.zeros(len(weight), dtype=torch.float64) if bias is None else bias.double()


def put(state: State, path: str, kind: torch.dtype, weight: Tensor, bias: Tensor) -> None:
    """Write a layer's weight and bias, as numbers of this kind."""
    state[f"{path}.weight"], state[f"{path}.bias"] = weight.to(kind), bias.to(kind)


def affine(state: State, norm: Item) -> tuple[Tensor, Tensor] | None:
    """Scale and shift of a batch norm in eval mode, in float64, (C,) each; None where it keeps no statistics."""
    assert isinstance(norm.what, Call)
    mean, variance = (state.get(f"{norm.path}.running_{name}") for name in ("mean", "var"))
    if mean is None or variance is None:
        return None
    scale = (variance.double() + norm.what.kwargs.get("eps", EPS)).rsqrt()
    shift = -mean.double() * scale
    weight, bias = (state.get(f"{norm.path}.{name}") for name in ("weight", "bias"))
    if weight is not None and bias is not None:
        scale, shift = scale * weight.double(), shift * weight.double() + bias.double()
    return scale, shift


def forget(state: State, item: Item) -> None:
    """Take a layer's tensors out."""
    for name in [name for name in state if name.rpartition(".")[0] == item.path]:
        del state[name]
