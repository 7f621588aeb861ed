"""Recipes: YAML with places, changes by --set, and everything wrong said before anything runs."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from nas.core.errors import NASError, RecipeError
from nas.core.records import Budget
from nas.plan import make_plan
from nas.recipe import Source, change, parse, parse_yaml, read

GOOD: dict[str, Any] = {
    "space": "cnn",
    "data": "digits",
    "objectives": {"val_accuracy": "max", "params": "min"},
    "budget": {"trials": 3},
}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(textwrap.dedent(text))
    return path


# ---- YAML ------------------------------------------------------------------------------------------------------------


def test_yaml_is_read_as_people_mean_it() -> None:
    text = "lr: 1e-3\nname: no\nwhen: 2020-01-01\nbig: 1_000\nhalf: .5\nyes: true\nnone: ~\nfar: .inf\nlist: [1, 2.0]\n"
    found, _ = parse_yaml(text, "x")
    assert found == {
        "lr": 0.001, "name": "no", "when": "2020-01-01", "big": 1000, "half": 0.5, "yes": True, "none": None,
        "far": float("inf"), "list": [1, 2.0],
    }  # fmt: skip
    assert [type(value) for value in found["list"]] == [int, float]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("space: cnn\nspace: tree\n", "mine.yaml, line 2: 'space' is given twice, first in line 1"),
        ("budget:\n  trials: 3\n  trials: 4\n", "line 3: 'budget.trials' is given twice, first in line 2"),
        ("a: [1,\nb: {", "mine.yaml, line 2, column 5: this is no YAML"),
        ("constraints: {params: >= 5}\n", 'put a bound in quotes, as in ">= 0.5"'),
        ("- space\n", "holds a list"),
        ("cnn\n", "holds a str, 'cnn'"),
        ("", "is empty; expected a mapping of keys such as space"),
        ("a: \x00\n", "this is no YAML"),
        ("a: !!python/object:os.system {}\n", "this is no YAML"),
    ],
)
def test_what_is_no_recipe_file(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(text.encode())
    with pytest.raises(RecipeError) as error:
        read(path)
    assert said in str(error.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    written(tmp_path, "space: cnn")
    with pytest.raises(RecipeError, match=r"there is no recipe .*; did you mean 'mine.yaml'"):
        read(tmp_path / "mime.yaml")
    with pytest.raises(RecipeError, match="is a folder; expected a recipe file"):
        read(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match=r"bytes.yaml cannot be read"):
        read(tmp_path / "bytes.yaml")


# ---- keys ------------------------------------------------------------------------------------------------------------


def test_a_recipe_with_everything_left_out() -> None:
    recipe = parse(GOOD)
    assert (recipe.evaluator, recipe.strategy, recipe.executor, recipe.seed) == ("train", "nsga2", "local", 0)
    assert recipe.budget.max_failures == 10
    assert recipe.finalists is None
    assert list(recipe.objectives) == ["val_accuracy", "params"]


def test_finalists_say_one_budget() -> None:
    recipe = parse({**GOOD, "finalists": {"top": 2, "epochs": 40}})
    assert recipe.finalists is not None
    assert recipe.finalists.budget == Budget(40, "epochs")
    assert parse({**GOOD, "finalists": {"seconds": 1.5}}).finalists.budget == Budget(1.5, "seconds")


def test_finalists_begin_anew_unless_a_recipe_says_otherwise() -> None:
    again = {"top": 2, "epochs": 40}
    for given, start in ((again, "scratch"), ({**again, "start": "checkpoint"}, "checkpoint")):
        plan = make_plan(parse({**GOOD, "finalists": given}))
        assert plan.finalists == (2, Budget(40), start)
        assert plan.resolved()["finalists"]["start"] == start


@pytest.mark.parametrize(
    ("change_", "said"),
    [
        ({"strategi": "x"}, "'strategi' is no key of a recipe (given: 'x'); did you mean 'strategy'?"),
        ({"objectives": {"val_accuracy": "mx"}}, "objectives.val_accuracy is 'mx'; did you mean 'max'?"),
        ({"objectives": {}}, "objectives is {}; expected metric: max or min"),
        ({"objectives": ["val_accuracy"]}, "objectives is ['val_accuracy']; expected metric: max or min"),
        ({"budget": {}}, "budget: needs 'trials' or 'hours'"),
        ({"budget": 3}, "budget is 3; expected limits of the search"),
        ({"budget": {"trial": 3}}, "'budget.trial' is no key under 'budget' (given: 3); did you mean 'trials'?"),
        ({"budget": {"trials": 0}}, "budget.trials is 0; expected a whole number of at least 1"),
        ({"budget": {"trials": "3"}}, "budget.trials is '3'; expected a whole number"),
        ({"budget": {"trials": True}}, "budget.trials is True; expected a whole number"),
        ({"budget": {"hours": float("inf")}}, "budget.hours is inf; expected a finite number above 0"),
        ({"budget": {"hours": -1}}, "budget.hours is -1; expected a finite number above 0"),
        ({"seed": -1}, "seed is -1; expected a whole number of at least 0"),
        ({"seed": 1.5}, "seed is 1.5; expected a whole number of at least 0"),
        ({"name": "a b"}, "name is 'a b'; expected a name of letters"),
        ({"finalists": {"top": 3}}, "finalists: needs one of 'epochs', 'steps' and 'seconds'"),
        ({"finalists": {"epochs": 1, "steps": 2}}, "finalists: needs one of 'epochs'"),
        (
            {"finalists": {"epochs": 1, "start": "checkpiont"}},
            "finalists.start is 'checkpiont'; did you mean 'checkpoint'?",
        ),
        ({"keep": "al"}, "keep is 'al'; did you mean 'all'?"),
        ({"constraints": ["params"]}, "constraints is ['params']; expected metric: bound"),
    ],
)
def test_what_a_key_refuses(change_: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as error:
        parse({**GOOD, **change_})
    assert said in str(error.value)


def test_a_missing_key_says_what_it_should_be() -> None:
    with pytest.raises(RecipeError) as error:
        parse({"data": "digits"})
    lines = str(error.value).splitlines()
    assert [line.split(" is missing")[0] for line in lines] == [
        "the key 'space'",
        "the key 'objectives'",
        "the key 'budget'",
    ]
    assert "space: cnn" in lines[0]


def test_mistakes_are_told_all_at_once_with_their_lines(tmp_path: Path) -> None:
    path = written(tmp_path, """\
        space: cnn
        objectives:
          val_accuracy: mx
        seed: -1
        budget: {trials: 3, days: 1}
    """)  # fmt: skip
    given, source = read(path)
    with pytest.raises(RecipeError) as error:
        parse(given, source)
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("mine.yaml, line 3: objectives.val_accuracy")
    assert any(line.startswith("mine.yaml, line 4: seed") for line in lines)
    assert any(line.startswith("mine.yaml, line 5: 'budget.days'") for line in lines)


# ---- changes ---------------------------------------------------------------------------------------------------------


def test_changes_by_set() -> None:
    given = {"evaluator": "train", "data": "pictures.npz", "strategy": {"name": "nsga2", "population": 8}, "seed": 1}
    sets = [
        "evaluator.epochs=2",
        "data.validation=0.1",
        "budget.trials=5",
        "strategy.name=random",
        "seed=7",
        "name=",
        "executor.workers=2",
    ]
    changed, _ = change(given, sets, Source())
    assert changed == {
        "evaluator": {"name": "train", "epochs": 2},
        "data": {"path": "pictures.npz", "validation": 0.1},
        "budget": {"trials": 5},
        "strategy": {"name": "random"},
        "seed": 7,
        "name": None,
        "executor": {"name": "local", "workers": 2},
    }
    assert given["strategy"] == {"name": "nsga2", "population": 8}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed", "--set seed: expected key=value"),
        ("=3", "--set =3: expected key=value"),
        ("a..b=3", "--set a..b=3: expected key=value"),
        ("evaluatr.epochs=2", "'evaluatr' is no key of a recipe; did you mean 'evaluator'?"),
        ("seed.x=2", "'seed' is 3, which has no keys"),
        ("seed=[1", "--set seed=[1, line 1, column 3: this is no YAML"),
    ],
)
def test_changes_that_are_refused(text: str, said: str) -> None:
    with pytest.raises(RecipeError) as error:
        change({"seed": 3}, [text], Source())
    assert said in str(error.value)


def test_a_mistake_in_a_change_is_told_as_such() -> None:
    given, source = change(GOOD, ["seed=x"], Source())
    with pytest.raises(RecipeError, match=r"^--set seed=x: seed is 'x'; expected a whole number"):
        parse(given, source)


# ---- the whole -------------------------------------------------------------------------------------------------------


def test_a_plan_has_every_part_and_writes_itself_down() -> None:
    plan = make_plan(parse({**GOOD, "constraints": {"macs": "<= 1e7"}}))
    assert plan.space.inputs["x"].shape == (1, 8, 8)
    assert plan.space.classes == 10
    assert [str(objective.name) for objective in plan.objectives] == ["val_accuracy", "params"]
    assert plan.objectives[0].unit == "%"
    assert plan.budget == Budget(8, "epochs")
    resolved = plan.resolved()
    assert resolved["strategy"]["population"] == 24
    assert resolved["evaluator"]["epochs"] == 8
    again = make_plan(parse(resolved))
    assert again.resolved() == resolved
    assert again.space.fingerprint() == plan.space.fingerprint()
    assert again.evaluator.fingerprint() == plan.evaluator.fingerprint()


@pytest.mark.parametrize(
    ("change_", "said"),
    [
        (
            {"objectives": {"val_acuracy": "max"}},
            "evaluator 'train' reports no 'val_acuracy'; did you mean 'val_accuracy'?",
        ),
        ({"objectives": {"latency": "min"}}, "did you mean 'latency_ms'?"),
        ({"objectives": {"test_accuracy": "max"}}, "would let the search follow the test part"),
        ({"constraints": {"test_accuracy": ">= 90"}}, "would let the search follow the test part"),
        ({"constraints": {"parms": "<= 90"}}, "did you mean 'params'?"),
        ({"constraints": {"params": 90}}, "90 is no bound"),
        ({"data": None}, "the key 'data' is missing, which evaluator 'train' needs"),
        ({"data": "digit"}, "did you mean 'digits'?"),
        ({"data": "nowhere.npz"}, "there is no file or folder 'nowhere.npz'"),
        ({"space": {"name": "cnn", "classes": 3}}, "is for 3 classes, the data 'digits' has 10; leave 'classes' out"),
        (
            {"space": {"name": "cnn", "inputs": [3, 32, 32]}},
            "takes inputs of {'x': [3, 32, 32]}, the data 'digits' gives",
        ),
        ({"space": "cnm"}, "space 'cnm' is unknown; did you mean 'cnn'?"),
        ({"evaluator": {"name": "train", "epoch": 3}}, "has no field 'epoch' (given: 3); did you mean 'epochs'?"),
        ({"evaluator": {"name": "train", "optimizer": "adam"}}, "did you mean 'adamw'?"),
        ({"executor": {"name": "local", "workers": 0}}, "workers is 0"),
        (
            {"evaluator": "supernet", "finalists": {"epochs": 1, "start": "checkpoint"}},
            "SupernetEvaluator does not go on from an earlier evaluation; leave start out",
        ),
        ({"costs": {"batc": 3}}, "costs has no field 'batc' (given: 3); did you mean 'batch'?"),
    ],
)
def test_what_a_plan_refuses(change_: dict[str, Any], said: str) -> None:
    with pytest.raises(NASError) as error:
        make_plan(parse({**GOOD, **change_}))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_mistakes_in_several_parts_are_told_at_once() -> None:
    wrong = {
        **GOOD,
        "objectives": {"val_acuracy": "max"},
        "constraints": {"macs": "few"},
        "executor": {"name": "locl"},
        "strategy": {"name": "nsga2", "populaton": 3},
    }
    with pytest.raises(RecipeError) as error:
        make_plan(parse(wrong))
    told = str(error.value)
    assert len(told.splitlines()) == 4
    for word in ("val_acuracy", "'few' is no bound", "'locl'", "'populaton'"):
        assert word in told


OWN = """
    from nas import Space, dag, image, one_of, op, seq

    def fixed():
        return Space(seq(op("conv", width=one_of(4, 8)), op("head")), image(3, 8, 8), 10)

    def no_network(inputs, classes):
        return Space(seq(op("max_pool", kernel=one_of(20, 30), stride=2, padding=0), op("head")), inputs, classes)

    def silent(inputs, classes):
        return Space(seq(one_of(a=op("zero"), b=seq(op("conv", width=4), op("zero"))), op("head")), inputs, classes)

    def no_head(inputs, classes):
        return Space(op("conv", width=one_of(10, 20)), inputs, classes)

    def two(inputs, classes):
        heads = {"left": (op("head", classes=10), "input"), "right": (op("head", classes=10), "input")}
        return Space(dag(heads, outputs=["left", "right"]), inputs, 10)

    def tiny(inputs, classes):
        return Space(seq(op("conv", width=one_of(4, 8, 16)), op("head")), inputs, classes)
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fixed", "let the space's function take an argument 'inputs', which the data then fill"),
        ("no_network", "none of its 2 candidates is a network that can be built; most often"),
        ("silent", "most often (2×): no path from the input to output"),
        ("no_head", "the data 'digits' has 10 classes there; end the space with op('head')"),
        ("two", "has the outputs ['left', 'right'], the data 'digits' the label sets ['labels']"),
    ],
)
def test_spaces_that_cannot_serve(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "own.py").write_text(textwrap.dedent(OWN))
    with pytest.raises(NASError) as error:
        make_plan(parse({**GOOD, "space": f"own.py:{name}"}), Source(base=tmp_path))
    assert said in str(error.value)


