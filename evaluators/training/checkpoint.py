"""Where a training stopped, as a file beside the weights, and how another one goes on from there.

    weights.safetensors       the network as it was measured
    checkpoint.safetensors    the optimizer's moments, the random states, and the last epoch's weights where another
                              epoch's were measured; steps, seconds, budget and what made it in its header

Nothing is unpickled. A digest over all tensors of both files says whether they belong together and are whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from evaluators.training import weights
from nas.core.errors import EvaluationError
from nas.core.records import Budget
from nas.core.roles import WEIGHTS

NAME = "checkpoint.safetensors"
VERSION = "1"

MADE_BY = {
    "version": "it is of another format",
    "torch": "it was written by torch {there}, this is {here}",
    "settings": "other data, settings or kind of device made it",
    "graph": "it is of another network",
}
"""Facts that must be the same now, and what is said where they are not."""


STEP = "step"
"""The one moment that is a number, not of the shape of its parameter."""


class CheckpointError(EvaluationError):
    """Why a training cannot go on from a checkpoint, in words."""


@dataclass
class Checkpoint:
    """Where a training stands.

    weights: the network's state. moments: parameter.moment → the optimizer's. order: the state of the generator of
        batches at the start of the epoch that is under way. dropout: the states of torch's own generators: the CPU's,
        then those of GPUs.
    """

    weights: dict[str, Tensor]
    moments: dict[str, Tensor]
    order: Tensor
    dropout: list[Tensor]
    steps: int
    seconds: float

    def place(self, network: nn.Module) -> None:
        """Give a network these weights. Raises CheckpointError when they, or the moments, are another network's."""
        mine, theirs = _shapes(network.state_dict()), _shapes(self.weights)
        differs = next((name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)), None)
        if differs is not None:
            there, here = (shapes.get(differs, "no such tensor") for shapes in (theirs, mine))
            raise CheckpointError(f"its weights do not fit: {differs} is {there}, the network has {here}")
        shapes = {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}
        for full, value in self.moments.items():
            name, _, moment = full.rpartition(".")
            if name not in shapes or tuple(value.shape) != (() if moment == STEP else shapes[name]):
                raise CheckpointError(f"its moments do not fit: {full} is {tuple(value.shape)}")
        network.load_state_dict(self.weights)

    def restore(self, optimizer: torch.optim.Optimizer, network: nn.Module) -> None:
        """Give an optimizer these moments, each in the memory layout of its parameter, as if it had made them."""
        parameters = dict(network.named_parameters())
        fused = bool(optimizer.defaults.get("fused"))
        for full, value in self.moments.items():
            name, _, moment = full.rpartition(".")
            parameter = parameters[name]
            if moment == STEP:
                placed = value.to(parameter.device if fused else "cpu", copy=True)
            else:
                placed = torch.empty_like(parameter, requires_grad=False).copy_(value)
            optimizer.state[parameter][moment] = placed


def leave(folder: Path, reported: Mapping[str, Tensor], now: Checkpoint, facts: Mapping[str, str]) -> None:
    """Write a checkpoint into the folder where the weights `reported` are.

    facts: those of `MADE_BY` but the version, and 'budget' and 'epoch'. now.weights: empty where they are `reported`.
    """
    tensors = {f"weights.{name}": value for name, value in now.weights.items()}
    tensors |= {f"moments.{name}": value.detach().to("cpu").contiguous() for name, value in now.moments.items()}
    tensors |= {"order": now.order} | {f"dropout.{place}": state for place, state in enumerate(now.dropout)}
    header = {"version": VERSION, "steps": str(now.steps), "seconds": repr(now.seconds), **facts}
    weights.write(tensors, folder, {**header, "digest": _digest(tensors, reported)}, NAME)


def moments_of(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """What an optimizer keeps of each parameter, by parameter.moment."""
    return {
        f"{name}.{moment}": value
        for name, parameter in network.named_parameters()
        for moment, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def read(folder: Path, facts: Mapping[str, str], spent: Budget | None = None) -> Checkpoint:
    """The checkpoint in a folder. facts: those of `MADE_BY` but the version. spent: the budget it should be of.

    Raises: CheckpointError when it is not there, damaged, of another budget, or made by something else.
    """
    for name in (NAME, WEIGHTS):
        if not (folder / name).is_file():
            raise CheckpointError(f"there is no {name} in {folder}")
    try:
        with safe_open(folder / NAME, "pt") as file:
            header = file.metadata() or {}
        for name, here in {"version": VERSION, **facts}.items():
            if header[name] != here:
                raise CheckpointError(MADE_BY[name].format(there=header[name], here=here))
        if spent is not None and header["budget"] != str(spent):
            raise CheckpointError(f"it is of {header['budget']}, not of {spent}")
        tensors, reported = load_file(folder / NAME), load_file(folder / WEIGHTS)
        if _digest(tensors, reported) != header["digest"]:
            raise CheckpointError("its tensors are not those that were written")
        return Checkpoint(
            _below(tensors, "weights") or reported,
            _below(tensors, "moments"),
            tensors["order"],
            list(_below(tensors, "dropout").values()),
            int(header["steps"]),
            float(header["seconds"]),
        )
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"it cannot be read ({type(error).__name__}: {' '.join(str(error).split())})") from error


def random_states(device: str) -> list[Tensor]:
    """The states of torch's own generators, of which dropout draws: the CPU's, and those of all GPUs."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if device.startswith("cuda") else [])]


def set_random_states(states: list[Tensor], device: str) -> None:
    """Go back to `random_states`; a GPU for which there is none keeps its own."""
    torch.set_rng_state(states[0])
    if device.startswith("cuda"):
        for place, state in enumerate(states[1 : torch.cuda.device_count() + 1]):
            torch.cuda.set_rng_state(state, place)


def _shapes(state: Mapping[str, Tensor]) -> dict[str, str]:
    return {name: f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}" for name, value in state.items()}


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    names = sorted(name for name in tensors if name.startswith(f"{prefix}."))
    return {name.removeprefix(f"{prefix}."): tensors[name] for name in names}


def _digest(*states: Mapping[str, Tensor]) -> str:
    """A digest of names, types, shapes and bytes."""
    found = hashlib.blake2b(digest_size=16)
    for state in states:
        for name, tensor in sorted(state.items()):
            found.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
            found.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()
