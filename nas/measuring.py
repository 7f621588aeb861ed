"""A network that is there already, measured again: on data, and on this device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nas.core.errors import DataError, RecipeError
from nas.networks import Network, find_network

if TYPE_CHECKING:
    from evaluators.bench import Bench
    from evaluators.data import Data
    from nas.core.profile import InputSpec


@dataclass(frozen=True)
class Evaluated:
    """What was measured of a network, with what came with it.

    metrics: as those of a search are called. recorded: those that came with an export. notes: the circumstances.
    data: the data's name, '' without any. part, examples: on which part, and how many these were. fed: how the network
        was given them.
    interval: of the accuracy, at 95 %, in percent.
    """

    network: str
    kind: str
    metrics: Mapping[str, float]
    recorded: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    data: str = ""
    part: str = ""
    examples: int = 0
    fed: str = ""
    interval: tuple[float, float] | None = None


def evaluate(
    network: str,
    data: Any = None,
    *,
    part: str = "test",
    raw: bool = False,
    inputs: Any = None,
    bench: Bench | None = None,
) -> Evaluated:
    """Measure a network: accuracy and loss where data are given, parameters, multiply-adds, latency, memory.

    network: an export's folder, a file `.pt2` or `.onnx`, or `file.py:name` (see `nas.networks`).
    data: as a recipe says it. part: 'test', 'validation' or 'train'.
    raw: feed inputs as they come; else an export's own normalisation, and the data's where there is none.
    inputs: what it takes, as a recipe's space says it, where neither the network nor data tell.
    bench: how latency is measured.

    Raises: ExportError, RegistryError, RecipeError for what is no network; DataError for data that are not there, or
        of another shape or other classes; EvaluationError when the network fails.
    """
    from evaluators.bench import Bench
    from evaluators.existing import check_part, costs, interval, quality
    from nas.fields import as_inputs
    from nas.loading import load

    bench = bench or Bench()
    check_part(part)
    found = find_network(network, bench.threads)
    if found.cpu_only:
        if bench.device not in ("auto", "cpu"):
            raise RecipeError(f"{network} runs on the CPU (onnxruntime); device {bench.device!r} cannot be used for it")
        bench = replace(bench, device="cpu")
    read: Data | None = load("data", data) if data is not None else None
    if read is not None:
        _check_classes(found, read)
    given = as_inputs(inputs, "--input") if inputs is not None else None
    takes = _inputs(found, read, given)
    metrics: dict[str, float] = {}
    if read is not None:
        feed = () if raw else found.feed
        metrics = quality(found.module, read, part, bench.device, feed)  # type: ignore[arg-type]
    known, notes = costs(found.module, takes, bench)
    if found.cpu_only:  # what it computes is hidden from torch
        known = {name: value for name, value in known.items() if name in ("params", "latency_ms")}
        notes = {name: value for name, value in notes.items() if name != "memory"}
    accuracy = next((value for name, value in metrics.items() if name.endswith("accuracy")), None)
    count = read.counts[part] if read is not None else 0
    single = read is not None and len(read.tasks) == 1 and accuracy is not None
    return Evaluated(
        network=network,
        kind=found.kind,
        metrics={**metrics, **known},
        recorded=found.recorded,
        notes=notes,
        data=read.name if read is not None else "",
        part=part if read is not None else "",
        examples=count,
        fed=_fed(found, read, raw) if read is not None else "",
        interval=interval(accuracy or 0.0, count) if single else None,
    )


def _fed(found: Network, data: Data, raw: bool) -> str:
    """How inputs were given, in words: an accuracy means nothing without it."""
    if raw:
        return "inputs as they come (--raw)"
    mean, std = found.feed if found.feed is not None else (data.mean, data.std)
    if not len(mean):
        return "inputs as they come"
    shown = [", ".join(f"{value:.4g}" for value in each[:3]) + (", …" if len(each) > 3 else "") for each in (mean, std)]
    whose = "as in its training" if found.feed is not None else f"by the training part of {data.name}; else say --raw"
    return f"inputs minus {shown[0]}, divided by {shown[1]}: {whose}"


def _inputs(found: Network, data: Data | None, given: Any) -> Mapping[str, InputSpec]:
    """What the network takes. Raises DataError where the data give something else."""
    from nas.core.profile import InputSpec

    if isinstance(given, InputSpec):
        given = {"input": given}
    takes = found.inputs or given
    said, own = ([spec.shape for spec in each.values()] for each in (given or {}, found.inputs or {}))
    if said and own and said != own:
        raise RecipeError(f"--input {_shapes(said)}: {found.title} takes {_shapes(own)}; leave --input out")
    if data is None:
        if takes is None:
            raise RecipeError(
                f"{found.title} does not say what it takes; give --data, or --input with the shape of one example, "
                "such as --input 3,32,32"
            )
        return dict(takes)
    if takes is None:
        return dict(data.inputs)
    mine, theirs = ([spec.shape for spec in each.values()] for each in (takes, data.inputs))
    if mine != theirs:
        raise DataError(
            f"{data.name} gives inputs of shape {_shapes(theirs)}, {found.title} takes {_shapes(mine)}; give data of "
            "that shape (a folder of images takes size: {path: photos/, size: 32})"
        )
    return dict(takes)


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(map(str, shapes))


def _check_classes(found: Network, data: Data) -> None:
    """Refuse data whose classes are not those that the network was trained for: accuracies would mean nothing."""
    mine = [list(names) for names in found.class_names.values()]
    theirs = [list(names) for names in data.class_names.values()]
    if found.class_names and mine != theirs:
        one, other = (", ".join(map(str, each[0][:4])) + (", …" if len(each[0]) > 4 else "") for each in (mine, theirs))
        raise DataError(
            f"{found.title} was trained for the classes {one} ({len(mine[0])}), {data.name} has {other} "
            f"({len(theirs[0])}); expected the same classes in the same order"
        )
