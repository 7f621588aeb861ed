"""Which of two trials is better, by Deb's rules: a feasible one before an infeasible one, a smaller violation first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nas.core.records import Candidate, Constraint, Objective, Status, Trial, losses


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A trial as a population sees it.

    point: losses to be minimised; empty when the trial is infeasible.
    violation: 0.0 when feasible, else the sum over broken constraints; infinite when nothing is known but that it
        cannot be.
    """

    id: int
    candidate: Candidate
    point: tuple[float, ...]
    violation: float = 0.0


def member(trial: Trial, objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> Member | None:
    """The member that a trial amounts to; None when it says nothing about its candidate (FAILED, PRUNED).

    Reference: Deb 2000, An efficient constraint handling method for genetic algorithms. Differs: violations are
    relative to the bound (`Constraint.violation`), so that constraints on different metrics can be summed.
    """
    if trial.status is Status.COMPLETE:
        return Member(trial.id, trial.candidate, losses(trial, objectives))
    if trial.status is not Status.INFEASIBLE:
        return None
    violation = sum(c.violation(trial.metrics) for c in constraints if c.name in trial.metrics)
    return Member(trial.id, trial.candidate, (), violation or math.inf)
