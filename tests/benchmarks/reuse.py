"""What taking known numbers instead of evaluating again changes: the cost, and under noise also the search.

    python -m tests.benchmarks.reuse --json > tests/benchmarks/reuse.json

`same_trajectory`: on NAS-Bench-Macro, where equal networks have equal rows, the same search with and without reuse,
through the controller, with strategies that may repeat themselves (`tries: 0`). How many seeds gave the same candidates
throughout, and what both cost; an evaluation is charged `EVALUATION_SECONDS`, the engine's own time is measured.

`noise`: evolution that may repeat itself, on both tables, with a Gaussian of `sigma` (in %) added to each evaluation,
drawn anew each time. The truth is the table's row, on 201 the mean over the spellings of a cell. No reuse; the plain
cache; the mean of up to 4 evaluations of a class; a class forgotten with probability 0.1 on a hit. The gap is what the
best trial was told minus its truth; `true_accuracy` is that truth. [low, mean, high]: bootstrap of the mean over seeds,
95 %; `against_none` is paired by seed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, ClassVar

from nas.core.keys import graph_key
from nas.core.records import Budget, Candidate, Measurement, Metric, Objective, Trial
from nas.core.seeds import generator
from nas.core.space import Space
from nas.engine.controller import Controller
from nas.engine.executors.local import Local
from nas.engine.reuse import Reuse
from nas.engine.strategies.evolution import Evolution
from nas.engine.strategies.nsga2 import NSGA2
from nas.testing import MemoryStore
from tests.benchmarks.dedup import ACCURACY, BENCHES, PARAMS, Bench, interval

EVALUATION_SECONDS = 60.0
PROPOSALS = 500
LONG = 1000
EVALUATIONS = 200
SIGMAS = (0.3, 1.0)
POLICIES: Mapping[str, Reuse | None] = {
    "none": None,
    "plain": Reuse(),
    "aggregate 4": Reuse(aggregate=4),
    "forget 0.1": Reuse(forget=0.1),
}


@dataclass
class Truth:
    """The accuracy of a class of networks, with noise: a new draw for each evaluation.

    truth, params: by exact key.
    """

    bench: Bench
    truth: Mapping[str, float]
    sigma: float = 0.0
    seed: int = 0
    calls: int = field(default=0, init=False)
    in_process: ClassVar[bool] = True

    def evaluate(self, candidate: Candidate, budget: Budget, seed: int) -> Measurement:
        self.calls += 1
        noise = generator(self.seed, "noise", self.calls).gauss(0.0, self.sigma) if self.sigma else 0.0
        looked = self.bench.look(candidate)
        assert looked.metrics is not None
        accuracy = self.truth[looked.graph] + noise
        return Measurement({"val_accuracy": accuracy, "params": looked.metrics["params"]}, EVALUATION_SECONDS)

    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("val_accuracy", "max", "%", of="function"), Metric("params", "min"))

    def fingerprint(self) -> str:
        return f"truth {self.sigma} {self.seed}"


def truths(bench: Bench) -> dict[str, float]:
    """Exact key → mean accuracy of its rows."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for candidate in bench.space.enumerate():
        if bench.space.trouble(candidate) is None:
            row = bench.table.evaluate(candidate, Budget(200), 0).metrics
            found[graph_key(candidate.graph)].append(row["val_accuracy"])
    return {key: sum(values) / len(values) for key, values in found.items()}


def search(strategy: Any, evaluator: Any, space: Space, reuse: Reuse | None, trials: int, seed: int) -> list[Trial]:
    store = MemoryStore()
    Controller(
        strategy=strategy,
        evaluator=evaluator,
        store=store,
        executor=Local(),
        objectives=strategy.objectives,
        budget=Budget(200),
        trials=trials,
        seed=seed,
        reuse=reuse,
    ).run()
    return store.trials("search")


def paid(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.complete and trial.source == "evaluated"]


# ---- the same candidates ---------------------------------------------------------------------------------------------


