"""The exported folder: whole or not at all, and refusals that say what to do."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from nas.core.build import build
from nas.core.difference import Difference
from nas.core.errors import ExportError
from nas.core.language import op, seq
from nas.core.profile import InputSpec
from nas.core.space import Space, image
from results.export import Proof, export, load, proof, read
from results.export.draft import FILES, README, write
from results.export.folder import _appear, in_the_way
from tests.results.export.mine import foreign, unfaithful

SPACE = Space(seq(first=op("conv", width=4), second=op("conv", width=4), head=op("head")), image(1, 6, 6), 3)
GRAPH = SPACE.decide({}).graph
ABOUT = {"title": "Three layers", "decisions": {}, "metrics": {"val_accuracy": 50.0}}


def _own(module: type[nn.Module]) -> Space:
    return Space(seq(op("conv", width=2), own=op(module), head=op("head")), image(1, 6, 6), 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished export, with weights of its own."""
    to = tmp_path_factory.mktemp("home") / "deep" / "net"
    weights = build(GRAPH, SPACE.inputs, seed=5).state_dict()
    exported = export(GRAPH, SPACE.inputs, weights, to, ABOUT, examples=torch.rand(2, 1, 6, 6), formats="none")
    assert exported.max_abs_difference == 0.0
    assert exported.folder == to
    assert exported.files == ("model.py", "weights.safetensors", "architecture.json", "README.md")
    assert exported.notes == ()
    assert json.dumps(exported.to_dict())
    return to


def test_writes_these_files_and_leaves_nothing_beside(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, README])
    assert [path.name for path in folder.parent.iterdir()] == ["net"]
    assert read(folder).max_abs_difference == 0.0
    assert read(folder).about["metrics"] == ABOUT["metrics"]


def test_the_weights_are_those_given(folder: Path) -> None:
    given = build(GRAPH, SPACE.inputs, seed=5)
    x = torch.randn(3, 1, 6, 6)
    assert torch.equal(load(folder)(x), given.eval()(x))


def test_the_readme_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.search(r"```python\n(.*?)```", (folder / README).read_text(), re.DOTALL)
    assert code is not None
    assert len([line for line in code[1].splitlines() if line.startswith("result")]) == 1
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names: dict[str, torch.Tensor] = {}
    exec(code[1], names)
    del sys.modules["model"]
    assert names["result"].shape == (8, 3)


def test_an_earlier_export_is_replaced(folder: Path, tmp_path: Path) -> None:
    to = tmp_path / "net"
    shutil.copytree(folder, to)
    (to / "__pycache__").mkdir()
    in_the_way(to, replace=True)
    new = tmp_path / "new"
    new.mkdir()
    (new / "model.py").write_text("new")
    _appear(new, to, replace=True)
    assert [path.name for path in to.iterdir()] == ["model.py"]
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_an_earlier_export_is_not_replaced_unless_that_is_said(folder: Path, tmp_path: Path) -> None:
    to = tmp_path / "net"
    shutil.copytree(folder, to)
    changed = (to / "model.py").read_text() + "# mine\n"
    (to / "model.py").write_text(changed)
    with pytest.raises(ExportError, match=r"net holds an earlier export; say --replace to write over it, or give ano"):
        export(GRAPH, SPACE.inputs, None, to, ABOUT, formats="none")
    assert (to / "model.py").read_text() == changed
    data = json.loads((to / "architecture.json").read_text())
    (to / "architecture.json").write_text(json.dumps(data | {"about": {"run": "digits-1", "trial": 5}}))
    with pytest.raises(ExportError, match=r"net holds an earlier export \(trial 5 of digits-1\); say --replace"):
        export(GRAPH, SPACE.inputs, None, to, ABOUT, formats="none")
    export(GRAPH, SPACE.inputs, None, to, ABOUT, formats="none", replace=True)
    assert "# mine" not in (to / "model.py").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


