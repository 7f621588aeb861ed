"""Every example is a valid recipe, and the quick ones run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nas.plan import make_plan
from nas.recipe import parse, read
from nas.running import begin

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
RECIPES = sorted(EXAMPLES.rglob("*.yaml"))
DATA = Path(os.environ.get("ESPALIER_DATA", Path(__file__).resolve().parent.parent.parent / "shared/data"))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user would: not in the folder of the recipe; tables are where ESPALIER_DATA says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESPALIER_DATA", str(DATA))


def needs_tables(recipe: Path) -> None:
    """Skip where a benchmark's table is not there."""
    given, _ = read(recipe)
    evaluator = given["evaluator"]
    if evaluator.get("name") == "table" and not (DATA / evaluator["path"]).is_file():
        pytest.skip(f"{evaluator['path']} is not in {DATA}; say where it is with ESPALIER_DATA")


def test_there_are_examples() -> None:
    names = {str(path.relative_to(EXAMPLES)) for path in RECIPES}
    assert {"digits.yaml", "own_data/recipe.yaml", "own_module/recipe.yaml", "own_strategy/recipe.yaml"} <= names


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_it_is_valid_and_writes_itself_down(recipe: Path) -> None:
    needs_tables(recipe)
    given, source = read(recipe)
    plan = make_plan(parse(given, source), source)
    assert not plan.warnings
    again = make_plan(parse(plan.resolved()))
    assert again.resolved() == plan.resolved()


@pytest.mark.parametrize("name", ["nas_bench_201.yaml", "nas_bench_macro.yaml"])
@pytest.mark.data
def test_a_benchmark_runs(name: str) -> None:
    needs_tables(EXAMPLES / name)
    session = begin(EXAMPLES / name, out="run", sets=["budget.trials=60"])
    run = session.run()
    assert session.outcome is not None
    assert session.outcome.stop_reason == "trials"
    assert session.outcome.failed == 0
    assert run.front[0].metrics["val_accuracy"] > 85
    assert all("test_accuracy" in trial.metrics for trial in run.finalists.values())


@pytest.mark.parametrize("name", ["own_data", "own_module", "own_strategy"])
def test_ones_own_parts_run_and_are_taken_home(name: str, tmp_path: Path) -> None:
    sets = ["budget.trials=2", "evaluator.epochs=0.3", "executor.workers=1", "constraints={}"]
    sets += ["finalists={top: 1, epochs: 0.5}"]
    session = begin(EXAMPLES / name / "recipe.yaml", out=tmp_path / "run", sets=sets)
    run = session.run()
    assert session.outcome is not None
    assert (session.outcome.complete, session.outcome.failed) == (2, 0), [row.reason for row in run.rows]
    assert not session.problems
    assert {"model.py", "weights.safetensors"} <= {path.name for path in (tmp_path / "run/best").iterdir()}
    assert len(list((tmp_path / "run/code").glob("*.py"))) == 1


def test_the_default_recipe_is_what_it_says() -> None:
    given, source = read(EXAMPLES / "digits.yaml")
    plan = make_plan(parse(given, source), source)
    assert plan.data is not None
    assert plan.data.counts["test"] > 300
    assert [(goal.name, goal.direction) for goal in plan.objectives] == [("val_accuracy", "max"), ("params", "min")]
    assert plan.recipe.finalists is not None


@pytest.mark.slow
def test_the_default_search_finds_a_network_of_over_97_percent(tmp_path: Path) -> None:
    session = begin(EXAMPLES / "digits.yaml", out=tmp_path / "run")
    run = session.run()
    assert session.best is not None
    assert session.best.metrics["test_accuracy"] > 97
    assert len(run.front) >= 2
