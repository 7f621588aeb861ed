"""A whole search over a supernet: trained once, taken up again on resume, finalists three ways."""

import json

import pytest
import torch

import nas
from evaluators.data import load
from evaluators.supernet.checkpoint import NAME
from evaluators.supernet.loop import Training
from results.export import load as network_of

RECIPE = {
    "space": {"name": "cnn", "widths": [8, 16], "depths": [1], "stages": 1},
    "data": "digits",
    "evaluator": {"name": "supernet", "training": {"name": "uniform", "subnets": 2}, "epochs": 2, "device": "cpu"},
    "strategy": {"name": "nsga2", "population": 8},
    "objectives": {"val_accuracy": "max", "params": "min"},
    "finalists": {"top": 1, "epochs": 1},
    "seed": 0,
}


@pytest.mark.slow
def test_a_search_trains_once_and_resumes_without_training(tmp_path, monkeypatch):
    run = nas.search(**RECIPE, budget={"trials": 6}, out=str(tmp_path / "run"))
    (facts,) = (json.loads(path.read_text()) for path in (tmp_path / "run").rglob(NAME))
    assert facts["step"] == facts["steps"]
    (finalist,) = run.trials("finalist").to_dict("records")
    assert finalist["test_accuracy"] in (finalist["test_accuracy_tuned"], finalist["test_accuracy_scratch"])
    assert 0 <= finalist["val_accuracy_inherited"] <= 100
    rows = run.facts["preparation"]  # the supernet's training, an epoch a row
    assert [row["epoch"] for row in rows] == [1.0, 2.0]
    assert all(row["train_loss"] > 0 for row in rows)
    searched = run.trials("search")["val_accuracy"].tolist()
    other = next(trial for trial in run.front if trial.id != finalist["of"])
    run.export(other, tmp_path / "net")  # inherited weights, of a network that was never trained by itself
    data = load("digits")
    x, y = data.tensors("validation", "cpu")
    with torch.no_grad():
        right = network_of(tmp_path / "net")(data.normaliser("cpu")(x)).argmax(1) == next(iter(y.values()))
    assert 100 * right.float().mean().item() == pytest.approx(other.metrics["val_accuracy"])
    monkeypatch.setattr(Training, "step", None)  # would be called
    more = nas.resume(str(tmp_path / "run"), sets=("budget.trials=10",))
    again = more.trials("search")["val_accuracy"].tolist()
    assert len(again) == 10
    assert again[:6] == searched
    assert more.facts["preparation"] == rows
