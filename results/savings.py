"""What a search did not have to pay for: counted from its trials, in one place, for every reader.

A hit is a trial whose measurement is that of an equal one. What it saved is the time that this one took.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nas.core.records import KEYING, Status
from results.rows import Row
from results.units import clock, together

KINDS = ("decisions", "graph", "functional")
"""Kinds of keys, the cheapest first."""


@dataclass(frozen=True)
class Savings:
    """proposals: search trials. graphs, functions: how many different networks these were by their exact keys, and, of
    those that could be evaluated, by what they do; None where functional keys were not worked out.

    hits: kind of key → trials known by it. elsewhere: how many of them another run had paid for.
    evaluations, evaluation_seconds: made, and what they took. seconds: not spent. keying_seconds: kind of key → spent
        on working it out.
    infeasible, unkeyed: reason → trials that could not be, and trials without a functional key.
    """

    proposals: int
    graphs: int
    functions: int | None
    hits: Mapping[str, int]
    elsewhere: int
    evaluations: int
    evaluation_seconds: float
    seconds: float
    keying_seconds: Mapping[str, float]
    infeasible: Mapping[str, int]
    unkeyed: Mapping[str, int]

    @property
    def hit(self) -> int:
        """All hits."""
        return sum(self.hits.values())

    def summary(self) -> dict[str, Any]:
        """As JSON takes it."""
        found = asdict(self)
        rounded = {name: round(found[name], 3) for name in ("seconds", "evaluation_seconds")}
        keys = {kind: round(seconds, 3) for kind, seconds in self.keying_seconds.items()}
        return {**found, **rounded, "keying_seconds": keys}

    def text(self) -> str:
        """One line for a person."""
        known = f"{self.graphs:,} networks by graph"
        if self.functions is not None:
            known += f" and {self.functions:,} by function"
        parts = [f"{self.proposals:,} proposals were {known}"]
        if self.hit:
            kinds = together([f"{number:,} by {_CALLED[kind]}" for kind, number in self.hits.items() if number])
            other = f", {self.elsewhere:,} of them from other runs" if self.elsewhere else ""
            parts.append(f"{self.hit:,} were known ({kinds}{other}), which saved {clock(self.seconds)} of evaluation")
        else:
            parts.append("none was known before")
        if self.keying_seconds:
            parts.append(f"keys took {clock(sum(self.keying_seconds.values()))}")
        if self.unkeyed:
            reason, _ = max(self.unkeyed.items(), key=lambda item: item[1])
            more = f" and {len(self.unkeyed) - 1} more reasons" if len(self.unkeyed) > 1 else ""
            parts.append(f"{sum(self.unkeyed.values()):,} have no functional key: {reason}{more}")
        return "; ".join(parts)


_CALLED = {"decisions": "decisions", "graph": "graph", "functional": "function"}


def savings(rows: Iterable[Row], facts: Mapping[str, Any]) -> Savings:
    """The savings of a run's search trials."""
    search = [row for row in rows if row.stage == "search"]
    spent = {row.id: row.seconds for row in search if row.source != "cache"}
    known = [row for row in search if row.source == "cache"]
    graphs: set[str] = set()
    functions: set[str] = set()
    unkeyed: Counter[str] = Counter()
    feasible, probed = 0, False
    for row in search:  # once: keys are read from their text
        keys = row.keys
        graph, function, why = keys.get("graph"), keys.get("functional"), keys.get("unkeyed")
        probed = probed or "functional" in keys or "unkeyed" in keys
        if graph is not None:
            graphs.add(graph)
        if "evaluation" in keys:
            feasible += 1
            functions.add(function or graph or "")
        if why:
            unkeyed[alike(why)] += 1
    return Savings(
        proposals=len(search),
        graphs=len(graphs),
        functions=len(functions) if probed else None,
        hits={kind: sum(row.hit == kind for row in known) for kind in KINDS},
        elsewhere=sum(bool(row.origin) for row in known),
        evaluations=feasible - len(known),
        evaluation_seconds=sum(spent.values()),
        seconds=sum(row.measured_seconds if row.origin else spent.get(row.reuses or 0, 0.0) for row in known),
        keying_seconds=dict(facts.get(KEYING) or {}),
        infeasible=Counter(alike(row.reason) for row in search if row.status is Status.INFEASIBLE),
        unkeyed=unkeyed,
    )


def alike(reason: str) -> str:
    """A reason without its numbers, by which those of one kind are counted together.

    >>> alike("params is 1200 and should be 800")
    'params is # and should be #'
    """
    return re.sub(r"[-+]?\d[\d_,.e]*", "#", reason)