def test_a_constraint_that_no_network_keeps(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(textwrap.dedent(OWN))
    tiny = {**GOOD, "space": "own.py:tiny", "constraints": {"params": "<= 10"}}
    with pytest.raises(
        RecipeError, match=r"params <= 10 is kept by none of all 3 networks of the space, whose params is 94 "
    ):
        make_plan(parse(tiny), Source(base=tmp_path))
    plan = make_plan(parse({**GOOD, "constraints": {"params": "<= 10"}}))
    assert "kept by none of 200 networks drawn from the space" in plan.warnings[0]
    assert not make_plan(parse({**tiny, "constraints": {"params": "<= 94"}}), Source(base=tmp_path)).warnings


def test_an_objective_against_its_usual_direction_is_a_warning() -> None:
    (warning,) = make_plan(parse({**GOOD, "objectives": {"params": "max"}})).warnings
    assert "params is to be max" in warning


def test_measured_costs_are_measured_where_they_are_wanted() -> None:
    plan = make_plan(parse({**GOOD, "constraints": {"latency_ms": "<= 5"}, "costs": {"batch": 2, "repeats": 3}}))
    assert "latency_ms" in {metric.name for metric in plan.evaluator.metrics()}
    assert plan.evaluator.bench.batch == 2
    assert plan.evaluator.writes_files


def test_a_bound_that_no_count_can_meet_is_refused_in_any_space() -> None:
    parts = {"space": "cnn", "data": "digits", "evaluator": "train", "objectives": {"val_accuracy": "max"}}
    wanted = parse({**GOOD, **parts, "constraints": {"params": "<= -5"}})
    with pytest.raises(RecipeError, match="params <= -5 is kept by none of 200 networks drawn"):
        make_plan(wanted)
