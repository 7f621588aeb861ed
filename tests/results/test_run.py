"""A run opened anywhere gives its trials, front, finalists and facts, and follows a search that goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nas.core.errors import StoreError
from nas.core.records import Objective, Status
from results.run import Run
from tests.results.samples import network, store_of, trial


def test_everything_of_a_run_is_at_hand(tmp_path: Path) -> None:
    made = [trial(id_) for id_ in range(6)]
    made += [
        trial(6, status=Status.FAILED, reason="nan"),
        trial(7, stage="finalist", of=4),
        trial(8, stage="finalist", of=4),
    ]
    store_of(tmp_path / "run", made, seed=3, inputs={"x": {"shape": [1, 8, 8], "dtype": "float32"}}).close()
    shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    with Run(tmp_path / "elsewhere") as run:
        assert run.folder == tmp_path / "elsewhere"
        assert run.objectives == (Objective("val_accuracy", "max", "%"), Objective("params", "min", ""))
        assert run.facts["seed"] == 3
        assert list(run.trials()["trial"]) == list(range(9))
        assert list(run.trials("finalist")["of"]) == [4, 4]
        assert {of: again.id for of, again in run.finalists.items()} == {4: 8}
        assert run.trial(5).candidate.graph == network(7)
        assert [row.reason for row in run.rows if row.reason] == ["nan"]
        assert run.inputs is not None
        assert run.inputs["x"].shape == (1, 8, 8)
        # accuracy 90 + id % 7, params 1000 * (id % 5 + 1)
        assert run.front.ids == (5,)
        assert [(t.metrics["val_accuracy"], t.metrics["params"]) for t in run.front] == [(95, 1000)]
        assert run.front[0].candidate.graph == network(7)
        assert json.loads(json.dumps(run.front.summary()))["front"][0]["decisions"] == {"stage/kernel": 7, "number": 5}


def test_it_follows_a_search_that_goes_on(tmp_path: Path) -> None:
    with store_of(tmp_path, []) as writer, Run.open(tmp_path) as run:
        assert (list(run.front), run.rows, run.front.summary()["reference"]) == ([], [], None)
        writer.add(trial(0, metrics={"val_accuracy": 90, "params": 10}))
        assert run.front.ids == (0,)
        writer.add(trial(1, metrics={"val_accuracy": 95, "params": 5}))
        assert run.front.ids == (1,)
        assert len(run.trials()) == 2
        with pytest.raises(StoreError, match="no trial 2; it has 2 trials"):
            run.trial(2)


def test_a_run_that_never_said_its_goals_is_refused_clearly(tmp_path: Path) -> None:
    store_of(tmp_path, [], objectives=None).close()
    with Run(tmp_path) as run, pytest.raises(StoreError, match="no objectives: it was stopped before it began"):
        run.front  # noqa: B018
    other = tmp_path / "other"
    store_of(other, [], objectives={"val_accuracy": "max"}).close()
    with Run(other) as run, pytest.raises(StoreError, match=r"'objectives' is .*expected a list of mappings"):
        run.front  # noqa: B018
    with pytest.raises(StoreError, match="is missing"):
        Run(tmp_path / "nowhere")
