"""The frame of a run holds every trial, metric and decision."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nas.core.errors import StoreError
from nas.core.records import Status
from results.frame import COLUMNS, trials, write_tables
from results.run import Run
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


def test_a_run_its_store_and_its_rows_give_the_same_frame(tmp_path: Path) -> None:
    store_of(tmp_path, [trial(0), trial(1), trial(2, stage="finalist", of=0)]).close()
    with Run(tmp_path) as run:
        whole = trials(run)
        pd.testing.assert_frame_equal(whole, trials(run.rows))
        pd.testing.assert_frame_equal(whole, trials(run.store))
        pd.testing.assert_frame_equal(whole, run.trials())
        assert list(trials(run, "search")["trial"]) == [0, 1]


MIXED = [
    trial(0, decisions={"k": 3, "w": 2, "paths": ["a", "b"], "se": True}, metrics={"params": 7, "val_accuracy": 90.5}),
    trial(1, decisions={"k": 5, "w": 0.5, "paths": ["a"]}, metrics={"params": 9, "val_accuracy": 95.0}),
    trial(2, decisions={"k": 5, "w": 1, "op": "conv"}, metrics={"params": 99, "val_accuracy": 80.0}),
    trial(3, decisions={"k": 2**70, "mixed": "a"}, metrics={"params": 100, "val_accuracy": 80.0}),
    trial(4, decisions={"k": 1, "mixed": 1}, metrics={"params": 100, "val_accuracy": 80.0}),
    trial(5, stage="finalist", of=1, metrics={"val_accuracy": 97.0, "test_accuracy": 96.0}),
]


def test_tables_can_be_read_again(tmp_path: Path) -> None:
    store_of(tmp_path, MIXED).close()
    with Run(tmp_path) as run:
        front_csv, parquet = write_tables(run, tmp_path)
        assert [front_csv.name, parquet.name] == ["front.csv", "trials.parquet"]
        table = pd.read_parquet(parquet)
        assert len(table) == 6
        assert list(table["params"][:3]) == [7, 9, 99]
        assert list(table["decision:k"][:3]) == ["3", "5", "5"]  # one of them is beyond 64 bits
        assert list(table["decision:w"][:3]) == [2, 0.5, 1]
        assert json.loads(table["decision:paths"][0]) == ["a", "b"]
        assert list(table["decision:mixed"][3:5]) == ["a", "1"]
        assert table["decision:se"][0] is np.True_ or table["decision:se"][0] is True
        assert list(table["decision:op"].isna()) == [True, True, False, True, True, True]
    lines = front_csv.read_text().splitlines()
    head = lines[0].split(",")
    assert head[:5] == ["trial", "val_accuracy", "params", "retrained:val_accuracy", "retrained:test_accuracy"]
    assert head[5:] == ["decision:k", "decision:w", "decision:paths", "decision:se"]
    assert lines[1].startswith('1,95.0,9,97,96,5,0.5,"[""a""]",')
    assert lines[2].startswith("0,90.5,7,")
    assert len(lines) == 3


def test_tables_of_a_run_without_trials_have_their_heads(tmp_path: Path) -> None:
    store_of(tmp_path, []).close()
    with Run(tmp_path) as run:
        front_csv, parquet = write_tables(run, tmp_path)
        assert front_csv.read_text() == "trial\n"
        assert list(pd.read_parquet(parquet).columns) == list(COLUMNS)
        with pytest.raises(StoreError, match=r"front\.csv cannot be written to"):
            write_tables(run, tmp_path / "nowhere")
