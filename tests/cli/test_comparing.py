"""`nas compare`, and the tables of `nas report`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Nas


@pytest.fixture
def runs(folder: Path, nas: Nas) -> list[str]:
    for name, seed in (("one", 0), ("two", 1)):
        assert nas("search", "quick.yaml", "--out", name, "--set", f"seed={seed}").code == 0
    return ["one", "two"]


def test_compare_as_tables_as_json_and_as_a_figure(runs: list[str], nas: Nas) -> None:
    shown = nas("compare", *runs)
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0].split()[:5] == ["run", "strategy", "seed", "trials", "complete"]
    assert [line.split()[0] for line in lines[1:3]] == runs
    assert "trials to a hypervolume of" in shown.out
    assert "One run is one draw" in shown.err
    found = nas("compare", *runs, "--json", "--figure", "both.svg")
    assert found.code == 0, found.err
    assert [run["name"] for run in found.json["runs"]] == runs
    assert set(found.json) == {"objectives", "runs", "reference", "joint_hypervolume", "level", "cautions", "figure"}
    assert sum(run["joint"] for run in found.json["runs"]) > 0
    assert Path("both.svg").stat().st_size > 1000


def test_compare_refuses_in_one_line(runs: list[str], nas: Nas) -> None:
    for arguments, said in (
        ([], "takes two runs or more; given: none"),
        (["one"], "takes two runs or more; given: one"),
        (["one", "one"], "is given twice"),
        (["one", "thre"], "thre"),
        (["one", "two", "--figure", "a.jpg"], "'.png'"),
    ):
        refused = nas("compare", *arguments)
        assert refused.code == 2, arguments
        assert said in " ".join(refused.err.split())
        assert refused.err.count("error:") == 1
        assert "Traceback" not in refused.err
        assert refused.out == ""


def test_what_differs_is_a_warning(runs: list[str], nas: Nas) -> None:
    assert nas("search", "quick.yaml", "--out", "three", "--set", "space.widths=[4]").code == 0
    found = nas("compare", "one", "three", "--json")
    assert found.code == 0
    assert "warning: one and three differ in space.widths" in found.err
    assert len(found.json["cautions"]) == 1


def test_report_writes_tables_and_progress_on_request(runs: list[str], nas: Nas) -> None:
    import pandas as pd

    assert not (Path("one") / "front.csv").exists()
    found = nas("report", "one", "--tables", "--figures", "--json")
    assert found.code == 0, found.err
    assert found.json["tables"] == ["one/front.csv", "one/trials.parquet"]
    assert {Path(file).name for file in found.json["figures"]} >= {"progress.png", "progress.svg", "progress.pdf"}
    front = [row["trial"] for row in nas("front", "one", "--json").json["front"]]
    assert list(pd.read_csv("one/front.csv")["trial"]) == front
    assert set(front) <= set(pd.read_parquet("one/trials.parquet")["trial"])
