"""Runs side by side, against what was worked out by hand."""

from __future__ import annotations

import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nas.core.errors import RecipeError, StoreError
from nas.core.records import Status, Trial
from results.compare import Comparison, compare
from results.compare_figure import compare_figure, make_compare_figure
from results.run import Run
from tests.results.samples import OBJECTIVES, store_of, trial

ENDED = {"stop_reason": "trials", "strategy": "random"}


def points(*values: tuple[float, float], seconds: float = 10.0) -> list[Trial]:
    return [trial(i, metrics={"val_accuracy": a, "params": p}, seconds=seconds) for i, (a, p) in enumerate(values)]


def two(folder: Path, **facts: Any) -> list[Path]:
    """A good run and one that ends where the first was after two trials."""
    store_of(folder / "good", points((80, 100), (90, 100), (95, 100)), **ENDED, **facts).close()
    weak = points((60, 200), (80, 200), (85, 150), (90, 100))
    store_of(folder / "weak", weak, **ENDED, **facts).close()
    return [folder / "good", folder / "weak"]


def test_all_numbers_by_hand(tmp_path: Path) -> None:
    found = compare(two(tmp_path))
    # worst and best of all: accuracy 60..95, params 100..200; the reference lies a tenth of the range behind
    assert found.reference == pytest.approx({"val_accuracy": 56.5, "params": 210})
    good, weak = found.runs
    assert (good.name, good.trials, good.complete, good.seconds, good.front) == ("good", 3, 3, 30, 1)
    assert (weak.name, weak.trials, weak.complete, weak.seconds, weak.front) == ("weak", 4, 4, 40, 1)
    assert (good.best, good.best_trial, weak.best, weak.best_trial) == (95, 2, 90, 3)
    assert good.hypervolume == pytest.approx((95 - 56.5) * 110)
    assert weak.hypervolume == pytest.approx((90 - 56.5) * 110)
    assert found.hypervolume == good.hypervolume
    assert (good.share, weak.share) == pytest.approx((1, 33.5 / 38.5))
    assert (good.joint, good.joint_share, weak.joint, weak.joint_share) == (1, 1, 0, 0)
    # what the weak one reached in the end, the good one had with its second trial
    assert found.level == pytest.approx({"hypervolume": 33.5 * 110, "best": 90})
    assert good.same_hypervolume is not None
    assert (good.same_hypervolume.trials, good.same_hypervolume.seconds, good.same_hypervolume.trial) == (2, 20, 1)
    assert (weak.same_best.trials, weak.same_best.seconds) == (4, 40)
    assert found.cautions == ()


def test_the_joint_front_holds_equal_values_of_both(tmp_path: Path) -> None:
    store_of(tmp_path / "a", points((90, 100), (80, 50)), **ENDED).close()
    store_of(tmp_path / "b", points((90, 100), (95, 300), (70, 60)), **ENDED).close()
    a, b = compare([tmp_path / "a", tmp_path / "b"]).runs
    assert (a.joint, b.joint) == (2, 2)
    assert a.joint_share == b.joint_share == 0.5
    assert (a.front, b.front) == (2, 3)


def test_one_objective_has_no_hypervolume_to_reach(tmp_path: Path) -> None:
    found = compare(two(tmp_path, objectives=OBJECTIVES[:1]))
    assert found.level == {"hypervolume": None, "best": 90}
    assert [run.same_hypervolume for run in found.runs] == [None, None]
    assert [run.same_best.trials for run in found.runs] == [2, 4]
    assert make_compare_figure(found).axes[0].get_ylabel() == "best val_accuracy (%)"


