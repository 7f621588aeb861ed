"""What a network that is there already is worth: how well it does on data, what it costs on this device.

Where it comes from does not matter: any module that takes batches and returns logits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evaluators.bench import Bench
from evaluators.devices import resolve
from evaluators.metrics import PARTS
from nas.core.errors import DataError, EvaluationError, nearest, told

if TYPE_CHECKING:
    from torch import Tensor, nn

    from evaluators.data import Data
    from nas.core.profile import InputSpec


def check_part(part: str) -> None:
    """Raises DataError for a name that no part of the data has."""
    if part not in PARTS:
        raise DataError(f"part {part!r} of the data; {nearest(part, PARTS)}")


def quality(
    network: nn.Module, data: Data, part: str, device: str = "auto", feed: tuple[Sequence[float], ...] | None = None
) -> dict[str, float]:
    """Accuracy (percent) and loss of a network, in evaluation mode, on a part of the data.

    feed: mean and deviation by which inputs are normalised, per channel; None: those of the data's training part;
        (): inputs are fed as they come.

    Raises: DataError for another part, or one without examples; EvaluationError when its outputs do not fit the labels
        or are not finite, or when the network raises.
    """
    import torch

    from evaluators.training.batches import Batches
    from evaluators.training.loop import measure
    from evaluators.training.run import check_outputs

    check_part(part)
    if not data.counts[part]:
        raise DataError(f"{data.name} has no examples in its {part} part; expected at least one; name another part")
    if feed is not None:
        mean, std = feed or ((), ())
        data = replace(data, mean=tuple(mean), std=tuple(std))
    where = resolve(device)
    network = network.to(where).eval()
    examples = Batches(data, part, where)
    with torch.inference_mode():
        x = next(examples.in_order(2))[0]
        first = called(network, x)
        outputs = first if isinstance(first, Mapping) else {"y": first}
        for name, value in outputs.items():
            if value.shape[:1] != x.shape[:1]:
                shape = tuple(value.shape)
                raise EvaluationError(
                    f"output {name!r} has shape {shape} for {len(x)} inputs; expected ({len(x)}, classes)"
                )
        shapes = {name: tuple(value.shape[1:]) for name, value in outputs.items()}
        check_outputs(shapes, data, "these are other data than it was made for, or it gives no logits")
        found = measure(network, examples, PARTS[part])
    if not math.isfinite(found[f"{PARTS[part]}loss"]):
        raise EvaluationError(
            f"on the {part} part of {data.name} the network gives numbers that are not finite, so it has no accuracy; "
            "is it fed as it was trained, and are its weights whole?"
        )
    return found


def costs(network: nn.Module, inputs: Mapping[str, InputSpec], bench: Bench) -> tuple[dict[str, float], dict[str, Any]]:
    """Parameters, multiply-adds, latency and memory of a network, and the circumstances.

    Multiply-adds are half of what torch's counter of operations counts: convolutions, matrix products, attention.

    inputs: in the order of its arguments. Raises: EvaluationError when the network raises.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from evaluators.training.cost import example, measure_module

    where = resolve(bench.device)
    network = network.to(where).eval()
    found: dict[str, float] = {"params": sum(p.numel() for p in network.parameters())}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # calls that hide an attention's products would not be counted
    try:
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            called(network, *(example(spec, 1, where) for spec in inputs.values()))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    found["macs"] = counter.get_total_flops() // 2
    try:
        measured, notes = measure_module(network, inputs, ("latency_ms", "peak_memory_bytes"), bench)
    except (RuntimeError, MemoryError) as error:  # a batch that does not fit, or that the network does not take
        raise EvaluationError(f"the network fails on a batch of {bench.batch}: {told(error)}") from error
    return found | measured, notes


def called(network: nn.Module, *batch: Tensor) -> Any:
    """What the network gives. Raises EvaluationError when it raises, or gives no tensors."""
    import torch

    try:
        found = network(*batch)
    except Exception as error:  # somebody's own code
        shapes = " and ".join(str(tuple(x.shape)) for x in batch)
        raise EvaluationError(f"the network fails on inputs of shape {shapes}: {told(error)}") from error
    values = found.values() if isinstance(found, Mapping) else [found]
    if not all(isinstance(value, torch.Tensor) for value in values):
        raise EvaluationError(
            f"the network returns a {type(found).__name__}; expected a tensor of logits (B, classes), or a mapping of "
            "output name to one"
        )
    return found


def interval(percent: float, count: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy over so many examples, in percent (Wilson 1927).

    >>> [round(end, 1) for end in interval(90.0, 100)]
    [82.6, 94.5]
    """
    z, share = 1.959964, percent / 100
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return 100 * (middle - reach), 100 * (middle + reach)
