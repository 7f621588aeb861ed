"""What is typed to take a network home works: it says --untrained where, and only where, there are no weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.core.errors import ExportError
from nas.core.records import Status
from results.commands import Commands, export_command
from results.run import Run
from tests.results.samples import store_of, trial

KEYS = {"graph": "g1:1"}


def weigh(folder: Path, *ids: int) -> None:
    for id_ in ids:
        (folder / "trials" / str(id_)).mkdir(parents=True)
        (folder / "trials" / str(id_) / "weights.safetensors").write_bytes(b"")


def test_weights_are_found_where_an_export_finds_them(tmp_path: Path) -> None:
    elsewhere, here = tmp_path / "first", tmp_path / "my run"
    store_of(elsewhere, [trial(0, keys=KEYS)]).close()
    again = [
        trial(9, stage="finalist", of=2),
        trial(10, stage="finalist", of=3),
        trial(11, stage="finalist", of=4, status=Status.FAILED),
    ]
    cached = [
        trial(6, keys=KEYS, source="cache", reuses=1),
        trial(7, keys={"graph": "g1:2"}, source="cache", reuses=1),  # another network that computes the same
        trial(8, keys=KEYS, source="cache", reuses=0, origin=str(elsewhere)),
    ]
    store_of(here, [trial(0), trial(1, keys=KEYS), trial(2), trial(3), trial(4), *cached, *again]).close()
    weigh(here, 1, 2, 4, 10)
    weigh(elsewhere, 0)
    with Run(here) as run:
        commands = Commands(run, here)
        held = {row.id: commands.holds(row) for row in run.rows if row.stage == "search"}
    assert held == {0: False, 1: True, 2: False, 3: True, 4: True, 6: True, 7: False, 8: True}
    assert export_command(here, 0, held=False) == f"nas export '{here}' 0 --to net-0 --untrained"


def test_a_run_that_kept_none_says_so_as_its_export_does(tmp_path: Path) -> None:
    store_of(tmp_path, [trial(0)], inputs={"x": {"shape": [3, 8, 8]}}).close()
    with Run(tmp_path) as run:
        assert Commands(run, "run").of(run.front[0]) == "nas export run 0 --to net-0 --untrained"
        with pytest.raises(ExportError, match="--untrained"):
            run.taking(0, tmp_path / "net")
