"""The forms beside the source: programs and ONNX, what they need, what they cannot express, and that they agree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas.core.build import build
from nas.core.errors import ExportError
from nas.core.graph import Graph
from nas.core.language import op, parallel, seq
from nas.core.parts import Part
from nas.core.space import Space, image
from results.export import Examples, Exported, Proof, convert, export, folder, proof, read
from results.export.draft import OURS, Draft, converted, settled, write
from results.export.formats import DATA, FORMATS, FORMS, accepted, chosen, lacking
from results.export.refused import address
from tests.results.export.mine import layers, unexportable
from tests.results.export.spaces import WRITTEN

SPACE = Space(seq(first=op("conv", width=32), head=op("head")), {"image-1": image(1, 6, 6)}, 3)
GRAPH = SPACE.decide({}).graph
FILES = {"model.py", "weights.safetensors", "architecture.json", "model.pt2", "model.onnx", "README.md"}


def _own(module: type[nn.Module]) -> tuple[Graph, dict]:
    space = Space(seq(op("conv", width=2), stage=seq(**{"1st-own": op(module)}), head=op("head")), image(1, 6, 6), 3)
    return space.decide({}).graph, dict(space.inputs)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A network with all its forms, proved on inputs of the caller's."""
    weights = build(GRAPH, SPACE.inputs, seed=5).state_dict()
    about = {"run": "digits-1", "trial": 3, "again": "nas export digits-1 3 --to FOLDER"}
    given = Examples((torch.rand(7, 1, 6, 6),), "7 examples of mine")
    before = (Proof("supernet", 1e-7, 1e-8, 1e-4, (16,)),)
    return export(GRAPH, SPACE.inputs, weights, tmp_path_factory.mktemp("home") / "net", about, given, proofs=before)


def test_all_forms_are_written_and_proved(exported: Exported) -> None:
    assert set(exported.files) == {path.name for path in exported.folder.iterdir()} == FILES
    assert [each.form for each in exported.proofs] == ["supernet", "source", "pt2", "onnx"]
    for made in exported.proofs[1:]:
        assert made.batches == (7, 1, 5)
        assert made.tolerance == FORMS[made.form].tolerance
        assert made.max_rel_difference <= FORMS[made.form].tolerance
    assert exported.max_abs_difference == 0.0
    assert 0 < exported.proofs[-1].max_abs_difference < 1e-5  # another library's sums: equal to the bit would be odd


def test_what_was_proved_is_written_down(exported: Exported) -> None:
    known = read(exported.folder)
    assert [dict(each) for each in known.proofs] == [each.to_dict() for each in exported.proofs]
    assert known.examples == exported.examples == "7 examples of mine"
    assert {"torch", "onnx", "onnxruntime", "onnxscript"} <= set(known.versions)
    assert json.loads(json.dumps(exported.to_dict()))["proofs"][2]["form"] == "pt2"


def test_an_architecture_of_before_there_were_proofs_is_read(exported: Exported, tmp_path: Path) -> None:
    data = json.loads((exported.folder / "architecture.json").read_text())
    del data["proofs"], data["examples"]
    (tmp_path / "architecture.json").write_text(json.dumps(data))
    assert read(tmp_path).proofs == ()


