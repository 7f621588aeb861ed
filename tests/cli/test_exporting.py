"""`nas export`: what it shows, and what it refuses, with which exit code."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import save_file

from nas.core.build import build
from nas.core.graph import Node, chain
from results.export.draft import Draft
from results.run import Run
from tests.cli.conftest import Nas
from tests.results.samples import store_of, trial


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of two networks, of which it kept no weights."""
    graph = chain([Node("a", "conv", {"width": 4}), Node("h", "head", {"classes": 3})])
    inputs = {"x": {"shape": [1, 6, 6], "dtype": "float32", "vocabulary": None}}
    store_of(tmp_path / "run", [trial(0, graph=graph), trial(1, graph=graph)], inputs=inputs).close()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


def _line(text: str) -> str:
    return " ".join(text.split())


def test_the_table_and_what_it_was_seen_on(run: Path, nas: Nas) -> None:
    found = nas("export", "run", 1, "--to", "net", "--untrained", "--formats", "none")
    assert found.code == 0, found.err
    assert found.out.splitlines()[0] == "net: model.py, weights.safetensors, architecture.json, README.md"
    (row,) = [line.split() for line in found.out.splitlines() if line.startswith("model.py, reloaded")]
    assert row[-3:] == ["0", "0", "0"]
    assert "on 4 seeded examples (the run has no data), 4, 1 and 5 at a time" in _line(found.err)
    assert "the weights are untrained" in found.err


def test_an_earlier_export_is_replaced_only_if_that_is_said(run: Path, nas: Nas) -> None:
    arguments = ("export", "run", 1, "--to", "net", "--untrained", "--formats", "none")
    assert nas(*arguments).code == 0
    (run.parent / "net" / "model.py").write_text("mine")
    refused = nas(*arguments)
    assert (refused.code, refused.out) == (2, "")
    said = "error: net holds an earlier export (trial 1 of run); say --replace to write over it, or give another folder"
    assert _line(refused.err) == said
    assert (run.parent / "net" / "model.py").read_text() == "mine"
    assert nas(*arguments, "--replace").code == 0
    assert (run.parent / "net" / "model.py").read_text() != "mine"


