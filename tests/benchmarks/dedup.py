"""How often strategies propose what was paid for before, and what avoiding it is worth, on two benchmarks' tables.

    python tests/benchmarks/dedup.py --json > tests/benchmarks/dedup.json

Searches on NAS-Bench-Macro and NAS-Bench-201 (`--seeds` each) are driven by ask and tell against the tables; a network
of a known exact key is not paid for again. A proposal is a repetition when the search had proposed its key before: by
decisions, by `graph_key`, by `functional_key`. Functional keys are those of narrow networks (Macro with 2 channels, 201
with 4 and one cell a stage) of the same decisions; their exact keys make the same classes as the full networks' do.

Macro has no validation column: searches follow its first run (`val_accuracy`), and `test_accuracy` is the mean of the
two others. 201: validation and test accuracy after 200 epochs, one row per spelling, so equal cells differ there.
Random and evolution follow the accuracy alone, the others the parameters too.

`at_500_proposals`: shares of repetitions, evaluations that remain (feasible classes), quality. `at_equal_evaluations`:
quality after that many paid evaluations, and the proposals that took. hypervolume: of accuracy and parameters, as a
share of the whole table's. [low, mean, high]: bootstrap of the mean over seeds, 95 %; `against_decisions` is paired by
seed.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.table import Table
from nas.core.keys import graph_key
from nas.core.probe import ProbeError, functional_key
from nas.core.records import Budget, Candidate, Measurement, Objective, Status, Trial
from nas.core.space import Space
from nas.engine.strategies.evolution import Evolution
from nas.engine.strategies.nsga2 import NSGA2
from nas.engine.strategies.optuna import Optuna
from nas.engine.strategies.random import Random
from search_spaces.nas_bench_201 import nas_bench_201
from search_spaces.nas_bench_macro import nas_bench_macro

DATA = Path(os.environ.get("ESPALIER_DATA") or Path(__file__).parents[3] / "shared" / "data")
PROPOSALS = 500
EVALUATIONS = (50, 100, 200, 300)
MOST = 3000
"""Proposals after which a search that finds nothing new any more is ended."""
ACCURACY, PARAMS = Objective("val_accuracy", "max"), Objective("params", "min")

POLICIES: Mapping[str, dict[str, Any]] = {
    "nothing": {"tries": 0},
    "decisions": {},
    "graph, tabu": {"repeats_by": "graph"},
    "functional, tabu": {"repeats_by": "functional"},
    "graph, until changed": {"repeats_by": "graph", "visits": None, "until_changed": True},
    "functional, until changed": {"repeats_by": "functional", "visits": None, "until_changed": True},
    "graph, both": {"repeats_by": "graph", "until_changed": True},
}
"""What is avoided → the fields that say so; 'decisions' is what strategies do by default."""


def strategies() -> dict[str, tuple[Callable[..., Any], tuple[Objective, ...]]]:
    """Name 'STRATEGY: POLICY' → how it is made, and what it follows."""
    found: dict[str, tuple[Callable[..., Any], tuple[Objective, ...]]] = {}
    for policy, fields in POLICIES.items():
        if "until_changed" not in fields:
            given = {"unique": False} if policy == "nothing" else fields
            found[f"random: {policy}"] = (lambda given=given, **told: Random(**told, **given)), (ACCURACY,)
        found[f"evolution: {policy}"] = (lambda given=fields, **told: Evolution(**told, **given)), (ACCURACY,)
        found[f"nsga2: {policy}"] = (lambda given=fields, **told: NSGA2(**told, **given)), (ACCURACY, PARAMS)
    for population in (24, 50):  # ours by default, Optuna's by default
        fields = {"sampler": "NSGAIISampler", "options": {"population_size": population}}
        name = f"Optuna's NSGA-II with a population of {population}: nothing"
        found[name] = (lambda given=fields, **told: Optuna(**told, **given)), (ACCURACY, PARAMS)
    return found


@dataclass(frozen=True)
class Looked:
    """A candidate with its exact key. metrics: None where it cannot be a network."""

    graph: str
    candidate: Candidate
    metrics: Mapping[str, float] | None


@dataclass
class Bench:
    """A table with its space. columns: metric → column. reference: of hypervolumes, in % and millions of parameters."""

    space: Space
    file: str
    columns: Mapping[str, Any]
    reference: tuple[float, float]
    looked: dict[str, Looked] = field(default_factory=dict)
    functional: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table = Table(str(DATA / self.file), self.columns, self.space)
        rows = self.table._rows.columns
        accuracy, params = (np.array(rows[str(self.columns[name])], dtype=float) for name in ("val_accuracy", "params"))
        self.whole = self.area(accuracy, params)

    def area(self, accuracy: Any, params: Any) -> float:
        """The hypervolume of accuracies (%) and parameters (count)."""
        import moocore

        points = np.column_stack([-np.asarray(accuracy, dtype=float), np.asarray(params, dtype=float) / 1e6])
        return float(moocore.hypervolume(points, ref=[-self.reference[0], self.reference[1]]))

    def look(self, candidate: Candidate) -> Looked:
        text = candidate.decisions.text
        if text not in self.looked:
            key = graph_key(candidate.graph)
            feasible = self.space.trouble(candidate) is None
            metrics = self.table.evaluate(candidate, Budget(200), 0).metrics if feasible else None
            self.looked[text] = Looked(key, candidate, metrics)
        return self.looked[text]

    def function(self, looked: Looked) -> str:
        """The functional key; the exact key of what has none. Worked out once per exact key."""
        if looked.graph not in self.functional:
            try:
                key = functional_key(looked.candidate.graph, self.space.inputs)
            except ProbeError:
                key = looked.graph
            self.functional[looked.graph] = key
        return self.functional[looked.graph]


def macro() -> Bench:
    columns = {
        "val_accuracy": "test_acc_seed0",
        "test_accuracy": ["test_acc_seed1", "test_acc_seed2"],
        "params": "params",
    }
    return Bench(nas_bench_macro(width=2), "nas_bench_macro_cifar10.parquet", columns, (80.0, 4.0))


def cells() -> Bench:
    columns = {"val_accuracy": "val_acc_ep200", "test_accuracy": "test_acc_ep200", "params": "params"}
    return Bench(nas_bench_201(width=4, cells=1), "nas_bench_201_cifar10.parquet", columns, (10.0, 1.6))


BENCHES: Mapping[str, Callable[[], Bench]] = {"nas_bench_macro": macro, "nas_bench_201": cells}


@dataclass
class Course:
    """One search: what was proposed, and after how many proposals how many evaluations had been paid for."""

    bench: Bench
    proposed: list[tuple[str, Looked]] = field(default_factory=list)
    paid: dict[str, tuple[int, Mapping[str, float]]] = field(default_factory=dict)

    def run(self, strategy: Any) -> Course:
        """Ask and tell until enough was proposed and enough paid for."""
        while len(self.proposed) < PROPOSALS or (len(self.paid) < EVALUATIONS[-1] and len(self.proposed) < MOST):
            candidate = strategy.ask()
            if candidate is None:
                break
            number, found = len(self.proposed), self.bench.look(candidate)
            self.proposed.append((candidate.decisions.text, found))
            if found.metrics is not None:
                self.paid.setdefault(found.graph, (number, found.metrics))
            status = Status.INFEASIBLE if found.metrics is None else Status.COMPLETE
            measured = None if found.metrics is None else Measurement(self.paid[found.graph][1])
            strategy.tell(Trial(number, candidate, status, Budget(200), measured))
        return self

    def quality(self, count: int) -> dict[str, float]:
        """Of the first `count` paid evaluations."""
        rows = [metrics for _, metrics in self.paid.values()][:count]
        best = max(rows, key=lambda row: row["val_accuracy"])
        columns = ([row[name] for row in rows] for name in ("val_accuracy", "params"))
        return {
            "hypervolume": self.bench.area(*columns) / self.bench.whole,
            "val_accuracy": best["val_accuracy"],
            "test_accuracy": best["test_accuracy"],
        }

    def at_proposals(self) -> dict[str, float]:
        told = self.proposed[:PROPOSALS]
        remain = sum(number < PROPOSALS for number, _ in self.paid.values())
        keys = {text: self.bench.function(found) for text, found in told}
        functions = len({keys[text] for text, found in told if found.metrics is not None})
        return {
            "repeated_by_decisions": 1 - len({text for text, _ in told}) / len(told),
            "repeated_by_graph": 1 - len({found.graph for _, found in told}) / len(told),
            "repeated_by_function": 1 - len(set(keys.values())) / len(told),
            "infeasible": sum(found.metrics is None for _, found in told) / len(told),
            "evaluations_by_graph": remain,
            "evaluations_by_function": functions,
            **self.quality(remain),
        }

    def at_evaluations(self, count: int) -> dict[str, float]:
        """Nothing where the search did not come that far."""
        if len(self.paid) < count:
            return {}
        return {"proposals": list(self.paid.values())[count - 1][0] + 1, **self.quality(count)}


def interval(values: Sequence[float]) -> list[float]:
    """[low, mean, high]: 95 % by 2,000 resamples of the seeds."""
    given = np.asarray(values, dtype=float)
    drawn = np.random.default_rng(0).choice(given, (2000, len(given))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return [round(float(number), 4) for number in (low, given.mean(), high)]


def summary(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    return {name: interval([row[name] for row in rows]) for name in rows[0]}


def paired(rows: Sequence[Mapping[str, float]], base: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    both = [(row, other) for row, other in zip(rows, base, strict=True) if row and other]
    names = ("hypervolume", "val_accuracy", "test_accuracy")
    return {name: interval([row[name] - other[name] for row, other in both]) for name in names} if both else {}


def study(name: str, seeds: int) -> dict[str, Any]:
    """All searches on one table."""
    import torch

    torch.set_num_threads(1)
    bench = BENCHES[name]()
    courses = {
        who: [Course(bench).run(make(space=bench.space, objectives=follows, seed=seed)) for seed in range(seeds)]
        for who, (make, follows) in strategies().items()
    }
    found: dict[str, Any] = {}
    for who, runs in courses.items():
        base = courses.get(who.partition(":")[0] + ": decisions", runs)
        equal = {}
        for count in EVALUATIONS:
            rows, others = ([run.at_evaluations(count) for run in some] for some in (runs, base))
            reached = [row for row in rows if row]
            equal[str(count)] = {"searches_that_reach_it": len(reached), **(summary(reached) if reached else {})}
            if base is not runs:
                equal[str(count)]["against_decisions"] = paired(rows, others)
        found[who] = {
            "at_500_proposals": summary([run.at_proposals() for run in runs]),
            "at_equal_evaluations": equal,
        }
    return {"strategies": found, "probed": probed(bench)}


def probed(bench: Bench) -> dict[str, int]:
    """Of what was probed: how many candidates, exact classes and functional classes."""
    return {
        "candidates": sum(found.graph in bench.functional for found in bench.looked.values()),
        "graph_keys": len(bench.functional),
        "functional_keys": len(set(bench.functional.values())),
    }


def told(found: Mapping[str, Any]) -> str:
    """The figures as text."""
    lines = []
    for name, result in found["tables"].items():
        lines.append(f"{name}: {result['probed']}")
        for who, row in result["strategies"].items():
            at = row["at_500_proposals"]
            shares = [f"{100 * at[f'repeated_by_{kind}'][1]:5.1f}" for kind in ("decisions", "graph", "function")]
            lines.append(f"  {who:36} repeated % {' '.join(shares)}  remain {at['evaluations_by_graph'][1]:6.1f}")
            for count, equal in row["at_equal_evaluations"].items():
                if "hypervolume" in equal:
                    lines.append(f"    {count:>4} paid: {_short(equal)}  {_short(equal.get('against_decisions', {}))}")
    return "\n".join(lines)


def _short(row: Mapping[str, Any]) -> str:
    names = ("proposals", "hypervolume", "val_accuracy", "test_accuracy")
    return "; ".join(f"{name} {row[name][1]:g} [{row[name][0]:g}, {row[name][2]:g}]" for name in names if name in row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    given = parser.parse_args()
    with ProcessPoolExecutor(len(BENCHES), get_context("spawn")) as pool:
        tables = dict(zip(BENCHES, pool.map(study, BENCHES, [given.seeds] * len(BENCHES)), strict=True))
    found = {"seeds": given.seeds, "proposals": PROPOSALS, "tables": tables}
    print(json.dumps(found, indent=1) if given.json else told(found))


if __name__ == "__main__":
    main()