def test_the_lines_of_the_readme_run_as_printed(exported: Exported) -> None:
    code = re.search(r"```python\n(.*?)```", (exported.folder / "README.md").read_text(), re.DOTALL)
    assert code is not None
    script = (
        "import ast, sys\nnames, found = {}, []\nfor line in ast.parse(sys.argv[1]).body:\n"
        "    exec(compile(ast.Module([line], []), 'README', 'exec'), names)\n"
        "    found += [names[line.targets[0].id]] if ast.unparse(line).startswith('result') else []\n"
        "source, program, (other,) = found\n"
        "assert source.shape == (8, 3) and source.equal(program)\n"
        "assert 0 < abs(source.detach().numpy() - other).max() < 1e-5\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", script, code[1]],
        cwd=exported.folder, env={"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "nas export digits-1 3 --to FOLDER" not in (exported.folder / "README.md").read_text()


def test_the_program_keeps_no_example_of_the_users(exported: Exported) -> None:
    program = torch.export.load(exported.folder / "model.pt2")
    ((held,), _) = program.example_inputs
    assert held.shape[1:] == (1, 6, 6)
    assert not held.any()


def test_the_files_name_no_place_of_this_machine(exported: Exported) -> None:
    model = onnx.load(exported.folder / "model.onnx")
    (given,) = model.graph.input
    assert given.name == "image_1"
    assert [dim.dim_param or dim.dim_value for dim in given.type.tensor_type.shape.dim] == ["batch", 1, 6, 6]
    for name in FILES - {"weights.safetensors"}:
        content = (exported.folder / name).read_bytes()
        assert str(exported.folder.parent).encode() not in content, name
        assert b".export-" not in content, name


def test_weights_that_are_too_large_for_one_file_stand_beside_it(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "LARGEST", 100)
    convert.write_onnx(SimpleNamespace(model_proto=onnx.load(exported.folder / "model.onnx")), tmp_path / "model.onnx")
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", DATA}
    x = {"image_1": torch.rand(2, 1, 6, 6).numpy()}
    (one,), (other,) = (
        onnxruntime.InferenceSession(folder / "model.onnx").run(None, x) for folder in (tmp_path, exported.folder)
    )
    assert (one == other).all()


def test_the_source_alone_replaces_all_forms_and_says_how_to_get_them(exported: Exported, tmp_path: Path) -> None:
    for name in exported.files:
        (tmp_path / name).write_bytes((exported.folder / name).read_bytes())
    about = {"again": "nas export digits-1 3 --to FOLDER"}
    made = export(GRAPH, SPACE.inputs, None, tmp_path, about, formats=[], replace=True)
    kept = FILES - {"model.pt2", "model.onnx"}
    assert {path.name for path in tmp_path.iterdir()} == set(made.files) == kept < set(OURS)
    assert "`nas export digits-1 3 --to FOLDER` also writes" in (tmp_path / "README.md").read_text()


def test_fused_layers_are_proved_too(tmp_path: Path) -> None:
    weights = build(GRAPH, SPACE.inputs, seed=5).state_dict()
    made = export(GRAPH, SPACE.inputs, weights, tmp_path / "net", {}, formats="none", fold_norms=True)
    assert "BatchNorm" not in (made.folder / "model.py").read_text()
    text = (made.folder / "model.py").read_text()
    assert "Fused:   1 batch norm folded; for use, not for more training\n" in text
    assert [(each.form, each.tolerance) for each in made.proofs] == [("source", 1e-4)]
    assert 0 < made.max_abs_difference < 1e-5
    assert accepted("source") == 0.0


@pytest.mark.parametrize("kind", ["grouped", "linear"])
def test_the_cost_of_a_fused_network_is_that_of_its_layers(tmp_path: Path, kind: str) -> None:
    def plain(kernel: int) -> Part:
        return op("conv", width=8, kernel=kernel, groups=2, act=None)

    parts = {
        "grouped": seq(op("conv", width=8, stride=2), parallel(plain(3), plain(1), op("identity"), merge="add")),
        "linear": seq(op("global_pool"), op("flatten"), parallel(op("linear", width=4), op("linear", width=4),
                                                                 merge="add"), op("batch_norm")),
    }  # fmt: skip
    space = Space(seq(parts[kind], head=op("head")), image(4, 6, 6), 3)
    write(space.decide({}).graph, space.inputs, None, tmp_path, {}, fold_norms=True, merge_branches=True)
    (said,) = re.findall(r"Cost: +([\d,]+) parameters, ([\d,]+) multiply", (tmp_path / "model.py").read_text())
    network = folder.load(tmp_path)
    with FlopCounterMode(display=False) as counter:
        network(torch.rand(1, 4, 6, 6))
    assert not any(isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d) for module in network.modules())
    counted = sum(value.numel() for value in network.parameters()), counter.get_total_flops() // 2
    assert tuple(int(number.replace(",", "")) for number in said) == counted
    assert "; in the search " in (tmp_path / "model.py").read_text()


def test_where_nothing_could_be_fused_the_source_is_equal_to_the_bit(tmp_path: Path) -> None:
    plain = Space(seq(op("conv2d", width=4), op("relu"), op("head")), image(1, 6, 6), 3)
    draft = write(plain.decide({}).graph, plain.inputs, None, tmp_path, {}, fold_norms=True, merge_branches=True)
    assert draft.architecture.about["fused"] == "nothing could be"
    (note,) = draft.notes
    assert note.startswith("no batch norm was folded; no branches were merged: ")
    assert "Fused:   nothing could be\n" in (tmp_path / "model.py").read_text()
    (tmp_path / "other").mkdir()
    (note,) = write(plain.decide({}).graph, plain.inputs, None, tmp_path / "other", {}, merge_branches=True).notes
    assert note.startswith("no branches were merged: ")
    assert accepted("source", draft.fused) == 0.0


