"""What the README shows works as it shows it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import nas
from nas.cli import main
from nas.loading import load
from nas.plan import make_plan
from nas.recipe import KEYS, Source, parse, parse_yaml
from nas.testing import Agreement, small_space

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str, holding: str = "") -> list[str]:
    """The fenced blocks of a language ('' for none) that hold a text."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for name, text in fences if name == language and holding in text]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_the_recipe() -> None:
    (text,) = blocks("yaml", "photos/")
    recipe = parse(parse_yaml(text, "README")[0])
    assert recipe.constraints == {"params": "<= 200000"}


def test_the_recipe_of_a_supernet() -> None:
    (text,) = blocks("yaml", "supernet")
    given = parse_yaml(text, "README")[0]
    plan = make_plan(parse({**given, "evaluator": {**given["evaluator"], "epochs": 1}}), Source())
    assert type(plan.evaluator.sharing).__name__ == "Mixture"
    assert type(plan.evaluator.norms).__name__ == "Shadow"
    assert type(plan.evaluator.rule).__name__ == "Sandwich"


def test_a_supernet_from_python() -> None:
    (text,) = blocks("python", "Supernet(space")
    names: dict[str, Any] = {}
    exec(text, names)
    supernet, network, candidate = names["supernet"].eval(), names["network"].eval(), names["candidate"]
    x = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(network(x), supernet(candidate, x), rtol=0, atol=0)


def test_every_key_of_a_recipe_is_told() -> None:
    table = README[README.index("## Recipes") : README.index("A part is a name")]
    told = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")
    }
    assert told == set(KEYS)


def test_ones_own_space(tmp_path: Path) -> None:
    (text,) = blocks("python", "class GatedConv")
    (tmp_path / "space.py").write_text(text)
    space = load("space", {"name": "space.py:gated", "width": 24}, inputs=nas.image(1, 8, 8), classes=10)
    assert space.size() == 5 + 5**2 + 5**3  # five blocks, one to three of them
    network = nas.build(space[100].graph, space.inputs)
    assert network.eval()(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_ones_own_strategy(tmp_path: Path) -> None:
    (text,) = blocks("python", "class Climb")
    (tmp_path / "climb.py").write_text(text)
    target = {"block/op": "paths", "rest/times": 2, "pool/used": False}
    climb = {"name": "climb.py:Climb", "patience": 4}
    given = {"strategy": climb, "objectives": {"val_accuracy": "max"}, "budget": {"trials": 30}}
    run = nas.search(given, space=small_space(), evaluator=Agreement(target))
    scores = run.trials()["val_accuracy"]
    assert scores.max() > scores.iloc[0]


def test_what_is_wrong_is_told_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    (shown,) = blocks("", "$ nas search mine.yaml")
    (tmp_path / "mine.yaml").write_text(
        "space: cnn\ndata: digits\nevaluator: {name: train, epoch: 8}\n\nstrategy: nsag2\n"
        "objectives: {val_accuracy: max}\nbudget: {trials: 3}\n"
    )
    monkeypatch.setattr(sys, "argv", ["nas", "search", "mine.yaml"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    said = " ".join(capsys.readouterr().err.split())  # type: ignore[attr-defined]
    for line in shown.splitlines()[1:]:
        assert line.split(", …")[0].removesuffix(" …") in said


def test_from_python(capsys: object) -> None:
    (text,) = blocks("python", "nas.search(")
    quick = text.replace('"epochs": 2', '"epochs": 0.2').replace('"trials": 10', '"trials": 2')
    assert quick != text
    exec(compile(quick, "README.md", "exec"), {"__name__": "readme"})
    said = capsys.readouterr().out  # type: ignore[attr-defined]
    assert said.splitlines()[0] == "15625"
    assert "Front(max val_accuracy, min params" in said
    (load_it,) = blocks("python", "from model import load")
    place: dict[str, object] = {}
    exec(load_it.replace("runs/digits-1/best", "runs/first/best"), place)
    assert type(place["network"]).__name__ == "Network"


def test_ones_own_evaluator(tmp_path: Path) -> None:
    (text,) = blocks("python", "class Score")
    (tmp_path / "score.py").write_text(text)
    score = {"name": "score.py:Score", "scale": 2.0}
    run = nas.search(
        space=small_space(), evaluator=score, objectives={"score": "max"}, budget={"trials": 5}, out=tmp_path / "run"
    )
    assert all(trial.metrics["score"] == 2.0 * len(trial.candidate.graph) for trial in run.front)
    assert len(run.rows) == 5
