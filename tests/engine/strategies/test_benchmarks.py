"""Strategies on a real table: NAS-Bench-201, whose best cells are known because all 15,625 were trained."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from evaluators.table import Table
from nas.core.records import Budget, Objective, Trial
from nas.engine.controller import Controller
from nas.engine.executors.local import Local
from nas.engine.strategies.evolution import Evolution
from nas.engine.strategies.nsga2 import NSGA2
from nas.engine.strategies.random import Random
from nas.testing import MemoryStore
from search_spaces.nas_bench_201 import nas_bench_201

pytestmark = pytest.mark.data

FILE = "nas_bench_201_cifar10.parquet"
BEST = 91.57
"""The best validation accuracy after 200 epochs in the table, in percent."""
ACCURACY = Objective("val_accuracy", "max")
PARAMS = Objective("params", "min")


@pytest.fixture(scope="module")
def table() -> Table:
    path = Path(os.environ.get("ESPALIER_DATA") or Path(__file__).parents[4] / "shared" / "data") / FILE
    if not path.exists():
        pytest.skip(f"{path} is not there; set ESPALIER_DATA")
    return Table(str(path), {"val_accuracy": "val_acc_ep200", "params": "params"}, nas_bench_201())


def _search(table: Table, kind: Any, seed: int, objectives: tuple[Objective, ...]) -> list[Trial]:
    store = MemoryStore()
    Controller(
        strategy=kind(space=table.space, objectives=objectives, seed=seed),
        evaluator=table,
        store=store,
        executor=Local(),
        objectives=objectives,
        budget=Budget(200),
        trials=300,
        seed=seed,
    ).run()
    return [trial for trial in store.trials() if trial.complete]


def test_evolution_finds_the_best_of_15625_cells_within_300_trials(table: Table):
    best = [
        [max(t.metrics["val_accuracy"] for t in _search(table, kind, seed, (ACCURACY,))) for seed in range(4)]
        for kind in (Evolution, Random)
    ]
    assert sum(value == BEST for value in best[0]) >= 3, best
    assert sum(value == BEST for value in best[1]) == 0, best


def test_nsga2_covers_more_than_random(table: Table):
    import moocore

    covered = []
    for kind in (NSGA2, Random):
        covered.append([])
        for seed in range(3):
            trials = _search(table, kind, seed, (ACCURACY, PARAMS))
            points = [[-t.metrics["val_accuracy"], t.metrics["params"] / 1e6] for t in trials]
            covered[-1].append(moocore.hypervolume(points, ref=[-10.0, 1.6]))
    assert all(a > b for a, b in zip(*covered, strict=True)), covered
