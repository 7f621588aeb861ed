"""Searches from Python; the same seed in fresh processes; a kill in the middle; a folder opened elsewhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import nas
from nas.core.errors import NASError, RecipeError
from nas.running import begin, go_on
from nas.testing import Agreement, small_space
from results.store import SqlStore
from tests.cli.conftest import folder

__all__ = ["folder"]

EXAMPLES = Path(__file__).parents[1] / "examples"
TARGET = {"block/op": "paths", "block/paths/paths": ("conv_kernel1",), "rest/times": 2, "pool/used": False}
GOALS = {"val_accuracy": "max", "params": "min"}


def search(out: Path, **keys: Any) -> Any:
    given = {"strategy": "random", "objectives": GOALS, "budget": {"trials": 12}, **keys}
    return nas.search(space=small_space(), evaluator=Agreement(TARGET), out=out, **given)


def told(run: Path) -> list[tuple[Any, ...]]:
    """What a run holds that must not depend on the process: ids, decisions, status, metrics."""
    with SqlStore.read(run) as store:
        return [
            (row.id, dict(row.decisions), row.status, row.stage, row.source, row.reuses, row.parents, dict(row.metrics))
            for row in store.rows()
        ]


# ---- from Python -----------------------------------------------------------------------------------------------------


def test_search_open_and_look(tmp_path: Path) -> None:
    run = search(tmp_path / "first")
    assert len(run.front)
    assert all(trial.candidate.graph.nodes for trial in run.front)
    table = run.trials()
    assert len(table) == 12
    assert {"trial", "status", "val_accuracy", "params"} <= set(table.columns)
    again = nas.open(tmp_path / "first")
    assert [trial.id for trial in again.front] == [trial.id for trial in run.front]
    assert (tmp_path / "first/report.html").is_file()


def test_what_python_gets_told_is_an_exception(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="did you mean 'val_accuracy'"):
        search(tmp_path / "x", objectives={"val_accurcy": "max"})
    with pytest.raises(RecipeError, match="'budgets' is no key of a recipe"):
        search(tmp_path / "x", budgets={"trials": 3})
    assert not (tmp_path / "x").exists()
    search(tmp_path / "x")
    shutil.copytree(tmp_path / "x", tmp_path / "digits-1")
    with pytest.raises(RecipeError, match="already holds a run"):
        search(tmp_path / "x")
    for wrong, way_out in (
        ("nonexist", "expected the folder that a search wrote"),
        ("digits-2", "did you mean '.*digits-1'"),
    ):
        with pytest.raises(NASError, match=f"is no folder; {way_out}"):
            nas.open(tmp_path / wrong)


def test_parts_given_as_objects_are_given_again_to_resume(tmp_path: Path) -> None:
    search(tmp_path / "run", budget={"trials": 5})
    with pytest.raises(RecipeError, match="space was given as a Python object"):
        nas.resume(tmp_path / "run", budget={"trials": 12})
    nas.resume(tmp_path / "run", budget={"trials": 12}, space=small_space(), evaluator=Agreement(TARGET))
    search(tmp_path / "whole")
    assert told(tmp_path / "run") == told(tmp_path / "whole")
    with pytest.raises(NASError, match="the evaluator is no longer the one"):
        nas.resume(tmp_path / "run", budget={"trials": 20}, space=small_space(), evaluator=Agreement({}))


def test_the_end_of_a_search_that_goes_on_replaces_the_network_taken_home(tmp_path: Path) -> None:
    sets = ["budget.trials=1", "evaluator.epochs=0.3", "executor.workers=1", "finalists=null", "constraints={}"]
    session = begin(EXAMPLES / "digits.yaml", out=tmp_path / "run", sets=sets)
    session.run()
    source = tmp_path / "run/best/model.py"
    source.write_text(source.read_text() + "# of the first end\n")
    session = go_on(tmp_path / "run", sets=["budget.trials=2"])
    session.run()
    assert not session.problems
    assert session.best is not None
    assert "# of the first end" not in source.read_text()


def test_keywords_go_before_a_recipe_file(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("space: nas_bench_201\nobjectives: {val_accuracy: max}\nbudget: {trials: 3}\n")
    run = nas.search(tmp_path / "r.yaml", space=small_space(), evaluator=Agreement(TARGET), out=tmp_path / "run",
                     sets=["budget.trials=4"])  # fmt: skip
    assert len(run.rows) == 4


def test_every_trial_is_told(tmp_path: Path) -> None:
    events = []
    search(tmp_path / "run", on_event=events.append)
    assert [event.trial.id for event in events] == list(range(12))
    assert {event.kind for event in events} == {"trial"}


# ---- the same anywhere -----------------------------------------------------------------------------------------------


def command(folder: Path, *arguments: str, hash_seed: str = "0") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nas", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def test_the_same_seed_gives_the_same_trials_in_fresh_processes(folder: Path) -> None:
    sets = ("--set", "evaluator.delay=0.005")
    workers = ("--set", "evaluator.name=own.py:InWorkers", "--set", "executor={name: local, workers: 2}")
    runs = [
        command(folder, "search", "quick.yaml", "--out", "one", *sets, hash_seed="1"),
        command(folder, "search", "quick.yaml", "--out", "two", *sets, hash_seed="2"),
        command(folder, "search", "quick.yaml", "--out", "three", *sets, *workers, hash_seed="3"),
    ]
    for process in runs:
        finished(process)
    one = told(folder / "one")
    assert len(one) == 22
    assert told(folder / "two") == one
    assert told(folder / "three") == one
    nas.search("quick.yaml", out="four", sets=["seed=4"])
    assert told(folder / "four") != one


def test_a_search_killed_in_the_middle_goes_on_and_nothing_is_measured_twice(folder: Path) -> None:
    log = folder / "log"
    sets = ("--set", f"evaluator.log={log}", "--set", "evaluator.delay=0.05")
    process = command(folder, "search", "quick.yaml", "--out", "run", *sets)
    wait_for(lambda: log.exists() and len(log.read_text().splitlines()) >= 8, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = told(folder / "run")
    assert 5 <= len(before) < 22
    measured = log.read_text().splitlines()
    finished(command(folder, "resume", "run", hash_seed="5"))
    after = told(folder / "run")
    assert after[: len(before)] == before
    again = log.read_text().splitlines()[len(measured) :]
    recorded = {key_of(folder / "run", row[0]) for row in before}
    searched = [key for key in again if key not in finalist_keys(folder / "run")]
    assert not recorded & set(searched)
    assert len(searched) == len(set(searched))
    nas.search("quick.yaml", out="whole")
    assert told(folder / "whole") == after


def test_an_interrupted_search_says_how_to_go_on(folder: Path) -> None:
    sets = ("--set", "evaluator.delay=0.1")
    process = command(folder, "search", "quick.yaml", "--out", "run", *sets)
    wait_for(lambda: (folder / "run/store.sqlite").exists() and len(told_now(folder / "run")) >= 2, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "interrupted" in err
    assert "nas resume run" in err
    assert "Traceback" not in err
    assert len(told(folder / "run")) < 20
    finished(command(folder, "resume", "run"))
    assert len(told(folder / "run")) == 22


def test_a_folder_opened_elsewhere(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    finished(command(folder, "search", "quick.yaml", "--out", "run", "--set", "budget.trials=6"))
    away = tmp_path_factory.mktemp("away")
    shutil.move(folder / "run", away / "moved")
    (folder / "own.py").unlink()
    with nas.open(away / "moved") as run:
        assert len(run.front)
        run.report()
    finished(command(away, "resume", "moved", "--set", "budget.trials=9"))
    assert len([row for row in told(away / "moved") if row[3] == "search"]) == 9


def wait_for(condition: Any, process: subprocess.Popen[str], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def told_now(run: Path) -> list[Any]:
    """As `told`, of a run that has perhaps only begun."""
    try:
        return told(run)
    except NASError:
        return []


def key_of(run: Path, trial: int) -> str:
    with SqlStore.read(run) as store:
        return store.pick([trial])[0].candidate.decisions.key


def finalist_keys(run: Path) -> set[str]:
    with SqlStore.read(run) as store:
        return {trial.candidate.decisions.key for trial in store.trials("finalist")}
