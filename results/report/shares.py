"""The importance of decisions as the page draws it: bars with intervals, on one scale for each goal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEAST = 0.01
"""Smallest share that is drawn."""


def with_bars(decisions: Mapping[str, Any]) -> dict[str, Any]:
    """What `decisions_of` says, with the places of its bars in percent of the widest and its shares as texts."""
    goals = []
    for goal in decisions["goals"]:
        rows = [row for row in goal["rows"] if row["mean"] >= LEAST]
        text = unbroken(goal["text"])
        goals.append({**goal, "text": text, "rows": _bars(rows), "less": len(rows) < len(goal["rows"])})
    return {**decisions, "goals": goals}


def _bars(rows: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    whole = max([row["high"] for row in rows] + [row["mean"] for row in rows], default=0.0) or 1.0
    found = []
    for row in rows:
        low, mean, high = (100 * max(row[name], 0.0) / whole for name in ("low", "mean", "high"))
        found.append(
            {
                "address": row["address"],
                "text": _percent(row["mean"]),
                "low_text": _percent(row["low"]),
                "high_text": _percent(row["high"]),
                "mean_share": mean,
                "low_share": low,
                "interval_share": max(high - low, 0.0),
            }
        )
    return found


def _percent(share: float) -> str:
    return unbroken(f"{100 * share:.0f} %")


def unbroken(text: str) -> str:
    """A number and its percent sign stay in one line."""
    return text.replace(" %", "\u00a0%")
