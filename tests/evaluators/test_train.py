"""Training: it learns, it repeats itself, it stops at what cannot be, and it keeps away from the test part."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from evaluators.data import Data, Examples, Found, Preparation, load, prepare
from evaluators.train import Train
from nas.core.build import build
from nas.core.errors import DataError, EvaluationError, RecipeError
from nas.core.graph import Node, chain
from nas.core.records import Budget, Candidate
from nas.testing import EvaluatorContract
from tests.evaluators.networks import branched, candidate, linear, small

ONE = Budget(1)


def poisoned(data: Data) -> Data:
    """The same data with a test part that turns every number it touches into NaN, and every label into nonsense."""
    x = np.full(data.test.x.shape, np.nan, np.float32)
    return dataclasses.replace(data, test=Examples(x, {"labels": np.full(len(x), -1)}), spec=None, reload=None)


class TestTrainKeepsTheContract(EvaluatorContract):
    def make(self) -> Train:
        return Train("digits", device="cpu")

    def candidates(self) -> list[Candidate]:
        return [small(4), small(6)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One small network, trained in full as a finalist, and the folder of its weights."""
    folder = tmp_path_factory.mktemp("weights")
    rows = []
    found = Train("digits", device="cpu").evaluate(
        small(), Budget(8), 0, folder=folder, stage="finalist", report=rows.append
    )
    return found, folder, rows


def test_digits_are_learned_by_ten_thousand_parameters(trained):
    found, _, _ = trained
    assert found.metrics["params"] == 9_658
    assert found.metrics["val_accuracy"] > 97
    assert found.metrics["test_accuracy"] > 97


def test_the_curve_has_a_row_per_epoch_and_is_reported_as_it_grows(trained):
    found, _, rows = trained
    assert [row["epoch"] for row in found.curve] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [dict(row) for row in found.curve] == rows
    assert found.curve[0]["train_loss"] > found.curve[7]["train_loss"]
    assert found.metrics["val_accuracy"] == found.curve[7]["val_accuracy"]
    assert {"reported": "last", "epoch": 8.0, "amp": "off"}.items() <= found.notes.items()


def test_the_weights_are_those_that_were_measured(trained):
    found, folder, _ = trained
    data = load("digits")
    network = build(small().graph, data.inputs)
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    network.eval()
    for split, prefix in (("validation", "val"), ("test", "test")):
        x, labels = data.tensors(split)
        with torch.inference_mode():
            hits = (network(data.normaliser()(x)).argmax(1) == labels["labels"]).double().mean()
        assert 100 * hits.item() == pytest.approx(found.metrics[f"{prefix}_accuracy"], abs=1e-9)
    assert [file.name for file in folder.iterdir()] == ["weights.safetensors"], "nothing unfinished is left"
    with safe_open(folder / "weights.safetensors", "pt") as file:
        assert file.metadata() == {"epoch": "8.0", "steps": "144", "reported": "last"}


def test_the_test_part_is_for_finalists_only():
    data = poisoned(load("digits"))
    clean = Train("digits", device="cpu").evaluate(small(4), ONE, 0)
    found = Train(data, device="cpu").evaluate(small(4), ONE, 0)
    assert not any(name.startswith("test") for name in found.metrics)
    assert {**found.metrics, "train_seconds": 0} == {**clean.metrics, "train_seconds": 0}
    with pytest.raises((EvaluationError, IndexError)):
        Train(data, device="cpu").evaluate(small(4), ONE, 0, stage="finalist")


def test_the_same_numbers_in_a_fresh_process():
    code = (
        "import json, torch; from evaluators.train import Train; from nas.core.records import Budget\n"
        "from tests.evaluators.networks import small\n"
        "m = Train('digits', device='cpu', augment='shift_cutout').evaluate(small(4), Budget(2), 5)\n"
        "print(json.dumps([dict(row) for row in m.curve]))"
    )
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )
    here = Train("digits", device="cpu", augment="shift_cutout").evaluate(small(4), Budget(2), 5)
    found = json.loads(done.stdout)
    assert found == [dict(row) for row in here.curve]
    other = Train("digits", device="cpu", augment="shift_cutout").evaluate(small(4), Budget(2), 6)
    assert [dict(row) for row in other.curve] != found


