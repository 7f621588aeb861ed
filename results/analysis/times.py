"""Where the time of a run went, as far as it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.core.records import KEYING, Status
from nas.core.roles import PREPARATION
from results.rows import Row
from results.units import clock, together

_NOTES = {
    Status.COMPLETE: "were measured",
    Status.PRUNED: "were stopped early",
    Status.INFEASIBLE: "gave numbers that break a constraint",
    Status.FAILED: "broke",
}


def time_of(rows: Sequence[Row], facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What took how long: evaluations by how they ended, finalists, getting ready, keys, and the rest.

    Each entry: "name", "seconds", "text" (the same for people), "share" (percent) and "note". Shares are of the wall
    time; where evaluations ran side by side and took more than that together, of their sum, and the last entry says
    how long it was on the clock. A run of which nothing is known gives [].
    """
    parts = [*_evaluations(rows), *_around(facts)]
    wall = float(facts.get("seconds") or 0.0)
    work = sum(seconds for _, seconds, _ in parts)
    whole = max(wall, work)
    if wall >= work > 0:
        parts.append(("the rest", wall - work, "proposing, storing, starting workers and waiting for them"))
    elif work > wall > 0:
        beside = f"evaluations ran side by side, {work / wall:.1f} at a time"
        parts.append(("on the clock", wall, f"less than the sum: {beside}"))
    return [
        {"name": name, "seconds": seconds, "text": clock(seconds), "share": 100 * seconds / whole, "note": note}
        for name, seconds, note in parts
        if seconds > 0
    ]


def _evaluations(rows: Sequence[Row]) -> list[tuple[str, float, str]]:
    spent: dict[Status | str, float] = {}
    number: dict[Status | str, int] = {}
    for row in rows:
        if row.source != "cache" and row.seconds > 0:
            kind = row.status if row.stage == "search" else row.stage
            spent[kind] = spent.get(kind, 0.0) + row.seconds
            number[kind] = number.get(kind, 0) + 1
    found = [
        (f"{status.value} evaluations", spent[status], f"{number[status]:,} {note}")
        for status, note in _NOTES.items()
        if status in spent
    ]
    if "finalist" in spent:
        found.append(("finalists", spent["finalist"], f"{number['finalist']:,} trained again and tested"))
    return found


def _around(facts: Mapping[str, Any]) -> list[tuple[str, float, str]]:
    """Getting ready before the search, and keys."""
    found = []
    preparation = facts.get(PREPARATION) or ()
    if preparation:
        last = preparation[-1]
        note = f"training shared weights, {last.get('epoch', 0):g} of {last.get('epochs', 0):g} epochs"
        found.append(("preparing", float(last.get("seconds", 0.0)), note))
    keying: Mapping[str, float] = facts.get(KEYING) or {}
    kinds = together([f"{kind} {clock(seconds)}" for kind, seconds in keying.items() if seconds >= 0.05])
    found.append(("keys", sum(keying.values()), "finding out which networks are equal" + (kinds and f": {kinds}")))
    return found
