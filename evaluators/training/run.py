"""One evaluation by training: build, train, measure, write the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from evaluators.data import Data
from evaluators.devices import name_of, resolve
from evaluators.training.batches import Batches
from evaluators.training.loop import amp_dtype, fit, measure
from evaluators.training.weights import snapshot, write
from nas.core.build import build
from nas.core.errors import EvaluationError
from nas.core.graph import Graph
from nas.core.profile import profile
from nas.core.records import Budget, Measurement
from nas.core.seeds import derive

if TYPE_CHECKING:
    from evaluators.train import Train

_PARTS: WeakKeyDictionary[Data, dict[tuple[str, str, bool], Batches]] = WeakKeyDictionary()
"""Parts that lie on a device already: a worker process trains many networks on the same data."""


def run(
    settings: Train,
    graph: Graph,
    budget: Budget,
    seed: int,
    folder: Path | None,
    stage: str,
    report: Callable[[Mapping[str, float]], object] | None,
    start: Mapping[str, Tensor] | None = None,
) -> Measurement:
    """Train a graph's network on `settings.data` and measure it. The global random state is left as it was.

    start: weights to begin with, instead of random ones.

    Raises: EvaluationError when the outputs do not fit the labels, or a loss is not finite; ShapeError.
    """
    data: Data = settings.data
    device = resolve(settings.device)
    costs = profile(graph, data.inputs)
    check_outputs(costs.outputs, data)
    channels_last = data.kind == "image" and device != "mps"  # a quarter faster on a CPU too
    gpus = list(range(torch.cuda.device_count())) if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=gpus):
        network = build(graph, data.inputs, derive(seed, "weights")).to(device)
        if start is not None:
            network.load_state_dict(start)
        if channels_last:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        torch.manual_seed(derive(seed, "dropout"))
        order = torch.Generator().manual_seed(derive(seed, "batches"))
        train, validation = (part_of(data, split, device, channels_last) for split in ("train", "validation"))
        done = fit(network, train, validation, settings, budget, order, device, report)
    if done.state is not None:
        network.load_state_dict(done.state)
    metrics = {name: value for name, value in done.row.items() if name != "epoch"}
    metrics |= {"params": costs.params, "macs": costs.macs, "train_seconds": done.seconds}
    if stage == "finalist":
        metrics |= measure(network, Batches(data, "test", device, channels_last), "test_")
    facts = {"epoch": done.row["epoch"], "steps": done.steps, "reported": settings.keep}
    if folder is not None:
        write(done.state or snapshot(network), folder, {name: str(value) for name, value in facts.items()})
    notes: dict[str, Any] = {
        **facts,
        "device": name_of(device),
        "threads": torch.get_num_threads(),
        "amp": "off" if amp_dtype(settings, device) is None else "bf16",
        "torch": torch.__version__,
    }
    return Measurement(metrics, done.seconds, tuple(done.curve), notes)


def part_of(data: Data, split: str, device: str, channels_last: bool) -> Batches:
    """A part of the data on a device, kept there."""
    parts = _PARTS.setdefault(data, {})
    key = (split, device, channels_last)
    if key not in parts:
        parts[key] = Batches(data, split, device, channels_last)
    return parts[key]


def check_outputs(outputs: Mapping[str, tuple[int, ...]], data: Data) -> None:
    """Raises EvaluationError when the network's outputs are not one row of logits per label set."""
    wanted = {task: len(names) for task, names in data.class_names.items()}
    if len(wanted) == 1 and len(outputs) == 1:
        wanted = dict(zip(outputs, wanted.values(), strict=True))
    if set(outputs) != set(wanted):
        raise EvaluationError(
            f"the network's outputs are {sorted(outputs)}, the label sets of {data.name} are {sorted(wanted)}; "
            "give the outputs the names of the label sets"
        )
    for name, classes in wanted.items():
        if outputs[name] != (classes,):
            raise EvaluationError(
                f"output {name!r} has shape {outputs[name]}, {data.name} has {classes} classes there; end the network "
                f"with op('head', classes={classes}) or the like"
            )
