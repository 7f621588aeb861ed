"""Which decisions matter for a goal, how sure that is, and on which values the front agrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas.core.records import Objective
from results.analysis.agreement import Agreed, agreement
from results.analysis.choices import Choices
from results.analysis.importance import FOLDS, importance
from results.front import Front
from results.rows import Row
from results.units import written

FEWEST = 30
"""Fewer networks say nothing about which decisions matter."""

MOST, COUNTED = 1400, 2000
"""At most so many networks are modelled, over all goals together, and counted for what the front agrees on; they are
drawn evenly where there are more."""

CELLS = 250_000
"""At most so many networks times decisions are modelled."""

WEAK = 0.2
"""A model that explains a smaller share than this says nothing about what matters."""

SHOWN = 15
"""Most decisions that are listed, and most values that are agreed on."""

LEAST = 0.005
"""A decision with a smaller share than this is not listed."""

GOALS = 4
"""Most goals that are looked at."""


def decisions_of(rows: Sequence[Row], front: Front[Any]) -> dict[str, Any]:
    """Importance of decisions for each goal, and what the front agrees on, as plain values.

    Returns: "goals", each with "name", "explained" (share of the variance on networks kept from the model; None where
        none was made), "text", and "rows", the most important first: "address", "mean", "low", "high", shares of the
        variance with an interval of 95 % (see `results.analysis.importance`); no rows where nothing can be said.
        "agreed": "address", "option", "front" and "all", the shares of networks with it, and "text".
        "text": what to bear in mind.
    """
    networks = [row for row in rows if row.stage == "search" and row.complete and row.hit != "decisions"]
    rng = np.random.default_rng(0)
    some = _drawn(networks, COUNTED, rng)
    modelled = _drawn(some, MOST // max(2, min(GOALS, len(front.objectives))), rng)
    if modelled:
        modelled = modelled[: max(FEWEST, CELLS // max(1, max(len(row.decisions) for row in modelled[:50])))]
    choices = Choices.of([row.decisions for row in modelled]) if len(modelled) >= FEWEST else None
    return {
        "goals": [_goal(objective, modelled, choices) for objective in front.objectives[:GOALS]],
        "agreed": _agreed(some, networks, front),
        "text": _caveat(len(networks), len(modelled)),
    }


def _drawn(rows: Sequence[Row], most: int, rng: np.random.Generator) -> list[Row]:
    if len(rows) <= most:
        return list(rows)
    return [rows[place] for place in rng.choice(len(rows), most, replace=False)]


def _goal(objective: Objective, rows: Sequence[Row], choices: Choices | None) -> dict[str, Any]:
    """What matters for one goal, in words and numbers."""
    name = objective.name

    def nothing(text: str, explained: float | None = None) -> dict[str, Any]:
        return {"name": name, "explained": explained, "text": text, "rows": []}

    if choices is None:
        return nothing(f"Nothing can be said about {name}: {len(rows)} networks are complete, {FEWEST} are needed.")
    values = np.array([row.metrics[name] for row in rows], dtype=float)
    if not choices.addresses:
        return nothing(f"Nothing can be said about {name}: all networks were decided alike.")
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        value = written(name, float(values[0]), {name: objective.unit})
        return nothing(f"Nothing decides {name}: all {len(rows):,} networks have the same, {value}.")
    groups = [row.keys.get("graph", str(row.id)) for row in rows]
    if len(set(groups)) < FEWEST:
        return nothing(f"Nothing can be said about {name}: only {len(set(groups))} of the networks are different.")
    found = importance(choices, values, groups)
    share = f"{100 * max(found.explained, 0.0):.0f} %"
    kept = f"of the variance of {name} among networks that were kept from it ({len(rows):,} in {FOLDS} folds)"
    if found.explained < WEAK:
        return nothing(f"Nothing can be said about {name}: a model explains {share} {kept}.", found.explained)
    order = np.argsort(-found.mean, kind="stable")
    order = order[found.mean[order] >= LEAST]
    sure = int((found.low > 0).sum())
    text = f"A model of the decisions explains {share} {kept}. "
    if sure:
        text += f"The intervals of {sure} of {len(choices.addresses)} decisions lie above 0."
    else:
        text += "Yet no decision's interval lies above 0: which one it is cannot be said."
    listed = [
        {
            "address": choices.addresses[place],
            "mean": float(found.mean[place]),
            "low": float(found.low[place]),
            "high": float(found.high[place]),
        }
        for place in order[:SHOWN]
    ]
    return {"name": name, "explained": found.explained, "text": text, "rows": listed}


def _agreed(some: Sequence[Row], networks: Sequence[Row], front: Front[Any]) -> list[dict[str, Any]]:
    """What the front's networks have in common; equal ones count once."""
    wanted = set(front.ids)
    best: dict[str, Row] = {}
    for row in networks:
        if row.id in wanted:
            best.setdefault(row.keys.get("graph", str(row.id)), row)
    if not best:
        return []
    on_front = list(best.values())[:COUNTED]
    every = {row.id: row for row in (*some, *on_front)}
    found = agreement([row.decisions for row in on_front], [row.decisions for row in every.values()])
    drawn = [row.decisions for row in some]
    return [_listed(each, drawn) for each in found[:SHOWN]]


def _listed(each: Agreed, drawn: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """drawn: decisions of networks drawn evenly from all: with the front's added, its values would seem usual."""
    have = [decisions[each.address] == each.option for decisions in drawn if each.address in decisions]
    of_front, of_all = each.having / each.number, sum(have) / len(have) if have else 0.0
    return {
        "address": each.address,
        "option": each.option,
        "front": of_front,
        "all": of_all,
        "text": f"{each.having} of the {each.number} networks of the front that have this choice, "
        f"{100 * of_all:.0f} % of all that have it",
    }


def _caveat(number: int, modelled: int) -> str:
    drawn = f" {modelled:,} of {number:,} networks were drawn evenly for it." if modelled < number else ""
    return (
        "A share is how much of the variance goes when this decision alone is drawn anew, what it does together with "
        "others included; so shares may add up to more than 100 %. This describes the networks that the search made, "
        "not all of the space: what it soon stopped trying varies little here and seems to matter little." + drawn
    )