def test_the_global_random_state_is_left_alone_and_does_not_matter():
    dropped = candidate(
        chain([Node("f", "flatten"), Node("d", "dropout", {"p": 0.3}), Node("o", "linear", {"width": 10})])
    )
    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.random.get_rng_state()
        losses.append(Train("digits", device="cpu").evaluate(dropped, ONE, 0).metrics["train_loss"])
        assert torch.equal(before, torch.random.get_rng_state())
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("budget", "steps", "epochs"),
    [
        (Budget(2), 36, [1, 2]),
        (Budget(0.5), 9, [0.5]),
        (Budget(20, "steps"), 20, [1, 20 / 18]),
        (Budget(0.01), 1, [1 / 18]),
    ],
)
def test_budgets_are_kept(budget, steps, epochs):
    found = Train("digits", device="cpu").evaluate(linear(), budget, 0)
    assert found.notes["steps"] == steps
    assert [row["epoch"] for row in found.curve] == pytest.approx(epochs)


def test_a_budget_of_seconds_ends_in_time():
    found = Train("digits", device="cpu").evaluate(linear(), Budget(0.3, "seconds"), 0)
    assert found.notes["steps"] > 1
    assert 0.3 <= found.metrics["train_seconds"] < 3


def test_what_the_report_raises_ends_the_training():
    def stop(row):
        raise InterruptedError(row["epoch"])

    with pytest.raises(InterruptedError, match="1"):
        Train("digits", device="cpu").evaluate(linear(), Budget(5), 0, report=stop)


def test_a_loss_that_is_not_finite_fails_with_step_and_epoch():
    wild = Train("digits", device="cpu", optimizer="sgd", lr=1e20, warm_up=0.0, schedule="constant")
    with pytest.raises(EvaluationError, match=r"the loss is (nan|inf) at step [2-9] \(epoch 1\); a smaller lr"):
        wild.evaluate(linear(), ONE, 0)


def test_a_loss_found_late_still_names_its_step():
    from evaluators.training.loop import Losses

    losses = Losses(every=64, per_epoch=10)
    for step in range(1, 24):
        losses.add(torch.tensor(float("nan") if step == 17 else 1.0), step)
    with pytest.raises(EvaluationError, match=r"nan at step 17 \(epoch 2\)"):
        losses.mean(23)


def test_the_best_epoch_can_be_kept(tmp_path):
    settings = Train("digits", device="cpu", keep="best", lr=0.3, schedule="constant", label_smoothing=0.0)
    found = settings.evaluate(linear(), Budget(4), 0, folder=tmp_path)
    best = max(row["val_accuracy"] for row in found.curve)
    assert found.metrics["val_accuracy"] == best
    assert found.notes["reported"] == "best"
    data = load("digits")
    network = build(linear().graph, data.inputs)
    network.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    x, labels = data.tensors("validation")
    hits = (network(data.normaliser()(x)).argmax(1) == labels["labels"]).double().mean()
    assert 100 * hits.item() == pytest.approx(best)


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": "sgd", "lr": 0.1},
        {"optimizer": "sgd", "momentum": 0.0, "lr": 0.2},
        {"schedule": "linear"},
        {"schedule": "constant", "warm_up": 0.0},
        {"clip": 1.0},
        {"amp": "bf16"},
        {"augment": "shift"},
    ],
)
def test_every_setting_learns(fields):
    found = Train("digits", device="cpu", **fields).evaluate(small(8), Budget(12), 0)
    assert found.metrics["val_accuracy"] > 80, found.metrics


def two_tasks() -> Data:
    digits = load("digits")

    def both(part: Examples) -> Examples:
        return Examples(part.x, {"digit": part.labels["labels"], "odd": part.labels["labels"] % 2})

    parts = {split: both(digits.part(split)) for split in ("train", "validation", "test")}
    return prepare(Found(parts, "image"), "two", Preparation())