# ---- what an exporter makes of networks of all kinds -----------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Draft]:
    """Networks with all forms that can be, not proved yet; one process makes them all. 'Misspelled' does not load."""
    kinds = (unexportable.Around, unexportable.Branching, unexportable.Fixed, unexportable.Decomposed)
    several = WRITTEN["multi_task"]()
    networks = {kind.__name__: _own(kind) for kind in (*kinds, unexportable.Rounded)}
    networks |= {"several": (several[5].graph, dict(several.inputs)), "Misspelled": (GRAPH, dict(SPACE.inputs))}
    root = tmp_path_factory.mktemp("made")
    drafts = []
    for name, (graph, inputs) in networks.items():
        (root / name).mkdir()
        drafts.append(replace(write(graph, inputs, None, root / name, {}), formats=("pt2", "onnx")))
    source = root / "Misspelled" / "model.py"
    source.write_text(source.read_text().replace("nn.ReLU()", "nn.RELU()"))
    return dict(zip(networks, converted(drafts, alone=False), strict=True))


@pytest.fixture(scope="module")
def found(made: dict[str, Draft]) -> dict[str, dict]:
    """How equal these are, by network and form; one process looks at them all."""
    forms = [("source", *draft.formats) for draft in made.values()]
    return dict(zip(made, proof.differences([d.claim for d in made.values()], forms, alone=False), strict=True))


def test_several_inputs_and_outputs_keep_their_names_and_agree(made: dict[str, Draft], found: dict) -> None:
    assert [each.form for each in settled(made["several"], found["several"]).proofs] == ["source", "pt2", "onnx"]
    folder = made["several"].claim.folder
    model = onnx.load(folder / "model.onnx")
    assert [value.name for value in model.graph.input] == ["image", "depth"]
    assert [value.name for value in model.graph.output] == ["digits", "parity", "beside", "pixels"]
    program = torch.export.load(folder / "model.pt2").module()
    assert list(program(torch.rand(3, 1, 8, 8), torch.rand(3, 2, 8, 8))) == ["digits", "parity", "beside", "pixels"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "Around",
            "stage/1st-own/inner/1 (class Branching): what it does depends on the values of a tensor, in `if x.is_m",
        ),
        ("Fixed", "stage/1st-own (class Fixed): its program would hold for one number of examples only. Instead: take"),
    ],
)
def test_the_innermost_part_is_named(made: dict[str, Draft], name: str, words: str) -> None:
    assert made[name].formats == ()
    (why,) = set(made[name].left_out.values())
    assert words in why
    assert why.startswith("model.pt2 and model.onnx: torch.export cannot express ")


def test_what_onnx_lacks_leaves_the_program(made: dict[str, Draft]) -> None:
    assert made["Decomposed"].formats == ("pt2",)
    (why,) = made["Decomposed"].left_out.values()
    assert "model.onnx: torch.onnx cannot express stage/1st-own (class Decomposed): ONNX has no operator for" in why
    assert "aten._linalg_svd. Instead: model.pt2 can hold it (--formats pt2)" in why


def test_a_form_that_differs_is_an_error_even_if_nobody_asked_for_it(made: dict[str, Draft], found: dict) -> None:
    assert made["Rounded"].formats == ("pt2", "onnx")
    with pytest.raises(ExportError, match=r"model\.onnx differs from the built one by .*allowed is 0\.0001"):
        settled(made["Rounded"], found["Rounded"])


def test_a_branch_on_values_is_named_with_its_line_and_leaves_the_source(made: dict[str, Draft], found: dict) -> None:
    whole = settled(made["Branching"], found["Branching"])
    assert set(whole.files) == {path.name for path in whole.folder.iterdir()} == FILES - {"model.pt2", "model.onnx"}
    assert set(whole.left_out) == {"pt2", "onnx"}
    (why,) = set(whole.left_out.values())
    assert why.startswith("model.pt2 and model.onnx: torch.export cannot express stage/1st-own (class Branching): ")
    assert "depends on the values of a tensor, in `if x.is_meta or x.mean() > 0:" in why
    assert "torch.where" in why
    assert "\n" not in why