def same_trajectory(seeds: int) -> dict[str, Any]:
    bench = BENCHES["nas_bench_macro"]()
    truth = truths(bench)
    found: dict[str, Any] = {}
    kinds: dict[str, tuple[Any, tuple[Objective, ...]]] = {
        "evolution": (Evolution, (ACCURACY,)),
        "nsga2": (NSGA2, (ACCURACY, PARAMS)),
    }
    for name, (kind, objectives) in kinds.items():
        same = 0
        rows = defaultdict(list)
        for seed in range(seeds):
            walks = {}
            for policy in ("none", "plain"):
                strategy = kind(space=bench.space, objectives=objectives, seed=seed, tries=0)
                began = time.perf_counter()
                trials = search(strategy, Truth(bench, truth), bench.space, POLICIES[policy], PROPOSALS, seed)
                engine = time.perf_counter() - began
                walks[policy] = [(t.candidate.decisions.text, t.candidate.parents, dict(t.metrics)) for t in trials]
                rows[f"{policy}: evaluations"].append(len(paid(trials)))
                rows[f"{policy}: seconds of evaluations"].append(EVALUATION_SECONDS * len(paid(trials)))
                rows[f"{policy}: seconds of the engine"].append(engine)
            same += walks["none"] == walks["plain"]
        costs = {what: interval(values) for what, values in rows.items()}
        found[name] = {"seeds": seeds, "with the same candidates throughout": same, **costs}
    return found


# ---- noise -----------------------------------------------------------------------------------------------------------


def noise(name: str, seeds: int) -> dict[str, Any]:
    bench = BENCHES[name]()
    truth = truths(bench)
    found: dict[str, Any] = {}
    for sigma in SIGMAS:
        rows: dict[str, dict[str, list[dict[str, float]]]] = {}
        for policy, reuse in POLICIES.items():
            rows[policy] = {"after 500 proposals": [], "after 200 evaluations": []}
            for seed in range(seeds):
                strategy = Evolution(space=bench.space, objectives=(ACCURACY,), seed=seed, tries=0)
                evaluator = Truth(bench, truth, sigma, seed)
                trials = search(strategy, evaluator, bench.space, reuse, LONG, seed)
                rows[policy]["after 500 proposals"].append(incumbent(trials[:PROPOSALS], truth))
                done = paid(trials)
                last = done[EVALUATIONS - 1].id + 1 if len(done) >= EVALUATIONS else len(trials)
                rows[policy]["after 200 evaluations"].append(incumbent(trials[:last], truth))
        found[f"sigma {sigma}"] = {
            policy: {
                when: {
                    **{what: interval([row[what] for row in of]) for what in of[0]},
                    **({"against_none": against(of, rows["none"][when])} if policy != "none" else {}),
                }
                for when, of in by.items()
            }
            for policy, by in rows.items()
        }
    return found


def incumbent(trials: Sequence[Trial], truth: Mapping[str, float]) -> dict[str, float]:
    """Of the trial that was told the best accuracy."""
    best = max((trial for trial in trials if trial.complete), key=lambda trial: trial.metrics["val_accuracy"])
    true = truth[best.keys["graph"]]
    return {
        "proposals": len(trials),
        "evaluations": len(paid(trials)),
        "gap": best.metrics["val_accuracy"] - true,
        "true_accuracy": true,
    }


def against(rows: Sequence[Mapping[str, float]], base: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    both = list(zip(rows, base, strict=True))
    return {what: interval([row[what] - other[what] for row, other in both]) for what in ("gap", "true_accuracy")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    given = parser.parse_args()
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        noisy = dict(zip(BENCHES, pool.map(noise, BENCHES, [given.seeds] * len(BENCHES)), strict=True))
    found = {"same_trajectory": same_trajectory(given.seeds), "noise": noisy}
    print(json.dumps(found, indent=1) if given.json else told(found))


def told(found: Mapping[str, Any]) -> str:
    """The figures as text."""
    lines = [f"{name}: {row}" for name, row in found["same_trajectory"].items()]
    for name, by_sigma in found["noise"].items():
        for sigma, policies in by_sigma.items():
            for policy, by in policies.items():
                for when, row in by.items():
                    figures = "; ".join(f"{what} {row[what]}" for what in ("evaluations", "gap", "true_accuracy"))
                    lines.append(f"{name}, {sigma}, {policy}, {when}: {figures}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