def test_several_outputs_are_trained_together():
    settings = Train(two_tasks(), device="cpu")
    found = settings.evaluate(branched(odd=2, digit=10), Budget(12), 0, stage="finalist").metrics
    assert found["val_accuracy_digit"] > 25, "chance is 10"
    assert found["val_accuracy_odd"] > 65
    assert found["val_accuracy"] == pytest.approx((found["val_accuracy_digit"] + found["val_accuracy_odd"]) / 2)
    assert "test_accuracy_odd" in found
    assert set(found) <= {metric.name for metric in settings.metrics()}


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (small(4, classes=9), r"output 'y' has shape \(9,\), digits has 10 classes there"),
        (candidate(chain([Node("a", "conv", {"width": 10})])), r"output 'y' has shape \(10, 8, 8\)"),
        (branched(a=10, b=10), r"outputs are \['a', 'b'\], the label sets of digits are \['labels'\]"),
    ],
)
def test_outputs_that_do_not_fit_the_labels(network, message):
    with pytest.raises(EvaluationError, match=message):
        Train("digits", device="cpu").evaluate(network, ONE, 0)


def test_outputs_that_do_not_fit_several_label_sets():
    with pytest.raises(EvaluationError, match=r"outputs are \['y'\], the label sets of two are \['digit', 'odd'\]"):
        Train(two_tasks(), device="cpu").evaluate(small(4), ONE, 0)
    with pytest.raises(EvaluationError, match=r"output 'odd' has shape \(3,\), two has 2 classes there"):
        Train(two_tasks(), device="cpu").evaluate(branched(odd=3, digit=10), ONE, 0)


def test_a_network_without_weights_cannot_be_trained():
    pooled = candidate(chain([Node("f", "flatten"), Node("i", "identity")]))
    part = Examples(np.eye(10, dtype=np.float32), {"labels": np.arange(10)})
    data = prepare(Found({"train": part, "validation": part, "test": part}, "features"), "eye", Preparation())
    with pytest.raises(EvaluationError, match="no parameters"):
        Train(data, device="cpu").evaluate(pooled, ONE, 0)


def test_tables_and_tokens_are_trained_on():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    labels = {"labels": (x[:, 0] + x[:, 1] > 0).astype(int)}
    table = prepare(Found({"train": Examples(x, labels)}, "features"), "table", Preparation())
    assert Train(table, device="cpu").evaluate(linear(2, flat=False), Budget(40), 0).metrics["val_accuracy"] > 85
    words = rng.integers(0, 9, (300, 5))
    kinds = {"labels": (words == 3).any(1).astype(int)}
    text = prepare(Found({"train": Examples(words, kinds)}, "tokens"), "text", Preparation())
    nodes = [Node("e", "embedding", {"vocabulary": 9, "width": 8}), Node("h", "head", {"classes": 2})]
    assert Train(text, device="cpu").evaluate(candidate(chain(nodes)), Budget(40), 0).metrics["val_accuracy"] > 85


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("optimizer", "adam", "optimizer 'adam'; did you mean 'adamw'"),
        ("schedule", "cosin", "did you mean 'cosine'"),
        ("augment", "shfit", "did you mean 'shift'"),
        ("keep", "first", "legal: 'best', 'last'"),
        ("device", "gpu", "device 'gpu'; .*'cuda'"),
        ("device", "cpu:1", "device 'cpu:1'"),
        ("lr", 0, "lr is 0; expected a number above 0"),
        ("lr", "fast", "lr is 'fast'"),
        ("epochs", float("nan"), "epochs is nan"),
        ("epochs", True, "epochs is True"),
        ("batch_size", 2.5, r"batch_size is 2\.5; expected a whole number of at least 1"),
        ("label_smoothing", 1, "of at least 0 and below 1"),
        ("clip", -1, "clip is -1"),
    ],
)
def test_wrong_fields_are_named(field, value, message):
    with pytest.raises(RecipeError, match=message):
        Train("digits", **{field: value})


def test_numbers_that_yaml_reads_as_text_are_numbers():
    settings = Train("digits", lr="1e-3", batch_size="32")
    assert (settings.lr, settings.batch_size) == (0.001, 32)