def test_three_objectives_and_three_runs(tmp_path: Path) -> None:
    three = [*OBJECTIVES, {"name": "latency_ms", "direction": "min", "unit": "ms"}]
    for number, name in enumerate("abc"):
        trials = [
            trial(i, metrics={"val_accuracy": 80 + i, "params": 10 + i * i, "latency_ms": 5 + (i + number) % 3})
            for i in range(6)
        ]
        store_of(tmp_path / name, trials, objectives=three, **ENDED).close()
    found = compare([tmp_path / name for name in "abc"])
    assert sum(run.joint_share for run in found.runs) == pytest.approx(1)
    assert max(run.share for run in found.runs) <= 1 + 1e-9
    assert min(run.hypervolume for run in found.runs) == found.level["hypervolume"]
    assert all(run.same_hypervolume is not None and run.same_hypervolume.trials <= 6 for run in found.runs)
    assert json.loads(json.dumps(found.summary(), allow_nan=False))["runs"][2]["name"] == "c"


def test_what_was_reused_costs_nothing_and_what_was_prepared_does(tmp_path: Path) -> None:
    trials = [*points((80, 100)), trial(1, metrics={"val_accuracy": 80, "params": 100}, source="cache", reuses=0),
              trial(2, status=Status.FAILED, reason="broke", seconds=5.0),
              trial(3, metrics={"val_accuracy": 99, "params": 90}, seconds=7.0),
              trial(4, metrics={"val_accuracy": 99, "params": 90}, seconds=700.0, stage="finalist", of=3)]  # fmt: skip
    preparation = [{"epoch": 1, "epochs": 2, "seconds": 40.0}, {"epoch": 2, "epochs": 2, "seconds": 100.0}]
    store_of(tmp_path / "shared", trials, preparation=preparation, **ENDED).close()
    store_of(tmp_path / "plain", points((99, 90)), **ENDED).close()
    shared, plain = compare([tmp_path / "shared", tmp_path / "plain"]).runs
    assert (shared.trials, shared.complete, shared.seconds, shared.prepared_seconds) == (4, 3, 122, 100)
    assert (shared.same_best.trials, shared.same_best.seconds) == (4, 122)
    assert (plain.same_best.trials, plain.same_best.seconds) == (1, 10)


def test_a_run_still_going_is_compared_as_far_as_it_is(tmp_path: Path) -> None:
    good, _ = two(tmp_path)
    store = store_of(tmp_path / "going", points((70, 100)), stop_reason="")
    with store, Run(good) as run:
        assert [each.ended for each in compare([run, tmp_path / "going"]).runs] == [True, False]
        assert len(run.rows) == 3  # an open run stays open


# ---- what cannot be compared -----------------------------------------------------------------------------------------


def test_requests_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    good, weak = two(tmp_path)
    with pytest.raises(RecipeError, match="no run to compare; expected two or more"):
        compare([])
    with pytest.raises(RecipeError, match="one run to compare"):
        compare([good])
    with pytest.raises(RecipeError, match="good is given twice"):
        compare([good, weak, good])
    with pytest.raises(StoreError, match="nowhere"):
        compare([good, tmp_path / "nowhere"])
    store_of(tmp_path / "empty", [trial(0, status=Status.FAILED, reason="broke")], **ENDED).close()
    with pytest.raises(StoreError, match=r"empty: no trial is complete yet \(1 ended\)"):
        compare([good, tmp_path / "empty"])


def test_other_objectives_are_named(tmp_path: Path) -> None:
    good, _ = two(tmp_path)
    other = [{"name": "params", "direction": "min", "unit": ""}]
    store_of(tmp_path / "other", points((1, 1)), objectives=other, **ENDED).close()
    with pytest.raises(RecipeError, match="good searched for max val_accuracy, min params, other for min params; only"):
        compare([good, tmp_path / "other"])
    store_of(tmp_path / "turned", points((1, 1)), objectives=OBJECTIVES[::-1], **ENDED).close()
    assert [o.name for o in compare([good, tmp_path / "turned"]).objectives] == ["val_accuracy", "params"]