@pytest.mark.parametrize("empty", [False, True])
def test_of_two_exports_to_one_new_folder_the_second_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: bool
) -> None:
    to, first, second = (tmp_path / name for name in ("net", "first", "second"))
    for place in (first, second):
        shutil.copytree(folder, place)
        (place / "model.py").write_text(place.name)
    if empty:
        (to / "__pycache__").mkdir(parents=True)

    def late(place: Path, replace: bool) -> None:  # the other one appears right after this one looked
        in_the_way(place, replace)
        if first.exists():
            shutil.rmtree(to, ignore_errors=True)
            os.rename(first, to)

    monkeypatch.setattr("results.export.folder.in_the_way", late)
    with pytest.raises(ExportError, match="holds an earlier export"):
        _appear(second, to, replace=False)
    assert (to / "model.py").read_text() == "first"


@pytest.mark.parametrize("names", [["photo.png"], ["model.py", "notes.txt"]])
def test_refuses_a_folder_with_other_things(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("mine")
    with pytest.raises(ExportError, match=re.escape(names[-1])):
        export(GRAPH, SPACE.inputs, None, tmp_path, ABOUT)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_refuses_a_model_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("mine")
    with pytest.raises(ExportError, match="no earlier export"):
        export(GRAPH, SPACE.inputs, None, tmp_path, ABOUT)
    assert (tmp_path / "model.py").read_text() == "mine"


def test_refuses_a_file_in_the_way(tmp_path: Path) -> None:
    to = tmp_path / "net"
    to.write_text("mine")
    with pytest.raises(ExportError, match="is a file"):
        export(GRAPH, SPACE.inputs, None, to, ABOUT)
    with pytest.raises(ExportError, match="cannot be written"):
        export(GRAPH, SPACE.inputs, None, to / "below", ABOUT, formats="none")


def test_refuses_weights_of_another_network(tmp_path: Path) -> None:
    weights = build(GRAPH, SPACE.inputs).state_dict()
    renamed = {name.replace("first", "frist"): value for name, value in weights.items()}
    with pytest.raises(ExportError, match=r"'frist\.conv\.weight' is not in the network; did you mean 'first"):
        export(GRAPH, SPACE.inputs, renamed, tmp_path / "net", ABOUT)
    fewer = {name: value for name, value in weights.items() if name != "head.classifier.bias"}
    with pytest.raises(ExportError, match=r"1 missing \['head\.classifier\.bias'\]"):
        export(GRAPH, SPACE.inputs, fewer, tmp_path / "net", ABOUT)
    with pytest.raises(ExportError, match=r"'head\.classifier\.bias' has shape \(4,\), the network needs \(3,\)"):
        export(GRAPH, SPACE.inputs, {**weights, "head.classifier.bias": torch.zeros(4)}, tmp_path / "net", ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_refuses_examples_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"\(2, 1, 5, 6\); expected \(N, 1, 6, 6\)"):
        export(GRAPH, SPACE.inputs, None, tmp_path / "net", ABOUT, torch.rand(2, 1, 5, 6))
    with pytest.raises(ExportError, match="2 examples for the inputs"):
        export(GRAPH, SPACE.inputs, None, tmp_path / "net", ABOUT, [torch.rand(2, 1, 6, 6)] * 2)


def test_refuses_words_that_json_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"about\['made'\]"):
        export(GRAPH, SPACE.inputs, None, tmp_path / "net", {"made": object()})
    with pytest.raises(ExportError, match=r"about\['metrics'\]"):
        export(GRAPH, SPACE.inputs, None, tmp_path / "net", {"metrics": {"loss": float("nan")}})


