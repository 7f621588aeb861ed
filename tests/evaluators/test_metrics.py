"""Names of metrics and places of files."""

import pytest

from evaluators.costs import COSTS
from evaluators.metrics import USUAL, metric
from evaluators.paths import find
from nas.core.errors import DataError, RecipeError


@pytest.mark.parametrize(
    ("name", "direction", "unit"),
    [
        ("val_accuracy", "max", "%"),
        ("test_accuracy_digit", "max", "%"),
        ("val_loss", "min", ""),
        ("latency_ms", "min", "ms"),
        ("pixel3_ms", "min", "ms"),
        ("energy_mj", "min", "mJ"),
        ("peak_memory_bytes", "min", "bytes"),
        ("params", "min", ""),
        ("synflow", "max", ""),
    ],
)
def test_a_name_says_what_is_better_and_in_which_unit(name, direction, unit):
    assert (metric(name).direction, metric(name).unit) == (direction, unit)


@pytest.mark.parametrize("name", ["accuracy", "loss", "error", "top1_accuracy"])
def test_a_metric_of_examples_says_of_which(name):
    with pytest.raises(RecipeError, match=f"metric '{name}' does not say on which part"):
        metric(name)


def test_every_cost_is_a_usual_metric():
    assert set(COSTS) <= set(USUAL)


def test_files_are_found_beside_and_in_the_data_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "table.csv").write_text("x")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("ESPALIER_DATA", str(tmp_path / "there"))
    assert find("table.csv", "table") == tmp_path / "there" / "table.csv"
    (tmp_path / "here" / "table.csv").write_text("y")
    assert find("table.csv", "table") == tmp_path / "here" / "table.csv", "the working directory comes first"
    with pytest.raises(
        DataError, match=r"table: there is no file or folder 'tabel.csv'; .*here.* and .*there.*did you mean"
    ):
        find("tabel.csv", "table")
