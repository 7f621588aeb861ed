"""The tables of a front and of its finalists, as a person reads them at some width."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from nas.cli.tables import LISTED, front_of, front_table
from nas.core.records import Objective, Trial
from results.front import Front
from results.ways import ways_of
from tests.results.samples import trial

NAMES = ("val_accuracy", "params")
FRONT = [
    trial(5, metrics={"val_accuracy": 98.6, "params": 10566}),
    trial(33, metrics={"val_accuracy": 97, "params": 9}),
]


def finalist(id_: int, of: int, **metrics: float) -> Trial:
    return trial(id_, metrics={"params": 1.0, "train_seconds": 3.0, **metrics}, of=of)


PLAIN = {5: finalist(48, 5, val_accuracy=99.5, test_accuracy=99.25, test_loss=0.1)}
THREE = {
    id_: finalist(
        40 + id_, id_, val_accuracy=99.5, test_accuracy=99.25, val_accuracy_inherited=97.5,
        test_accuracy_inherited=96.5,
        val_accuracy_tuned=98.5, test_accuracy_tuned=97.75, val_accuracy_scratch=99.5, test_accuracy_scratch=99.25,
    )
    for id_ in (5, 77)
}  # fmt: skip


def lines(table: RenderableType, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width).print(table)
    found = file.getvalue().splitlines()
    assert all(len(line) <= width for line in found)
    return [line.rstrip() for line in found]


def test_a_front_without_finalists() -> None:
    assert [line.split() for line in lines(front_table(FRONT, NAMES, {}), 80)] == [
        ["trial", "val_accuracy", "params"], ["5", "98.60", "%", "10,566"], ["33", "97.00", "%", "9"],
    ]  # fmt: skip


def test_finalists_stand_beside_the_front_where_there_is_room() -> None:
    found = lines(front_table(FRONT, NAMES, PLAIN, width=80), 80)
    assert len(found) == 3
    assert found[0].split() == ["trial", *NAMES, "retrained", "for", "val_accuracy", "test_accuracy"]
    assert found[1].split()[-6:] == ["2", "epochs", "99.50", "%", "99.25", "%"]


def test_and_below_it_where_there_is_none() -> None:
    found = lines(front_table(FRONT, NAMES, PLAIN, width=60), 60)
    assert found[0].split() == ["trial", *NAMES]
    assert found[3] == ""
    assert found[4].split() == ["finalist", "retrained", "for", "val_accuracy", "test_accuracy"]
    assert found[5].split() == ["5", "2", "epochs", "99.50", "%", "99.25", "%"]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_several_ways_are_lines_and_the_taken_one_has_a_mark(width: int) -> None:
    assert ways_of(THREE.values()) == ["inherited", "tuned", "scratch"]
    found = lines(front_table(FRONT, NAMES, THREE, width=width), width)
    assert max(map(len, found)) <= 80
    rows = [line.split() for line in found[5:]]
    assert rows == [
        ["5", "2", "epochs", "inherited", "97.50", "%", "96.50", "%"], ["tuned", "98.50", "%", "97.75", "%"],
        ["scratch", "✓", "99.50", "%", "99.25", "%"],
        ["77", "2", "epochs", "inherited", "97.50", "%", "96.50", "%"], ["tuned", "98.50", "%", "97.75", "%"],
        ["scratch", "✓", "99.50", "%", "99.25", "%"],
    ]  # fmt: skip


def test_a_metric_of_ones_own_with_a_longer_name_is_no_way() -> None:
    own = {5: finalist(48, 5, val_accuracy=99.5, test_accuracy=99.25, test_accuracy_top5=99.75)}
    assert ways_of(own.values()) == []
    assert "test_accuracy_top5" in lines(front_table(FRONT, NAMES, own, width=160), 160)[0]


def test_a_finalist_that_is_not_on_the_front_is_listed_too() -> None:
    both = {**PLAIN, 11: finalist(49, 11, val_accuracy=99.75, test_accuracy=99.5)}
    found = [line.split() for line in lines(front_table(FRONT, NAMES, both, width=160), 160)]
    assert found[4] == ["finalist", "retrained", "for", "val_accuracy", "test_accuracy"]
    assert [row[0] for row in found[5:]] == ["5", "11"]


def test_of_a_long_front_the_ends_the_best_and_what_was_trained_again_are_listed_and_the_rest_is_counted() -> None:
    number = 4000
    three = [Objective("val_accuracy", "max"), Objective("params", "min"), Objective("latency_ms", "min")]
    trials = [
        trial(i, metrics={"val_accuracy": float(i), "params": float(i), "latency_ms": float(abs(i - 1234))})
        for i in range(number)
    ]
    trials[77] = trial(77, metrics={"val_accuracy": 77.0, "params": 77.0, "latency_ms": -1.0})
    front = Front(trials, three)
    assert len(front) == number
    finalists = {3003: finalist(5000, 3003, val_accuracy=3004.0)}
    found = lines(front_of(front, finalists, Path("runs/long")), 160)
    listed = [int(line.split()[0]) for line in found[1:-2]]
    assert 40 <= len(listed) <= LISTED
    assert listed == sorted(listed, reverse=True)
    assert {0, number - 1, 77, 3003} <= set(listed)
    assert found[-1] == f"{number - len(listed):,} more on the front: nas front runs/long --all or --json"
    assert len(lines(front_of(front, finalists, Path("runs/long"), whole=True), 160)) == 1 + number
