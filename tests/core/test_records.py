"""What a search writes down."""

from __future__ import annotations

import hashlib
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.core.errors import EvaluationError, RecipeError
from nas.core.graph import Graph, Node
from nas.core.records import (
    Budget,
    Candidate,
    Constraint,
    Decisions,
    Measurement,
    Metric,
    Objective,
    Status,
    Trial,
    losses,
)
from tests.strategies import values

GRAPH = Graph(("x",), (Node("relu", "relu", inputs=("x",)),), (("y", "relu"),))
OTHER = Graph(("x",), (Node("gelu", "gelu", inputs=("x",)),), (("y", "gelu"),))


def trial(**fields: Any) -> Trial:
    start: dict[str, Any] = {
        "id": 0, "candidate": Candidate(Decisions({"op": "relu"}), GRAPH), "status": Status.COMPLETE,
        "budget": Budget(3), "measurement": Measurement({"val_accuracy": 90.0, "params": 1000}),
    }  # fmt: skip
    return Trial(**{**start, **fields})


# ---- decisions and candidates ----------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(min_size=1, max_size=4), values, max_size=4))
def test_the_key_of_decisions_does_not_depend_on_their_order(items: dict[str, Any]) -> None:
    one, two = Decisions(items), Decisions(dict(reversed(list(items.items()))))
    assert one == two
    assert one.key == two.key == pickle.loads(pickle.dumps(one)).key
    assert one.key.startswith("d1:")


def test_keys_of_decisions_are_pinned_and_differ() -> None:
    digest = hashlib.blake2b(b'{"a/kernel":3,"a/op":"conv"}', digest_size=16).hexdigest()
    assert Decisions({"a/op": "conv", "a/kernel": 3}).key == f"d1:{digest}"
    assert len({Decisions({"a": 1}).key, Decisions({"a": True}).key, Decisions({"a": "1"}).key, Decisions().key}) == 4


def test_candidates_are_equal_by_their_decisions() -> None:
    one = Candidate(Decisions({"op": "relu"}), GRAPH)
    assert one == Candidate(Decisions({"op": "relu"}), OTHER, parents=(3,), proposer="random")
    assert one != Candidate(Decisions({"op": "gelu"}), GRAPH)
    made = one.made_by("nsga2", 4, 2)
    assert (made.proposer, made.parents, made.graph) == ("nsga2", (4, 2), GRAPH)
    assert (one.proposer, one.parents) == ("", ())
    assert hash(made) == hash(one)
    back = pickle.loads(pickle.dumps(made))
    assert (back, back.graph, back.proposer, back.parents) == (made, GRAPH, "nsga2", (4, 2))


# ---- budgets, metrics, constraints -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("budget", "text"), [(Budget(3), "3 epochs"), (Budget(0.5, "seconds"), "0.5 seconds")])
def test_budgets(budget: Budget, text: str) -> None:
    assert str(budget) == text


