"""The evaluator: its fields, what it inherits, its finalists, what it does in other processes."""

import json
import pickle
import random
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from evaluators.data import load
from evaluators.supernet.checkpoint import NAME
from evaluators.supernet.evaluator import SupernetEvaluator
from evaluators.supernet.room import size_bytes
from evaluators.supernet.rules import Uniform
from evaluators.training.batches import Batches
from evaluators.training.loop import measure
from nas.core.build import build
from nas.core.errors import EvaluationError, RecipeError, RegistryError
from nas.core.language import one_of, op, parallel, recursive, repeat, seq
from nas.core.records import Budget, Candidate
from nas.core.registry import made
from nas.core.roles import INHERITED
from nas.core.space import Space
from nas.core.supernet.extremes import smallest
from nas.core.supernet.network import Supernet
from nas.core.supernet.sharing import Elastic, Mixture
from nas.testing import EvaluatorContract
from tests.evaluators.supernet.spaces import IMAGE, blobs, evaluator, plain_space, rich_space

ONE = Budget(1)


@pytest.fixture(scope="module")
def ready(tmp_path_factory) -> SupernetEvaluator:
    """A rich space on blobs, trained well."""
    found = evaluator(rich_space(), epochs=25, training={"name": "uniform", "subnets": 2}, lr=0.02)
    found.prepare(tmp_path_factory.mktemp("supernet"), 0)
    return found


@pytest.fixture(scope="module")
def one_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("contract")


class TestSupernetKeepsTheContract(EvaluatorContract):
    @pytest.fixture(autouse=True)
    def _prepared_in(self, one_folder):
        self.folder = one_folder

    def make(self) -> SupernetEvaluator:
        found = evaluator(epochs=2)
        found.prepare(self.folder, 0)
        return found

    def candidates(self) -> list[Candidate]:
        return list(plain_space().enumerate())

    def test_writes_its_weights_where_it_is_told(self, tmp_path: Path) -> None:
        """Of finalists: those of a search lie in the supernet."""
        found, (first, *_) = self.make(), self.candidates()
        found.evaluate(first, ONE, 0, folder=tmp_path)
        assert list(tmp_path.iterdir()) == []
        found.evaluate(first, ONE, 0, folder=tmp_path, stage="finalist")
        assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]


# ---- searching -------------------------------------------------------------------------------------------------------


def test_most_random_candidates_are_well_above_chance_with_what_they_inherit(ready):
    space = ready.space
    found = [ready.evaluate(space.sample(random.Random(n)), ONE, 0).metrics for n in range(20)]
    assert sum(metrics["val_accuracy"] > 60 for metrics in found) >= 16  # chance is 33
    assert set(found[0]) == {"val_accuracy", "val_loss"}


def test_what_a_candidate_inherits_is_what_its_extraction_does(ready, tmp_path):
    validation = Batches(ready.data, "validation", "cpu")
    for number in (0, 7, 30):
        candidate = ready.space[number]
        network = build(candidate.graph, ready.data.inputs)
        network.load_state_dict(load_file(ready.inherit(candidate, tmp_path / str(number))))
        alone = measure(network, validation, "val_")
        found = ready.evaluate(candidate, ONE, 0).metrics
        assert found["val_accuracy"] == alone["val_accuracy"]
        assert found["val_loss"] == pytest.approx(alone["val_loss"], abs=1e-5)


def test_beside_inherited_weights_stands_how_far_they_are_from_the_supernet(ready, tmp_path):
    ready.inherit(ready.space[7], tmp_path)
    known = json.loads((tmp_path / INHERITED).read_text())
    assert known["examples"] == 16
    assert 0 <= known["max_abs_difference"] < 1e-4
    assert ready.gates == {}  # nothing is mixed in an elastic one


def test_a_wrong_way_out_of_the_supernet_would_be_seen(ready, tmp_path, monkeypatch):
    right = ready.trained.supernet.inherited

    def wrong(factor, *arguments):
        state = right(*arguments)
        name = next(name for name, value in state.items() if value.is_floating_point())
        return state | {name: state[name] * factor}

    for factor, least in ((1.5, 1e-2), (float("nan"), float("inf"))):
        monkeypatch.setattr(ready.trained.supernet, "inherited", partial(wrong, factor))
        ready.inherit(ready.space[7], tmp_path)
        known = json.loads((tmp_path / INHERITED).read_text())
        assert known["max_abs_difference"] >= least
        assert known["max_rel_difference"] >= least


