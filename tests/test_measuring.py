"""`nas.evaluate` and `nas evaluate`: networks from anywhere, on data and on this device."""

import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import nas
from evaluators.bench import Bench
from nas.cli.app import app
from nas.core.errors import DataError, ExportError, NASError, RecipeError, RegistryError

FAST = Bench(device="cpu", warm_up=1, repeats=5)
SOURCE = '''
import torch
from torch import nn


class Bright(nn.Module):
    """Says class 1 for an image that is brighter than the mean of the training part, else class 0."""

    def __init__(self, classes=10):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.rest = classes - 2

    def forward(self, x):
        light = self.scale * x.mean((1, 2, 3))
        return torch.stack([-light, light, *[light - 99] * self.rest], 1)


def raises():
    raise ValueError("no way")


def ten():
    return 10


number = 5
'''


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with a module of one's own, and the same as a torch.export program and as an ONNX model."""
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "own.py").write_text(SOURCE)
    module = nas.core.imports.load_object(f"{folder / 'own.py'}:Bright")().eval()
    example = (torch.randn(2, 1, 8, 8),)
    program = torch.export.export(module, example, dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, folder / "own.pt2")
    (folder / "broken.pt2").write_bytes(b"nothing")
    (folder / "broken.onnx").write_bytes(b"nothing")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    fields = {"name": "cnn", "widths": [4], "stages": 1, "depths": [1]}
    return nas.search(
        space=fields, data="digits", evaluator={"name": "train", "epochs": 1, "device": "cpu"},
        objectives={"val_accuracy": "max", "params": "min"}, budget={"trials": 2}, out=str(out),
        finalists={"top": 1, "epochs": 1},
    )  # fmt: skip


def expected(part: str) -> float:
    """The share of right answers of `Bright`, worked out from the data."""
    data = nas.load("data", "digits")
    x, labels = data.tensors(part)
    mean = data.train.x.mean()
    answers = (x.float().mean((1, 2, 3)) > mean).long()
    return 100 * (answers == labels["y"]).double().mean().item() if "y" in labels else 100 * (
        answers == next(iter(labels.values()))
    ).double().mean().item()  # fmt: skip


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_module_of_ones_own(home, part):
    found = nas.evaluate(f"{home / 'own.py'}:Bright", "digits", part=part, bench=FAST)
    name = {"test": "test_accuracy", "validation": "val_accuracy"}[part]
    assert found.metrics[name] == pytest.approx(expected(part))
    assert found.metrics["params"] == 1
    assert found.interval[0] < found.metrics[name] < found.interval[1]
    assert (found.part, found.examples) == (part, nas.load("data", "digits").counts[part])


def test_a_torch_export_program(home):
    found = nas.evaluate(str(home / "own.pt2"), "digits", bench=FAST)
    assert found.metrics["test_accuracy"] == pytest.approx(expected("test"))
    assert found.metrics["params"] == 1


