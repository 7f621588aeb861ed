"""What a caller gives an export, checked: weights, which have to be the network's own, and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nas.core.errors import ExportError, nearest
from nas.core.profile import InputSpec


def fill(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights. Raises ExportError naming keys that are missing, unknown or of another shape."""
    own = network.state_dict()
    missing = [name for name in own if name not in weights]
    unknown = [name for name in weights if name not in own]
    if missing or unknown:
        odd = f"{unknown[0]!r} is not in the network; {nearest(unknown[0], missing or own)}" if unknown else ""
        raise ExportError(
            f"the weights are not this network's: {len(missing)} missing {missing[:3]}, {len(unknown)} unknown "
            f"{unknown[:3]}. {odd}".rstrip()
        )
    for name, value in weights.items():
        if getattr(value, "shape", None) != own[name].shape:
            shape = tuple(getattr(value, "shape", ()))
            raise ExportError(f"weight {name!r} has shape {shape}, the network needs {tuple(own[name].shape)}")
        if not _exact(value, own[name]):
            raise ExportError(
                f"weight {name!r} is {value.dtype}, the network computes in {own[name].dtype}, which cannot hold all "
                f"of its numbers; round it yourself (value.to({own[name].dtype})) to export what that gives"
            )
    try:
        network.load_state_dict(dict(weights))
    except (RuntimeError, TypeError) as error:
        raise ExportError(f"the weights do not fit this network: {error}") from error


def _exact(value: Tensor, own: Tensor) -> bool:
    """Whether a weight keeps its numbers in the type of the network's own."""
    if value.dtype == own.dtype:
        return True
    back = value.to(own.dtype).to(value.dtype)
    return bool(((back == value) | ((back != back) & (value != value))).all())


def state_of(network: nn.Module) -> dict[str, Tensor]:
    """The state dict as safetensors takes it: each tensor by itself. Raises ExportError for what is no tensor."""
    state: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        if not isinstance(value, torch.Tensor):
            raise ExportError(
                f"{name!r} in the state dict is a {type(value).__name__}; weights.safetensors holds tensors only"
            )
        state[name] = value.detach().cpu().contiguous().clone()
    return state


def operands_of(examples: Sequence[Tensor] | Tensor, inputs: Mapping[str, InputSpec]) -> tuple[Tensor, ...]:
    """The caller's examples, on the CPU, as files keep them. Raises ExportError when they do not fit the inputs."""
    given = (examples,) if isinstance(examples, torch.Tensor) else tuple(examples)
    if len(given) != len(inputs):
        raise ExportError(f"{len(given)} examples for the inputs {list(inputs)}; give one batch for each")
    for (name, spec), value in zip(inputs.items(), given, strict=True):
        if tuple(value.shape[1:]) != spec.shape or not len(value):
            wanted = ", ".join(map(str, spec.shape))
            raise ExportError(f"examples of input {name!r} have shape {tuple(value.shape)}; expected (N, {wanted})")
    return tuple(  # contiguous, as a file gives them back: kernels of another layout sum in another order
        value.detach().cpu().to(getattr(torch, spec.dtype)).contiguous()
        for spec, value in zip(inputs.values(), given, strict=True)
    )
