"""The key `cache`: what it may say, what follows from it, and runs that share one from the command line."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

import nas
from nas.caching import Decided, changed, decide
from nas.core.errors import RecipeError
from nas.core.records import Constraint, Metric, Objective
from nas.engine.reuse import Reuse
from nas.recipe import Source, change, parse
from nas.testing import Agreement, small_space
from results.cache import SqlCache
from results.run import Run
from tests.cli.conftest import folder
from tests.cli.conftest import nas as command

__all__ = ["command", "folder"]

GOOD: dict[str, Any] = {
    "space": "cnn",
    "data": "digits",
    "objectives": {"val_accuracy": "max"},
    "budget": {"trials": 3},
}
ACCURACY, PARAMS = Objective("val_accuracy", "max"), Objective("params", "min")


@dataclass
class Trains:
    """Says of itself what a training evaluator does."""

    of: str = "function"
    in_process: ClassVar[bool] = False

    def metrics(self) -> list[Metric]:
        return [Metric("val_accuracy", "max", of=self.of), Metric("latency_ms", "min")]


@dataclass
class Known(Trains):
    in_process: ClassVar[bool] = True


def cache_of(given: Any, sets: tuple[str, ...] = ()) -> Any:
    recipe, source = change({**GOOD, "cache": given}, sets, Source())
    return parse(recipe, source).cache


def decided(given: Any, evaluator: Any = None, goals: Any = (ACCURACY,), bounds: Any = ()) -> Decided:
    return decide(cache_of(given), evaluator or Trains(), goals, bounds, ("params", "macs"))


# ---- what it says ----------------------------------------------------------------------------------------------------


def test_its_short_forms() -> None:
    assert parse(GOOD).cache == cache_of(True) == cache_of({})
    assert cache_of(False) is None
    assert cache_of("shared.sqlite") == cache_of(Path("shared.sqlite")) == cache_of({"at": "shared.sqlite"})
    assert cache_of("shared.sqlite", ("cache.aggregate=3",)) == cache_of({"at": "shared.sqlite", "aggregate": 3})
    assert cache_of(True, ("cache.functional=false",)) == cache_of({"functional": False})
    assert cache_of({}, ("cache=false",)) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("no", "cache.at: 'no' is no place for a cache; expected a file that ends in .sqlite"),
        ("store.sqllite", "'store.sqllite' is no place"),
        (7, "cache: 7 is not what it takes; expected true, false, a file such as cache.sqlite"),
        (None, "cache: None is not what it takes"),
        ([], "cache: [] is not what it takes"),
        ({"at": 3}, "cache.at: 3 is no place for a cache"),
        ({"aggregate": 0}, "cache.aggregate is 0; expected a whole number of at least 1"),
        ({"aggregate": 2.5}, "cache.aggregate is 2.5; expected a whole number"),
        ({"forget": 1.5}, "cache.forget is 1.5; expected a probability, from 0 to 1"),
        ({"forget": float("nan")}, "cache.forget is nan; expected a probability"),
        ({"functional": "maybe"}, "cache.functional: 'maybe' says nothing; legal: 'auto', 'false', 'true'"),
        ({"agregate": 2}, "did you mean 'aggregate'?"),
    ],
)
def test_what_it_cannot_say(given: Any, said: str) -> None:
    with pytest.raises(RecipeError) as error:
        cache_of(given)
    assert said in str(error.value)


def test_the_place_of_a_mistake_is_told() -> None:
    recipe, source = change(GOOD, ["cache=no"], Source())
    with pytest.raises(RecipeError, match=r"^--set cache=no: cache\.at: 'no' is no place"):
        parse(recipe, source)


# ---- what follows from it --------------------------------------------------------------------------------------------


def test_functional_keys_are_for_dear_evaluations_of_what_belongs_to_the_function() -> None:
    assert decided(True).reuse == Reuse(functional=True)
    assert decided(True, Known()).reuse == Reuse(functional=False)
    assert decided({"functional": True}, Known()).reuse == Reuse(functional=True)
    assert decided({"functional": False}).reuse == Reuse(functional=False)
    assert decided(True, goals=(ACCURACY, PARAMS)).reuse == Reuse(functional=True), "params are computed for each"
    assert decided(False).reuse is None


@pytest.mark.parametrize(
    "fields",
    [
        {"goals": (ACCURACY, Objective("latency_ms", "min"))},
        {"bounds": (Constraint("latency_ms", "<=", 3.0),)},
        {"evaluator": Trains(of="graph")},
    ],
)
def test_what_belongs_to_the_graph_keeps_them_out_and_it_is_said(fields: Any) -> None:
    quiet = decided(True, **fields)
    assert quiet.reuse == Reuse(functional=False)
    assert "by exact keys (" in quiet.text
    assert "may differ between networks that compute the same" in quiet.text
    assert not quiet.warning
    loud = decided({"functional": True}, **fields)
    assert loud.reuse == Reuse(functional=False)
    assert "functional keys are not used in this search" in loud.warning


def test_built_in_metrics_of_examples_belong_to_the_function() -> None:
    from evaluators.metrics import metric

    of = {name: metric(name).of for name in ("val_accuracy", "train_loss", "test_accuracy_digit", "val_error")}
    assert set(of.values()) == {"function"}
    names = ("params", "macs", "latency_ms", "peak_memory_bytes", "train_memory_bytes", "train_seconds", "synflow")
    assert {metric(name).of for name in names} == {"graph"}
    with pytest.raises(RecipeError, match="of 'funktion'; legal"):
        Metric("score", "max", of="funktion")


def test_it_is_said_in_a_line_without_passwords(tmp_path: Path) -> None:
    text = decided({"at": str(tmp_path / "c.sqlite"), "aggregate": 3, "forget": 0.1}).text
    assert text == (
        f"shared with other runs in {tmp_path / 'c.sqlite'}, by exact and functional keys, the mean of up to 3 "
        "evaluations, forgotten with probability 0.1"
    )
    secret = decided("sqlite://user:secret@host/name")
    assert "secret" not in secret.text


def test_only_the_place_changes_in_a_run_that_has_begun() -> None:
    old = {"at": "/a.sqlite", "functional": True, "aggregate": 2, "forget": 0.0}
    assert changed(old, old) == old
    assert changed(old, "b.sqlite") == {**old, "at": "b.sqlite"}
    assert changed(old, True) == {key: value for key, value in old.items() if key != "at"}
    assert changed(old, {"aggregate": 2, "at": "c.db"}) == {**old, "at": "c.db"}
    assert changed(False, False) is False
    for before, now in ((old, False), (False, True), (False, "b.sqlite"), (old, {"aggregate": 3}), (old, 7)):
        with pytest.raises(RecipeError, match=r"^cache"):
            changed(before, now)


# ---- runs ------------------------------------------------------------------------------------------------------------


def search(out: Path, **keys: Any) -> Any:
    given = {"strategy": "random", "objectives": {"val_accuracy": "max"}, "budget": {"trials": 6}, **keys}
    return nas.search(space=small_space(), evaluator=Agreement({"rest/times": 2}), out=out, **given)


def test_a_second_run_evaluates_nothing(tmp_path: Path) -> None:
    place = str(tmp_path / "shared.sqlite")
    first = search(tmp_path / "one", cache=place)
    second = search(tmp_path / "two", cache=place, budget={"trials": 8})
    assert first.saved.hit == 0
    assert (second.saved.hit, second.saved.elsewhere, second.saved.evaluations) == (6, 6, 2)
    for mine, theirs in zip(second.rows, first.rows, strict=False):
        assert (mine.source, mine.hit, mine.reuses) == ("cache", "decisions", theirs.id)
        assert mine.origin == str((tmp_path / "one").resolve())
        assert mine.metrics == theirs.metrics
    assert [trial.id for trial in second.front[:1]] == [trial.id for trial in first.front[:1]]
    table = second.trials()
    assert list(table["hit"][:7]) == ["decisions"] * 6 + [""]
    with SqlCache(place) as cache:
        assert len(cache) == 8
    assert "out of the shared cache" in (tmp_path / "two/report.html").read_text()


def test_a_damaged_row_is_said_and_measured_again(tmp_path: Path) -> None:
    place = tmp_path / "shared.sqlite"
    search(tmp_path / "one", cache=str(place))
    with sqlite3.connect(place) as other:
        other.execute("update measurements set metrics = '{' where id = 2")
    other.close()
    with pytest.warns(UserWarning, match=rf"cache {place}: row 2 is damaged and was skipped"):
        run = search(tmp_path / "two", cache=str(place))
    assert (run.saved.elsewhere, run.saved.evaluations) == (5, 1)


def test_a_cache_that_cannot_be_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database")
    with pytest.raises(nas.NASError, match=r"text\.db is no database"):
        search(tmp_path / "run", cache=str(tmp_path / "text.db"))
    with pytest.raises(nas.NASError, match="there is no folder"):
        search(tmp_path / "run", cache=str(tmp_path / "nowhere/c.db"))
    assert not (tmp_path / "run").exists()


def test_resume_when_the_cache_is_gone(folder: Path, command: Any) -> None:
    shared = ("--set", "cache=shared.sqlite", "--set", "finalists=null")
    assert command("search", "quick.yaml", "--out", "one", *shared).code == 0
    assert command("search", "quick.yaml", "--out", "two", *shared, "--set", "budget.trials=8").code == 0
    (folder / "shared.sqlite").unlink()
    longer = command("resume", "two", "--set", "budget.trials=20", "--json")
    assert longer.code == 0, longer.err
    assert "shared.sqlite is not there any more; an empty one is made" in " ".join(longer.err.split())
    assert longer.json["saved"]["elsewhere"] > 0
    with Run(folder / "one") as one, Run(folder / "two") as two:
        assert [row.metrics for row in one.rows] == [row.metrics for row in two.rows]
    apart = command("resume", "two", "--set", "budget.trials=21", "--set", "cache=true")
    assert apart.code == 0, apart.err
    assert "within this run" in apart.err
    refused = command("resume", "two", "--set", "budget.trials=22", "--set", "cache.aggregate=2")
    assert refused.code == 2
    assert "only its place can change" in " ".join(refused.err.split())


def test_a_run_of_before_goes_on_by_exact_keys(folder: Path, command: Any) -> None:
    sets = ("--set", "evaluator=own.py:InWorkers", "--set", "budget.trials=3", "--set", "finalists=null")
    assert command("search", "quick.yaml", "--out", "run", *sets).code == 0
    recipe = folder / "run/recipe.yaml"
    recipe.write_text("".join(line for line in recipe.read_text().splitlines(True) if not line.startswith("cache")))
    found = command("resume", "run", "--set", "budget.trials=5")
    assert found.code == 0, found.err
    assert "cache: {functional: false, aggregate: 1, forget: 0.0}" in recipe.read_text()


def test_the_final_line_says_what_was_saved(folder: Path, command: Any) -> None:
    found = command("search", "quick.yaml", "--out", "run", "--set", "strategy.tries=0")
    said = " ".join(found.err.split())
    assert "20 proposals were" in said
    assert "keys took" in said
    off = command("search", "quick.yaml", "--out", "off", "--set", "strategy.tries=0", "--set", "cache=false")
    assert "cache off: every proposal is evaluated" in " ".join(off.err.split())
    with Run(folder / "run") as run, Run(folder / "off") as other:
        assert run.saved.hit > 0
        assert other.saved.hit == 0
        assert other.saved.evaluations + sum(other.saved.infeasible.values()) == 20