def test_refuses_a_graph_that_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no network"):
        export(GRAPH, {"x": InputSpec((7,))}, None, tmp_path / "net", ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_reloads_unequal_leaves_nothing(tmp_path: Path) -> None:
    space = _own(unfaithful.Drawn)
    with pytest.raises(ExportError, match="differs from the built one by"):
        export(space.decide({}).graph, space.inputs, None, tmp_path / "net", ABOUT, formats="none")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "place"),
    [(unfaithful.Noisy, "own/noise (class Noise)"), (unfaithful.Dropping, "own (class Dropping)")],
)
def test_what_draws_numbers_in_eval_mode_is_refused(tmp_path: Path, module: type[nn.Module], place: str) -> None:
    space = _own(module)
    words = f"built network gives other outputs when it runs again on the same inputs, in {re.escape(place)} .*"
    with pytest.raises(ExportError, match=words + "draws random numbers in eval mode.* self.training is true"):
        export(space.decide({}).graph, space.inputs, None, tmp_path / "net", ABOUT, formats="none")
    assert list(tmp_path.iterdir()) == []


def test_a_form_that_draws_numbers_is_refused(tmp_path: Path) -> None:
    to = tmp_path / "net"
    to.mkdir()
    made = write(GRAPH, SPACE.inputs, None, to, {}).claim
    source = (to / "model.py").read_text().replace("return self.head(x)", "return self.head(x) + torch.randn(())")
    (to / "model.py").write_text(source.replace("from torch", "import torch\nfrom torch", 1))
    seeded = torch.Generator().manual_seed(proof.SEED)
    drawn = torch.randn((), generator=seeded)  # what its first run draws: it is equal, as long as it is seeded
    results = ({"": made.outputs[""] + drawn},)
    (found,) = proof.differences([proof.Claim(to, made.batches[:1], results)])
    assert isinstance(found["source"], str)
    assert re.match(r"on 4 examples it gives other outputs when it runs again, by .*: it draws ran", found["source"])


def test_refuses_state_that_is_no_tensor(tmp_path: Path) -> None:
    space = _own(unfaithful.Pickled)
    with pytest.raises(ExportError, match=r"'own\._extra_state' in the state dict is a str"):
        export(space.decide({}).graph, space.inputs, None, tmp_path / "net", ABOUT)


def test_packages_that_are_needed_are_told(tmp_path: Path) -> None:
    space = _own(foreign.Windowed)
    notes = write(space.decide({}).graph, space.inputs, None, tmp_path, {}).notes
    assert notes == ("model.py imports numpy, which must be installed: foreign.py imports it",)
    space = _own(foreign.Placed)
    (notes,) = write(space.decide({}).graph, space.inputs, None, tmp_path, {}).notes
    assert "uses __file__" in notes


def test_the_proof_finds_what_was_changed(tmp_path: Path) -> None:
    changes = [("nn.ReLU()", "nn.SiLU()"), ("return self.head(x)", "return self.head(x) * 2"), ("Network()", "Netw()"),
               ("return self.head(x)", "return {'a': self.head(x)}"), ("", "")]  # fmt: skip
    claims = []
    for place, (old, new) in enumerate(changes):
        to = tmp_path / str(place)
        to.mkdir()
        claims.append(write(GRAPH, SPACE.inputs, None, to, {}).claim)
        (to / "model.py").write_text((to / "model.py").read_text().replace(old, new))
    acts, doubled, misspelled, renamed, equal = (found["source"] for found in proof.differences(claims))
    assert isinstance(acts, Difference)
    assert acts.absolute > 0
    assert isinstance(doubled, Difference)
    assert doubled.relative == 1.0
    assert isinstance(misspelled, str)
    assert re.search(r"NameError: name 'Netw' is not defined.*model\.py, line \d+", misspelled)
    assert renamed == "on 4 examples it gives the outputs ['a'], expected ['']"
    assert equal == (0.0, 0.0)


def test_examples_of_any_layout_are_proved_on(tmp_path: Path) -> None:
    space = Space(seq(first=op("conv", width=32), second=op("conv", width=16, kernel=5), head=op("head")),
                  image(3, 16, 16), 3)  # fmt: skip
    pictures = torch.rand(4, 16, 16, 3).permute(0, 3, 1, 2)  # as most readers of files give them
    made = export(space.decide({}).graph, space.inputs, None, tmp_path / "net", {}, pictures, formats="none")
    assert made.max_abs_difference == 0.0