def test_an_answer_does_not_depend_on_what_was_asked_before(ready, tmp_path):
    candidates = [ready.space[n] for n in (3, 50, 11)]
    first = [ready.evaluate(c, ONE, 0).metrics for c in candidates]
    assert first == [ready.evaluate(c, ONE, 1).metrics for c in candidates]
    assert first[::-1] == [ready.evaluate(c, ONE, 0).metrics for c in candidates[::-1]]


def test_hopeless_candidates_are_not_measured_to_the_end(ready):
    candidates = [ready.space[n] for n in range(0, 40, 4)]
    fields = {"epochs": 25, "training": {"name": "uniform", "subnets": 2}, "lr": 0.02}
    strict = evaluator(rich_space(), hopeless=99.9, **fields)
    strict.prepare(ready.trained.folder, 0)
    found = [strict.evaluate(c, ONE, 0) for c in candidates]
    stopped = [m for m in found if "hopeless_after" in m.notes]
    assert stopped
    assert all(m.notes["hopeless_after"] == 15 and m.metrics["val_accuracy"] < 99.9 for m in stopped)
    mild = evaluator(rich_space(), hopeless=1.0, **fields)
    mild.prepare(ready.trained.folder, 0)
    for candidate in candidates[:3]:
        wanted = ready.evaluate(candidate, ONE, 0).metrics
        assert mild.evaluate(candidate, ONE, 0).metrics == pytest.approx(wanted, abs=1e-5)


def test_weights_that_were_never_trained_are_told_and_do_not_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("evaluators.supernet.trained.held", lambda space: [space[0]])
    monkeypatch.setattr("evaluators.supernet.trained.WATCHED", 0)
    found = evaluator(training={"name": "sandwich", "random": 0}, weights="separate")
    found.prepare(tmp_path, 0)
    known, new = plain_space()[0], plain_space()[3]
    before = found.evaluate(known, ONE, 0)
    size = sum(p.numel() for p in found.trained.supernet.parameters())
    state = {name: tensor.clone() for name, tensor in found.trained.training.tensors().items()}
    measured = found.evaluate(new, ONE, 0)
    assert measured.notes["untrained_weights"] > 0
    assert "untrained_weights" not in before.notes
    assert sum(p.numel() for p in found.trained.supernet.parameters()) == size
    assert found.evaluate(new, ONE, 0).metrics == measured.metrics
    assert found.evaluate(known, ONE, 0).metrics == before.metrics
    now = found.trained.training.tensors()
    assert state.keys() == now.keys()
    assert all(torch.equal(state[name], now[name]) for name in now)


def test_growing_for_one_candidate_changes_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr("evaluators.supernet.trained.held", lambda space: [smallest(space)])
    monkeypatch.setattr("evaluators.supernet.trained.WATCHED", 0)
    found = evaluator(lr=0.02)
    monkeypatch.setattr(Uniform, "sampler", lambda self, space, seed: lambda step: [smallest(space)])
    found.prepare(tmp_path, 0)
    candidates = list(plain_space().enumerate())
    one_way = {c.decisions.text: found.evaluate(c, ONE, 0).metrics for c in candidates}
    other_way = {c.decisions.text: found.evaluate(c, ONE, 0).metrics for c in candidates[::-1]}
    assert one_way == other_way


@pytest.mark.parametrize("fields", [{}, {"training": {"name": "sandwich", "random": 1}, "epochs": 6}])
def test_digits_are_learned_by_most_candidates_at_once(fields, tmp_path):
    digits = load("digits")
    part = seq(
        first=op("stem", width=16),
        a=one_of(c3=op("conv", kernel=3, width=16), c5=op("conv", kernel=5, width=16), s=op("separable", width=16)),
        b=op("downsample", width=one_of(16, 32)),
        c=repeat(op("residual", kernel=one_of(1, 3)), times=one_of(0, 1)),
        head=op("head"),
    )
    space = Space(part, digits.inputs, digits.classes)
    found = SupernetEvaluator(digits, space=space, device="cpu", **{"epochs": 12, **fields})
    found.prepare(tmp_path, 0)
    accuracies = [found.evaluate(space.sample(random.Random(n)), ONE, 0).metrics["val_accuracy"] for n in range(16)]
    assert sum(accuracy > 80 for accuracy in accuracies) >= 13  # chance is 10


def test_the_global_random_state_is_left_alone(tmp_path):
    state = torch.random.get_rng_state()
    found = evaluator()
    found.prepare(tmp_path, 0)
    found.evaluate(plain_space()[0], ONE, 0)
    assert torch.equal(state, torch.random.get_rng_state())


