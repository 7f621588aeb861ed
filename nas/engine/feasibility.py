"""What is known of a candidate before anything is spent on it: its keys, its cost, and whether it can be a network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from nas.core.errors import ShapeError
from nas.core.profile import disconnected
from nas.core.records import Candidate, Constraint, Status
from nas.engine.identity import Identity

Cost = Callable[[Candidate], Mapping[str, float]]
"""Cost metrics of a candidate, such as params and macs. Raises ShapeError when its shapes do not fit."""


@dataclass(frozen=True, slots=True)
class Finding:
    """keys: by decisions and by graph. costs: cost metrics. reason: why the candidate is INFEASIBLE, or ''."""

    keys: Mapping[str, str]
    costs: Mapping[str, float]
    reason: str = ""


class Feasibility:
    """Looks at candidates, each network once.

    cost: gives the cost metrics; None when nothing is known before an evaluation.
    constraints: those on a cost metric are checked here, the others where they are measured.
    memory_bytes: `train_memory_bytes` above this would not fit.
    identity: works the keys out.
    """

    def __init__(
        self, cost: Cost | None, constraints: Sequence[Constraint], memory_bytes: int | None, identity: Identity
    ) -> None:
        self._identity = identity
        self._cost = cost
        self._constraints = tuple(constraints)
        self._memory_bytes = memory_bytes
        self._known: dict[str, Finding] = {}

    def look(self, candidate: Candidate) -> Finding:
        """The finding of a candidate, remembered by its decisions."""
        key = self._identity.decisions(candidate)
        if key not in self._known:
            self._known[key] = self._find(candidate, key)
        return self._known[key]

    def _find(self, candidate: Candidate, decisions: str) -> Finding:
        key = {"decisions": decisions, "graph": self._identity.graph(candidate.graph)}
        gap = disconnected(candidate.graph)
        if gap is not None:
            return Finding(key, {}, gap)
        if self._cost is None:
            return Finding(key, {})
        try:
            costs = dict(self._cost(candidate))
        except ShapeError as error:
            return Finding(key, {}, str(error))
        return Finding(key, costs, broken(self._constraints, costs) or self._too_large(costs))

    def _too_large(self, costs: Mapping[str, float]) -> str:
        needed = costs.get("train_memory_bytes", 0)
        if self._memory_bytes is None or needed <= self._memory_bytes:
            return ""
        return f"training needs about {_mib(needed)}, and {_mib(self._memory_bytes)} are there"


def broken(constraints: Sequence[Constraint], metrics: Mapping[str, float]) -> str:
    """The constraints that the metrics break, as a reason; '' when those that can be checked hold."""
    reasons = [
        f"{c.name} is {metrics[c.name]:g}, expected {c}"
        for c in constraints
        if c.name in metrics and not c.holds(metrics)
    ]
    return "; ".join(reasons)


def verdict(
    metrics: Mapping[str, float], wanted: Collection[str], constraints: Sequence[Constraint]
) -> tuple[Status, str]:
    """COMPLETE, or INFEASIBLE or FAILED with the reason. wanted: what objectives and constraints need."""
    reason = broken(constraints, metrics)
    if reason:  # said first: an evaluator need not measure more of a candidate that breaks a bound
        return Status.INFEASIBLE, reason
    missing = sorted(name for name in wanted if name not in metrics)
    if missing:
        have = ", ".join(sorted(metrics))
        return (
            Status.FAILED,
            f"no {missing[0]!r} was reported, which an objective or constraint needs; reported: {have}",
        )
    return Status.COMPLETE, ""


def _mib(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"