def test_what_gives_no_number_proves_nothing(tmp_path: Path) -> None:
    state = build(GRAPH, SPACE.inputs).state_dict()
    diverged = {name: value * float("nan") if value.is_floating_point() else value for name, value in state.items()}
    with pytest.raises(ExportError, match=r"the network gives no finite number on any example.*diverge"):
        export(GRAPH, SPACE.inputs, diverged, tmp_path / "net", {}, formats="none")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_would_be_rounded_are_refused(tmp_path: Path) -> None:
    state = build(GRAPH, SPACE.inputs).state_dict()
    kept = {name: value.double() if value.is_floating_point() else value for name, value in state.items()}
    write(GRAPH, SPACE.inputs, kept, tmp_path, {})  # float32 numbers, only kept in more digits
    name = "first.conv.weight"
    with pytest.raises(ExportError, match=r"'first\.conv\.weight' is torch\.float64, .* torch\.float32, .* round it"):
        export(GRAPH, SPACE.inputs, {**kept, name: kept[name] / 3}, tmp_path / "net", {}, formats="none")


def test_what_was_measured_before_is_judged_too(tmp_path: Path) -> None:
    wrong = Proof("supernet", 0.5, 0.1, 1e-4, (16,))
    with pytest.raises(ExportError, match=r"the supernet under the same decisions differs .* by 0\.5, 0\.1 of"):
        export(GRAPH, SPACE.inputs, None, tmp_path / "deep" / "net", {}, formats="none", proofs=[wrong])
    assert list(tmp_path.iterdir()) == []


def test_folders_made_on_the_way_go_with_what_failed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(ExportError, match="weights are not this network's"):
        export(GRAPH, SPACE.inputs, {}, tmp_path / "mine" / "deep" / "er" / "net", {}, formats="none")
    assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]


def test_an_interrupt_leaves_the_earlier_export(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to, new = tmp_path / "net", tmp_path / "new"
    shutil.copytree(folder, to)
    new.mkdir()
    rename, calls = os.rename, []

    def interrupted(old: Path, name: Path) -> None:
        calls.append(name)
        if len(calls) == 3:  # the new one is not taken as it is, the earlier one is set aside
            raise KeyboardInterrupt
        rename(old, name)

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _appear(new, to, replace=True)
    assert read(to).about["title"] == "Three layers"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net", "new"]


def test_the_folder_one_is_in_is_not_replaced(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to = tmp_path / "net"
    shutil.copytree(folder, to)
    monkeypatch.chdir(to)
    with pytest.raises(ExportError, match="is the folder you are in"):
        export(GRAPH, SPACE.inputs, None, ".", ABOUT, formats="none", replace=True)
    assert read(".").about["title"] == "Three layers"


def test_loading_tells_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"holds no model\.py"):
        load(tmp_path)
    with pytest.raises(ExportError, match=r"holds no architecture\.json"):
        read(tmp_path)
    to = tmp_path / "net"
    shutil.copytree(folder, to)
    (to / "weights.safetensors").write_bytes(b"torn")
    with pytest.raises(ExportError, match="cannot be loaded"):
        load(to)
    data = json.loads((to / "architecture.json").read_text())
    for change, words in (({"format": 99}, "format 99"), ({"graph": 3}, "damaged"), ({"inputs": None}, "damaged"),
                          ({"format": None}, "is damaged: it names no format; export the")):  # fmt: skip
        (to / "architecture.json").write_text(json.dumps({**data, **change}))
        with pytest.raises(ExportError, match=words):
            read(to)
    (to / "architecture.json").write_text("[]")
    with pytest.raises(ExportError, match="is damaged: it holds a list, not a mapping; export the network again"):
        read(to)
    (to / "architecture.json").write_text("{")
    with pytest.raises(ExportError, match="cannot be read"):
        read(to)
