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
from evaluators.training import checkpoint
from evaluators.training.batches import Batches
from evaluators.training.checkpoint import Checkpoint, CheckpointError
from evaluators.training.loop import amp_dtype, fit, measure, steps_of
from evaluators.training.weights import snapshot, write
from nas.core.build import build
from nas.core.errors import EvaluationError
from nas.core.graph import Graph
from nas.core.profile import profile
from nas.core.records import Budget, Measurement
from nas.core.roles import FROM_SCRATCH
from nas.core.seeds import derive
from nas.core.values import digest

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
    *,
    before: Path | None = None,
    spent: Budget | None = None,
    leave: bool = False,
) -> Measurement:
    """Train a graph's network on `settings.data` and measure it. The global random state is left as it was.

    start: weights to begin with, instead of random ones. before, spent: where an earlier training of the same graph
    left its checkpoint, and its budget; where it is of no use, the network is trained from scratch and the notes say
    why. leave: whether to leave one in `folder`.

    Raises: EvaluationError when the outputs do not fit the labels, or a loss is not finite; ShapeError.
    """
    data: Data = settings.data
    device = resolve(settings.device)
    costs = profile(graph, data.inputs)
    check_outputs(costs.outputs, data)
    channels_last = data.kind == "image" and device != "mps"  # a quarter faster on a CPU too
    gpus = list(range(torch.cuda.device_count())) if device.startswith("cuda") else []
    made_by: dict[str, str] = {}
    if before is not None or leave:
        made_by = {"torch": torch.__version__, "settings": digest(settings.fingerprint()), "graph": graph.digest}
    train, validation = (part_of(data, split, device, channels_last) for split in ("train", "validation"))
    with torch.random.fork_rng(devices=gpus):
        network = build(graph, data.inputs, derive(seed, "weights"))
        earlier, why_not = None, ""
        if before is not None:
            try:
                earlier = checkpoint.read(before, made_by, spent)
                _check_rest(earlier, budget, train.steps(settings.batch_size))
                earlier.place(network)
            except CheckpointError as error:
                earlier, why_not = None, str(error)
        network = network.to(device)
        if start is not None:
            network.load_state_dict(start)
        if channels_last:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        torch.manual_seed(derive(seed, "dropout"))
        order = torch.Generator().manual_seed(derive(seed, "batches"))
        if earlier is not None:
            checkpoint.set_random_states(earlier.dropout, device)
            order.set_state(earlier.order)
        done = fit(network, train, validation, settings, budget, order, device, report, earlier)
        dropout = checkpoint.random_states(device)
    last = snapshot(network) if done.state is not None and leave else {}
    if done.state is not None:
        network.load_state_dict(done.state)
    metrics = {name: value for name, value in done.row.items() if name != "epoch"}
    metrics |= {"params": costs.params, "macs": costs.macs, "train_seconds": done.seconds}
    if stage == "finalist":
        metrics |= measure(network, Batches(data, "test", device, channels_last), "test_")
    facts = {"epoch": done.row["epoch"], "steps": done.steps, "reported": settings.keep}
    if folder is not None:
        reported = done.state or snapshot(network)
        write(reported, folder, {name: str(value) for name, value in facts.items()})
        if leave:
            assert done.order is not None  # at least one step was taken
            seconds = done.seconds + (earlier.seconds if earlier is not None else 0.0)
            now = Checkpoint(last, done.moments, done.order, dropout, done.steps, seconds)
            made_by |= {"budget": str(budget), "epoch": str(done.epochs)}
            checkpoint.leave(folder, reported, now, made_by)
    notes: dict[str, Any] = {
        **facts,
        "device": name_of(device),
        "threads": torch.get_num_threads(),
        "amp": "off" if amp_dtype(settings, device) is None else "bf16",
        "torch": torch.__version__,
    }
    if earlier is not None:
        per_epoch = train.steps(settings.batch_size)
        notes |= {"epochs_before": earlier.steps / per_epoch, "seconds_before": earlier.seconds}
    elif why_not:
        notes[FROM_SCRATCH] = why_not
    return Measurement(metrics, done.seconds, tuple(done.curve), notes)


def _check_rest(earlier: Checkpoint, budget: Budget, per_epoch: int) -> None:
    """Raises CheckpointError when nothing of the budget is left to train."""
    steps = steps_of(budget, per_epoch)
    if steps is not None and earlier.steps >= steps:
        raise CheckpointError(f"{earlier.steps} steps are done already, the budget of {budget} is {steps}")
    if steps is None and earlier.seconds >= budget.amount:
        raise CheckpointError(f"{earlier.seconds:g} seconds are spent already, the budget is {budget}")


def part_of(data: Data, split: str, device: str, channels_last: bool) -> Batches:
    """A part of the data on a device, kept there."""
    parts = _PARTS.setdefault(data, {})
    key = (split, device, channels_last)
    if key not in parts:
        parts[key] = Batches(data, split, device, channels_last)
    return parts[key]


WAY_OUT = "end the network with op('head', classes={classes}) or the like"


def check_outputs(outputs: Mapping[str, tuple[int, ...]], data: Data, way_out: str = WAY_OUT) -> None:
    """Raises EvaluationError when the network's outputs are not one row of logits per label set.

    way_out: what to do where there is another number of `{classes}`.
    """
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
                f"output {name!r} has shape {outputs[name]}, {data.name} has {classes} classes there; "
                + way_out.format(classes=classes)
            )
