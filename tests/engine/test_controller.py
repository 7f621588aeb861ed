from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from nas.core.errors import EvaluationError, RecipeError, ShapeError, StoreError
from nas.core.graph import Graph
from nas.core.language import one_of, op
from nas.core.records import Budget, Candidate, Constraint, Decisions, Measurement, Status
from nas.core.space import Space, image
from nas.engine.controller import Event, Outcome
from nas.engine.strategies.nsga2 import NSGA2
from nas.engine.strategies.random import Random
from nas.testing.memory import MemoryStore
from nas.testing.samples import Agreement
from tests.engine.helpers import ACCURACY, PARAMS, SPACE, TARGET, Listed, Shuffled, Writing, controller, summary

CANDIDATES = list(SPACE.enumerate())


def test_trials_are_told_in_order_with_exactly_the_window():
    strategy = Listed(CANDIDATES[:10])
    controller(strategy=strategy, executor=Shuffled(lookahead=3)).run()
    asked = [f"ask {n}" for n in range(3)] + [entry for n in range(7) for entry in (f"tell {n}", f"ask {n + 3}")]
    assert strategy.log == [*asked, "tell 7", "tell 8", "tell 9"]


def test_order_of_ends_does_not_matter():
    found = []
    for seed in range(5):
        strategy = NSGA2(space=SPACE, objectives=(ACCURACY, PARAMS), seed=3, population=8, tries=0)
        plan = controller(strategy=strategy, executor=Shuffled(seed), trials=80)
        outcome = plan.run()
        assert outcome.cached > 0
        found.append((summary(plan.store.trials()), replace(outcome, seconds=0)))
    assert all(other == found[0] for other in found)


def test_counts_and_events():
    events: list[Event] = []
    plan = controller(
        evaluator=Agreement(TARGET, breaks_on=("rest/times", 2)),
        constraints=(Constraint("params", "<=", 4000),),
        trials=60,
        max_failures=1000,
        on_event=events.append,
    )
    outcome = plan.run()
    trials = plan.store.trials()
    assert outcome.stop_reason == "trials"
    assert outcome.trials == len(trials) == 60
    for status, count in (
        ("complete", outcome.complete),
        ("infeasible", outcome.infeasible),
        ("failed", outcome.failed),
    ):
        assert count == sum(t.status == status for t in trials) > 0
    assert outcome.cached == sum(t.source == "cache" for t in trials) > 0
    assert sorted(e.trial.id for e in events if e.kind == "trial") == list(range(60))
    assert plan.store.facts()["stop_reason"] == "trials"


def test_a_constraint_on_cost_is_checked_at_no_cost():
    executor = Shuffled()
    plan = controller(constraints=(Constraint("params", "<=", 3000),), executor=executor)
    plan.run()
    broken = [t for t in plan.store.trials() if t.status is Status.INFEASIBLE]
    assert broken
    for trial in broken:
        assert trial.metrics["params"] > 3000
        assert "val_accuracy" not in trial.metrics
        assert trial.reason == f"params is {trial.metrics['params']:g}, expected params <= 3000"
        assert trial.id not in executor.evaluated
    assert all(t.metrics["params"] <= 3000 for t in plan.store.trials() if t.complete)


def test_a_constraint_on_a_measured_metric_is_checked_after():
    plan = controller(constraints=(Constraint("val_loss", "<", 0.5),), trials=40)
    plan.run()
    for trial in plan.store.trials():
        assert trial.status is (Status.COMPLETE if trial.metrics["val_loss"] < 0.5 else Status.INFEASIBLE)
        assert "val_accuracy" in trial.metrics
    # what broke a measured constraint is not measured again
    assert any(t.status is Status.INFEASIBLE and t.source == "cache" for t in plan.store.trials())


def test_cost_metrics_are_merged_unless_the_evaluator_reports_them():
    class Reports(Agreement):
        def evaluate(self, candidate: Candidate, budget: Budget, seed: int) -> Measurement:
            return Measurement({**super().evaluate(candidate, budget, seed).metrics, "macs": 7.0})

    plan = controller(evaluator=Reports(TARGET), trials=3)
    plan.run()
    for trial in plan.store.trials():
        assert trial.metrics["macs"] == 7.0
        assert trial.metrics["params"] > 0


def _not_buildable(candidate: Candidate) -> dict[str, float]:
    raise ShapeError("stem: 3 channels, expected 4")


def _huge(candidate: Candidate) -> dict[str, float]:
    return {"params": 1, "train_memory_bytes": 2**34}


