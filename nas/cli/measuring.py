"""`nas evaluate`: a network that is there already, measured again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.table import Table

from nas.cli.output import Output
from nas.core.errors import EvaluationError, RecipeError
from nas.measuring import Evaluated
from nas.measuring import evaluate as measure
from nas.recipe import parse_yaml
from results.units import written


def evaluate(
    output: Output, network: str, data: str | None, part: str, raw: bool, shape: str | None, bench: Any, json: bool
) -> None:
    """Measure a network and print what was found, beside what was recorded of it."""
    from evaluators.bench import Bench

    inputs = parse_yaml(f"[{shape}]" if shape and shape[0] not in "[{" else shape, "--input")[0] if shape else None
    given = parse_yaml(data, "--data")[0] if data and data.startswith("{") else data
    if shape is not None and not inputs:
        raise RecipeError(f"--input {shape!r}; expected the shape of one example, such as 3,32,32")
    try:
        found = measure(network, given, part=part, raw=raw, inputs=inputs, bench=Bench(**bench))
    except EvaluationError:  # the request was right, the network was not
        output.working = True
        raise
    if json:
        output.result(asdict(found))
        return
    _print(output, found)


def _print(output: Output, found: Evaluated) -> None:
    output.say(f"{found.network}: {found.kind}", "bold")
    if found.data:
        output.say(f"  on the {found.examples:,} examples of the {found.part} part of {found.data}")
        output.say(f"  {found.fed}")
    both = {name for name in found.metrics if name in found.recorded}
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("metric")
    table.add_column("measured", justify="right")
    if both:
        table.add_column("recorded", justify="right")
    table.add_column("", overflow="fold")
    for name, value in found.metrics.items():
        recorded = [written(name, found.recorded.get(name))] if both else []
        table.add_row(name, written(name, value), *recorded, _note(name, found))
    output.show(table)
    if not found.data:
        output.say("How well it does: --data, as in a recipe (digits, photos/, file.npz, …)")


def _note(name: str, found: Evaluated) -> str:
    notes = found.notes
    if name.endswith("accuracy") and found.interval is not None:
        return "95 % interval {:.2f} to {:.2f}".format(*found.interval)
    if name == "latency_ms":
        low, high = notes["quartiles_ms"]
        threads = f"{notes['threads']} thread{'s' if notes['threads'] > 1 else ''}"
        middle = f"half of {notes['repeats']} passes between {low:.3g} and {high:.3g} ms"
        return f"{middle}; batch of {notes['batch']}, {threads} on {notes['device']}"
    return str(notes.get("memory", "")) if name == "peak_memory_bytes" else ""
