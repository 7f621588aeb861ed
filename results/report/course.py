"""What the search did: how trials ended and why, and how the best got better."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nas.core.records import Status, Trial
from results.analysis.progress import Way, paid
from results.analysis.ranks import supernet_of
from results.analysis.times import time_of
from results.front import Front
from results.rows import Row
from results.run import Run
from results.savings import Savings, alike
from results.units import clock, label

__all__ = ["counts_of", "progress_of", "reasons_of", "saved_of", "supernet_of", "time_of"]

KINDS, STEPS = 12, 120
"""Most kinds of reasons, and points of a way."""


def counts_of(search: Sequence[Row]) -> list[dict[str, Any]]:
    """How many search trials ended how; what took its numbers from a cache counts as that, however it ended."""
    cached = "from the cache"
    tally = Counter(cached if row.source == "cache" else row.status.value for row in search)
    paid_for = sum(row.status is Status.INFEASIBLE and row.source != "cache" and paid(row) > 0 for row in search)
    notes = {
        "complete": "measured",
        cached: "equal to a network that was measured before, by decisions, graph or function",
        "pruned": "stopped early",
        "infeasible": "broke a constraint or could not be a network"
        + (f"; {paid_for:,} of them had to be measured to know" if paid_for else "; cost nothing to find out"),
        "failed": "the evaluation broke",
    }
    total = max(len(search), 1)
    return [
        {"name": name, "number": tally[name], "share": 100 * tally[name] / total, "note": note}
        for name, note in notes.items()
        if tally[name] or name in ("complete", "failed")
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
    """Best so far of each objective, where it changed, and the hypervolume; over trials and over seconds paid.

    Each entry: "title", "kind" ('best' or 'hypervolume'), and of one length "trial" (ids), "seconds" (of evaluation,
    paid for all search trials up to that one; what came from a cache cost nothing) and "y". Between its points a best
    stays what it was. At most STEPS points, the last trial's among them; [] before two trials are complete.
    """
    way = Way.of(search, front)
    if len(way) < 2:
        return []
    last_trial, last_seconds = search[-1].id, float(sum(map(paid, search)))

    def along(title: str, kind: str, places: Any, y: Any) -> dict[str, Any]:
        return {
            "title": title,
            "kind": kind,
            "trial": [*way.ids[places].tolist(), last_trial],
            "seconds": [*way.seconds[places].round(3).tolist(), round(last_seconds, 3)],
            "y": [*y.tolist(), float(y[-1])],
        }

    found: list[dict[str, Any]] = []
    for goal, objective in enumerate(front.objectives[:4]):
        places = way.changes(goal, STEPS - 1)
        sign = -1.0 if objective.direction == "max" else 1.0
        y = way.best[places, goal] * sign + 0.0
        found.append(along(f"best {label(objective.name, units)}", "best", places, y))
    if 2 <= len(front.objectives) <= 4 and front.reference_losses is not None and front.hypervolume is not None:
        places = way.places(STEPS - 1)
        volumes = way.volumes(places, front.reference_losses)
        y = 100 * volumes / (volumes[-1] or 1.0)
        found.append(along("hypervolume (% of the final one)", "hypervolume", places, y))
    return found
