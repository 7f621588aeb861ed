"""The front in a report: which networks are shown, the table of their numbers, and a card with a drawing for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nas.core.errors import NASError
from nas.core.profile import InputSpec
from nas.core.records import Objective, Trial
from results import drawing
from results.front import Front
from results.report.points import names_of, option
from results.rows import Row
from results.spread import spread
from results.units import together, unit_of, written
from results.ways import by_way, taken, ways_of

LISTED = 300
"""Most rows of the table."""

TALLEST, WIDEST = 560.0, 1250.0
"""Px that a drawing should take."""

LAYERS = 200
"""Most rows of a network's table of layers."""


def badges_of(
    front: Front[Trial], rows: Sequence[Row], finalists: Mapping[int, Trial], suggested: Mapping[int, str]
) -> dict[int, list[str]]:
    """What is special about a trial of the front, or about one that was retrained without being on it."""
    found: dict[int, list[str]] = {row.id: [] for row in rows}
    found |= {id_: ["behind the front"] for id_ in finalists if id_ not in found}
    if len(rows) > 1 and len(front.objectives) > 1:
        for objective in front.objectives:
            best = min(rows, key=lambda row: objective.loss(row.metrics))
            found[best.id].append(f"best {objective.name}")
    for id_, name in suggested.items():
        if len(rows) > 1 and id_ in found:
            found[id_].append(name)
    for id_ in found:
        if id_ in finalists:
            found[id_].append("retrained")
    return found


def front_table(
    rows: Sequence[Row],
    behind: Sequence[Row],
    objectives: Sequence[Objective],
    finalists: Mapping[int, Trial],
    units: Mapping[str, str],
    badges: Mapping[int, list[str]],
    always: Iterable[int] = (),
) -> dict[str, Any]:
    """The front as rows of (text, number to sort by); numbers of finalists stand beside, in columns of their own.

    behind: trials that were retrained without being on the front. always: places that are among the LISTED ones.
    """
    places = spread(len(rows), LISTED, always)
    listed = [*(rows[place] for place in places), *behind]
    goals = [objective.name for objective in objectives]
    retrained = [finalists[row.id] for row in listed if row.id in finalists]
    again = [name for name in _of_one_way(retrained) if name.startswith("test_") or name in goals]
    rest = [name for name in names_of(listed, goals) if name not in goals]
    found = []
    for row in listed:
        other = finalists[row.id].metrics if row.id in finalists else {}
        cells = [_cell(name, row.metrics, units, "goal") for name in goals]
        cells += [_cell(name, other, units, "again") for name in again]
        cells += [_cell(name, row.metrics, units, "") for name in rest]
        found.append({"id": row.id, "cells": cells, "badges": badges[row.id]})
    return {
        "heads": [{"name": o.name, "kind": "goal", "direction": o.direction} for o in objectives]
        + [{"name": name, "kind": "again", "direction": ""} for name in again]
        + [{"name": name, "kind": "", "direction": ""} for name in rest],
        "goals": len(goals),
        "again": len(again),
        "rest": len(rest),
        "budget": ", ".join(sorted({str(trial.budget) for trial in retrained})),
        "rows": found,
        "more": len(rows) - len(places),
    }


def _again(finalists: Sequence[Trial]) -> list[str]:
    """Metrics of retrained networks that training changes, the test's first."""
    have = dict.fromkeys(name for trial in finalists for name in trial.metrics)
    fixed = {"params", "macs", "latency_ms", "peak_memory_bytes", "train_memory_bytes", "train_seconds"}
    return sorted((name for name in have if name not in fixed), key=lambda name: not name.startswith("test_"))


def _of_one_way(finalists: Sequence[Trial]) -> list[str]:
    """The same without those that tell another one in one of several ways."""
    names = _again(finalists)
    told = by_way(names, ways_of(finalists))
    return [name for name in names if name not in told]


def retrained_of(finalists: Mapping[int, Trial]) -> dict[int, dict[str, float]]:
    """Trial → what training it again gave, by the way whose weights were taken."""
    return {id_: {name: trial.metrics[name] for name in _of_one_way([trial])} for id_, trial in finalists.items()}


