"""`nas search` and `nas resume`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from nas.cli import main
from nas.cli.searching import _worth_a_look
from nas.core.errors import RecipeError
from results.run import Run
from results.store import SqlStore
from tests.cli.conftest import Nas
from tests.results.samples import store_of, trial

KEYS = {"run", "trials", "complete", "cached", "infeasible", "failed", "seconds", "stop_reason", "saved", "front"}


def test_a_search_says_what_it_found_and_what_comes_next(folder: Path, nas: Nas) -> None:
    said = nas("search", "quick.yaml")
    assert said.code == 0, said.err
    for word in ("search quick, seed 3, in runs/quick-1", "own.py:space", "val_score max, params min; macs <= 1e+06"):
        assert word in said.err
    assert "20 trials in" in said.err
    assert said.err.count("\n  nas ") == 3
    assert re.search(r"\n  nas export runs/quick-1 (\d+) --to net-\1 --untrained ", said.err)  # also of a finalist
    assert "--set budget.trials=40" in said.err
    header, *rows = [line.split() for line in said.out.splitlines() if line.strip()]
    assert header[:3] == ["trial", "val_score", "params"]
    assert "test_score" in header
    assert rows
    assert {file.name for file in (folder / "runs/quick-1").iterdir()} >= {
        "store.sqlite",
        "recipe.yaml",
        "report.html",
        "code",
    }
    assert not (folder / "runs/quick-1/best").exists()  # nothing was trained, so there is nothing to take home


def test_the_time_of_a_search_is_the_same_in_the_terminal_and_in_the_report_also_when_nothing_was_left_to_do(
    folder: Path, nas: Nas
) -> None:
    def told(said: str) -> str:
        return re.search(r"20 trials in ([^:]+):", said)[1]  # type: ignore[index]

    first = nas("search", "quick.yaml", "--out", "run")
    page = (folder / "run/report.html").read_text()
    assert f" after {told(first.err)}. " in page.replace("\N{NO-BREAK SPACE}", " ")
    assert " in the space own.py:space of " in page.replace("\N{NO-BREAK SPACE}", " ")  # as the user called it
    again = nas("resume", "run")
    assert again.code == 0, again.err
    assert told(again.err) == told(first.err)


def test_json_holds_exactly_what_was_promised(folder: Path, nas: Nas) -> None:
    said = nas("search", "quick.yaml", "--out", "here", "--json")
    assert said.code == 0
    found = said.json
    assert set(found) == KEYS
    assert found["run"] == "here"
    assert found["trials"] == 20 == found["complete"] + found["infeasible"]
    assert found["failed"] == 0
    assert found["stop_reason"] == "trials"
    saved = found["saved"]
    assert saved["proposals"] == 20 == saved["evaluations"] + sum(saved["hits"].values()) + found["infeasible"]
    assert sum(saved["hits"].values()) == found["cached"]
    for row in found["front"]:
        assert set(row) == {"trial", "metrics", "decisions"}
        assert {"val_score", "params", "macs"} <= set(row["metrics"])
        assert row["metrics"]["macs"] <= 1e6
    scores = [row["metrics"]["val_score"] for row in found["front"]]
    assert scores == sorted(scores, reverse=True)


def test_runs_are_numbered_and_never_overwritten(folder: Path, nas: Nas) -> None:
    assert nas("search", "quick.yaml", "--set", "budget.trials=2").code == 0
    assert nas("search", "quick.yaml", "--set", "budget.trials=2", "--set", "name=other").code == 0
    assert nas("search", "quick.yaml", "--set", "budget.trials=2").code == 0
    assert {path.name for path in (folder / "runs").iterdir()} == {"quick-1", "quick-2", "other-1"}
    before = (folder / "runs/quick-1/recipe.yaml").read_bytes()
    said = nas("search", "quick.yaml", "--out", "runs/quick-1")
    assert said.code == 2
    assert "already holds a run; go on with it (nas resume runs/quick-1)" in " ".join(said.err.split())
    assert not said.out
    assert (folder / "runs/quick-1/recipe.yaml").read_bytes() == before


def test_a_folder_with_something_of_the_same_name_is_left_alone(folder: Path, nas: Nas) -> None:
    (folder / "mine/best").mkdir(parents=True)
    said = nas("search", "quick.yaml", "--out", "mine")
    assert said.code == 2
    assert "already holds 'best'" in said.err
    (folder / "file").write_text("")
    assert nas("search", "quick.yaml", "--out", "file").code == 2


def test_the_recipe_of_a_run_is_complete_and_runs_again(folder: Path, nas: Nas) -> None:
    first = nas("search", "quick.yaml", "--out", "one", "--json").json
    written = yaml.safe_load((folder / "one/recipe.yaml").read_text())
    assert written["space"] == {"name": "code/own.py:space", "widths": [4, 8, 12, 16]}
    assert written["strategy"]["sample"] == 2
    assert written["executor"]["lookahead"] == 4
    assert (folder / "one/code/own.py").read_bytes() == (folder / "own.py").read_bytes()
    (folder / "own.py").unlink()
    again = nas("search", "one/recipe.yaml", "--out", "two", "--json")
    assert again.code == 0, again.err
    assert again.json["front"] == first["front"]


def test_a_run_can_be_made_longer_and_the_trials_before_stay(folder: Path, nas: Nas) -> None:
    log = folder / "log"
    sets = ("--set", f"evaluator.log={log}")
    short = nas("search", "quick.yaml", "--out", "run", "--set", "budget.trials=8", *sets, "--json").json
    counted = len(log.read_text().splitlines())
    long = nas("resume", "run", "--set", "budget.trials=20", "--json")
    assert long.code == 0, long.err
    whole = nas("search", "quick.yaml", "--out", "whole", *sets, "--json").json
    assert short["trials"] == 8
    assert long.json["trials"] == 20
    networks = [[(row["decisions"], row["metrics"]) for row in found["front"]] for found in (long.json, whole)]
    assert networks[0] == networks[1]  # ids differ: the finalists of the short run have some
    keys = log.read_text().splitlines()
    assert len(keys) > counted
    assert "budget" in (folder / "run/recipe.yaml").read_text()


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (("seed=4",), "'seed' cannot change in a run that has begun"),
        (("strategy.population=4",), "'strategy' cannot change in a run that has begun"),
        (("budget.trials=0",), "budget.trials is 0"),
    ],
)
def test_what_resume_refuses(folder: Path, nas: Nas, sets: tuple[str, ...], said: str) -> None:
    nas("search", "quick.yaml", "--out", "run", "--set", "budget.trials=2")
    found = nas("resume", "run", *(word for text in sets for word in ("--set", text)))
    assert found.code == 2
    assert said in found.err


def test_resume_of_no_run(folder: Path, nas: Nas) -> None:
    nas("search", "quick.yaml", "--out", "first", "--set", "budget.trials=2")
    found = nas("resume", "frist")
    assert found.code == 2
    assert "did you mean 'first'" in found.err
    (folder / "empty").mkdir()
    assert "is no run: it has no store.sqlite" in nas("resume", "empty").err


def test_a_space_that_changed_is_refused(folder: Path, nas: Nas) -> None:
    nas("search", "quick.yaml", "--out", "run", "--set", "budget.trials=2")
    own = folder / "own.py"
    own.write_text(own.read_text().replace("one_of(1, 2, 3)", "one_of(1, 2)"))
    for name in [name for name in sys.modules if name.startswith("nas_user_own")]:
        del sys.modules[name]
    found = nas("resume", "run", "--set", "budget.trials=4")
    assert found.code != 0
    assert "own.py has changed since this run began" in found.err
    assert "this run was made with the space" in found.err


def test_an_evaluator_that_always_breaks_ends_the_search_with_its_reason(folder: Path, nas: Nas) -> None:
    found = nas("search", "quick.yaml", "--out", "run", "--set", "evaluator.breaks=true", "--json",
                "--set", "budget.max_failures=3")  # fmt: skip
    assert found.code == 1
    assert found.json["stop_reason"] == "failures"
    assert 3 <= found.json["failed"] <= 3 + 4  # what was in work when the third one failed is finished
    assert found.json["front"] == []
    assert "it broke, as the test wanted" in found.err
    assert "Traceback" not in found.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("search", "nowhere.yaml"), "there is no recipe 'nowhere.yaml'; legal: 'quick.yaml'"),
        (("search", "."), "is a folder; expected a recipe file"),
        (("search", "quick.yaml", "--set", "objectives.val_scor=max"), "--set objectives.val_scor=max: objectives: "),
        (("search", "quick.yaml", "--set", "objectives.test_score=max"), "would let the search follow the test part"),
        (("search", "quick.yaml", "--set", "space.width=4"), "has no field 'width' (given: 4); did you mean 'widths'?"),
        (("search", "quick.yaml", "--set", 'space="own.py:spice"'), "own.py has no 'spice'; did you mean 'space'?"),
        (("search", "quick.yaml", "--set", "strategy.sample=9"), "sample is 9, more than the population of 6"),
        (("search", "quick.yaml", "--set", "seed"), "expected key=value"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_written(
    folder: Path, nas: Nas, arguments: tuple[str, ...], said: str
) -> None:
    found = nas(*arguments)
    assert found.code == 2
    told = " ".join(found.err.split())
    assert told.startswith("error: ")
    assert said in told
    assert "Traceback" not in found.err
    assert not found.out
    assert not (folder / "runs").exists()


def test_debug_shows_the_traceback(folder: Path, nas: Nas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["nas", "search", "nowhere.yaml", "--debug"])
    with pytest.raises(RecipeError):
        main()
    assert nas("search", "nowhere.yaml").code == 2


def test_a_word_that_is_no_command(nas: Nas) -> None:
    assert nas("serch", "x").code == 2
    assert nas("search").code == 2
    assert nas("search", "x.yaml", "--ouf", "y").code == 2


def test_what_makes_a_run_is_noted(folder: Path, nas: Nas) -> None:
    nas("search", "quick.yaml", "--out", "run", "--set", "budget.trials=2")
    with SqlStore.read(folder / "run") as store:
        facts = store.facts()
    assert facts["seed"] == 3
    assert facts["objectives"][0] == {"name": "val_score", "direction": "max", "unit": ""}
    assert facts["inputs"] == {"x": {"shape": [1, 8, 8], "dtype": "float32", "vocabulary": None}}
    assert facts["classes"] == 4
    assert facts["recipe"]["budget"]["trials"] == 2
    assert facts["evaluator"]["fingerprint"] == "quick1"
    assert facts["versions"]["espalier-nas"]
    assert facts["stop_reason"] == "trials"


def test_with_one_goal_the_networks_to_take_home_next_are_the_best_after_retraining(tmp_path: Path) -> None:
    goal = [{"name": "val_accuracy", "direction": "max", "unit": "%"}]
    found = [trial(id_, metrics={"val_accuracy": value}) for id_, value in enumerate((97.0, 96.0, 95.0))]
    again = [
        trial(3 + of, metrics={"val_accuracy": value}, stage="finalist", of=of)
        for of, value in ((0, 97), (1, 99), (2, 98))
    ]
    store_of(tmp_path, [*found, *again], objectives=goal).close()
    with Run(tmp_path) as run:
        assert [each.id for each in _worth_a_look(run)] == [1, 2, 0]