def test_augmentation_is_for_images():
    part = Examples(np.eye(10, dtype=np.float32), {"labels": np.arange(10) % 2})
    data = prepare(Found({"train": part}, "features"), "eye", Preparation())
    with pytest.raises(RecipeError, match="augment 'flip' is for images, the data are features"):
        Train(data, augment="flip")


def test_real_valued_labels_are_refused(tmp_path):
    np.savez(tmp_path / "prices.npz", x=np.ones((9, 2)), y=np.linspace(0, 1, 9))
    with pytest.raises(DataError, match="regression, is not offered"):
        Train(str(tmp_path / "prices.npz"))


@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_device_that_is_not_there_is_refused_when_the_evaluator_is_made(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RecipeError, match=f"train: device '{device}' is not there.*use auto or cpu"):
        Train("digits", device=device)


def test_a_gpu_beyond_the_last_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Train("digits", device="cuda:1").device == "cuda:1"
    with pytest.raises(RecipeError, match="train: device 'cuda:2' is not there: torch sees 2 GPUs"):
        Train("digits", device="cuda:2")


def test_the_fingerprint_is_of_everything_but_the_budget():
    base = Train("digits", device="cpu").fingerprint()
    assert Train("digits", device="cpu", epochs=3).fingerprint() == base
    others = {
        Train("digits", device="cpu", lr=0.1).fingerprint(),
        Train("digits", device="cpu", keep="best").fingerprint(),
        Train({"name": "digits", "seed": 1}, device="cpu").fingerprint(),
    }
    assert len(others | {base}) == 4


def test_declaring_needs_no_torch():
    code = (
        "import sys; from evaluators.train import Train; Train('digits').fingerprint(); print('torch' in sys.modules)"
    )
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "False"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
class TestOnAGPU:
    def test_digits_are_learned_in_bfloat16(self, tmp_path):
        found = Train("digits", device="cuda").evaluate(small(), Budget(8), 0, folder=tmp_path, stage="finalist")
        assert found.metrics["val_accuracy"] > 96.5
        assert found.metrics["test_accuracy"] > 96.5
        assert found.notes["amp"] == "bf16"
        network = build(small().graph, load("digits").inputs)
        network.load_state_dict(load_file(tmp_path / "weights.safetensors"))

    def test_float32_on_a_gpu_is_close_to_the_cpu(self):
        first = {
            device: Train("digits", device=device, amp="off", augment="flip_shift_cutout", schedule="constant", lr=1e-4)
            .evaluate(small(4), Budget(5, "steps"), 0)
            .metrics
            for device in ("cpu", "cuda")
        }
        assert first["cuda"]["train_loss"] == pytest.approx(first["cpu"]["train_loss"], rel=1e-2)
        assert first["cuda"]["val_loss"] == pytest.approx(first["cpu"]["val_loss"], rel=1e-2)

    def test_the_gpus_random_state_is_left_alone(self):
        before = torch.cuda.get_rng_state()
        Train("digits", device="cuda").evaluate(small(4), ONE, 0)
        assert torch.equal(before, torch.cuda.get_rng_state())

    def test_a_loss_that_is_not_finite_names_its_step(self):
        wild = Train("digits", device="cuda", amp="off", optimizer="sgd", lr=1e20, warm_up=0.0, schedule="constant")
        with pytest.raises(EvaluationError, match=r"at step [2-9] \(epoch 1\)"):
            wild.evaluate(linear(), ONE, 0)

    def test_the_best_epoch_comes_back_to_the_gpu(self, tmp_path):
        settings = Train("digits", device="cuda", keep="best")
        found = settings.evaluate(small(4), Budget(2), 0, folder=tmp_path, stage="finalist")
        assert found.metrics["val_accuracy"] == max(row["val_accuracy"] for row in found.curve)

    def test_several_outputs(self):
        found = Train(two_tasks(), device="cuda").evaluate(branched(odd=2, digit=10), Budget(12), 0).metrics
        assert found["val_accuracy_odd"] > 65