def test_an_onnx_model(home):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.randn(2, 1, 8, 8),), home / "own.onnx", dynamo=True, verbose=False,
            dynamic_shapes=({0: torch.export.Dim("batch")},), external_data=False,
        )  # fmt: skip
    found = nas.evaluate(str(home / "own.onnx"), "digits", bench=FAST)
    data = nas.load("data", "digits")
    x, labels = data.tensors("test")
    right = module(data.normaliser()(x)).argmax(1) == next(iter(labels.values()))
    assert found.metrics["test_accuracy"] == pytest.approx(100 * right.double().mean().item())
    assert found.metrics["params"] == sum(p.numel() for p in module.parameters())
    assert set(found.metrics) == {"test_accuracy", "test_loss", "params", "latency_ms"}
    with pytest.raises(RecipeError, match="cuda"):
        nas.evaluate(str(home / "own.onnx"), bench=Bench(device="cuda"))


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_package_that_is_missing_is_named(home, monkeypatch, package):
    (home / "any.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExportError, match=rf"{package}, which is not installed: pip install 'espalier-nas\[onnx\]'"):
        nas.evaluate(str(home / "any.onnx"))


def test_an_export_gives_again_what_was_recorded(run):
    (trial,) = run.finalists.values()
    found = nas.evaluate(str(run.folder / "best"), "digits", bench=FAST)
    for name in ("test_accuracy", "params", "macs"):
        assert found.metrics[name] == pytest.approx(found.recorded[name])
        assert found.recorded[name] == trial.metrics[name]
    assert found.metrics["test_loss"] == pytest.approx(trial.metrics["test_loss"], rel=1e-4)


def test_an_export_is_fed_as_in_training_whatever_the_data_are_like(run):
    (trial,) = run.finalists.values()
    fewer = {"name": "digits", "validation": 1000}  # another training part, with another mean
    found = nas.evaluate(str(run.folder / "best"), fewer, bench=FAST)
    assert found.metrics["test_accuracy"] == pytest.approx(trial.metrics["test_accuracy"])
    raw = nas.evaluate(str(run.folder / "best"), fewer, raw=True, bench=FAST)
    assert raw.metrics["test_loss"] != pytest.approx(found.metrics["test_loss"])


@pytest.mark.parametrize(
    ("what", "raw", "words"),
    [
        ("best", False, r"inputs minus \S+, divided by \S+: as in its training"),
        ("own.py:Bright", False, r"inputs minus \S+, divided by \S+: by the training part of digits; else say --raw"),
        ("own.py:Bright", True, r"inputs as they come \(--raw\)"),
    ],
)
def test_it_is_said_how_a_network_was_fed(run, home, what, raw, words):
    network = str(run.folder / what) if what == "best" else f"{home}/{what}"
    assert re.fullmatch(words, nas.evaluate(network, "digits", raw=raw, bench=FAST).fed)


def test_data_of_other_classes_are_refused(run, tmp_path):
    x, y = np.zeros((40, 8, 8), np.float32), np.arange(40) % 4
    np.savez(tmp_path / "few.npz", images=x, labels=y)
    with pytest.raises(DataError, match=r"trained for the classes 0, 1, 2, 3, … \(10\), few.npz has 0, 1, 2, 3 \(4\)"):
        nas.evaluate(str(run.folder / "best"), str(tmp_path / "few.npz"), bench=FAST)
    np.savez(tmp_path / "wide.npz", images=np.zeros((40, 9, 9), np.float32), labels=np.arange(40) % 10)
    with pytest.raises(DataError, match=r"\(1, 9, 9\), .* takes \(1, 8, 8\)"):
        nas.evaluate(str(run.folder / "best"), str(tmp_path / "wide.npz"), bench=FAST)


WRONG = [
    ("own.py", RecipeError, "names a file; say which network in it"),
    ("own.py:Brigt", RegistryError, "did you mean 'Bright'"),
    ("own.py:number", RecipeError, "is a int; expected an nn.Module"),
    ("own.py:ten", RecipeError, r"ten\(\) gives a int; expected an nn.Module"),
    ("own.py:raises", RecipeError, r"raises\(\) failed: ValueError: no way"),
    ("own.py:Bright", RecipeError, "does not say what it takes; give --data, or --input"),
    ("own.pt", ExportError, "names no network.*did you mean '.*own.pt2'"),
    ("gone.pt2", ExportError, "there is no file"),
    ("broken.pt2", ExportError, "cannot be read as a torch.export program"),
    ("broken.onnx", ExportError, "cannot be read as an ONNX model"),
    (".", ExportError, "holds no architecture.json; expected a folder that `nas export` wrote"),
]


@pytest.mark.filterwarnings("ignore")  # of torch, about a file that is none of its own
@pytest.mark.parametrize(("what", "kind", "words"), WRONG, ids=[case[0] for case in WRONG])
def test_what_is_no_network_is_told_in_one_line(home, what, kind, words):
    with pytest.raises(kind, match=words) as caught:
        nas.evaluate(str(home / what), bench=FAST)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, NASError)


def test_a_run_is_no_network_and_its_best_is(run):
    with pytest.raises(ExportError, match=r"is a run; take one of its networks home .*, or name .*best"):
        nas.evaluate(str(run.folder))
    assert nas.evaluate(str(run.folder / "best"), bench=FAST).kind == "an export"


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_command(run):
    best = str(run.folder / "best")
    done = CliRunner().invoke(app, ["evaluate", best, "--data", "digits", "--repeats", "5", "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["metrics"]["test_accuracy"] == pytest.approx(found["recorded"]["test_accuracy"])
    assert found["notes"]["repeats"] == 5
    done = CliRunner().invoke(app, ["evaluate", best, "--data", "digits", "--repeats", "5"])
    assert "recorded" in done.stdout
    assert "95 % interval" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["own.py:Bright", "--input", "1,8,8"], 0),
        (["own.py:Bright", "--input", "1,x"], 2),
        (["own.py:Bright", "--input", "3,8,8", "--data", "digits"], 2),
        (["own.py:Bright", "--input", "8"], 1),  # the network fails on it
        (["own.py:Bright", "--input", "1,8,8", "--part", "bogus"], 2),
        (["own.pt2", "--input", "1,16,16"], 2),
        (["broken.pt2"], 2),
        (["own.py:Bright", "--data", "{name: digits, testt: 3}"], 2),
        (["own.py:Bright", "--data", "digits", "--part", "tst"], 2),
        (["own.py:Bright", "--data", "digits", "--batch", "0"], 2),
    ],
)
def test_exit_codes(home, arguments, code):
    done = CliRunner().invoke(app, ["evaluate", f"{home}/{arguments[0]}", *arguments[1:]])
    assert done.exit_code == code
    assert "Traceback" not in done.output
