"""What a search is made of: its parts, its limits, and whom it tells. Checked when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.core.errors import RecipeError, nearest
from nas.core.records import Budget, Constraint, Objective
from nas.core.roles import Cache, Evaluator, Executor, Store, Strategy
from nas.engine.checks import MOST, whole
from nas.engine.feasibility import Cost
from nas.engine.finalists import Again, check_start
from nas.engine.outcome import Event
from nas.engine.reuse import Reuse
from nas.engine.weights import KEEP

_ENDLESS = 10**12
"""More trials than any search has."""


@dataclass(kw_only=True)
class Settings:
    """All that a search is given.

    space: its fingerprint is noted, so that a run is not resumed with another space.
    budget: of one evaluation.
    trials: how many trials to ask for at most.
    hours: no trial is asked for after this wall time, summed over all sessions; those in work are finished.
    max_failures: how many FAILED trials end the search.
    finalists: (how many of the best trials to evaluate again, with which budget, from 'scratch' or a 'checkpoint'),
        after the search.
    folder: the run's folder, for evaluators that write files.
    cost: cost metrics of a candidate before it is evaluated; merged into every measurement.
    memory_bytes: candidates whose `train_memory_bytes` exceed it are INFEASIBLE.
    keep: 'front' deletes the weights of trials that are dominated (by `top` networks, where finalists start at a
        checkpoint), 'all' keeps them.
    reuse: when a candidate counts as known; None evaluates every proposal. By function needs `space`.
    cache: measurements that are shared with other runs.
    on_event: is told of progress. on_prepare: is told how far the evaluator is that is got ready before the search.
    on_remark: is told, in a line, of what goes wrong beside the search.
    """

    strategy: Strategy
    evaluator: Evaluator
    store: Store
    executor: Executor
    objectives: Sequence[Objective]
    budget: Budget
    trials: int
    constraints: Sequence[Constraint] = ()
    space: Any = None
    hours: float | None = None
    max_failures: int = 10
    finalists: tuple[int, Budget] | tuple[int, Budget, str] | None = None
    seed: int = 0
    folder: Path | None = None
    cost: Cost | None = None
    memory_bytes: int | None = None
    keep: str = "front"
    reuse: Reuse | None = field(default_factory=Reuse)
    cache: Cache | None = None
    on_event: Callable[[Event], None] | None = None
    on_prepare: Callable[[Mapping[str, float]], None] | None = None
    on_remark: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        if not self.objectives:
            raise RecipeError("objectives: none is given; expected at least one, as in {'val_accuracy': 'max'}")
        for name, value, least in (
            ("trials", self.trials, 1),
            ("max_failures", self.max_failures, 1),
            ("executor.lookahead", self.executor.lookahead, 1),
            ("finalists", self.finalists[0] if self.finalists else 1, 1),
        ):
            expected = whole(value, least, MOST if name == "executor.lookahead" else _ENDLESS)
            if expected:
                raise RecipeError(f"{name} is {value!r}; {expected}")
        if self.finalists is not None:
            check_start(Again(*self.finalists).start, self.evaluator)
        if self.keep not in KEEP:
            raise RecipeError(f"keep is {self.keep!r}; {nearest(self.keep, KEEP)}")
        if self.hours is not None and not self.hours > 0:
            raise RecipeError(f"hours is {self.hours!r}; expected a number above 0, or none for no limit")
        files = getattr(self.evaluator, "writes_files", False) or getattr(self.evaluator, "prepares", False)
        if files and self.folder is None:
            raise RecipeError(f"evaluator {type(self.evaluator).__name__} writes files; give the controller a folder")
        if self.reuse is not None and self.reuse.functional and self.space is None:
            raise RecipeError("reuse by function needs the space, which says what networks take; give it")
