"""What a supernet said of networks, beside what they reached when they were trained by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas.core.records import Objective, Trial
from nas.core.roles import GATES, PREPARATION
from results.units import label, written

INHERITED, SCRATCH = "_inherited", "_scratch"
"""What the names of a finalist's metrics end with, by how it came by its weights."""

TRIVIAL = ("params", "macs")
"""What ranks networks without any training; a rank correlation says little unless it is better."""

FEW = 10
"""Fewer finalists than this say next to nothing about ranks."""

CURVES = {
    "train_loss": "training loss",
    "gate_entropy": "entropy of the gates (1: an even mixture, 0: one expert)",
    "gate_variance": "variance of the gates over networks (0: routers do not look at them)",
    "expert_cosine": "cosine between experts (1: they have not separated)",
}
"""What is shown of a supernet's training over epochs."""

POINTS = 400
"""Most points of a curve."""


MOST = 24
"""Most layers in the table of gates."""


def supernet_of(
    facts: Mapping[str, Any], finalists: Mapping[int, Trial], objectives: Sequence[Objective]
) -> dict[str, Any] | None:
    """How a supernet was trained and how it ranks its finalists; None of a run without one.

    finalists: id of a search trial → the trial that evaluated it again, as `Run.finalists`.

    Returns: "curves", each with "title", "x" (epochs) and "y"; and "ranks", None before two finalists have both
        numbers, else "metric", "tau" (None where one side is all ties), "n", "text" and "rows", one per finalist, the
        best inherited value first: "trial", "inherited", "scratch" (texts) and their ranks, 1 being the best and ties
        sharing a mean; and "gates", rows of "place", "networks" and "experts", each with "percent" and "text", of the
        MOST layers whose gates are the least even.
    """
    curves = _curves(facts.get(PREPARATION) or ())
    ranks = _ranks([trial for trial in finalists.values() if trial.complete], objectives)
    gates = _gates(facts.get(GATES) or {})
    return {"curves": curves, "ranks": ranks, "gates": gates} if curves or ranks else None


def _gates(table: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    uneven = sorted(table, key=lambda place: -max(table[place]["mean"]))[:MOST]
    return [
        {"place": place, "networks": row["networks"], "experts": _experts(row)}
        for place, row in table.items()
        if place in uneven
    ]


def _experts(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of one network there is no spread to tell."""
    spreads = [f" ± {100 * spread:.0f}" if row["networks"] > 1 else "" for spread in row["spread"]]
    return [
        {"percent": round(100 * mean), "text": f"{100 * mean:.0f}{spread}"}
        for mean, spread in zip(row["mean"], spreads, strict=True)
    ]


def _curves(rows: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    found = []
    for name, title in CURVES.items():
        have = [row for row in rows if name in row and "epoch" in row]
        places = np.unique(np.linspace(0, len(have) - 1, min(POINTS, len(have))).round().astype(int))
        shown = [have[place] for place in places]
        if shown:
            ys = [float(row[name]) for row in shown]
            found.append({"title": title, "x": [float(row["epoch"]) for row in shown], "y": ys})
    return found


def _ranks(trials: Sequence[Trial], objectives: Sequence[Objective]) -> dict[str, Any] | None:
    name = _metric(trials, objectives)
    if name is None:
        return None
    known = [trial for trial in trials if {name + INHERITED, name + SCRATCH} <= set(trial.metrics)]
    goal = next((o for o in objectives if o.name == name), None)
    sign = -1.0 if (goal.direction == "max" if goal else "loss" not in name) else 1.0
    inherited, scratch = (
        np.array([sign * trial.metrics[name + ending] for trial in known]) for ending in (INHERITED, SCRATCH)
    )
    from scipy.stats import rankdata

    by_inherited, by_scratch = rankdata(inherited), rankdata(scratch)
    rows = [
        {
            "trial": known[place].of,
            "inherited": written(name, known[place].metrics[name + INHERITED]),
            "scratch": written(name, known[place].metrics[name + SCRATCH]),
            "rank_inherited": float(by_inherited[place]),
            "rank_scratch": float(by_scratch[place]),
        }
        for place in np.lexsort([by_scratch, by_inherited])
    ]
    tau = _tau(inherited, scratch)
    beside = [
        f"{other} {_said(_tau(np.array([-trial.metrics[other] for trial in known]), scratch))}"
        for other in TRIVIAL
        if all(other in trial.metrics for trial in known)
    ]
    text = (
        f"Kendall's τ between {label(name)} with inherited weights and after training from scratch is {_said(tau)} "
        f"over n = {len(known)} finalists"
    )
    text += f"; ranking them by what is larger gives {', '.join(beside)}." if beside else "."
    if len(known) < FEW:
        text += f" With {len(known)} networks this says next to nothing: one pair the other way round moves it by "
        text += f"{4 / (len(known) * (len(known) - 1)):.2f}."
    text += " Finalists were chosen by inherited weights, so they are closer together than the networks of the space."
    return {"metric": name, "tau": tau, "n": len(known), "text": text, "rows": rows}


def _metric(trials: Sequence[Trial], objectives: Sequence[Objective]) -> str | None:
    """The metric that at least two have both ways: an objective if there is one, else one of the validation part."""
    counts: dict[str, int] = {}
    for trial in trials:
        for name in trial.metrics:
            base = name.removesuffix(INHERITED)
            if base != name and base + SCRATCH in trial.metrics:
                counts[base] = counts.get(base, 0) + 1
    order = [objective.name for objective in objectives]
    known = [name for name, count in counts.items() if count >= 2]
    if not known:
        return None
    return min(known, key=lambda name: (order.index(name) if name in order else len(order), "test" in name, name))


def _tau(one: Any, other: Any) -> float | None:
    """Kendall's tau-b; None where all values of a side are equal, of which it says nothing."""
    if len(set(one.tolist())) < 2 or len(set(other.tolist())) < 2:
        return None
    from scipy.stats import kendalltau

    return float(kendalltau(one, other).statistic)


def _said(tau: float | None) -> str:
    return "not defined (all are equal)" if tau is None else f"{tau:.2f}".replace("-", "−")
