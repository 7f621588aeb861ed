from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from nas.core.errors import RecipeError
from nas.core.records import Budget, Candidate, Measurement, Metric
from nas.engine.checks import check_evaluator, check_executor
from nas.engine.executors.local import Local
from nas.engine.executors.ray import Ray
from nas.engine.strategies.evolution import Evolution
from nas.engine.strategies.nsga2 import NSGA2
from nas.testing import Agreement, AgreementInWorkers
from tests.engine.helpers import ACCURACY, SPACE, Shuffled, Writing, controller


@dataclass
class Locked(AgreementInWorkers):
    """Holds what cannot be sent."""

    lock: Any = field(default_factory=threading.Lock)


class Short(Agreement):
    def evaluate(self, candidate: Candidate) -> Measurement:  # type: ignore[override]
        raise AssertionError


class Reporting(Agreement):
    reports = True


class Greedy(Agreement):
    def evaluate(self, candidate: Candidate, budget: Budget, seed: int, device: str) -> Measurement:  # type: ignore[override]
        raise AssertionError


class Nameless:
    def evaluate(self, candidate: Candidate, budget: Budget, seed: int) -> Measurement:
        raise AssertionError

    def metrics(self) -> tuple[Metric, ...]:
        return ()


@pytest.mark.parametrize(
    ("evaluator", "said"),
    [
        (Short(), r"Short: evaluate\(candidate.*cannot be called as evaluate\(candidate, budget, seed\).*too many"),
        (Reporting(), r"Reporting: evaluate.*as evaluate\(candidate, budget, seed, report=…\).*'report'"),
        (Greedy(), "Greedy: evaluate.*missing a required argument: 'device'"),
        (Nameless(), r"Nameless has no method fingerprint\(\)"),
        (Short, "metrics"),
    ],
)
def test_evaluators_that_cannot_work_are_refused(evaluator: Any, said: str):
    with pytest.raises(RecipeError, match=said):
        check_evaluator(evaluator)


@pytest.mark.parametrize("evaluator", [Agreement(), AgreementInWorkers(), Writing()])
def test_others_pass(evaluator: Any):
    check_evaluator(evaluator)


@pytest.mark.parametrize("executor", [Local(), Ray()])
def test_an_evaluator_that_cannot_be_sent_is_refused_before_the_start(executor: Any):
    check_executor(executor, AgreementInWorkers())
    with pytest.raises(RecipeError, match="evaluator Locked cannot be sent"):
        check_executor(executor, Locked())


def test_an_executor_of_a_users_own_needs_no_check():
    check_executor(Shuffled(), Locked())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda size: Evolution(space=SPACE, objectives=(ACCURACY,), population=size), "evolution: population is"),
        (lambda size: NSGA2(space=SPACE, objectives=(ACCURACY,), offspring=size), "nsga2: offspring is"),
        (lambda size: Local(lookahead=size), "local: lookahead is"),
        (lambda size: Local(workers=size), "local: workers is"),
        (lambda size: Ray(lookahead=size), "ray: lookahead is"),
        (lambda size: controller(executor=Shuffled(lookahead=size)), "executor.lookahead is"),
    ],
)
def test_absurd_sizes_are_refused(make: Callable[[int], Any], said: str):
    with pytest.raises(RecipeError, match=rf"{said} 10000000000; expected at most 100,000"):
        make(10**10)
    make(100_000)
