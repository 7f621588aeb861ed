"""Going on from a checkpoint: bit by bit the uninterrupted training, and what is said where it cannot be."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from evaluators.train import Train
from evaluators.training.checkpoint import NAME
from evaluators.training.loop import Clock, rate
from nas.core.graph import Node, chain
from nas.core.records import Budget, Candidate, Measurement
from nas.core.roles import FROM_SCRATCH, WEIGHTS
from tests.evaluators.networks import candidate, linear, small

STEADY = {"device": "cpu", "schedule": "constant", "warm_up": 0.0}


def dropped() -> Candidate:
    nodes = [Node("f", "flatten"), Node("d", "dropout", {"p": 0.3}), Node("o", "linear", {"width": 10})]
    return candidate(chain(nodes), "dropped")


def in_parts(train: Train, network: Candidate, folder: Path, *budgets: Budget) -> Measurement:
    """Trained for the first budget, then on to the second, …"""
    before = spent = None
    for place, budget in enumerate(budgets):
        here = folder / str(place)
        found = train.evaluate(network, budget, 7, folder=here, before=before, spent=spent, checkpoint=True)
        assert FROM_SCRATCH not in found.notes, found.notes[FROM_SCRATCH]
        before, spent = here, budget
    return found


def equal(one: Path, other: Path, name: str) -> bool:
    mine, theirs = load_file(one / name), load_file(other / name)
    assert mine.keys() == theirs.keys()
    return all(torch.equal(value, theirs[key]) for key, value in mine.items())


@pytest.mark.parametrize(
    ("fields", "network", "parts"),
    [
        ({}, small(4), [Budget(2), Budget(5)]),  # 2 + 3 epochs
        ({"augment": "flip_shift_cutout"}, small(4), [Budget(1.5), Budget(2.25), Budget(3)]),
        ({"optimizer": "sgd", "lr": 0.1}, small(4), [Budget(1), Budget(2)]),
        ({"optimizer": "sgd", "lr": 0.1, "momentum": 0.0}, small(4), [Budget(1), Budget(2)]),
        ({"keep": "best", "lr": 0.3, "label_smoothing": 0.0}, linear(), [Budget(3), Budget(6)]),
        ({"amp": "bf16"}, small(4), [Budget(1), Budget(2)]),
        ({}, dropped(), [Budget(7, "steps"), Budget(40, "steps")]),
        ({}, dropped(), [Budget(1), Budget(30, "steps")]),
    ],
)
def test_in_parts_is_bit_by_bit_as_in_one(fields, network, parts, tmp_path):
    train = Train("digits", **STEADY, **fields)
    found = in_parts(train, network, tmp_path / "parts", *parts)
    whole = train.evaluate(network, parts[-1], 7, folder=tmp_path / "whole", checkpoint=True)
    last = tmp_path / "parts" / str(len(parts) - 1)
    assert equal(last, tmp_path / "whole", NAME), "moments, random states or the last epoch's weights differ"
    if fields.get("keep") != "best":  # else the best epoch may be in the first part
        assert equal(last, tmp_path / "whole", WEIGHTS)
        assert found.metrics["val_loss"] == whole.metrics["val_loss"]
    assert dict(found.curve[-1])["val_loss"] == whole.curve[-1]["val_loss"]
    assert [row["epoch"] for row in found.curve] == [row["epoch"] for row in whole.curve][-len(found.curve) :]
    assert found.notes["steps"] == whole.notes["steps"]


@pytest.mark.parametrize(("piece", "network"), [("restore", small(4)), ("set_random_states", dropped())])
def test_without_one_of_its_pieces_it_is_another_training(monkeypatch, piece, network, tmp_path):
    from evaluators.training import checkpoint

    monkeypatch.setattr(
        checkpoint.Checkpoint if piece == "restore" else checkpoint, piece, lambda *_: None
    )  # a control: the comparison above notices
    train = Train("digits", **STEADY)
    in_parts(train, network, tmp_path / "parts", Budget(1), Budget(2))
    train.evaluate(network, Budget(2), 7, folder=tmp_path / "whole")
    assert not equal(tmp_path / "parts" / "1", tmp_path / "whole", WEIGHTS)


def test_the_notes_say_what_was_before(tmp_path):
    found = in_parts(Train("digits", device="cpu"), small(4), tmp_path, Budget(1), Budget(3))
    assert found.notes["epochs_before"] == 1
    assert found.notes["seconds_before"] > 0
    assert (found.notes["epoch"], found.notes["steps"]) == (3, 54)
    assert [row["epoch"] for row in found.curve] == [2, 3]
    with safe_open(tmp_path / "1" / NAME, "pt") as file:
        header = file.metadata()
    assert (header["epoch"], header["steps"], header["budget"]) == ("3.0", "54", "3 epochs")
    with safe_open(tmp_path / "1" / WEIGHTS, "pt") as file:
        assert file.metadata() == {"epoch": "3.0", "steps": "54", "reported": "last"}


def test_the_rest_has_a_schedule_of_its_own():
    """40 epochs after 8: the 32 that are left rise over their first 15 % and fall to nothing at their end."""
    clock = Clock(Budget(40), 10, 0.0, steps_before=80)
    rates = [rate("cosine", 0.15, clock.progress(step)) for step in range(80, 400)]
    assert not clock.over(399)
    assert clock.over(400)
    assert rates[0] == pytest.approx(0.5 / 320 / 0.15)
    assert rates.index(max(rates)) in (47, 48)  # 15 % of 320
    assert rates[-1] == pytest.approx(0.5 * (1 + math.cos(math.pi * (319.5 / 320 - 0.15) / 0.85)))
    assert rates[-1] < 1e-4


def test_seconds_count_from_the_first(tmp_path):
    train = Train("digits", device="cpu")
    found = in_parts(train, linear(), tmp_path, Budget(0.4, "seconds"), Budget(0.8, "seconds"))
    assert 0.4 <= found.notes["seconds_before"] < 0.75
    assert found.notes["seconds_before"] + found.seconds >= 0.8
    before = int(_header(tmp_path / "0")["steps"])
    assert found.notes["steps"] > before > 1


def test_nothing_is_left_that_nobody_asked_for(tmp_path):
    Train("digits", device="cpu").evaluate(linear(), Budget(1), 0, folder=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [WEIGHTS]


# ---- what is of no use -----------------------------------------------------------------------------------------------


def _header(folder: Path) -> dict[str, str]:
    with safe_open(folder / NAME, "pt") as file:
        return dict(file.metadata())


def _with(folder: Path, **facts: str) -> None:
    tensors, header = load_file(folder / NAME), _header(folder)
    save_file(tensors, folder / NAME, metadata={**header, **facts})


def _without(folder: Path, fact: str) -> None:
    tensors, header = load_file(folder / NAME), _header(folder)
    save_file(tensors, folder / NAME, metadata={key: value for key, value in header.items() if key != fact})


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def _lie(file: Path) -> None:
    (length,) = struct.unpack("<Q", file.read_bytes()[:8])
    assert json.loads(file.read_bytes()[8 : 8 + length])
    file.write_bytes(b"\xff" * 64)


DAMAGE = {
    "there is no checkpoint.safetensors in": lambda folder: (folder / NAME).unlink(),
    "there is no weights.safetensors in": lambda folder: (folder / WEIGHTS).unlink(),
    "its tensors are not those that were written": lambda folder: _flip(folder / WEIGHTS),
    "its tensors are not those that were written ": lambda folder: _flip(folder / NAME),
    "it cannot be read (SafetensorError": lambda folder: _cut(folder / NAME),
    "it cannot be read (SafetensorError ": lambda folder: _cut(folder / WEIGHTS),
    "it cannot be read (SafetensorError  ": lambda folder: _lie(folder / NAME),
    "it cannot be read (KeyError: 'digest'": lambda folder: _without(folder, "digest"),
    "it cannot be read (ValueError": lambda folder: _with(folder, steps="many"),
    "it was written by torch 1.0, this is ": lambda folder: _with(folder, torch="1.0"),
    "it is of another format": lambda folder: _with(folder, version="0"),
    "it is of 7 epochs, not of 1 epoch": lambda folder: _with(folder, budget="7 epochs"),
}


@pytest.fixture(scope="module")
def scratch() -> Measurement:
    return Train("digits", device="cpu").evaluate(small(4), Budget(2), 7)


@pytest.mark.parametrize("said", DAMAGE)
def test_what_is_damaged_is_said_and_trained_from_scratch(said, scratch, tmp_path):
    train = Train("digits", device="cpu")
    train.evaluate(small(4), Budget(1), 7, folder=tmp_path, checkpoint=True)
    DAMAGE[said](tmp_path)
    found = train.evaluate(small(4), Budget(2), 7, before=tmp_path, spent=Budget(1))
    assert found.notes[FROM_SCRATCH].startswith(said.strip()), found.notes[FROM_SCRATCH]
    assert "\n" not in found.notes[FROM_SCRATCH]
    assert "epochs_before" not in found.notes
    assert found.curve == scratch.curve


@pytest.mark.parametrize(
    ("train", "network", "budget", "said"),
    [
        (Train("digits", device="cpu", lr=0.01), small(4), Budget(2), "other data, settings or kind of device made it"),
        (Train("digits", device="cpu"), small(6), Budget(2), "it is of another network"),
        (
            Train("digits", device="cpu"),
            small(4),
            Budget(18, "steps"),
            "18 steps are done already, the budget of 18 steps",
        ),
        (Train("digits", device="cpu"), small(4), Budget(1e-4, "seconds"), "seconds are spent already, the budget is"),
    ],
)
def test_what_does_not_fit_is_said_and_trained_from_scratch(train, network, budget, said, tmp_path):
    Train("digits", device="cpu").evaluate(small(4), Budget(1), 7, folder=tmp_path, checkpoint=True)
    found = train.evaluate(network, budget, 7, before=tmp_path, spent=Budget(1))
    assert said in found.notes[FROM_SCRATCH]
    if budget.unit != "seconds":
        assert found.curve == train.evaluate(network, budget, 7).curve


def test_weights_of_another_shape_are_said_and_trained_from_scratch(tmp_path):
    """A user's module may have been rewritten since: graph and settings agree, the shapes do not."""
    train = Train("digits", device="cpu")
    train.evaluate(linear(), Budget(1), 7, folder=tmp_path / "a", checkpoint=True)
    train.evaluate(small(4), Budget(1), 7, folder=tmp_path / "b", checkpoint=True)
    _with(tmp_path / "b", graph=_header(tmp_path / "a")["graph"])
    found = train.evaluate(linear(), Budget(2), 7, before=tmp_path / "b", spent=Budget(1))
    assert found.notes[FROM_SCRATCH].startswith("its weights do not fit: ")
    assert found.curve == train.evaluate(linear(), Budget(2), 7).curve


def test_a_class_with_an_evaluate_of_its_own_says_for_itself():
    class Own(Train):
        def evaluate(self, candidate, budget, seed, *, folder=None):
            return super().evaluate(candidate, budget, seed, folder=folder)

    class Gentle(Train):
        """Only a field's default differs."""

    assert Train("digits").continues
    assert Gentle("digits").continues
    assert not Own("digits").continues


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_in_parts_is_as_in_one_on_a_gpu(tmp_path):
    train = Train("digits", **{**STEADY, "device": "cuda"}, amp="off")
    found = in_parts(train, dropped(), tmp_path / "parts", Budget(2), Budget(5))
    whole = train.evaluate(dropped(), Budget(5), 7, folder=tmp_path / "whole", checkpoint=True)
    assert found.metrics["val_loss"] == pytest.approx(whole.metrics["val_loss"], rel=1e-4)
