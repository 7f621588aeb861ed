"""Tables that a recipe describes wrongly are refused when the evaluator is made, not trial by trial."""

import math

import pytest

from evaluators.table import Table
from nas.core.errors import DataError, NASError, RecipeError

VAL = {"val_accuracy": "val"}


@pytest.fixture
def csv(tmp_path) -> str:
    (tmp_path / "known.csv").write_text("arch,val,val4,test,twice,twice\n00,50,40,51,1,2\n01,60,50,61,1,2\n")
    return str(tmp_path / "known.csv")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"columns": []}, "columns"),
        ({"columns": {3: "val"}}, "columns of 3"),
        ({"columns": {"val_accuracy": []}}, "columns of 'val_accuracy' are []"),
        ({"columns": {"val_accuracy": {}}}, "columns of 'val_accuracy' are {}"),
        ({"columns": {"val_accuracy": ""}}, "columns of 'val_accuracy' are ''"),
        ({"columns": {"val_accuracy": None}}, "columns of 'val_accuracy' are None"),
        ({"columns": {"val_accuracy": ["val", 3]}}, "columns of 'val_accuracy'"),
        ({"columns": {"val_accuracy": {12: []}}}, "columns of 'val_accuracy'"),
        ({"columns": {"val_accuracy": {-3: "val"}}}, "-3 epochs"),
        ({"columns": {"val_accuracy": {0: "val"}}}, "0 epochs"),
        ({"columns": {"val_accuracy": {math.nan: "val"}}}, "nan epochs"),
        ({"columns": {"val_accuracy": {math.inf: "val"}}}, "inf epochs"),
        ({"columns": {"val_accuracy": {True: "val"}}}, "True epochs"),
        ({"columns": {"val_accuracy": {12: "val", "12": "val4"}}}, "twice"),
        ({"scale": {"val_accuracy": math.nan}}, "scale of 'val_accuracy' is nan"),
        ({"scale": {"val_accuracy": "100"}}, "scale of 'val_accuracy' is '100'"),
        ({"scale": {"val_accuracy": True}}, "scale of 'val_accuracy' is True"),
        ({"scale": 100}, "scale is 100"),
        ({"scale": {"val_acuracy": 1}}, "did you mean 'val_accuracy'"),
        ({"noise": {"val_accuracy": -3}}, "noise of 'val_accuracy' is -3"),
        ({"noise": {"val_accuracy": math.inf}}, "noise of 'val_accuracy' is inf"),
        ({"noise": -3}, "noise is -3"),
        ({"key": []}, "key is []"),
        ({"key": 3}, "key is 3"),
        ({"seconds": 3}, "seconds is 3"),
        ({"join": 3}, "join is 3"),
        ({"join": [3]}, "join is [3]"),
        ({"join": {"path": "x"}}, "expected {path: FILE, on: COLUMN}"),
    ],
)
def test_a_wrong_field_is_named(csv, fields, words):
    with pytest.raises(RecipeError) as error:
        Table(**{"path": csv, "columns": VAL, **fields})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("path", "words"), [("", "path is ''"), (".", "is a folder"), (None, "path is None")])
def test_a_path_that_is_no_file(path, words):
    with pytest.raises(DataError, match=words):
        Table(path=path, columns=VAL)


@pytest.mark.parametrize(
    "fields",
    [{"columns": {"val_accuracy": "twice"}}, {"key": "twice"}, {"seconds": "twice"}, {"key": ["arch", "twice"]}],
)
def test_a_column_that_stands_twice(csv, fields):
    with pytest.raises(NASError, match="'twice' stands 2 times"):
        Table(**{"path": csv, "columns": VAL, **fields}).fingerprint()


def test_a_column_twice_in_the_file_is_no_matter_where_it_is_not_used(csv):
    assert Table(csv, VAL).describe()["rows"] == 2


def test_a_joined_column_that_stands_twice(csv, tmp_path):
    (tmp_path / "more.csv").write_text("arch,ms,ms\n00,1,2\n")
    with pytest.raises(NASError, match="'ms' stands 2 times"):
        Table(csv, VAL | {"latency_ms": "ms"}, join={"path": str(tmp_path / "more.csv"), "on": "arch"}).fingerprint()
