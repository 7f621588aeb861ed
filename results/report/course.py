"""What the search did: how trials ended and why, and how the best got better."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import moocore
import numpy as np

from nas.core.records import Trial
from results.front import Front
from results.rows import Row
from results.run import Run
from results.savings import Savings, alike
from results.units import clock, label

KINDS, STEPS = 12, 60
"""Most kinds of reasons, and points of the hypervolume's way."""


def counts_of(search: Sequence[Row]) -> list[dict[str, Any]]:
    cached = sum(row.source == "cache" for row in search)
    tally = Counter(row.status.value for row in search)
    known = {
        "complete": tally["complete"] - sum(row.source == "cache" and row.complete for row in search),
        "from the cache": cached,
        "pruned": tally["pruned"],
        "infeasible": tally["infeasible"] - sum(row.source == "cache" and not row.complete for row in search),
        "failed": tally["failed"],
    }
    notes = {
        "complete": "measured",
        "from the cache": "equal to a network that was measured before, by decisions, graph or function",
        "pruned": "stopped early",
        "infeasible": "broke a constraint or could not be a network; cost nothing to find out",
        "failed": "the evaluation broke",
    }
    total = max(len(search), 1)
    return [
        {"name": name, "number": number, "share": 100 * number / total, "note": notes[name]}
        for name, number in known.items()
        if number or name in ("complete", "failed")
    ]


def saved_of(saved: Savings) -> list[dict[str, str]]:
    """What was not paid for, and what finding that out cost, line by line."""
    spent = ", ".join(f"{kind} {clock(seconds)}" for kind, seconds in saved.keying_seconds.items())
    hits = ", ".join(f"{kind} {number:,}" for kind, number in saved.hits.items())
    rows = [
        ("proposals", f"{saved.proposals:,}", ""),
        ("different by graph", f"{saved.graphs:,}", "exact keys: the same network, however it is spelled"),
        ("different by function", f"{saved.functions:,}" if saved.functions is not None else "",
         "networks that do the same on a probe; of those that could be evaluated"),
        ("hits", f"{saved.hit:,}", f"by kind of key: {hits}"),
        ("from other runs", f"{saved.elsewhere:,}" if saved.elsewhere else "", "out of the shared cache"),
        ("evaluations made", f"{saved.evaluations:,}", f"they took {clock(saved.evaluation_seconds)}"),
        ("time not spent", clock(saved.seconds), "what the evaluations took that were reused"),
        ("time for keys", clock(sum(saved.keying_seconds.values())) if saved.keying_seconds else "", spent),
        *(("no functional key", f"{number:,}", reason) for reason, number in saved.unkeyed.items()),
    ]  # fmt: skip
    return [{"name": name, "value": value, "note": note} for name, value, note in rows if value]


def reasons_of(search: Sequence[Row], run: Run) -> list[dict[str, Any]]:
    """Reasons of trials that are not complete, alike ones together, the most frequent first."""
    kinds: dict[tuple[str, str], list[Row]] = {}
    for row in search:
        if row.reason and not row.complete:
            kinds.setdefault((row.status.value, alike(row.reason)), []).append(row)
    ranked = sorted(kinds.items(), key=lambda kind: (kind[0][0] != "failed", -len(kind[1])))
    shown = ranked[:KINDS]
    failed = [rows[0].id for (status, _), rows in shown if status == "failed"]
    traces = {trial.id: trial.traceback for trial in run.store.pick(failed)}
    found = [
        {
            "status": status,
            "number": len(rows),
            "example": rows[0].reason,
            "trial": rows[0].id,
            "traceback": traces.get(rows[0].id, ""),
        }
        for (status, _), rows in shown
    ]
    rest = sum(len(rows) for _, rows in ranked[KINDS:])
    if rest:
        kinds_left = f"{len(ranked) - KINDS} more kinds of reasons"
        found.append({"status": "", "number": rest, "example": kinds_left, "trial": None, "traceback": ""})
    return found


def progress_of(search: Sequence[Row], front: Front[Trial], units: Mapping[str, str]) -> list[dict[str, Any]]:
    """Best so far of each objective, at the trials where it changed, and the hypervolume on the way."""
    complete = [row for row in search if row.complete]
    if len(complete) < 2:
        return []
    last = search[-1].id
    found: list[dict[str, Any]] = []
    for objective in front.objectives[:4]:
        xs: list[int] = []
        ys: list[float] = []
        best = float("inf")
        for row in complete:
            loss = objective.loss(row.metrics)
            if loss < best:
                best = loss
                xs.append(row.id)
                ys.append(row.metrics[objective.name])
        found.append({"title": f"best {label(objective.name, units)}", "x": [*xs, last], "y": [*ys, ys[-1]]})
    if 2 <= len(front.objectives) <= 4 and front.reference is not None:
        found.append(_hypervolume_way(complete, front))
    return found


def _hypervolume_way(complete: Sequence[Row], front: Front[Trial]) -> dict[str, Any]:
    assert front.reference is not None
    objectives = front.objectives
    signs = [-1.0 if objective.direction == "max" else 1.0 for objective in objectives]
    reference = [front.reference[o.name] * sign for o, sign in zip(objectives, signs, strict=True)]
    losses = np.array([[o.loss(row.metrics) for o in objectives] for row in complete])
    ends = np.unique(np.linspace(1, len(complete), min(STEPS, len(complete))).round().astype(int))
    kept, values, start = np.zeros((0, len(objectives))), [], 0
    for end in ends:  # what was dominated once stays dominated
        kept = moocore.filter_dominated(np.concatenate([kept, losses[start:end]]))
        values.append(float(moocore.hypervolume(kept, ref=reference)))
        start = end
    whole = values[-1] or 1.0
    return {
        "title": "hypervolume (% of the final one)",
        "x": [complete[end - 1].id for end in ends],
        "y": [100 * value / whole for value in values],
    }
