"""Cost metrics beside any evaluator: `WithCosts(evaluator, ["latency_ms"], inputs)`.

`params`, `macs` and `train_memory_bytes` are computed; `latency_ms` and `peak_memory_bytes` are measured on the built
network, and the notes of the measurement say under which circumstances. What the evaluator reports itself is left
alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from evaluators.bench import Bench
from evaluators.devices import name_of, resolve
from evaluators.metrics import USUAL
from nas.core.errors import RecipeError, nearest
from nas.core.profile import InputSpec, profile
from nas.core.records import Budget, Candidate, Constraint, Measurement, Metric
from nas.core.roles import Evaluator

COMPUTED = ("params", "macs", "train_memory_bytes")
MEASURED = ("latency_ms", "peak_memory_bytes")
COSTS = COMPUTED + MEASURED


@dataclass(frozen=True, eq=False)
class WithCosts:
    """An evaluator that also reports costs.

    evaluator: the one that is wrapped; its budgets, files, stages and reports stay as they are.
    names: which of 'params', 'macs', 'train_memory_bytes', 'latency_ms', 'peak_memory_bytes'.
    inputs: what the networks take, `space.inputs`.
    constraints: bounds on costs, looked at before anything is spent: for a candidate that breaks one, the measurement
        holds the costs only, and `broken` in its notes says which.

    Raises: RecipeError for another name.
    """

    evaluator: Any
    names: Sequence[str]
    inputs: Mapping[str, InputSpec]
    bench: Bench = field(default_factory=Bench)
    constraints: Sequence[Constraint] = ()

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in COSTS:
                raise RecipeError(f"cost {name!r}; {nearest(name, COSTS)}")
        object.__setattr__(self, "names", tuple(dict.fromkeys(self.names)))
        object.__setattr__(self, "inputs", dict(self.inputs))

    def __getattr__(self, name: str) -> Any:
        """What an evaluator may say of itself (`writes_files`, `knows_stage`, …) is said by the one inside."""
        if name.startswith("_") or name == "evaluator":
            raise AttributeError(name)
        return getattr(self.evaluator, name)

    @property
    def in_process(self) -> bool:
        """A measured cost takes its time, and wants a process to itself."""
        return getattr(self.evaluator, "in_process", False) and not set(self.names) & set(MEASURED)

    def evaluate(self, candidate: Candidate, budget: Budget, seed: int, **extra: Any) -> Measurement:
        """The evaluator's measurement with the costs in it."""
        began = time.perf_counter()
        own = {metric.name for metric in self.evaluator.metrics()}
        costs, notes = measure_costs(
            candidate, [name for name in self.names if name not in own], self.inputs, self.bench
        )
        broken = [str(bound) for bound in self.constraints if bound.name in costs and not bound.holds(costs)]
        if broken:
            return Measurement(costs, time.perf_counter() - began, notes={**notes, "broken": broken})
        found = self.evaluator.evaluate(candidate, budget, seed, **extra)
        return Measurement({**costs, **found.metrics}, found.seconds, found.curve, {**found.notes, **notes})

    def metrics(self) -> Iterable[Metric]:
        """The evaluator's, then the costs it lacks."""
        own = list(self.evaluator.metrics())
        have = {metric.name for metric in own}
        return [*own, *(USUAL[name] for name in self.names if name not in have)]

    def fingerprint(self) -> str:
        """The evaluator's, and for measured costs the machine: another device has another latency."""
        inner = self.evaluator.fingerprint()
        bounds = ";".join(map(str, self.constraints))
        if not set(self.names) & set(MEASURED):
            return f"{inner}+costs1:{','.join(self.names)}:{bounds}:{self.bench.train_batch}"
        machine = {"device": name_of(resolve(self.bench.device)), "torch": version("torch")}
        return (
            f"{inner}+costs1:{','.join(self.names)}:{bounds}:{json.dumps(asdict(self.bench) | machine, sort_keys=True)}"
        )


def with_costs(
    evaluator: Evaluator,
    wanted: Iterable[str],
    inputs: Mapping[str, InputSpec],
    bench: Bench | None = None,
    constraints: Sequence[Constraint] = (),
) -> Any:
    """The evaluator, wrapped if a wanted metric is a cost that it does not report itself."""
    have = {metric.name for metric in evaluator.metrics()}
    missing = [name for name in wanted if name in COSTS and name not in have]
    return WithCosts(evaluator, missing, inputs, bench or Bench(), tuple(constraints)) if missing else evaluator


def measure_costs(
    candidate: Candidate, names: Sequence[str], inputs: Mapping[str, InputSpec], bench: Bench
) -> tuple[dict[str, float], dict[str, Any]]:
    """The costs of a candidate, and the circumstances of those that were measured.

    Raises: ShapeError; EvaluationError when the device is not there.
    """
    known = profile(candidate.graph, inputs)
    found: dict[str, float] = {}
    for name in names:
        if name in ("params", "macs"):
            found[name] = getattr(known, name)
        elif name == "train_memory_bytes":
            found[name] = known.train_memory_bytes(bench.train_batch)
    wanted = [name for name in names if name in MEASURED]
    if not wanted:
        return found, {}
    from evaluators.training.cost import measure_network

    measured, notes = measure_network(candidate.graph, inputs, wanted, bench)
    return found | measured, {"costs": notes}
