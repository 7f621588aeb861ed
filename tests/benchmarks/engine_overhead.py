"""Proposals per second through the whole loop, stored durably, beside Optuna with SQLite on the same table.

    python tests/benchmarks/engine_overhead.py [--trials 2000 20000] [--optuna-trials 500]

Evaluations are rows of the NAS-Bench-201 table, so what is left is the engine's own time: proposing, keys, shapes and
counts, looking up, storing, telling. Both sides maximise the validation accuracy; NSGA-II also minimises parameters.
Ours keeps each network's graph, keys and costs besides what Optuna keeps. Prints JSON; `per_cpu_second` is what a
machine with nothing else to do would come near to.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from evaluators.table import Table
from nas.core.profile import profile
from nas.core.records import Budget, Candidate, Objective
from nas.engine.controller import Controller
from nas.engine.executors.local import Local
from nas.engine.strategies.nsga2 import NSGA2
from nas.engine.strategies.random import Random
from results.store import SqlStore
from search_spaces.nas_bench_201 import EDGES, OPERATIONS, nas_bench_201

DATA = Path(os.environ.get("ESPALIER_DATA") or Path(__file__).parents[3] / "shared" / "data")
TABLE = str(DATA / "nas_bench_201_cifar10.parquet")
OBJECTIVES = {
    "random": (Objective("val_accuracy", "max"),),
    "nsga2": (Objective("val_accuracy", "max"), Objective("params", "min")),
}
POPULATION = 50


def ours(name: str, trials: int, folder: Path) -> dict[str, Any]:
    """One search with the engine; repetitions are allowed, as Optuna has them."""
    space = nas_bench_201()
    evaluator = Table(TABLE, {"val_accuracy": "val_acc_ep200"}, space)
    evaluator.fingerprint()  # reads the file

    def cost(candidate: Candidate) -> dict[str, float]:
        found = profile(candidate.graph, space.inputs)
        return {"params": found.params, "macs": found.macs, "train_memory_bytes": found.train_memory_bytes(256)}

    objectives = OBJECTIVES[name]
    strategy: Any = (
        Random(space=space, objectives=objectives, unique=False)
        if name == "random"
        else NSGA2(space=space, objectives=objectives, population=POPULATION, tries=0)
    )
    with SqlStore.create(folder / f"{name}_{trials}.sqlite") as store:
        began, worked = time.perf_counter(), time.process_time()
        outcome = Controller(
            strategy=strategy,
            evaluator=evaluator,
            store=store,
            executor=Local(),
            objectives=objectives,
            budget=Budget(200),
            trials=trials,
            cost=cost,
        ).run()
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
        assert len(store) == trials == outcome.trials
    return {
        "engine": "ours",
        "strategy": name,
        "trials": trials,
        "per_second": round(trials / seconds, 1),
        "per_cpu_second": round(trials / worked, 1),
        "cached": outcome.cached,
        "infeasible": outcome.infeasible,
    }


def optunas(name: str, trials: int, folder: Path) -> dict[str, Any]:
    """The same search with Optuna's own loop and SQLite storage."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = nas_bench_201()
    evaluator = Table(TABLE, {"val_accuracy": "val_acc_ep200", "params": "params"}, space)
    rows = evaluator._rows
    columns = [rows.columns["val_acc_ep200"], rows.columns["params"]]

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        taken = {edge: trial.suggest_categorical(f"{edge}", OPERATIONS) for edge in EDGES}
        text = "|+".join(
            "".join(f"|{taken[start, stop]}~{start}" for start, stop in EDGES if stop == end) for end in (1, 2, 3)
        )
        place = rows.places[text + "|"]
        return tuple(float(column[place]) for column in columns[: len(OBJECTIVES[name])])

    sampler: Any = (
        optuna.samplers.RandomSampler(seed=0)
        if name == "random"
        else optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=0)
    )
    directions = ["maximize", "minimize"][: len(OBJECTIVES[name])]
    study = optuna.create_study(
        storage=f"sqlite:///{folder}/optuna_{name}.sqlite", sampler=sampler, directions=directions
    )
    began, worked = time.perf_counter(), time.process_time()
    study.optimize(objective, n_trials=trials)
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    return {
        "engine": "optuna",
        "strategy": name,
        "trials": trials,
        "per_second": round(trials / seconds, 1),
        "per_cpu_second": round(trials / worked, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--optuna-trials", type=int, default=500)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in OBJECTIVES:
            found += [ours(name, trials, Path(folder)) for trials in given.trials]
            if given.optuna_trials:
                found.append(optunas(name, given.optuna_trials, Path(folder)))
    print(json.dumps({"machine": platform.processor() or platform.machine(), "results": found}, indent=1))


if __name__ == "__main__":
    main()
