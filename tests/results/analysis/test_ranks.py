"""A supernet's training and its ranks beside training from scratch, with taus worked out by hand."""

from __future__ import annotations

import pytest

from nas.core.records import Objective, Trial
from results.analysis.ranks import POINTS, supernet_of
from tests.results.samples import ACCURACY, PARAMS, trial

GOALS = (ACCURACY, PARAMS)


def finalists(*pairs: tuple[float, float], name: str = "val_accuracy", **more: list[float]) -> dict[int, Trial]:
    return {
        i: trial(
            100 + i,
            metrics={
                f"{name}_inherited": a,
                f"{name}_scratch": b,
                f"test_{name}_inherited": -a,
                f"test_{name}_scratch": b,
                **{key: values[i] for key, values in more.items()},
            },
            stage="finalist",
            of=i,
        )
        for i, (a, b) in enumerate(pairs)
    }


def test_a_run_without_a_supernet_has_none() -> None:
    assert supernet_of({}, {}, GOALS) is None
    assert supernet_of({}, {0: trial(9, of=0, stage="finalist")}, GOALS) is None


def test_ranks_and_tau_by_hand() -> None:
    # inherited ranks them 3 > 2 > 1 > 0; from scratch 2 > 3 > 1 > 0: one pair of six the other way round
    given = finalists((60, 90), (70, 91), (80, 95), (85, 94), params=[4, 3, 2, 1])
    found = supernet_of({}, given, GOALS)
    assert found is not None
    ranks = found["ranks"]
    assert (ranks["metric"], ranks["n"], ranks["tau"]) == ("val_accuracy", 4, pytest.approx(4 / 6))
    assert [(row["trial"], row["rank_inherited"], row["rank_scratch"]) for row in ranks["rows"]] == [
        (3, 1, 2), (2, 2, 1), (1, 3, 3), (0, 4, 4)
    ]  # fmt: skip
    assert ranks["rows"][0]["inherited"] == "85.00 %"
    assert "is 0.67 over n = 4 finalists" in ranks["text"]
    assert "params −0.67" in ranks["text"]
    assert "With 4 networks this says next to nothing: one pair the other way round moves it by 0.33." in ranks["text"]


def test_ties_share_a_rank_and_all_ties_have_no_tau() -> None:
    found = supernet_of({}, finalists((60, 90), (60, 91)), GOALS)
    assert found is not None
    assert found["ranks"]["tau"] is None
    assert [row["rank_inherited"] for row in found["ranks"]["rows"]] == [1.5, 1.5]
    assert "not defined (all are equal)" in found["ranks"]["text"]


def test_many_finalists_need_no_caution_and_one_is_no_rank() -> None:
    many = supernet_of({}, finalists(*((i, i) for i in range(12))), GOALS)
    assert many is not None
    assert many["ranks"]["tau"] == pytest.approx(1)
    assert "next to nothing" not in many["ranks"]["text"]
    assert supernet_of({}, finalists((60, 90)), GOALS) is None
    failed = finalists((60, 90), (70, 80))
    failed[1] = trial(101, stage="finalist", of=1, metrics={"val_accuracy": 3})
    assert supernet_of({}, failed, GOALS) is None


def test_where_less_is_better_ranks_turn_round() -> None:
    loss = Objective("val_loss", "min")
    found = supernet_of({}, finalists((0.1, 0.3), (0.2, 0.1), name="val_loss"), (loss,))
    assert found is not None
    assert [row["trial"] for row in found["ranks"]["rows"]] == [0, 1]
    assert found["ranks"]["tau"] == pytest.approx(-1)


def test_curves_over_epochs_are_those_that_were_noted() -> None:
    rows = [{"epoch": i + 1, "epochs": 900, "train_loss": 1 / (i + 1), "seconds": i} for i in range(900)]
    rows[-1]["gate_entropy"] = 0.5
    found = supernet_of({"preparation": rows}, {}, GOALS)
    assert found is not None
    assert found["ranks"] is None
    loss, entropy = found["curves"]
    assert loss["title"] == "training loss"
    assert len(loss["x"]) == len(loss["y"]) == POINTS
    assert (loss["x"][0], loss["x"][-1], loss["y"][-1]) == (1, 900, 1 / 900)
    assert (entropy["x"], entropy["y"]) == ([900], [0.5])


def test_gates_are_told_layer_by_layer_the_least_even_ones_where_there_are_many():
    def row(top: float) -> dict:
        return {"networks": 3, "mean": [top, 1 - top], "spread": [0.02, 0.0]}

    table = {f"layer{number}": row(0.5 + 0.01 * number) for number in range(30)}
    facts = {"preparation": [{"epoch": 1.0, "train_loss": 1.0}], "gates": table}
    found = supernet_of(facts, {}, GOALS)["gates"]
    assert [each["place"] for each in found] == [f"layer{number}" for number in range(6, 30)]
    assert found[-1]["experts"] == [{"percent": 79, "text": "79 ± 2"}, {"percent": 21, "text": "21 ± 0"}]
    assert supernet_of({**facts, "gates": {}}, {}, GOALS)["gates"] == []