def test_a_source_that_does_not_load_is_told_with_its_line(made: dict[str, Draft], found: dict) -> None:
    with pytest.raises(ExportError, match=r"the reloaded network does not run .*RELU.*\(model\.py, line \d+\)"):
        settled(made["Misspelled"], found["Misspelled"])


def test_what_was_asked_for_by_name_and_cannot_be_expressed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"path": "stage._1st_own", "module": "Branching", "kind": "values", "why": "so", "code": "",
             "exporter": "torch.export"}  # fmt: skip
    monkeypatch.setattr(proof.Fresh, "answers", lambda self, jobs, mark: [{"pt2": found}])
    graph, inputs = _own(unexportable.Branching)
    with pytest.raises(
        ExportError, match=r"^model\.pt2: torch\.export cannot express stage/1st-own \(class Branching\): so"
    ):
        export(graph, inputs, None, tmp_path / "net", {}, formats=["pt2"])
    assert list(tmp_path.iterdir()) == []


class Paired(nn.Module):
    """Takes examples in pairs, and no fewer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) == 1:
            raise ValueError("one example has no partner")
        return x


def test_a_network_that_does_not_take_one_example_is_seen_on_others(tmp_path: Path) -> None:
    graph, inputs = _own(Paired)
    assert write(graph, inputs, None, tmp_path, {}).claim.sizes == (4, 5)


# ---- refusals --------------------------------------------------------------------------------------------------------


def test_places_are_told_in_the_users_names() -> None:
    graph, inputs = _own(layers.Outer.Inner)
    assert address("stage._1st_own.conv.weight", graph, inputs) == "stage/1st-own/conv/weight"
    assert address("stage", graph, inputs) == "stage"
    assert address("", graph, inputs) == ""


def test_names_of_formats() -> None:
    assert chosen(["onnx"]) == ("onnx",)
    assert chosen(" PT2 ,onnx") == ("pt2", "onnx")
    for given, words in (("onxx", "did you mean 'onnx'"), ("none,pt2", "stands alone"), ([3], r"formats are \[3\]"),
                         ("", "formats are '', where a name is empty; expected pt2, onnx or none"),
                         ("pt2,", "'pt2,', where a name is empty"), ([" "], "a name is empty")):  # fmt: skip
        with pytest.raises(ExportError, match=words):
            chosen(given)


def test_a_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("results.export.formats.installed", lambda package: package == "onnxscript")
    assert lacking(["pt2"]) == {}
    with pytest.raises(
        ExportError, match=r"onnx and onnxruntime are not installed: pip install 'espalier-nas\[onnx\]'"
    ):
        export(GRAPH, SPACE.inputs, None, tmp_path / "net", {}, formats="pt2,onnx")
    assert list(tmp_path.iterdir()) == []
    names, left_out = folder.ready(None)
    assert names == ("pt2",)
    assert left_out == {
        "onnx": "model.onnx is left out, as onnx and onnxruntime are not installed: pip install 'espalier-nas[onnx]'"
    }


@pytest.mark.parametrize("packages", [("onnx", "onnxscript"), ()])  # found before, or only by torch.onnx
def test_a_package_that_is_installed_and_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packages: tuple[str, ...]
) -> None:
    broken = tmp_path / "path" / "onnxscript"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libprotobuf.so.3: cannot open\\nshared object file')")
    place = tmp_path / "made"
    place.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    draft = replace(write(GRAPH, SPACE.inputs, None, place, {}), formats=("pt2", "onnx"))
    monkeypatch.setitem(FORMATS, "onnx", replace(FORMATS["onnx"], packages=packages))
    said = (
        "model.onnx: onnxscript is installed and cannot be imported (ImportError: libprotobuf.so.3: cannot open); "
        "install it again: pip uninstall -y onnxscript; pip install 'espalier-nas[onnx]'"
    )
    (left,) = converted([draft], alone=True)
    assert (left.formats, dict(left.left_out)) == (("pt2",), {"onnx": said})


def test_a_folder_that_may_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(ExportError, match=r"net cannot be written: .* may not be written to; give another folder"):
        export(GRAPH, SPACE.inputs, None, tmp_path / "deep" / "net", {})
    assert list(tmp_path.iterdir()) == []