@pytest.mark.parametrize(
    ("cost", "reason"),
    [
        (_not_buildable, "stem: 3 channels, expected 4"),
        (_huge, "training needs about 16,384 MiB, and 1,024 MiB are there"),
    ],
)
def test_what_cannot_be_is_infeasible(cost: Any, reason: str):
    executor = Shuffled()
    plan = controller(cost=cost, memory_bytes=2**30, executor=executor, trials=3)
    outcome = plan.run()
    assert outcome.infeasible == 3
    assert {t.reason for t in plan.store.trials()} == {reason}
    assert executor.evaluated == []


def test_no_path_from_input_to_output_is_infeasible():
    data = {
        "inputs": ["x"],
        "nodes": [{"name": "gap", "op": "zero", "attributes": {}, "inputs": ["x"]}],
        "outputs": {"y": "gap"},
    }
    plan = controller(
        strategy=Listed([Candidate(Decisions({"a": 1}), Graph.from_dict(data))]), cost=None, objectives=(ACCURACY,)
    )
    assert plan.run().infeasible == 1
    assert "no path" in plan.store.trials()[0].reason


def test_a_duplicate_is_not_evaluated_twice_even_in_flight():
    executor = Shuffled(lookahead=4)
    strategy = Listed([CANDIDATES[0], CANDIDATES[0], CANDIDATES[1], CANDIDATES[0], *CANDIDATES[2:8], CANDIDATES[0]])
    plan = controller(strategy=strategy, executor=executor)
    outcome = plan.run()
    trials = plan.store.trials()
    assert [t.id for t in trials if t.source == "cache"] == [1, 3, 10]
    assert {t.reuses for t in trials if t.source == "cache"} == {0}
    assert all(trials[i].measurement == trials[0].measurement for i in (1, 3, 10))
    assert sorted(executor.evaluated) == [0, 2, 4, 5, 6, 7, 8, 9]
    assert (outcome.stop_reason, outcome.cached) == ("exhausted", 3)


@dataclass
class Flaky(Agreement):
    """Breaks the first time for each candidate."""

    tried: list[str] = field(default_factory=list)

    def evaluate(self, candidate: Candidate, budget: Budget, seed: int) -> Measurement:
        if candidate.decisions.key not in self.tried:
            self.tried.append(candidate.decisions.key)
            raise EvaluationError("no luck")
        return super().evaluate(candidate, budget, seed)


@pytest.mark.parametrize("lookahead", [1, 4])
def test_a_duplicate_of_a_failed_trial_is_tried_again(lookahead: int):
    plan = controller(
        strategy=Listed([CANDIDATES[0]] * 4), executor=Shuffled(lookahead=lookahead), evaluator=Flaky(TARGET)
    )
    plan.run()
    trials = plan.store.trials()
    assert [(t.status, t.source, t.reuses) for t in trials] == [
        (Status.FAILED, "evaluated", None),
        (Status.COMPLETE, "evaluated", None),
        (Status.COMPLETE, "cache", 1),
        (Status.COMPLETE, "cache", 1),
    ]
    assert trials[0].reason == "no luck"
    assert "EvaluationError" in trials[0].traceback


def test_a_missing_metric_fails_the_trial_and_says_so():
    plan = controller(cost=None, trials=1)
    plan.run()
    assert "no 'params' was reported" in plan.store.trials()[0].reason
    assert "val_accuracy, val_loss" in plan.store.trials()[0].reason


@pytest.mark.parametrize("lookahead", [1, 4])
def test_too_many_failures_end_the_search(lookahead: int):
    plan = controller(
        evaluator=Flaky(), executor=Shuffled(lookahead=lookahead), strategy=Listed(CANDIDATES), max_failures=5
    )
    outcome = plan.run()
    assert outcome.stop_reason == "failures"
    assert outcome.failed == outcome.trials == 5 + lookahead - 1  # those in work are finished


def test_hours_count_over_all_sessions():
    store = MemoryStore()
    store.note("seconds", 3599.99)
    executor = Shuffled(before=lambda job: __import__("time").sleep(0.02))
    outcome = controller(store=store, hours=1.0, executor=executor).run()
    assert outcome.stop_reason == "hours"
    assert 1 <= outcome.trials < 30
    assert store.facts()["seconds"] > 3600
    again = controller(store=store, hours=1.0).run()
    assert (again.stop_reason, again.trials) == ("hours", outcome.trials)