def test_before_it_is_prepared_it_says_so():
    with pytest.raises(EvaluationError, match=r"evaluate was called before prepare\(folder, seed\)"):
        evaluator().evaluate(plain_space()[0], ONE, 0)


def test_in_another_process_it_reads_the_checkpoint(ready, tmp_path):
    candidate = ready.space[5]
    wanted = ready.evaluate(candidate, ONE, 0).metrics
    assert pickle.loads(pickle.dumps(ready)).evaluate(candidate, ONE, 0).metrics == wanted


def test_progress_is_reported_and_kept(tmp_path):
    rows = []
    found = evaluator(epochs=2, weights={"name": "mixture", "experts": 2})
    found.prepare(tmp_path, 0, rows.append)
    assert [row["epoch"] for row in rows] == [1.0, 2.0]
    assert {"epochs", "train_loss", "seconds", "gate_entropy", "gate_variance", "expert_cosine"} <= set(rows[0])
    facts = json.loads((tmp_path / NAME).read_text())
    assert facts["curve"] == rows
    notes = found.evaluate(plain_space()[0], ONE, 0).notes
    assert notes["gate_entropy"] == rows[-1]["gate_entropy"]


def test_a_balanced_supernet_measures_with_the_assigned_set(tmp_path):
    found = evaluator(weights={"name": "balanced", "sets": 2, "assignment": "random"}, epochs=2)
    found.prepare(tmp_path, 0)
    sets = [found.evaluate(c, ONE, 0).notes["set"] for c in plain_space().enumerate()]
    assert sorted(sets) == [0] * 4 + [1] * 4
    assert sets == [found.trained.assignment.best(c) for c in plain_space().enumerate()]


# ---- finalists -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("better", ["tuned", "scratch"])
def test_a_finalist_is_measured_three_ways_and_keeps_the_better_weights(ready, better, tmp_path):
    candidate, budget = ready.space[20], Budget({"tuned": 2, "scratch": 16}[better])
    searched = ready.evaluate(candidate, ONE, 0).metrics
    found = ready.evaluate(candidate, budget, 0, folder=tmp_path, stage="finalist")
    metrics = found.metrics
    assert metrics["val_accuracy_inherited"] == searched["val_accuracy"]
    assert set(metrics) <= {metric.name for metric in ready.metrics()}
    for way in ("inherited", "tuned", "scratch"):
        assert {f"val_accuracy_{way}", f"test_accuracy_{way}"} <= set(metrics)
    best = found.notes["weights"]
    ways = {way: metrics[f"val_accuracy_{way}"] for way in ("tuned", "scratch")}
    assert ways[best] == max(ways.values())
    assert metrics["test_accuracy"] == metrics[f"test_accuracy_{best}"]
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]
    network = build(candidate.graph, ready.data.inputs)
    network.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    again = measure(network, Batches(ready.data, "test", "cpu"), "test_")
    assert again["test_accuracy"] == metrics["test_accuracy"]


def test_fine_tuning_begins_with_what_is_inherited(ready):
    fixed = evaluator(rich_space(), epochs=25, training={"name": "uniform", "subnets": 2}, lr=0.02, fine_tune_lr=1e-9)
    fixed.prepare(ready.trained.folder, 0)
    found = fixed.evaluate(ready.space[20], Budget(2), 0, stage="finalist").metrics
    assert found["val_accuracy_tuned"] == pytest.approx(found["val_accuracy_inherited"], abs=4)
    assert found["val_accuracy_tuned"] > 60


def test_fine_tuning_can_be_left_out(ready):
    fixed = evaluator(rich_space(), epochs=25, training={"name": "uniform", "subnets": 2}, lr=0.02, fine_tune=0)
    fixed.prepare(ready.trained.folder, 0)
    found = fixed.evaluate(ready.space[2], ONE, 0, stage="finalist")
    assert not any("tuned" in name for name in found.metrics)
    assert found.notes["weights"] == "scratch"


