"""Examples of a run's own data, as its networks were fed; or seeded ones, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nas
from evaluators.data import load
from nas import running
from nas.core.errors import StoreError
from nas.examples import examples_of
from results.run import Run
from tests.results.samples import store_of

SHAPE = {"x": {"shape": [1, 8, 8], "dtype": "float32", "vocabulary": None}}


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    """Images with classes, in a file."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "mine.npz", x=rng.integers(0, 255, (80, 8, 8, 1), dtype=np.uint8), y=np.arange(80) % 4)
    return tmp_path / "mine.npz"


def _run(folder: Path, data: Any, recipe: Any, inputs: Any = SHAPE) -> Run:
    facts = {"data": data.describe() if data is not None else None, "inputs": inputs, "directory": str(folder.parent)}
    folder.mkdir(parents=True, exist_ok=True)
    store_of(folder, [], **facts).close()
    (folder / "recipe.yaml").write_text(f"space: cnn\ndata: {recipe}\n")
    return running.open(folder)


def test_examples_are_those_of_the_validation_part_as_networks_see_them(arrays: Path, tmp_path: Path) -> None:
    data = load(str(arrays))
    with _run(tmp_path / "run", data, "mine.npz") as run:
        found = examples_of(run)
        few = examples_of(run, 3)
    assert found.words == f"{min(16, data.counts['validation'])} examples of the validation part of mine.npz"
    (x,) = found.values
    assert torch.equal(x, data.normaliser()(data.tensors("validation")[0][:16]))
    assert abs(float(x.mean())) < 0.2  # normalised: it would be above 100 as it comes
    assert torch.equal(few.values[0], x[:3])


def test_a_run_may_be_called_by_a_path_from_here(arrays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its search worked in another directory, where a relative path means something else."""
    _run(tmp_path / "there" / "run", load(str(arrays)), str(arrays)).close()
    monkeypatch.chdir(tmp_path / "there" / "run")
    with running.open(Path("../run")) as run:
        assert "validation part" in examples_of(run).words
    monkeypatch.chdir(tmp_path)
    with running.open(Path("there/run")) as run:
        assert "validation part" in examples_of(run).words


def test_a_whole_search_leaves_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = nas.search(
        space={"name": "cnn", "widths": [4], "depths": [1], "stages": 1}, data={"name": "digits", "limit": 200},
        evaluator={"name": "train", "epochs": 0.2},
        objectives={"val_accuracy": "max"}, budget={"trials": 1}, executor={"name": "local", "workers": 1}, out="run",
    )  # fmt: skip
    with run:
        assert examples_of(run).words == "16 examples of the validation part of digits"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file: file.unlink(), "mine.npz"),
        (
            lambda file: np.savez(file, x=np.zeros((40, 8, 8, 1), np.uint8), y=np.arange(40) % 4),
            "is no longer what the run",
        ),
        (lambda file: file.write_bytes(b"torn"), "mine.npz"),
    ],
)
def test_data_that_are_gone_or_have_changed(arrays: Path, tmp_path: Path, spoil: Any, words: str) -> None:
    with _run(tmp_path / "run", load(str(arrays)), "mine.npz") as run:
        spoil(arrays)
        found = examples_of(run)
    assert found.words.startswith("4 seeded examples (")
    assert words in found.words
    assert "\n" not in found.words
    assert found.values[0].shape == (4, 1, 8, 8)


def test_runs_without_data_of_other_shapes_and_of_huge_data(
    arrays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load(str(arrays))
    with _run(tmp_path / "none", None, "null") as run:
        assert examples_of(run).words == "4 seeded examples (the run has no data)"
    other = {"x": {"shape": [3, 4, 4], "dtype": "float32", "vocabulary": None}}
    with _run(tmp_path / "other", data, "mine.npz", other) as run:
        assert "they are not what its networks take" in examples_of(run).words
        assert examples_of(run).values[0].shape == (4, 3, 4, 4)
    with _run(tmp_path / "object", data, "{object: mine}") as run:
        assert "were given as a Python object" in examples_of(run).words
    monkeypatch.setattr("nas.examples.LARGEST", 1000)
    with _run(tmp_path / "huge", data, "mine.npz") as run:
        assert "would take long" in examples_of(run).words


def test_a_run_that_does_not_say_what_its_networks_take_has_none(tmp_path: Path) -> None:
    with _run(tmp_path / "run", None, "digits", None) as run, pytest.raises(StoreError, match="does not say what its"):
        examples_of(run)