def test_a_session_that_finds_nothing_to_do_takes_no_time_of_the_search():
    store = MemoryStore()
    first = controller(store=store, trials=3).run()
    known = {name: store.facts()[name] for name in ("seconds", "keying_seconds")}
    assert known["seconds"] == first.seconds > 0
    again = controller(store=store, trials=3).run()
    assert again.seconds == first.seconds
    assert {name: store.facts()[name] for name in known} == known
    longer = controller(store=store, trials=4).run()
    assert store.facts()["seconds"] == longer.seconds > first.seconds


# ---- resuming --------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """What the machine does."""


def _killed_after(count: int, lookahead: int) -> MemoryStore:
    """The store of a search whose process dies in the middle of the work."""
    store = MemoryStore()
    executor = Shuffled(seed=1, lookahead=lookahead)

    def before(job: Any) -> None:
        if len(executor.evaluated) == count:
            raise Killed

    executor.before = before
    with pytest.raises(Killed):
        controller(store=store, executor=executor, strategy=_search(), trials=60).run()
    assert executor.closed == 1
    return store


def _search(**fields: Any) -> NSGA2:
    return NSGA2(space=SPACE, objectives=(ACCURACY, PARAMS), population=8, tries=0, **fields)


@pytest.mark.parametrize("count", [0, 1, 7, 20, 28])
def test_resume_is_replay(count: int):
    whole = controller(strategy=_search(), trials=60)
    outcome = whole.run()
    store = _killed_after(count, lookahead=4)
    recorded = {t.id for t in store.trials()}
    executor = Shuffled(seed=9)
    events: list[Event] = []
    again = controller(store=store, strategy=_search(), executor=executor, trials=60, on_event=events.append)
    assert replace(again.run(), seconds=0) == replace(outcome, seconds=0)
    assert summary(store.trials()) == summary(whole.store.trials())
    assert not recorded & set(executor.evaluated)
    assert {e.trial.id for e in events if e.kind == "replay"} == recorded


def test_resume_with_another_seed_is_refused():
    store = _killed_after(20, lookahead=4)
    with pytest.raises(StoreError, match=r"trial 0 is recorded with the decisions .* seed"):
        controller(store=store, strategy=_search(seed=1), trials=60).run()


def test_resume_with_a_strategy_that_ends_earlier_is_refused():
    store = _killed_after(20, lookahead=4)
    proposals = [t.candidate for t in store.trials()][:2]
    executor = Shuffled()
    with pytest.raises(StoreError, match="nothing left to propose after 2 trials"):
        controller(store=store, strategy=Listed(proposals), executor=executor, trials=60).run()
    assert executor.closed == 1


def test_an_ended_run_can_be_made_longer_although_finalists_took_ids():
    store = MemoryStore()
    plan = {"store": store, "finalists": (2, Budget(5)), "seed": 4}
    controller(**plan, trials=10).run()
    assert [(t.id, t.stage) for t in store.trials()][9:] == [(9, "search"), (10, "finalist"), (11, "finalist")]
    outcome = controller(**plan, trials=20).run()
    assert outcome.trials == 20
    longer = controller(seed=4, trials=20)
    longer.run()
    told = [t.candidate.decisions for t in store.trials("search")]
    assert told == [t.candidate.decisions for t in longer.store.trials()]


# ---- interrupts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_once_and_the_run_can_go_on(number: int):
    def before(job: Any) -> None:
        if job.id == 9:
            os.kill(os.getpid(), number)
            raise AssertionError("the signal should have come first")

    store = MemoryStore()
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    executor = Shuffled(before=before)
    outcome = controller(store=store, executor=executor, finalists=(1, Budget(2))).run()
    assert outcome.stop_reason == store.facts()["stop_reason"] == "interrupted"
    assert executor.closed == 1
    assert store.trials("finalist") == []
    assert 9 not in {t.id for t in store.trials()}
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert controller(store=store).run().stop_reason == "trials"


def test_a_signal_is_heard_although_an_executor_sets_a_handler():
    class Deaf(Shuffled):
        def start(self, evaluator: Any) -> None:
            super().start(evaluator)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)

    before = signal.getsignal(signal.SIGTERM)
    executor = Deaf(before=lambda job: os.kill(os.getpid(), signal.SIGTERM))
    assert controller(executor=executor).run().stop_reason == "interrupted"
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_search_may_run_in_a_thread():
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.append(controller(trials=5).run()))
    thread.start()
    thread.join()
    assert found[0].trials == 5