# ---- fields ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "error", "told"),
    [
        ({"weights": "elsatic"}, RegistryError, "did you mean 'elastic'"),
        ({"weights": {"name": "mixture", "expert": 2}}, RecipeError, "did you mean 'experts'"),
        ({"weights": {"experts": 2}}, RecipeError, "has no 'name'"),
        ({"weights": 3}, RecipeError, "weights is 3; expected a name"),
        ({"weights": "uniform"}, RegistryError, "weights 'uniform' is unknown"),
        ({"statistics": {"name": "shadow", "by": "widths"}}, RecipeError, "by is 'widths'"),
        ({"training": {"name": "sandwich", "randoms": 2}}, RecipeError, "did you mean 'random'"),
        ({"training": "gradual"}, RegistryError, "training 'gradual' is unknown"),
        ({"training": Elastic()}, RecipeError, "expected a name, a mapping of name and fields, or a Rule"),
        ({"fine_tune": 1.5}, RecipeError, "supernet: fine_tune is 1.5"),
        ({"memory_gib": 0}, RecipeError, "supernet: memory_gib is 0"),
        ({"lr": "fast"}, RecipeError, "supernet: lr is 'fast'"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, error, told):
    with pytest.raises(error, match=told):
        evaluator(**fields)


def test_parts_may_be_names_mappings_or_objects():
    by_mapping = evaluator(weights={"name": "mixture", "experts": 2})
    by_object = evaluator(weights=Mixture(experts=2))
    assert by_mapping.sharing == by_object.sharing
    assert by_mapping.fingerprint() == by_object.fingerprint()
    assert made("weights", "elastic") == Elastic()
    assert made("training", "evaluators.supernet.rules:Fair") == made("training", "fair")


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 2}, {"weights": "separate"}, {"statistics": "shadow"}, {"training": "fair"}, {"fine_tune": 0.5},
        {"lr": 0.1}, {"space": rich_space()}, {"data": blobs(seed=2)}, {"keep": "best"}, {"label_smoothing": 0.0},
        {"hopeless": 40},
    ],
)  # fmt: skip
def test_the_fingerprint_changes_with_what_the_numbers_depend_on(change):
    assert evaluator(**change).fingerprint() != evaluator().fingerprint()
    assert evaluator(memory_gib=3).fingerprint() == evaluator().fingerprint()


def test_importing_it_does_not_import_torch():
    code = "import sys, evaluators; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- size ------------------------------------------------------------------------------------------------------------


def test_the_size_is_known_before_anything_is_made():
    space = rich_space()
    candidates = list(space.enumerate())
    for weights in (Elastic(), Mixture(experts=3)):
        real = Supernet(space, weights)
        real.hold(candidates)
        wanted = sum(p.numel() * p.element_size() for p in real.parameters())
        assert size_bytes(space, lambda weights=weights: Supernet(space, weights), candidates) == wanted


def test_a_recursive_space_that_grows_too_large_is_refused_with_its_size(tmp_path):
    def tree(depth: int) -> Space:
        leaf = one_of(op("conv", kernel=1), op("conv", kernel=3), op("conv", kernel=5))
        grown = recursive("tree", lambda again: one_of(leaf=leaf, two=parallel(left=again, right=again)), depth=depth)
        return Space(seq(first=op("conv", width=16), grown=grown, head=op("head")), IMAGE, 3)

    small, large = (
        size_bytes(space, lambda space=space: Supernet(space), list(space.enumerate())[:200])
        for space in (tree(1), tree(3))
    )
    assert large > 4 * small
    limit = 8 * small / 2**30
    evaluator(tree(1), memory_gib=limit).prepare(tmp_path / "small", 0)
    with pytest.raises(RecipeError, match=r"its weights take about .* GiB.*memory_gib is .*depth of recursions"):
        evaluator(tree(4), memory_gib=limit).prepare(tmp_path / "large", 0)
    assert not (tmp_path / "large").exists()


# ---- what cannot be shared -------------------------------------------------------------------------------------------


class Own(nn.Module):
    """A module of a user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


def test_a_module_of_the_users_own_has_weights_of_its_own_and_it_is_said(tmp_path):
    place = f"{__name__}:Own"
    space = Space(
        seq(first=op("conv", width=one_of(4, 8)), own=one_of(own=op(place), conv=op("conv")), head=op("head")), IMAGE, 3
    )
    found = evaluator(space)
    found.prepare(tmp_path, 0)
    (said,) = found.warnings
    assert "a module of your own" in said
    assert "Own" in said
    assert [found.evaluate(c, ONE, 0).metrics for c in space.enumerate()]


def test_a_space_that_does_not_fit_the_labels_is_refused(tmp_path):
    space = Space(seq(first=op("conv", width=4), head=op("head")), IMAGE, 5)
    with pytest.raises(EvaluationError, match="3 classes"):
        evaluator(space).prepare(tmp_path, 0)