def units_of(finalists: Mapping[int, Trial], units: Mapping[str, str]) -> dict[str, str]:
    """Unit of each metric of those."""
    return {name: unit_of(name, units) for name in _of_one_way([*finalists.values()])}


def _cell(name: str, metrics: Mapping[str, float], units: Mapping[str, str], kind: str) -> dict[str, Any]:
    value = metrics.get(name)
    return {"text": written(name, value, units), "value": "" if value is None else float(value), "kind": kind}


def card_of(
    trial: Trial,
    inputs: Mapping[str, InputSpec] | None,
    objectives: Sequence[Objective],
    finalists: Mapping[int, Trial],
    units: Mapping[str, str],
    badges: Mapping[int, list[str]],
    command: str,
) -> dict[str, Any]:
    """A network of the front: its numbers, its drawing, its layers, and the command that takes it home."""
    other = finalists.get(trial.id)
    goals = [objective.name for objective in objectives]
    plain = _of_one_way([other]) if other else []
    return {
        "id": trial.id,
        "badges": badges[trial.id],
        "short": " · ".join(f"{written(name, trial.metrics[name], units)} {name}" for name in goals),
        "metrics": [(name, written(name, trial.metrics[name], units)) for name in names_of([trial], goals)],
        "again": [(name, written(name, other.metrics[name], units)) for name in plain] if other else [],
        "ways": _ways(other, plain, units) if other else None,
        "again_budget": str(other.budget) if other else "",
        "again_reason": "" if other is None or other.complete else other.reason,
        "command": command,
        "drawing": _drawing(trial, inputs),
        "layers": _layers(trial, inputs),
        "decisions": [(address, option(value)) for address, value in trial.candidate.decisions.items()],
        "origin": _origin(trial),
    }


def _ways(trial: Trial, names: Sequence[str], units: Mapping[str, str]) -> dict[str, Any] | None:
    """What a finalist reached in each way, a row per metric; whose weights it has is marked. None of one way."""
    ways = ways_of([trial])
    shown = [name for name in names if any(f"{name}_{way}" in trial.metrics for way in ways)]
    if not shown:
        return None
    best = [taken(trial.metrics, way, shown) for way in ways]
    rows = [
        {"name": name, "cells": [written(name, trial.metrics.get(f"{name}_{way}"), units) for way in ways]}
        for name in shown
    ]
    return {"heads": [{"name": way, "taken": is_best} for way, is_best in zip(ways, best, strict=True)], "rows": rows}


def _drawing(trial: Trial, inputs: Mapping[str, InputSpec] | None) -> str:
    """With shapes where they can be worked out: a user's own operation may not be there where the report is made."""
    graph, title = trial.candidate.graph, f"the network of trial {trial.id}"
    if inputs is not None:
        try:
            return drawing.draw(graph, inputs, collapse=True, tallest=TALLEST, widest=WIDEST, style=False, title=title)
        except (NASError, ImportError):
            pass
    return drawing.draw(graph, collapse=True, tallest=TALLEST, widest=WIDEST, style=False, title=title)


def _layers(trial: Trial, inputs: Mapping[str, InputSpec] | None) -> list[dict[str, Any]]:
    """What each layer gives and costs; [] where shapes cannot be worked out."""
    if inputs is None:
        return []
    try:
        return drawing.layers_of(trial.candidate.graph, inputs, fold=True, most=LAYERS)
    except (NASError, ImportError):
        return []


def layer_table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Layers as rows of texts, the sums last."""
    found = []
    for row in rows:
        times = f" × {row['count']}" if row.get("count", 1) > 1 else ""
        found.append([row["place"], f"{row['what']}{times}", row["shape"], f"{row['params']:,}", f"{row['macs']:,}"])
    sums = [f"{sum(row[name] for row in rows):,}" for name in ("params", "macs")]
    heads = ["where", "what", "output", "parameters", "multiply-adds"]
    return {"heads": heads, "rows": [*found, ["together", "", "", *sums]]}


def _origin(trial: Trial) -> str:
    parents = trial.candidate.parents
    by = f"proposed by {trial.candidate.proposer}" if trial.candidate.proposer else "proposed"
    return f"{by} from {together([f'trial {parent}' for parent in parents])}" if parents else by