def test_a_signal_does_not_break_a_write():
    class Slow(MemoryStore):
        def add(self, trial: Any) -> None:
            if trial.id == 5:
                os.kill(os.getpid(), signal.SIGINT)
            super().add(trial)

    store = Slow()
    assert controller(store=store, executor=Shuffled(lookahead=1)).run().stop_reason == "interrupted"
    assert [t.id for t in store.trials()] == [0, 1, 2, 3, 4, 5]


def _front(points: dict[int, tuple[float, float]]) -> set[int]:
    """By definition: nothing else is as good in both and different."""
    return {i for i, p in points.items() if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points.values())}


# ---- finalists -------------------------------------------------------------------------------------------------------


def test_finalists_are_the_best_of_the_front_with_the_larger_budget():
    budgets = []

    class Notes(Agreement):
        knows_stage = True

        def evaluate(self, candidate: Candidate, budget: Budget, seed: int, stage: str = "") -> Measurement:  # type: ignore[override]
            budgets.append((stage, budget))
            return super().evaluate(candidate, budget, seed)

    events: list[Event] = []
    plan = controller(evaluator=Notes(TARGET), finalists=(3, Budget(40)), trials=50, on_event=events.append)
    outcome = plan.run()
    search, final = plan.store.trials("search"), plan.store.trials("finalist")
    assert outcome.trials == len(search) == 50
    points = {t.id: (-t.metrics["val_accuracy"], t.metrics["params"]) for t in search if t.source == "evaluated"}
    best: list[int] = []
    while len(best) < 3:
        front = _front({i: p for i, p in points.items() if i not in best})
        best += sorted(front, key=lambda i: (points[i][0], i))
    assert [t.of for t in sorted(final, key=lambda t: t.id)] == best[:3]
    assert [t.id for t in final] == [50, 51, 52]
    assert {t.budget for t in final} == {Budget(40)}
    assert budgets.count(("finalist", Budget(40))) == 3
    assert {stage for stage, _ in budgets} == {"search", "finalist"}
    assert [e.trial.stage for e in events if e.kind == "finalist"] == ["finalist"] * 3


def test_finalists_are_not_repeated_when_resuming():
    store = MemoryStore()
    plan = {"store": store, "finalists": (2, Budget(9))}
    controller(**plan).run()
    executor = Shuffled()
    controller(**plan, executor=executor).run()
    assert executor.evaluated == []


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", ["front", "all"])
def test_weights_stay_for_the_front_only(tmp_path: Any, keep: str):
    plan = controller(evaluator=Writing(TARGET), folder=tmp_path, keep=keep, trials=40, finalists=(2, Budget(3)))
    plan.run()
    trials = [t for t in plan.store.trials("search") if t.source == "evaluated"]
    points = {t.id: (-t.metrics["val_accuracy"], t.metrics["params"]) for t in trials}
    front = _front(points)
    final = {t.id for t in plan.store.trials("finalist")}
    there = {int(path.parent.name) for path in tmp_path.glob("trials/*/weights.safetensors")}
    assert there == (front if keep == "front" else set(points)) | final
    assert 0 < len(front) < len(points)
    assert {int(path.name) for path in tmp_path.glob("trials/*")} == there


def test_an_evaluator_that_writes_needs_a_folder():
    with pytest.raises(RecipeError, match="Writing writes files"):
        controller(evaluator=Writing())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"objectives": ()}, "objectives: none is given"),
        ({"trials": 0}, "trials is 0"),
        ({"trials": 2.5}, "trials is 2.5"),
        ({"max_failures": -1}, "max_failures is -1"),
        ({"hours": 0}, "hours is 0"),
        ({"executor": Shuffled(lookahead=0)}, "executor.lookahead is 0"),
        ({"finalists": (0, Budget(1))}, "finalists is 0"),
    ],
)
def test_wrong_fields_are_refused(fields: dict[str, Any], said: str):
    with pytest.raises(RecipeError, match=said.replace(".", r"\.")):
        controller(**({"strategy": Random(space=SPACE)} | fields))


def test_an_unknown_keep_is_refused():
    with pytest.raises(RecipeError, match="keep is 'fornt'; did you mean 'front'"):
        controller(keep="fornt")


def test_resume_with_another_space_is_refused():
    store = MemoryStore()
    controller(store=store, space=SPACE, trials=2).run()
    controller(store=store, space=SPACE, trials=3).run()
    other = Space(op("conv", width=one_of(4, 8)), image(3, 8, 8))
    with pytest.raises(StoreError, match="this run was made with the space s1:"):
        controller(store=store, space=other, trials=3).run()
