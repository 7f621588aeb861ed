"""The way of a search: the best so far, the hypervolume and what was paid, worked out by hand and over again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.records import Budget, Objective, Status, Trial
from results.analysis.progress import Way, paid
from results.front import Front
from results.report import course
from results.rows import Row
from results.run import Run
from tests.results.samples import ACCURACY, LATENCY, PARAMS, store_of, trial


def points(*values: tuple[float, ...], **others: object) -> list[Trial]:
    names = ("val_accuracy", "params", "latency_ms")
    return [
        trial(i, metrics=dict(zip(names, each, strict=False)), seconds=10.0, **others)  # type: ignore[arg-type]
        for i, each in enumerate(values)
    ]


def progress(folder: Path, trials: list[Trial], goals: list[Objective]) -> dict[str, dict]:  # type: ignore[type-arg]
    store_of(folder, trials).close()
    with Run(folder) as run:
        rows = [row for row in run.rows if row.stage == "search"]
        return {each["title"]: each for each in course.progress_of(rows, Front(rows, goals), {})}


def test_best_and_hypervolume_by_hand(tmp_path: Path) -> None:
    found = progress(tmp_path, points((90, 100), (85, 300), (95, 200), (70, 50)), [ACCURACY, PARAMS])
    assert list(found) == ["best val_accuracy (%)", "best params", "hypervolume (% of the final one)"]
    best, size, volume = found.values()
    assert (best["kind"], best["trial"], best["y"]) == ("best", [0, 2, 3], [90, 95, 95])
    assert best["seconds"] == [10, 30, 40]
    assert (size["trial"], size["y"]) == ([0, 3, 3], [100, 50, 50])
    # the reference: accuracy 70 - 2.5, params 300 + 25; slabs of accuracy up to 70, 90 and 95
    whole = 2.5 * (325 - 50) + 20 * (325 - 100) + 5 * (325 - 200)
    early = 22.5 * (325 - 100)
    assert volume["kind"] == "hypervolume"
    assert volume["y"][0] == pytest.approx(100 * early / whole)
    assert volume["y"][-1] == 100


def test_what_came_from_the_cache_or_failed_is_paid_for_as_it_was(tmp_path: Path) -> None:
    trials = [
        trial(0, metrics={"val_accuracy": 90}, seconds=10.0),
        trial(1, metrics={"val_accuracy": 90}, seconds=0.5, source="cache", reuses=0),
        trial(2, status=Status.FAILED, reason="broke", seconds=4.0),
        trial(3, status=Status.INFEASIBLE, reason="too large"),
        trial(4, metrics={"val_accuracy": 95}, seconds=10.0),
        trial(5, metrics={"val_accuracy": 99}, seconds=70.0, stage="finalist", of=4),
    ]
    (best,) = progress(tmp_path, trials, [ACCURACY]).values()
    assert (best["trial"], best["seconds"], best["y"]) == ([0, 4, 4], [10, 24, 24], [90, 95, 95])


def test_a_table_s_stated_seconds_count(tmp_path: Path) -> None:
    store_of(tmp_path, [trial(0, seconds=0.001)]).close()  # its measurement says that it took half a second
    with Run(tmp_path) as run:
        assert paid(run.rows[0]) == 0.5


def test_before_two_trials_are_complete_there_is_nothing_to_see(tmp_path: Path) -> None:
    assert progress(tmp_path / "none", [], [ACCURACY, PARAMS]) == {}
    assert progress(tmp_path / "one", points((90, 100)), [ACCURACY, PARAMS]) == {}
    same = progress(tmp_path / "same", points((90, 100), (90, 100)), [ACCURACY, PARAMS])
    assert same["hypervolume (% of the final one)"]["y"] == [100, 100, 100]


@pytest.mark.parametrize("goals", [[ACCURACY], [ACCURACY, PARAMS], [ACCURACY, PARAMS, LATENCY]])
def test_however_many_trials_there_are_the_points_are_few(tmp_path: Path, goals: list[Objective]) -> None:
    number = 3000
    rows = [
        Row(i, Status.COMPLETE, "search", None, "evaluated", None, "", proposer="random", budget=Budget(1), seconds=1.0,
            metrics={"val_accuracy": i, "params": number - i + i % 7, "latency_ms": i % 11})
        for i in range(number)
    ]  # fmt: skip
    found = course.progress_of(rows, Front(rows, goals), {})
    for each in found:
        lengths = {len(each[name]) for name in ("trial", "seconds", "y")}
        assert len(lengths) == 1
        assert lengths.pop() <= course.STEPS
        assert each["trial"] == sorted(each["trial"])
    assert found[0]["y"][-1] == number - 1
    assert len(found[0]["y"]) > 100


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_volumes_on_the_way_are_those_of_fronts_of_their_own(values: list[tuple[int, int]]) -> None:
    trials = [trial(i, metrics={"val_accuracy": a, "params": p}) for i, (a, p) in enumerate(values)]
    front = Front(trials, [ACCURACY, PARAMS])
    assert front.reference_losses is not None
    way = Way(np.arange(len(values)), np.arange(len(values)), np.zeros(len(values)), front.complete_losses)
    found = way.volumes(np.arange(len(values)), front.reference_losses)
    for place, volume in enumerate(found):
        alone = Front(trials[: place + 1], [ACCURACY, PARAMS], reference=front.reference)
        assert volume == pytest.approx(alone.hypervolume)
        assert way.reaches(volume, front.reference_losses) == int(np.argmax(found >= volume * (1 - 1e-9)))
    assert way.reaches(2 * found[-1] + 1, front.reference_losses) is None
    best = [a for a, _ in values]
    assert way.gets(-max(best)) == best.index(max(best))
    assert way.gets(-max(best) - 1) is None