@pytest.mark.parametrize(
    ("amount", "unit", "message"),
    [
        (0, "epochs", "budget of 0 epochs; expected a finite number above 0"),
        (-1, "steps", "budget of -1 steps"),
        (math.nan, "epochs", "budget of nan epochs"),
        (math.inf, "seconds", "budget of inf seconds"),
        (1, "minutes", "budget unit 'minutes'; legal: 'epochs', 'steps', 'seconds'"),
    ],
)
def test_budgets_that_mean_nothing_are_refused(amount: float, unit: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Budget(amount, unit)


def test_losses_are_to_be_minimised() -> None:
    objectives = [Objective("val_accuracy", "max"), Objective("params", "min")]
    assert losses(trial(), objectives) == (-90.0, 1000)
    for kind in (Metric, Objective):
        with pytest.raises(RecipeError, match="objective 'params': direction 'minimize'; legal: 'max', 'min'"):
            kind("params", "minimize")


@pytest.mark.parametrize(
    ("text", "bound", "holds_at", "breaks_at"),
    [
        ("<= 2.0", 2.0, [2.0, -1.0], [2.1]),
        (">=1e6", 1e6, [1e6, 2e6], [999_999.0]),
        ("  <  -0.5 ", -0.5, [-0.6], [-0.5, 0.0]),
        ("> 1_000", 1000.0, [1001.0], [1000.0]),
    ],
)
def test_constraints(text: str, bound: float, holds_at: list[float], breaks_at: list[float]) -> None:
    constraint = Constraint.parse("m", text)
    assert constraint.bound == bound
    assert Constraint.parse("m", str(constraint).removeprefix("m ")) == constraint
    for value in holds_at:
        assert constraint.holds({"m": value})
        assert constraint.violation({"m": value}) == 0.0
    for value in breaks_at:
        assert not constraint.holds({"m": value})
        assert constraint.violation({"m": value}) > 0.0


def test_violations_are_relative_to_the_bound() -> None:
    assert Constraint("params", "<=", 1000.0).violation({"params": 1500.0}) == pytest.approx(0.5)
    assert Constraint("latency_ms", "<=", 2.0).violation({"latency_ms": 3.0}) == pytest.approx(0.5)
    assert Constraint("m", "<=", 0.0).violation({"m": 1e-3}) > Constraint("m", "<=", 0.0).violation({"m": 1e-4}) > 0


@pytest.mark.parametrize(
    "text", ["2.0", "== 2", "<= two", "<= nan", "<= inf", "<= 1e999", "<=", "<= 2 3", 2.0, None, "=< 2"]
)
def test_texts_that_are_no_bounds_are_refused(text: object) -> None:
    with pytest.raises(
        RecipeError, match=r"constraint 'params': .* is no bound; expected a relation and a number, as in"
    ):
        Constraint.parse("params", text)


# ---- measurements and trials -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "90", None])
def test_a_measurement_holds_finite_numbers_only(value: Any) -> None:
    with pytest.raises(
        EvaluationError, match=f"metric 'val_accuracy' is {value!r}; a measurement holds finite numbers only"
    ):
        Measurement({"params": 3, "val_accuracy": value})


def test_a_whole_number_that_no_float_holds_is_refused_without_its_digits() -> None:
    with pytest.raises(EvaluationError, match="metric 'params' is a whole number of 3322 bits; a measurement holds"):
        Measurement({"params": 10**1000})


def test_a_measurement_cannot_be_changed_from_outside() -> None:
    metrics = {"val_accuracy": 90.0}
    held = Measurement(metrics, 1.5, ({"epoch": 1},), {"device": "cpu"})
    metrics["val_accuracy"] = 0.0
    assert held.metrics == {"val_accuracy": 90.0}
    with pytest.raises(TypeError):
        held.metrics["val_accuracy"] = 0.0  # type: ignore[index]
    assert pickle.loads(pickle.dumps(held)) == held


def test_trials() -> None:
    done = trial()
    assert (done.complete, dict(done.metrics)) == (True, {"val_accuracy": 90.0, "params": 1000})
    failed = trial(status=Status.FAILED, measurement=None, reason="it broke")
    assert (failed.complete, dict(failed.metrics)) == (False, {})
    assert pickle.loads(pickle.dumps(failed)) == failed
    assert [str(status) for status in Status] == ["complete", "pruned", "infeasible", "failed"]


def test_numbers_of_numpy_and_torch_are_numbers() -> None:
    import numpy as np

    made = Measurement({"a": np.float32(0.5), "b": np.int64(3)}, np.float64(1.5))
    assert dict(made.metrics) == {"a": 0.5, "b": 3}
    assert type(made.metrics["a"]) is float
    assert made.seconds == 1.5


@pytest.mark.parametrize("seconds", [Budget(1), "fast", float("nan"), True])
def test_the_seconds_of_a_measurement_are_a_number(seconds: object) -> None:
    with pytest.raises(EvaluationError, match="second field of a measurement is its seconds"):
        Measurement({"a": 1.0}, seconds)  # type: ignore[arg-type]
