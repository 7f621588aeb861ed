"""Executors and evaluators with which the engine's tests provoke what rarely happens."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.core.profile import profile
from nas.core.records import Budget, Candidate, Measurement, Objective, Trial
from nas.core.roles import Done, Job
from nas.engine.controller import Controller
from nas.engine.executors.attempt import attempt
from nas.engine.strategies.random import Random
from nas.testing.memory import MemoryStore
from nas.testing.samples import Agreement, small_space

SPACE = small_space()
TARGET = {
    "block/op": "paths",
    "block/paths/paths": ("conv_kernel1", "conv_kernel5"),
    "rest/times": 3,
    "pool/used": False,
}
ACCURACY = Objective("val_accuracy", "max")
PARAMS = Objective("params", "min")


@dataclass
class Shuffled:
    """Ends jobs in a random order, as machines of different speed would."""

    seed: int = 0
    lookahead: int = 4
    closed: int = 0
    evaluated: list[int] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    before: Callable[[Job], None] | None = None

    def start(self, evaluator: Any) -> None:
        self.evaluator = evaluator
        self.rng = random.Random(self.seed)

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def next(self) -> Done:
        job = self.jobs.pop(self.rng.randrange(len(self.jobs)))
        if self.before is not None:
            self.before(job)
        self.evaluated.append(job.id)
        return attempt(self.evaluator, job)

    def close(self) -> None:
        self.closed += 1


@dataclass
class Listed:
    """A strategy that proposes given candidates and remembers what it is told."""

    candidates: list[Candidate]
    told: list[Trial] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def ask(self) -> Candidate | None:
        asked = sum(entry.startswith("ask") for entry in self.log)
        if asked == len(self.candidates):
            return None
        self.log.append(f"ask {asked}")
        return self.candidates[asked]

    def tell(self, trial: Trial) -> None:
        self.log.append(f"tell {trial.id}")
        self.told.append(trial)


@dataclass
class Writing(Agreement):
    """Leaves a file of weights."""

    writes_files = True

    def evaluate(self, candidate: Candidate, budget: Budget, seed: int, folder: Path | None = None) -> Measurement:  # type: ignore[override]
        assert folder is not None
        (folder / "weights.safetensors").write_text(candidate.decisions.text)
        return super().evaluate(candidate, budget, seed)


def costs(candidate: Candidate) -> dict[str, float]:
    found = profile(candidate.graph, SPACE.inputs)
    return {"params": found.params, "macs": found.macs, "train_memory_bytes": found.train_memory_bytes(32)}


def controller(**fields: Any) -> Controller:
    """A small search; every field can be replaced."""
    objectives = fields.pop("objectives", (ACCURACY, PARAMS))
    given = {
        "strategy": Random(space=SPACE, objectives=objectives, seed=fields.get("seed", 0), unique=False),
        "evaluator": Agreement(TARGET),
        "store": MemoryStore(),
        "executor": Shuffled(),
        "objectives": objectives,
        "budget": Budget(1),
        "trials": 30,
        "cost": costs,
    }
    return Controller(**{**given, **fields})


def summary(trials: list[Trial]) -> list[tuple[Any, ...]]:
    """What must not depend on the order in which evaluations ended."""
    return [
        (t.id, t.candidate.decisions.text, t.status, t.source, t.reuses, t.reason, dict(t.metrics), dict(t.keys))
        for t in trials
    ]
