"""What a user's own code does wrong: an evaluator fails its trial, a strategy ends the search with one line."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from nas.core.errors import NotInSpaceError, StrategyError
from nas.core.language import one_of, op, seq
from nas.core.records import Budget, Candidate, Decisions, Measurement, Metric, Status, Trial
from nas.core.space import Space, image
from nas.engine.executors.local import Local
from nas.engine.strategies.random import Random
from results.rows import pack
from tests.engine.helpers import ACCURACY, SPACE, Listed, Shuffled, controller

CANDIDATES = list(SPACE.enumerate())
ELSEWHERE = Space(seq(op("conv", width=one_of(4, 8))), image(3, 8, 8))


class Mute(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise ValueError("no words")


class Odd(BaseException):
    pass


def leave() -> Any:
    raise SystemExit(3)


def mute() -> Any:
    raise Mute


def odd() -> Any:
    raise Odd("x")


def measured(**fields: Any) -> Callable[[], Measurement]:
    return lambda: Measurement(**{"metrics": {"val_accuracy": 1.0}, **fields})


WRONG: list[tuple[Callable[[], Any], str]] = [
    (leave, "SystemExit: 3"),
    (odd, "Odd: x"),
    (mute, "Mute: (its message cannot be shown: __str__ raises ValueError)"),
    (lambda: None, "returned None; expected a nas.core.records.Measurement"),
    (lambda: 5, "returned 5, an int; expected"),
    (measured(notes={"a": object}), "whose notes['a'] is <class 'object'>, a type; expected numbers, texts"),
    (measured(notes=[1]), "whose notes is [1], a list; expected a mapping"),
    (measured(notes={1: 1}), "whose notes has the key 1, an int; expected a text"),
    (measured(seconds=float("nan")), "seconds"),
    (measured(seconds="1"), "seconds"),
    (measured(curve=[1, 2]), "whose curve[0] is 1, an int; expected a mapping"),
    (measured(metrics={1: 1.0}), "whose metrics has the key 1, an int"),
]


@dataclass
class Does:
    """Answers with what it is given."""

    what: Callable[[], Any] | str
    in_process: ClassVar[bool] = True

    def evaluate(self, candidate: Candidate, budget: Budget, seed: int) -> Any:
        return {"leave": leave, "mute": mute, "odd": odd}[self.what]() if isinstance(self.what, str) else self.what()

    def metrics(self) -> tuple[Metric, ...]:
        return ()

    def fingerprint(self) -> str:
        return "does"


class DoesInWorkers(Does):
    in_process: ClassVar[bool] = False


@pytest.mark.parametrize(("what", "reason"), WRONG)
def test_what_an_evaluator_does_wrong_fails_its_trial(what: Callable[[], Any], reason: str):
    plan = controller(evaluator=Does(what), strategy=Listed(CANDIDATES[:2]), objectives=(ACCURACY,))
    assert plan.run().stop_reason == "exhausted"
    trials = plan.store.trials()
    assert [trial.status for trial in trials] == [Status.FAILED] * 2
    assert all(reason in trial.reason for trial in trials), trials[0].reason
    assert all(trial.traceback for trial in trials)
    assert "test_faults:Does" in trials[0].reason or "evaluate()" not in trials[0].reason


@pytest.mark.parametrize("fields", [{"notes": {"a": np.float32(1.0), "b": [1, {"c": None}]}}, {"curve": [{"e": 1}]}])
def test_what_the_store_takes_is_no_fault(fields: dict[str, Any]):
    plan = controller(evaluator=Does(measured(**fields)), strategy=Listed(CANDIDATES[:1]), objectives=(ACCURACY,))
    assert plan.run().complete == 1
    pack(plan.store.trials()[0])


@pytest.mark.parametrize(
    ("what", "reason"), [("leave", "SystemExit: 3"), ("odd", "Odd: x"), ("mute", "Mute: (its message")]
)
def test_nor_does_it_end_a_worker(what: str, reason: str, capfd: pytest.CaptureFixture[str]):
    executor = Local(workers=1)
    plan = controller(
        evaluator=DoesInWorkers(what), strategy=Listed(CANDIDATES[:2]), objectives=(ACCURACY,), executor=executor
    )
    assert plan.run().failed == 2
    assert all(trial.reason.startswith(reason) for trial in plan.store.trials())
    assert "Fatal" not in capfd.readouterr().err


@dataclass
class Wrong:
    """A strategy that does `what` when it is asked, or told, the second time."""

    what: Callable[[], Any]
    when: str = "ask"
    calls: int = 0

    def ask(self) -> Any:
        return self._second() if self.when == "ask" else CANDIDATES[self.calls]

    def tell(self, trial: Trial) -> None:
        if self.when == "tell":
            self._second()

    def _second(self) -> Any:
        self.calls += 1
        return self.what() if self.calls == 2 else CANDIDATES[0]


@pytest.mark.parametrize("when", ["ask", "tell"])
@pytest.mark.parametrize(
    ("what", "said"),
    [(leave, "SystemExit: 3"), (odd, "Odd: x"), (mute, "Mute: "), (lambda: 1 / 0, "ZeroDivisionError")],
)
def test_a_strategy_that_breaks(when: str, what: Callable[[], Any], said: str):
    executor = Shuffled(lookahead=1)
    plan = controller(strategy=Wrong(what, when), executor=executor)
    pattern = rf"strategy .*test_faults:Wrong failed in {when} \(test_faults.py, line \d+\): {said}.*; mend it and"
    with pytest.raises(StrategyError, match=pattern):
        plan.run()
    assert executor.closed == 1
    assert plan.store.trials()  # what was measured before is kept


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (5, "5, an int; expected a Candidate or None"),
        ("x", "'x', a str; expected"),
        ({}, r"\{\}, a dict; expected"),
        ((CANDIDATES[0],), "a tuple; expected"),
        (Candidate({"a": 1}, CANDIDATES[0].graph), r"a Candidate whose decisions is \{'a': 1\}, a dict; make"),
        (Candidate(CANDIDATES[0].decisions, None), "a Candidate whose graph is None; make"),
    ],
)
def test_a_strategy_that_gives_no_candidate(answer: object, said: str):
    with pytest.raises(StrategyError, match=rf"test_faults:Wrong: ask\(\) gave .*{said}"):
        controller(strategy=Wrong(lambda: answer)).run()


def test_a_candidate_of_another_space_is_refused():
    foreign = ELSEWHERE.sample(random.Random(0))
    with pytest.raises(StrategyError, match=r"which is no candidate of the space: no decision for 'block/op'"):
        controller(strategy=Listed([foreign]), space=SPACE).run()
    more = Candidate(Decisions({**CANDIDATES[0].decisions, "conv/width": 4}), CANDIDATES[0].graph)
    with pytest.raises(StrategyError, match="'conv/width' is no choice of this space"):
        controller(strategy=Listed([more]), space=SPACE).run()


def test_candidates_of_the_space_pass():
    plan = controller(strategy=Random(space=SPACE, seed=1), space=SPACE, trials=40)
    assert plan.run().trials == 40


def test_check_agrees_with_decide():
    for candidate in CANDIDATES[:50]:
        SPACE.check(candidate.decisions)
        for address in candidate.decisions:
            left = {key: value for key, value in candidate.decisions.items() if key != address}
            with pytest.raises(NotInSpaceError, match=address):
                SPACE.check(left)
