"""The front against answers worked out by hand, and against the definition of dominance written out."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.errors import RecipeError, StoreError
from nas.core.records import Objective, Status, Trial
from results.front import Front
from tests.results.samples import ACCURACY, LATENCY, PARAMS, trial


def trials_at(*points: tuple[float, float], **others: object) -> list[Trial]:
    """Trials with these accuracies and sizes."""
    return [trial(i, metrics={"val_accuracy": a, "params": p}, **others) for i, (a, p) in enumerate(points)]  # type: ignore[arg-type]


def test_directions_make_the_front() -> None:
    points = trials_at((90, 100), (95, 200), (94, 250), (80, 50), (80, 60))
    assert [t.id for t in Front(points, [ACCURACY, PARAMS])] == [1, 0, 3]
    assert [t.id for t in Front(points, [PARAMS, ACCURACY])] == [3, 0, 1]  # the first objective orders it
    worst = [Objective("val_accuracy", "min"), Objective("params", "max")]
    assert [t.id for t in Front(points, worst)] == [4, 0, 2]


def test_hypervolume_by_hand() -> None:
    # reference: accuracy 80 - 0.1 * 15 = 78.5; params 250 + 0.1 * 200 = 270
    front = Front(trials_at((90, 100), (95, 200), (94, 250), (80, 50)), [ACCURACY, PARAMS])
    assert front.reference == pytest.approx({"val_accuracy": 78.5, "params": 270})
    # slabs by accuracy: 78.5..80 reaches down to 50 params, 80..90 to 100, 90..95 to 200
    assert front.hypervolume == pytest.approx(1.5 * 220 + 10 * 170 + 5 * 70)
    summary = front.summary()
    assert [entry["trial"] for entry in summary["front"]] == [1, 0, 3]
    assert summary["front"][0]["metrics"] == {"val_accuracy": 95, "params": 200}
    assert summary["front"][0]["decisions"] == {"stage/kernel": 5, "number": 1}
    assert summary["objectives"][0] == {"name": "val_accuracy", "direction": "max", "unit": "%"}
    assert summary["hypervolume"] == front.hypervolume
    assert summary["reference"] == front.reference


def test_a_given_reference_is_used_and_checked() -> None:
    points = trials_at((90, 100), (95, 200))
    front = Front(points, [ACCURACY, PARAMS], reference={"params": 300, "val_accuracy": 85})
    assert front.hypervolume == pytest.approx(5 * 200 + 5 * 100)
    with pytest.raises(RecipeError, match="reference point of \\['params'\\]"):
        Front(points, [ACCURACY, PARAMS], reference={"params": 300})


def test_of_no_trials_everything_is_empty() -> None:
    front: Front[Trial] = Front([], [ACCURACY, PARAMS])
    assert (list(front), front.reference, front.hypervolume, front.knee(), front.top(3)) == ([], None, 0.0, None, ())
    assert front.summary()["front"] == []


def test_of_one_trial() -> None:
    front = Front(trials_at((90, 100)), [ACCURACY, PARAMS])
    # no range: the margin is of the value itself
    assert front.reference == pytest.approx({"val_accuracy": 81, "params": 110})
    assert front.hypervolume == pytest.approx(9 * 10)
    assert front.knee() is front[0]
    assert front[0].id == 0


def test_a_value_of_zero_still_has_a_margin() -> None:
    front = Front([trial(0, metrics={"params": 0})], [PARAMS])
    assert front.reference == {"params": 0.1}


def test_one_objective() -> None:
    points = trials_at((90, 1), (95, 2), (80, 3), (95, 4))
    front = Front(points, [ACCURACY])
    assert [t.id for t in front] == [1, 3]
    assert front.hypervolume == pytest.approx(15 + 1.5)
    assert front.knee() is points[1]
    assert [t.id for t in front.top(3)] == [1, 3, 0]


def test_three_objectives_by_hand() -> None:
    points = [
        trial(0, metrics={"val_accuracy": 90, "params": 10, "latency_ms": 5}),
        trial(1, metrics={"val_accuracy": 80, "params": 20, "latency_ms": 1}),
        trial(2, metrics={"val_accuracy": 80, "params": 20, "latency_ms": 2}),
    ]
    front = Front(points, [ACCURACY, PARAMS, LATENCY], reference={"val_accuracy": 70, "params": 30, "latency_ms": 6})
    assert [t.id for t in front] == [0, 1]
    # boxes 20 * 20 * 1 and 10 * 10 * 5 share 10 * 10 * 1
    assert front.hypervolume == pytest.approx(400 + 500 - 100)


def test_only_complete_search_trials_count() -> None:
    trials = [
        trial(0, metrics={"val_accuracy": 90, "params": 10}),
        trial(1, status=Status.FAILED),
        trial(2, status=Status.INFEASIBLE),
        trial(3, metrics={"val_accuracy": 99, "params": 1}, stage="finalist", of=0),
    ]
    front = Front(trials, [ACCURACY, PARAMS])
    assert ([t.id for t in front], len(front.complete)) == ([0], 1)


def test_equal_networks_are_listed_once_and_equal_values_are_all_listed() -> None:
    trials = [
        trial(4, metrics={"val_accuracy": 90, "params": 10}),
        trial(1, metrics={"val_accuracy": 90, "params": 10}, source="cache", reuses=0),
        trial(0, metrics={"val_accuracy": 90, "params": 10}),
        trial(2, metrics={"val_accuracy": 95, "params": 20}, source="cache", reuses=77),
    ]
    # 2 takes its number from another run: nobody else stands for it here
    assert [t.id for t in Front(trials, [ACCURACY, PARAMS])] == [2, 0, 4]


def test_the_knee_is_where_the_bend_is() -> None:
    # scaled losses (accuracy, params): 0,1  0.1,0.3  0.5,0.2  1,0
    points = trials_at((100, 1000), (90, 300), (50, 200), (0, 0))
    assert Front(points, [ACCURACY, PARAMS]).knee() is points[1]
    straight = trials_at((100, 1000), (50, 500), (0, 0))
    assert Front(straight, [ACCURACY, PARAMS]).knee() is straight[0]  # no bend: the better accuracy


def test_top_goes_on_behind_the_front() -> None:
    points = trials_at((95, 200), (90, 100), (94, 210), (93, 220), (89, 101))
    front = Front(points, [ACCURACY, PARAMS])
    assert [t.id for t in front.top(1)] == [0]
    assert [t.id for t in front.top(4)] == [0, 1, 2, 4]
    assert [t.id for t in front.top(99)] == [0, 1, 2, 4, 3]


def test_a_missing_metric_is_named() -> None:
    with pytest.raises(StoreError, match=r"trial 3 is complete but has no metric 'params'.*'param'"):
        Front([trial(3, metrics={"val_accuracy": 1, "param": 2})], [ACCURACY, PARAMS])
    with pytest.raises(RecipeError, match="at least one objective"):
        Front([], [])


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda m: st.tuples(
            st.lists(st.sampled_from(["max", "min"]), min_size=m, max_size=m),
            st.lists(st.lists(st.integers(-3, 3), min_size=m, max_size=m), max_size=25),
        )
    )
)
def test_the_front_is_what_the_definition_says(case: tuple[list[str], list[list[int]]]) -> None:
    directions, points = case
    objectives = [Objective(f"m{place}", direction) for place, direction in enumerate(directions)]
    trials = [trial(i, metrics={f"m{place}": v for place, v in enumerate(p)}) for i, p in enumerate(points)]

    def dominates(a: list[int], b: list[int]) -> bool:
        signed = [(x, y) if d == "min" else (-x, -y) for x, y, d in zip(a, b, directions, strict=True)]
        return all(x <= y for x, y in signed) and any(x < y for x, y in signed)

    want = {i for i, p in enumerate(points) if not any(dominates(q, p) for q in points)}
    front = Front(trials, objectives)
    assert {t.id for t in front} == want
    assert front.hypervolume > 0 or not points
    assert {t.id for t in front.top(len(points))} == set(range(len(points)))


def test_who_computes_the_same_at_another_cost_is_on_the_front_once() -> None:
    def known(id_: int, accuracy: float, params: float, **others: object) -> Trial:
        metrics = {"val_accuracy": accuracy, "params": params}
        return trial(id_, metrics=metrics, source="cache", **others)  # type: ignore[arg-type]

    trials = [
        *trials_at((90, 100)),
        known(1, 90, 60, reuses=0, hit="functional"),
        known(2, 90, 60, reuses=0, hit="decisions"),
        known(3, 90, 100, reuses=0, hit="graph"),
        known(4, 95, 300, reuses=0, hit="graph", origin="runs/other"),  # trial 0 of another run
    ]
    assert [t.id for t in Front(trials, [ACCURACY, PARAMS])] == [4, 1]
    assert [t.id for t in Front(trials, [ACCURACY])] == [4]
    assert [t.id for t in Front(trials[:4], [ACCURACY])] == [0], "its equal by the only goal is no further network"


@pytest.mark.parametrize("size", [1e200, 1e300, 1e308, 1.7e308])
def test_values_at_both_ends_of_what_a_float_holds_have_a_front_and_a_finite_reference(size: float) -> None:
    front = Front(trials_at((size, size), (0.0, 0.0), (-size, -size), (-size, size)), [ACCURACY, PARAMS])
    assert front.ids == (0, 1, 2)
    assert front.hypervolume is None
    assert front.reference is not None
    assert all(math.isfinite(value) for value in front.reference.values())
    assert front.reference["val_accuracy"] < -size
    assert front.scaled().tolist() == [[0, 1], [0.5, 0.5], [1, 0]]
    assert front.suggestions()
    json.dumps(front.summary(), allow_nan=False)