@pytest.fixture
def again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that trained its trial 1 again as 2, and kept no weights of either."""
    graph = chain([Node("a", "conv", {"width": 4}), Node("h", "head", {"classes": 3})])
    made = [trial(0, graph=graph), trial(1, graph=graph), trial(2, graph=graph, stage="finalist", of=1)]
    inputs = {"x": {"shape": [1, 6, 6], "dtype": "float32", "vocabulary": None}}
    store_of(tmp_path / "run", made, inputs=inputs).close()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


def test_missing_weights_of_a_finalist_are_told_by_the_trial_that_was_asked_for(again: Path, nas: Nas) -> None:
    refused = nas("export", "run", 1, "--to", "net")
    assert refused.code == 2
    assert "run kept no weights of trial 1, trained again as 2 (it has none); say untrained" in _line(refused.err)
    found = nas("export", "run", 1, "--to", "net", "--untrained", "--formats", "none")
    assert found.code == 0, found.err
    assert "the weights are untrained: the run kept none of trial 1, trained again as 2" in _line(found.err)
    assert "these weights are taken" not in _line(found.err)
    for name in ("model.py", "README.md"):
        text = (again.parent / "net" / name).read_text()
        assert "Weights: untrained, as torch starts them" in text
        assert "Metrics of the search, not of these weights: " in text
        assert "Metrics: " not in text


def test_weights_of_a_finalist_are_taken_and_that_is_said(again: Path, nas: Nas) -> None:
    with Run(again) as known:
        assert known.inputs is not None
        state = build(known.trial(1).candidate.graph, known.inputs, seed=5).state_dict()
    (again / "trials" / "2").mkdir(parents=True)
    save_file(state, again / "trials" / "2" / "weights.safetensors")
    found = nas("export", "run", 1, "--to", "net", "--formats", "none")
    assert found.code == 0, found.err
    assert "trial 1 was trained again for" in found.err
    assert "these weights are taken" in _line(found.err)
    assert "Metrics: " in (again.parent / "net" / "README.md").read_text()


def test_all_forms_with_a_package_missing(run: Path, nas: Nas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("results.export.formats.installed", lambda package: package != "onnxruntime")
    wanted: list[tuple[str, ...]] = []

    def unwritten(drafts: list[Draft], alone: bool) -> list[Draft]:  # that they are written, test_formats.py sees
        wanted.extend(draft.formats for draft in drafts)
        return [replace(draft, formats=()) for draft in drafts]

    monkeypatch.setattr("results.export.draft.converted", unwritten)
    said = "onnxruntime is not installed: pip install 'espalier-nas[onnx]'"
    found = nas("export", "run", 1, "--to", "net", "--untrained", "--json")
    assert found.code == 0, found.err
    assert wanted == [("pt2",)]
    assert found.json["left_out"] == {"onnx": f"model.onnx is left out, as {said}"}
    assert [proof["form"] for proof in found.json["proofs"]] == ["source"]
    assert f"warning: model.onnx is left out, as {said}" in found.err
    refused = nas("export", "run", 1, "--to", "other", "--untrained", "--formats", "onnx")
    assert (refused.code, refused.out) == (2, "")
    assert _line(refused.err) == f"error: format onnx: {said}"
    assert not (run.parent / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((1, "--to", "net"), "run kept no weights of trial 1 (it has none); say untrained (nas export … --untrained)"),
        ((7, "--to", "net", "--untrained"), "run holds no trial 7; trials 0 to 1; on the front:"),
        ((1, "--to", "net", "--untrained", "--formats", "onxx"), "format 'onxx' is unknown; did you mean 'onnx'?"),
        ((1, "--to", "net", "--untrained", "--formats", "none,pt2"), "'none' stands alone"),
        ((1, "--to", "net", "--untrained", "--formats", ""), "a name is empty; expected pt2, onnx or none"),
        ((1, "--to", "run", "--untrained"), "holds other things (store.sqlite"),
        ((1, "--to", "file", "--untrained"), "file is a file; give the folder to write to another name"),
        ((1, "--to", "file/net", "--untrained"), "cannot be written: {here}/file is a file; give another folder"),
    ],
)
def test_what_is_wrong_with_a_request(run: Path, nas: Nas, arguments: tuple[object, ...], words: str) -> None:
    (run.parent / "file").write_text("mine")
    found = nas("export", "run", *arguments)
    assert (found.code, found.out) == (2, "")
    assert words.format(here=run.parent) in _line(found.err)
    assert "Traceback" not in found.err
    assert sorted(path.name for path in run.parent.iterdir()) == ["file", "run"]


def test_a_folder_that_may_not_be_written_to(run: Path, nas: Nas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)
    found = nas("export", "run", 1, "--to", "net", "--untrained")
    assert found.code == 2
    assert "may not be written to; give another folder" in _line(found.err)


def test_a_form_that_differs_is_work_that_failed(run: Path, nas: Nas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("results.export.draft.accepted", lambda form, fused: -1.0)
    found = nas("export", "run", 1, "--to", "net", "--untrained", "--formats", "none")
    assert (found.code, found.out) == (1, "")
    assert "the reloaded network differs from the built one by 0" in _line(found.err)
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_a_run_without_finished_trials(tmp_path: Path, nas: Nas, monkeypatch: pytest.MonkeyPatch) -> None:
    store_of(tmp_path / "run", []).close()
    monkeypatch.chdir(tmp_path)
    found = nas("export", "run", 0, "--to", "net")
    assert found.code == 2
    assert _line(found.err) == "error: run holds no trial 0; no trial has ended yet"


def test_a_terminated_export_leaves_nothing(run: Path, nas: Nas, monkeypatch: pytest.MonkeyPatch) -> None:
    def died(*_: object) -> None:
        raise AssertionError("the signal ended the process where it was")

    def terminated(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("results.export.folder.prove", terminated)
    before = signal.signal(signal.SIGTERM, died)
    try:
        found = nas("export", "run", 1, "--to", "deep/net", "--untrained", "--formats", "none")
        assert signal.getsignal(signal.SIGTERM) is died
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (found.code, found.out, found.err) == (1, "", "stopped\n")
    assert [path.name for path in run.parent.iterdir()] == ["run"]
