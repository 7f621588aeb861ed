"""Where the time went: everything adds up, and what is not known is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.core.records import Status
from results.analysis.times import time_of
from results.run import Run
from tests.results.samples import store_of, trial

TRIALS = [
    trial(0, seconds=10.0),
    trial(1, seconds=20.0),
    trial(2, seconds=99.0, source="cache", reuses=0),
    trial(3, status=Status.FAILED, reason="broke", seconds=5.0),
    trial(4, status=Status.INFEASIBLE, reason="too large"),
    trial(5, status=Status.PRUNED, reason="stopped", seconds=2.0),
    trial(6, seconds=40.0, stage="finalist", of=1),
]


def times(folder: Path, **facts: Any) -> dict[str, dict[str, Any]]:
    store_of(folder, TRIALS, **facts).close()
    with Run(folder) as run:
        return {entry["name"]: entry for entry in time_of(run.rows, run.facts)}


def test_everything_adds_up_to_the_wall_time(tmp_path: Path) -> None:
    found = times(
        tmp_path,
        seconds=100.0,
        keying_seconds={"graph": 1.0, "functional": 2.0},
        preparation=[{"epoch": 1, "epochs": 4, "seconds": 3.0}, {"epoch": 2, "epochs": 4, "seconds": 8.0}],
    )
    assert {name: entry["seconds"] for name, entry in found.items()} == {
        "complete evaluations": 30.0,
        "pruned evaluations": 2.0,
        "failed evaluations": 5.0,
        "finalists": 40.0,
        "preparing": 8.0,
        "keys": 3.0,
        "the rest": 12.0,
    }
    assert sum(entry["share"] for entry in found.values()) == pytest.approx(100)
    assert found["complete evaluations"]["note"] == "2 were measured"
    assert found["finalists"]["text"] == "40.0 s"
    assert "2 of 4 epochs" in found["preparing"]["note"]
    assert "graph 1.0 s and functional 2.0 s" in found["keys"]["note"]


def test_many_epochs_are_written_out(tmp_path: Path) -> None:
    found = times(tmp_path, preparation=[{"epoch": 1499.5, "epochs": 2000, "seconds": 3.0}])
    assert "1499.5 of 2000 epochs" in found["preparing"]["note"]


def test_side_by_side_is_more_than_the_clock_shows(tmp_path: Path) -> None:
    found = times(tmp_path, seconds=38.5)
    assert "the rest" not in found
    assert found["on the clock"]["seconds"] == 38.5
    assert "2.0 at a time" in found["on the clock"]["note"]
    assert found["on the clock"]["share"] == pytest.approx(50)
    assert sum(entry["share"] for name, entry in found.items() if name != "on the clock") == pytest.approx(100)


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    assert "the rest" not in times(tmp_path)
    assert time_of([], {}) == []
    assert [entry["name"] for entry in time_of([], {"seconds": 3.0})] == []
