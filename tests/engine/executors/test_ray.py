from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from nas.core.errors import RecipeError
from nas.core.records import Budget, Candidate, Measurement, Metric, Status
from nas.core.roles import Job
from nas.engine.executors.local import Local
from nas.engine.executors.ray import SCHEDULERS, Ray, tune_space
from nas.testing import Agreement, AgreementInWorkers, ExecutorContract, MemoryStore
from tests.engine.helpers import ACCURACY, SPACE, TARGET, controller, summary

CANDIDATES = list(SPACE.enumerate())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"scheduler": "ashaa"}, "did you mean 'asha'"),
        ({"scheduler": "asha"}, "give options with a metric and a mode"),
        ({"lookahead": 0}, "lookahead is 0"),
    ],
)
def test_wrong_fields_are_refused(fields: dict[str, Any], said: str):
    with pytest.raises(RecipeError, match=said):
        Ray(**fields)


def test_declaring_does_not_import_ray():
    import subprocess

    code = "import nas.engine.executors.ray as r, sys; r.Ray(); print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_a_scheduler_needs_an_evaluator_that_reports():
    executor = Ray(scheduler="asha", options={"metric": "val_accuracy", "mode": "max"})
    with pytest.raises(RecipeError, match="Agreement does not"):
        executor.start(Agreement())


@dataclass
class Curve:
    """Reports a line: good candidates rise, bad ones stay at 0. It notes which process it ran in."""

    reports = True

    def evaluate(self, candidate: Candidate, budget: Budget, seed: int, report: Any = None) -> Measurement:
        good = candidate.decisions["rest/times"] == 3
        rows = []
        for epoch in range(1, int(budget.amount) + 1):
            rows.append({"epoch": epoch, "val_accuracy": 10.0 * epoch if good else 0.0})
            report(rows[-1])
        return Measurement({"val_accuracy": rows[-1]["val_accuracy"]}, curve=tuple(rows))

    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("val_accuracy", "max"),)

    def fingerprint(self) -> str:
        return "curve"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
class TestRay(ExecutorContract):
    def make(self) -> Ray:
        return Ray(cpus_per_trial=1)

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _ray(cls) -> Any:
        """One Ray for all tests of the class; an executor that finds it running leaves it running."""
        import ray

        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield
        ray.shutdown()

    def test_a_search_is_that_of_the_local_executor_and_duplicates_never_reach_ray(self) -> None:
        found = []
        submitted: list[int] = []

        class Counting(Ray):
            def submit(self, job: Job) -> None:
                submitted.append(job.id)
                super().submit(job)

        for executor in (Local(workers=1, lookahead=4), Counting(lookahead=4)):
            plan = controller(evaluator=AgreementInWorkers(TARGET), executor=executor, store=MemoryStore(), trials=20)
            assert plan.run().cached > 0
            found.append(summary(plan.store.trials()))
        assert found[0] == found[1]
        assert submitted == [row[0] for row in found[1] if row[3] == "evaluated"]

    def test_asha_stops_bad_trials_early(self) -> None:
        options = {"metric": "val_accuracy", "mode": "max", "max_t": 9, "grace_period": 1, "reduction_factor": 3}
        executor = Ray(scheduler="asha", options=options, max_concurrent=1)
        plan = controller(
            evaluator=Curve(), executor=executor, objectives=(ACCURACY,), budget=Budget(9), trials=12, seed=2
        )
        plan.run()
        trials = [t for t in plan.store.trials() if t.source == "evaluated"]
        pruned = [t for t in trials if t.status is Status.PRUNED]
        complete = [t for t in trials if t.complete]
        assert pruned
        assert complete
        assert all(t.metrics["val_accuracy"] == 0.0 and len(t.measurement.curve) < 9 for t in pruned if t.measurement)
        assert {len(t.measurement.curve) for t in complete if t.measurement} == {9}

    def test_space_as_tune_parameters(self) -> None:
        space = tune_space(SPACE)
        assert set(space) == {choice.address for choice in SPACE.choices()}
        assert [domain.categories for domain in space.values()] == [list(c.options) for c in SPACE.choices()]
        drawn = {address: domain.sample() for address, domain in space.items()}
        assert SPACE.decide(lambda choice: drawn[choice.address]) in CANDIDATES


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
def test_every_scheduler_exists(scheduler: str):
    from ray import tune

    assert hasattr(tune.schedulers, SCHEDULERS[scheduler])
