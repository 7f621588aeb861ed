"""The front in a report: its table, a card with a drawing for each network, and the points of the plot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nas.core.errors import NASError
from nas.core.profile import InputSpec
from nas.core.records import Objective, Trial
from results.drawing import draw
from results.front import Front
from results.rows import Row
from results.units import label, together, unit_of, written

FAINT, LISTED = 2500, 300
"""Most dominated points of the plot, and rows of the table."""

TALLEST, WIDEST = 560.0, 1250.0
"""Px that a drawing should take."""


def spread(front: Front[Trial], most: int) -> list[Trial]:
    """At most so many of the front, evenly from end to end."""
    places = np.linspace(0, len(front) - 1, min(most, len(front))).round() if len(front) else np.zeros(0)
    return [front[int(place)] for place in np.unique(places)]


def badges_of(front: Front[Trial], finalists: Mapping[int, Trial]) -> dict[int, list[str]]:
    """What is special about a trial of the front, or about one that was retrained without being on it."""
    found: dict[int, list[str]] = {id_: [] for id_ in front.ids}
    found |= {id_: ["behind the front"] for id_ in finalists if id_ not in found}
    if len(front) > 1 and len(front.objectives) > 1:
        for objective in front.objectives:
            best = min(front, key=lambda trial: objective.loss(trial.metrics))
            found[best.id].append(f"best {objective.name}")
        knee = front.knee()
        if knee is not None:
            found[knee.id].append("knee")
    for id_ in found:
        if id_ in finalists:
            found[id_].append("retrained")
    return found


def _names(front: Iterable[Trial], objectives: Sequence[Objective]) -> list[str]:
    """All metrics, objectives first."""
    names = [objective.name for objective in objectives]
    return list(dict.fromkeys([*names, *(name for trial in front for name in trial.metrics)]))


def front_table(
    front: Front[Trial],
    behind: Sequence[Trial],
    finalists: Mapping[int, Trial],
    units: Mapping[str, str],
    badges: Mapping[int, list[str]],
) -> dict[str, Any]:
    """The front as rows of (text, number to sort by); numbers of finalists stand beside, in columns of their own.

    behind: trials that were retrained without being on the front.
    """
    listed = [*front[:LISTED], *behind]
    goals = [objective.name for objective in front.objectives]
    retrained = [finalists[trial.id] for trial in listed if trial.id in finalists]
    again = [name for name in _again(retrained) if name.startswith("test_") or name in goals]
    rest = [name for name in _names(listed, front.objectives) if name not in goals]
    rows = []
    for trial in listed:
        other = finalists[trial.id].metrics if trial.id in finalists else {}
        cells = [_cell(name, trial.metrics, units, "goal") for name in goals]
        cells += [_cell(name, other, units, "again") for name in again]
        cells += [_cell(name, trial.metrics, units, "") for name in rest]
        rows.append({"id": trial.id, "cells": cells, "badges": badges[trial.id]})
    return {
        "heads": [{"name": o.name, "kind": "goal", "direction": o.direction} for o in front.objectives]
        + [{"name": name, "kind": "again", "direction": ""} for name in again]
        + [{"name": name, "kind": "", "direction": ""} for name in rest],
        "goals": len(goals),
        "again": len(again),
        "rest": len(rest),
        "budget": ", ".join(sorted({str(trial.budget) for trial in retrained})),
        "rows": rows,
        "more": max(len(front) - LISTED, 0),
    }


def _again(finalists: Sequence[Trial]) -> list[str]:
    """Metrics of retrained networks that training changes, the test's first."""
    have = dict.fromkeys(name for trial in finalists for name in trial.metrics)
    fixed = {"params", "macs", "latency_ms", "peak_memory_bytes", "train_memory_bytes", "train_seconds"}
    return sorted((name for name in have if name not in fixed), key=lambda name: not name.startswith("test_"))


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
    folder: str,
) -> dict[str, Any]:
    """A network of the front: its numbers, its drawing, how to take it home."""
    other = finalists.get(trial.id)
    return {
        "id": trial.id,
        "badges": badges[trial.id],
        "metrics": [(name, written(name, trial.metrics[name], units)) for name in _names([trial], objectives)],
        "again": [(name, written(name, other.metrics[name], units)) for name in _again([other])] if other else [],
        "again_budget": str(other.budget) if other else "",
        "again_reason": "" if other is None or other.complete else other.reason,
        "command": command(folder, trial.id),
        "drawing": _drawing(trial, inputs),
        "decisions": [(address, _option(option)) for address, option in trial.candidate.decisions.items()],
        "origin": _origin(trial),
    }


