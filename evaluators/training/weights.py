"""A network's weights as a file: safetensors, and either the whole file is there or none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nas.core.roles import WEIGHTS


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the state, on the CPU, each tensor by itself and contiguous."""
    return {
        name: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }


def write(state: Mapping[str, Tensor], folder: Path, facts: Mapping[str, str], name: str = WEIGHTS) -> Path:
    """Write a state to a file of `folder`, with `facts` in its header. A reader never sees half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{name}.{os.getpid()}"
    save_file(dict(state), unfinished, metadata=dict(facts))
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(folder / name)
    return folder / name
