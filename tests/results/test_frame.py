"""The frame of a run holds every trial, metric and decision."""

from __future__ import annotations

import math
from pathlib import Path

from nas.core.records import Status
from results.frame import COLUMNS, trials
from tests.results.samples import store_of, trial


def test_a_row_per_trial_a_column_per_metric_and_choice(tmp_path: Path) -> None:
    made = [
        trial(0, decisions={"op": "conv", "op/kernel": 3}, metrics={"val_accuracy": 90.5, "params": 7}, seconds=1.5),
        trial(1, decisions={"op": "skip"}, status=Status.INFEASIBLE, reason="params 9 > 8"),
        trial(2, decisions={"op": "paths", "op/taken": ("a", "b")}, source="cache", reuses=0, metrics={"seconds": 2}),
        trial(3, decisions={"op": "skip"}, stage="finalist", of=0),
    ]
    with store_of(tmp_path, made) as store:
        frame = trials(store)
        assert list(trials(store, "finalist")["trial"]) == [3]
    assert list(frame.columns) == [
        *COLUMNS,
        *["val_accuracy", "params", "metric:seconds"],
        *["decision:op", "decision:op/kernel", "decision:op/taken"],
    ]
    assert list(frame["trial"]) == [0, 1, 2, 3]
    assert list(frame["status"]) == ["complete", "infeasible", "complete", "complete"]
    assert frame["val_accuracy"][0] == 90.5
    assert math.isnan(frame["val_accuracy"][1])
    assert frame["reason"][1] == "params 9 > 8"
    assert frame["metric:seconds"][2] == 2
    assert (frame["seconds"][0], frame["budget"][0], frame["budget_unit"][0]) == (1.5, 2, "epochs")
    assert (frame["reuses"][2], frame["of"][3]) == (0, 0)
    assert frame["decision:op/taken"][2] == ("a", "b")
    assert frame["decision:op/kernel"][1] is None


def test_of_a_run_without_trials_the_frame_is_empty_with_its_columns(tmp_path: Path) -> None:
    with store_of(tmp_path, []) as store:
        frame = trials(store)
    assert (len(frame), list(frame.columns)) == (0, list(COLUMNS))
