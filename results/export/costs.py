"""What a network costs once layers of it were fused: what fusing changed, on top of what the network cost before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import prod

from torch import Tensor

from nas.core.profile import Profile
from nas.core.table import Call
from results.export.fuse import Fused
from results.export.tree import Block, leaves

POSITIONS = {"nn.Conv2d": lambda shape: prod(shape[1:]), "nn.Linear": lambda shape: prod(shape[:-1])}
"""Layers that fusing makes and takes away → how often an output of this shape, (C, H, W) or (…, C), uses a weight."""


def cost_after(
    before: Profile, root: Block, state: Mapping[str, Tensor], parameters: Collection[str], fused: Fused
) -> dict[str, int]:
    """Parameters and multiply-adds of a fused network, for one input.

    before: what it cost. root, state: what it was. parameters: which of the state are trained; what is new there, is.
    """
    old = sum(state[name].numel() for name in parameters)
    new = sum(value.numel() for name, value in fused.state.items() if name in parameters or name not in state)
    macs = _macs(fused.root, fused.state) - _macs(root, state)
    return {"params": before.params + new - old, "macs": before.macs + macs}


def _macs(root: Block, state: Mapping[str, Tensor]) -> int:
    """Multiply-adds of the convolutions and linear layers, biases left out, as `nas.core.profile` counts them."""
    layers = [(item, item.what) for item in leaves(root) if isinstance(item.what, Call)]
    return sum(
        state[f"{item.path}.weight"].numel() * POSITIONS[call.target](item.shapes[0])
        for item, call in layers
        if call.target in POSITIONS
    )
