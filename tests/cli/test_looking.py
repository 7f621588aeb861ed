"""`nas front`, `nas report`, `nas export`."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Nas


@pytest.fixture
def run(folder: Path, nas: Nas) -> Path:
    nas("search", "quick.yaml", "--out", "run")
    return folder / "run"


def test_front_as_table_and_as_json(run: Path, nas: Nas) -> None:
    found = nas("front", "run", "--json")
    assert found.code == 0
    assert set(found.json) == {"objectives", "front", "hypervolume", "reference", "finalists"}
    again = found.json["finalists"]
    assert again
    assert {row["status"] for row in again} == {"complete"}
    assert all(row["metrics"]["test_score"] == row["metrics"]["val_score"] + 1 for row in again)
    assert [objective["name"] for objective in found.json["objectives"]] == ["val_score", "params"]
    assert found.json["hypervolume"] > 0
    shown = nas("front", "run")
    rows = [line.split() for line in shown.out.splitlines()][1:]
    assert [int(row[0]) for row in rows] == [row["trial"] for row in found.json["front"]]
    assert "hypervolume" in shown.err


def test_figures_hold_the_networks_of_the_front(run: Path, nas: Nas) -> None:
    ids = {row["trial"] for row in nas("front", "run", "--json").json["front"]}
    found = nas("report", "run", "--figures", "--json")
    assert found.code == 0, found.err
    wanted = {str(Path("run", "networks", f"trial-{id_}{ending}")) for id_ in ids for ending in (".svg", ".png")}
    assert set(found.json["networks"]) == wanted
    assert all(Path(file).stat().st_size > 500 for file in wanted)


def test_a_front_of_other_metrics(run: Path, nas: Nas) -> None:
    found = nas("front", "run", "--x", "macs", "--y", "val_score", "--json").json
    assert [(objective["name"], objective["direction"]) for objective in found["objectives"]] == [
        ("val_score", "max"),
        ("macs", "min"),
    ]
    macs = [row["metrics"]["macs"] for row in found["front"]]
    assert macs == sorted(macs, reverse=True)
    only = nas("front", "run", "--y", "params", "--json").json
    assert len({row["metrics"]["params"] for row in only["front"]}) == 1
    wrong = nas("front", "run", "--x", "mac")
    assert wrong.code == 2
    assert "did you mean 'macs'?" in wrong.err


def test_report(run: Path, nas: Nas) -> None:
    (run / "report.html").unlink()
    found = nas("report", "run", "--json")
    assert found.code == 0
    said = found.json
    saved = said.pop("saved")
    assert said == {"run": "run", "report": "run/report.html"}
    assert saved["proposals"] == saved["evaluations"] + sum(saved["hits"].values()) + sum(saved["infeasible"].values())
    page = (run / "report.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html")
    assert "val_score" in page


@pytest.mark.parametrize("command", [("front",), ("report",), ("export", "3", "--to", "net")])
def test_a_folder_that_is_no_run(folder: Path, nas: Nas, command: tuple[str, ...]) -> None:
    found = nas(command[0], "nowhere", *command[1:])
    assert found.code == 2
    assert "nowhere is no folder" in found.err
    (folder / "damaged").mkdir()
    (folder / "damaged/store.sqlite").write_bytes(b"not a database at all, only some text")
    found = nas(command[0], "damaged", *command[1:])
    assert found.code == 2
    assert "is not a SQLite database" in found.err
    assert "Traceback" not in found.err


def test_a_store_from_a_newer_version(run: Path, nas: Nas) -> None:
    with sqlite3.connect(run / "store.sqlite") as database:
        database.execute("UPDATE espalier_schema SET version = 99")
    database.close()
    for command in (("front", "run"), ("resume", "run"), ("report", "run"), ("export", "run", "1", "--to", "net")):
        found = nas(*command)
        assert found.code == 2
        assert "schema version 99, written by a newer espalier-nas" in " ".join(found.err.split())


def test_a_trial_that_is_not_there(run: Path, nas: Nas) -> None:
    found = nas("export", "run", "999", "--to", "net")
    assert found.code == 2
    assert "holds no trial 999; trials 0 to 21; on the front:" in " ".join(found.err.split())
    assert nas("export", "run", "x", "--to", "net").code == 2


def test_take_a_trained_network_home(folder: Path, nas: Nas) -> None:
    (folder / "trained.yaml").write_text("""
space: {name: cnn, widths: [4, 8], depths: [1], stages: 1}
data: {name: digits, limit: 300}
evaluator: {name: train, epochs: 1}
strategy: random
objectives: {val_accuracy: max, params: min}
budget: {trials: 2}
finalists: {top: 1, epochs: 2}
executor: {name: local, workers: 1}
""")
    found = nas("search", "trained.yaml", "--out", "run", "--json")
    assert found.code == 0, found.err
    assert "in run/best" in found.err
    assert {"model.py", "weights.safetensors", "architecture.json"} <= {p.name for p in (folder / "run/best").iterdir()}
    trial = found.json["front"][0]["trial"]
    taken = nas("export", "run", trial, "--to", "net", "--formats", "none", "--json")
    assert taken.code == 0, taken.err
    assert set(taken.json) >= {"folder", "files", "max_abs_difference", "proofs", "examples"}
    assert taken.json["max_abs_difference"] == 0.0
    assert taken.json["examples"] == "16 examples of the validation part of digits"
    assert (folder / "net/model.py").is_file()
    code = (
        "import sys, json; sys.path.insert(0, 'net'); import model, torch; net = model.load().eval();"
        "print(json.dumps([list(net(torch.zeros(2, 1, 8, 8)).shape), 'nas' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[2, 10], False]


@pytest.mark.parametrize(
    "damage",
    [
        "metrics = '{\"val_score\": 1'",
        "metrics = '{\"val_score\": NaN}'",
        'metrics = \'{"val_score": "high"}\'',
        "status = 'sleeping'",
        "decisions = '{\"a\": '",
        "keys = ''",
    ],
)
def test_a_damaged_trial_is_left_out_of_everything_and_named(run: Path, nas: Nas, damage: str) -> None:
    other = next(row["trial"] for row in nas("front", "run", "--json").json["front"] if row["trial"] != 1)
    shutil.copytree(run, run.with_name("second"))
    with sqlite3.connect(run / "store.sqlite") as connection:
        connection.execute(f"update trials set {damage} where id = 1")
    connection.close()
    for command in (
        ("front", "run"),
        ("report", "run"),
        ("compare", "run", "second"),
        ("export", "run", other, "--to", "net", "--untrained", "--formats", "none"),
    ):
        found = nas(*command)
        assert found.code == 0, (command, found.err)
        assert found.err.count("warning: ") == found.err.count("trial 1 is damaged in the store") == 1, found.err
        assert "left out" in found.err
    assert "1 trial is damaged in the run's store" in (run / "report.html").read_text().replace("&#39;", "'")
