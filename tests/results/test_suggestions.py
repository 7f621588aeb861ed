"""What a front suggests, worked out by hand, and that the sentence says it."""

from __future__ import annotations

from nas.core.records import Objective, Trial
from results.front import Front
from tests.results.samples import ACCURACY, LATENCY, PARAMS, trial


def front_of(*points: tuple[float, ...], goals: tuple[Objective, ...] = (ACCURACY, PARAMS, LATENCY)) -> Front[Trial]:
    chosen = goals[: len(points[0])] if points else goals[:2]
    names = [goal.name for goal in chosen]
    trials = [trial(i, metrics=dict(zip(names, point, strict=True))) for i, point in enumerate(points)]
    return Front(trials, chosen)


def said(front: Front[Trial]) -> dict[str, int]:
    return {suggestion.name: suggestion.trial.id for suggestion in front.suggestions()}


def test_knee_and_cheapest_by_hand() -> None:
    # scaled: (0, 1), (0.075, 0.6), (0.25, 0.2), (1, 0): the third has the smallest sum
    front = front_of((98, 1000), (97.1, 600), (95, 200), (86, 0))
    knee, cheapest = front.suggestions()
    assert (knee.trial.id, knee.name) == (2, "knee")
    assert "25 % in val_accuracy and 20 % in params" in knee.why
    assert "4 networks" in knee.why
    assert (cheapest.trial.id, cheapest.name) == (1, "cheapest within 1 % of the best")  # 98 * 0.99 = 97.02
    assert "97.10 % is within 1 % of the best, 98.00 %, and of the 2 networks" in cheapest.why
    assert "the least params, 600 (40 % less)" in cheapest.why


def test_one_network_may_be_both() -> None:
    (both,) = front_of((98, 1000), (97.9, 100), (50, 90)).suggestions()
    assert both.trial.id == 1
    assert both.name == "knee and cheapest within 1 % of the best"
    assert "smallest sum" in both.why
    assert "of the 2 networks" in both.why


def test_where_all_is_traded_evenly_or_worse_no_knee_is_suggested() -> None:
    assert said(front_of((90, 300), (80, 200), (70, 100))) == {"cheapest within 1 % of the best": 0}
    assert said(front_of((90, 300), (71, 200), (70, 100))) == {"cheapest within 1 % of the best": 0}  # bent inwards
    assert said(front_of((90, 300), (80, 200))) == {"cheapest within 1 % of the best": 0}
    (alone,) = front_of((90, 300), (80, 200)).suggestions()
    assert "no other network of the front comes within 1 %" in alone.why


def test_of_one_goal_one_network_or_none() -> None:
    (best,) = front_of((90,), (95,), (95,)).suggestions()
    assert (best.trial.id, best.name) == (1, "best")
    assert best.why == "It has the best val_accuracy of 3 complete trials, 95.00 %, the first of 2 that share it."
    (only,) = front_of((90, 100), (80, 200)).suggestions()
    assert (only.trial.id, only.name) == (0, "best")
    assert "90.00 % val_accuracy and 100 params" in only.why
    assert front_of().suggestions() == ()


def test_three_goals_take_the_next_one_and_then_the_third() -> None:
    front = front_of((98, 500, 9), (97.5, 100, 5), (97.4, 100, 2), (60, 50, 3))
    assert said(front) == {"knee and cheapest within 1 % of the best": 2}


def test_goals_the_other_way_round_and_a_best_of_zero() -> None:
    front = front_of((1000, 80), (1005, 95), (2000, 99), goals=(PARAMS, ACCURACY))
    found = {suggestion.name: suggestion for suggestion in front.suggestions()}
    assert found["knee and best val_accuracy within 1 % of the best params"].trial.id == 1
    errors = (Objective("val_loss", "min"), PARAMS)
    assert said(front_of((0, 10), (0.001, 5), (1, 1), goals=errors))["cheapest within 1 % of the best"] == 0
    negative = (Objective("score", "max"), PARAMS)
    assert said(front_of((-100, 10), (-100.5, 5), (-200, 1), goals=negative)) == {
        "knee and cheapest within 1 % of the best": 1
    }


def test_only_what_is_suggested_is_loaded() -> None:
    trials = [trial(i, metrics={"val_accuracy": 90 - i, "params": 1000 / (i + 1) ** 2}) for i in range(50)]
    asked: list[int] = []

    def load(ids: object) -> list[Trial]:
        asked.extend(ids)  # type: ignore[arg-type]
        return [trials[id_] for id_ in ids]  # type: ignore[attr-defined]

    assert len(Front(trials, [ACCURACY, PARAMS], load=load).suggestions()) == 2
    assert len(asked) == 2