def recipe(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "space": {"name": "cnn", "widths": [4, 8]},
        "data": {"name": "digits"},
        "evaluator": {"name": "train", "epochs": 4},
        "strategy": "random",
    }
    return {**made, **changes}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"evaluator": {"name": "train", "epochs": 8}}, "differ in evaluator.epochs 4 / 8: numbers were not measured"),
        ({"evaluator": {"name": "supernet", "epochs": 8}}, 'evaluator.name "train" / "supernet": numbers'),
        ({"space": {"name": "cnn", "widths": [4, 16]}}, r"space.widths \[4, 8\] / \[4, 16\]: what could be found"),
        ({"data": "photos"}, 'differ in data.name "digits" / "photos": numbers measured on different data'),
        ({"constraints": {"params": "<= 9"}}, 'constraints.params not set / "<= 9": what one keeps'),
    ],
)
def test_what_makes_numbers_incomparable_is_said(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    store_of(tmp_path / "a", points((90, 100)), recipe=recipe(), **ENDED).close()
    store_of(tmp_path / "b", points((90, 100)), recipe=recipe(**changes, strategy="nsga2", seed=7), **ENDED).close()
    (caution,) = compare([tmp_path / "a", tmp_path / "b"]).cautions
    assert caution.startswith("a and b differ in ")
    assert re.search(said, caution)


def test_latency_depends_on_the_machine(tmp_path: Path) -> None:
    goals = [{"name": "latency_ms", "direction": "min", "unit": "ms"}]
    for name, machine in (("a", {"cores": 2}), ("b", {"cores": 64})):
        store_of(tmp_path / name, [trial(0, metrics={"latency_ms": 1})], objectives=goals, machine=machine).close()
    (caution,) = compare([tmp_path / "a", tmp_path / "b"]).cautions
    assert caution == "a and b ran on different machines, and latency_ms depends on it"


def test_names_are_as_long_as_they_must_be(tmp_path: Path) -> None:
    good, _ = two(tmp_path / "one")
    (tmp_path / "two").mkdir()
    shutil.copytree(good, tmp_path / "two" / "good")
    assert [run.name for run in compare([good, tmp_path / "two" / "good"]).runs] == ["one/good", "two/good"]


# ---- the figure ------------------------------------------------------------------------------------------------------


@pytest.fixture
def found(tmp_path: Path) -> Comparison:
    return compare(two(tmp_path))


def test_the_figure_shows_fronts_and_ways_with_names(found: Comparison, tmp_path: Path) -> None:
    fronts, ways = make_compare_figure(found).axes
    assert fronts.get_xlabel() == "params – less is better"
    assert fronts.get_ylabel() == "val_accuracy (%) – more is better"
    assert [text.get_text() for text in fronts.get_legend().get_texts()] == ["good (1)", "weak (1)"]
    assert {text.get_text() for text in ways.texts} == {"good", "weak"}
    good = ways.lines[0]
    assert list(good.get_xdata()) == [1, 2, 3, 3]
    assert good.get_ydata()[-1] == pytest.approx(100)
    styles = {(line.get_color(), line.get_linestyle()) for line in ways.lines[::2]}
    assert len(styles) == 2
    with Image.open(compare_figure(found, tmp_path / "c.png", dpi=50)) as image:
        assert image.width > 300
    assert ElementTree.parse(compare_figure(found, tmp_path / "c.svg")).getroot().tag.endswith("svg")
    with pytest.raises(RecipeError, match=r"c\.jpg.*'\.png'"):
        compare_figure(found, tmp_path / "c.jpg")


def test_values_at_both_ends_of_what_a_float_holds_are_compared_without_a_hypervolume(tmp_path: Path) -> None:
    for name, size in (("one", 1e300), ("two", 1e308)):
        metrics = [{"val_accuracy": value, "params": value} for value in (size, 0.0, -size)]
        store_of(tmp_path / name, [trial(id_, metrics=each) for id_, each in enumerate(metrics)]).close()
    found = compare([tmp_path / "one", tmp_path / "two"])
    assert found.hypervolume is None
    assert [run.share for run in found.runs] == [None, None]
    assert found.level == {"hypervolume": None, "best": 1e300}
    json.dumps(found.summary(), allow_nan=False)
    assert compare_figure(found, tmp_path / "both.png").stat().st_size > 1000