def command(folder: str, trial: int) -> str:
    """What takes a trial's network home."""
    quoted = f"'{folder}'" if re.search(r"[^\w@%+=:,./~-]", folder) else folder
    return f"nas export {quoted} {trial} --to net-{trial}"


def _drawing(trial: Trial, inputs: Mapping[str, InputSpec] | None) -> str:
    """With shapes where they can be worked out: a user's own operation may not be there where the report is made."""
    graph, title = trial.candidate.graph, f"the network of trial {trial.id}"
    if inputs is not None:
        try:
            return draw(graph, inputs, collapse=True, tallest=TALLEST, widest=WIDEST, style=False, title=title)
        except (NASError, ImportError):
            pass
    return draw(graph, collapse=True, tallest=TALLEST, widest=WIDEST, style=False, title=title)


def _origin(trial: Trial) -> str:
    parents = trial.candidate.parents
    by = f"proposed by {trial.candidate.proposer}" if trial.candidate.proposer else "proposed"
    return f"{by} from {together([f'trial {parent}' for parent in parents])}" if parents else by


def _option(option: Any) -> str:
    return "{" + ", ".join(map(str, option)) + "}" if isinstance(option, tuple | list) else str(option)


def points_of(
    search: Sequence[Row],
    front: Front[Trial],
    behind: Sequence[Trial],
    finalists: Mapping[int, Trial],
    units: Mapping[str, str],
    folder: str,
) -> dict[str, Any]:
    """What the page's script draws: columns of numbers of the front and of the dominated, and the axes there are."""
    complete = [row for row in search if row.complete]
    large = [*front, *behind]
    shown = {trial.id for trial in large}
    dominated = [row for row in complete if row.id not in shown and row.reuses not in shown]
    names = [name for name in _names(front, front.objectives) if all(name in trial.metrics for trial in large)]
    faint = _thin(dominated, names[:2])
    directions = {objective.name: objective.direction for objective in front.objectives}
    return {
        "axes": [
            {
                "name": name,
                "label": label(name, units),
                "direction": directions.get(name, ""),
                "log": _wants_log(name, complete, units),
            }
            for name in names
        ]
        + [{"name": "trial", "label": "trial", "direction": "", "log": False}],
        "goals": [objective.name for objective in front.objectives],
        "large": _columns(large, names)
        | {
            "hover": [_hover(trial, units) for trial in large],
            "front": [place < len(front) for place in range(len(large))],
            "retrained": [trial.id in finalists for trial in large],
        },
        "faint": _columns(faint, names),
        "left_out": len(dominated) - len(faint),
        "command": command(folder, 0).replace(" 0 ", " TRIAL ").replace("net-0", "net-TRIAL"),
    }


def _columns(trials: Iterable[Any], names: Sequence[str]) -> dict[str, Any]:
    trials = list(trials)
    columns: dict[str, Any] = {name: [_short(trial.metrics.get(name)) for trial in trials] for name in names}
    return {"id": [trial.id for trial in trials], "metrics": columns}


def _short(value: float | None) -> float | None:
    """Six digits are more than a plot shows."""
    return None if value is None else int(value) if float(value).is_integer() else float(f"{value:.6g}")


def _thin(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """At most FAINT rows, so chosen that every region of the first two metrics keeps some."""
    if len(rows) <= FAINT:
        return list(rows)
    order = sorted(range(len(rows)), key=lambda place: tuple(rows[place].metrics.get(name, 0.0) for name in names))
    keep = {order[int(place)] for place in np.linspace(0, len(rows) - 1, FAINT)}
    return [row for place, row in enumerate(rows) if place in keep]


def _wants_log(name: str, complete: Sequence[Row], units: Mapping[str, str]) -> bool:
    values = [row.metrics[name] for row in complete if name in row.metrics]
    return bool(values) and unit_of(name, units) != "%" and min(values) > 0 and max(values) > 30 * min(values)


def _hover(trial: Trial, units: Mapping[str, str], most: int = 14) -> str:
    """Lines of a hover: id, metrics, decisions (the first of many)."""
    lines = [f"trial {trial.id}"]
    lines += [f"{name}: {written(name, value, units)}" for name, value in trial.metrics.items()]
    made = [f"{address} = {_option(option)}" for address, option in trial.candidate.decisions.items()]
    lines += ["", *made[:most]] + ([f"… and {len(made) - most} more decisions"] if len(made) > most else [])
    return "\n".join(line if len(line) <= 70 else line[:69] + "…" for line in lines)
