"""The training: its gradients, what a step touches, growth, checkpoints that go on bit by bit, losses like NaN."""

import json
import shutil

import pytest
import torch
from torch import Tensor, nn

from evaluators.supernet.balance import Assignment
from evaluators.supernet.checkpoint import NAME
from evaluators.supernet.evaluator import SupernetEvaluator
from evaluators.supernet.experts import diagnostics
from evaluators.supernet.loop import Training, answers, distillation
from evaluators.supernet.rules import Rule, Sandwich, Sorted
from evaluators.supernet.trained import TrainedSupernet, prepare
from evaluators.training.batches import Batches
from evaluators.training.loop import total_loss
from nas.core.errors import EvaluationError, RecipeError
from nas.core.language import one_of, op, seq
from nas.core.records import Budget
from nas.core.seeds import generator
from nas.core.space import Space
from nas.core.supernet.extremes import largest, smallest
from nas.core.supernet.network import Supernet
from search_spaces.cnn import cnn
from tests.evaluators.supernet.spaces import IMAGE, blobs, evaluator, plain_space, rich_space

ALL = [
    {"training": {"name": "uniform", "subnets": 2}, "optimizer": "sgd", "lr": 0.05},
    {"training": "fair", "weights": {"name": "balanced", "sets": 2}, "augment": "flip_shift"},
    {"training": {"name": "sandwich", "random": 1, "distill": True, "average": 0.2},
     "weights": {"name": "mixture", "experts": 2, "routing": "neuron"}},
    {"training": "sorted", "weights": "separate", "statistics": "shadow"},
]  # fmt: skip


def training(space=None, held=True, seed=0, **fields) -> Training:
    """A training whose every piece is at hand; `held`: room is made for the whole space."""
    made = evaluator(space or plain_space(), **fields)
    supernet = Supernet(made.space, made.sharing, made.norms, seed)
    supernet.hold(made.space.enumerate() if held else [smallest(made.space)])
    parts = [Batches(made.data, split, "cpu") for split in ("train", "validation")]
    sets = made.sharing.sets
    assignment = Assignment(made.space, sets, seed) if sets > 1 else None
    return Training(supernet, made, seed, "cpu", *parts, assignment)


def batch(made: Training) -> tuple[Tensor, dict[str, Tensor]]:
    return made.train.some(torch.arange(30))


def slopes(made: Training) -> dict[str, Tensor]:
    found = {name: p.grad.clone() for name, p in made.supernet.named_parameters() if p.grad is not None}
    made.optimizer.zero_grad()
    return found


def state(made: Training) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in made.tensors().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# ---- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["uniform", {"name": "sandwich", "random": 1}])
def test_gradients_of_a_step_are_the_mean_of_those_computed_one_by_one(rule):
    made = training(rich_space(), training=rule, statistics={"name": "shared", "recalibrate": 0})
    x, y = batch(made)
    candidates = [*made._draws(0), *made._draws(1)]
    made.gradients(candidates, [0] * len(candidates), x, y)
    together = slopes(made)
    alone: dict[str, Tensor] = {}
    for candidate in candidates:
        total_loss(made.supernet(candidate, x), y, 0.05).backward()
        for name, slope in slopes(made).items():
            alone[name] = alone.get(name, 0) + slope / len(candidates)
    assert together.keys() == alone.keys()
    for name in together:
        assert torch.allclose(together[name], alone[name], atol=1e-6), name


def test_the_others_learn_from_the_largest_which_learns_nothing_from_them():
    made = training(training={"name": "sandwich", "random": 0, "distill": True})
    x, y = batch(made)
    big, small = made._draws(0)
    made.gradients([big, small], [0, 0], x, y)
    together = slopes(made)
    outputs = made.supernet(big, x)
    (total_loss(outputs, y, 0.05) / 2).backward()
    first = slopes(made)
    targets = answers(outputs)
    assert all(not target.requires_grad for target in targets.values())
    assert torch.allclose(targets[""], outputs.softmax(1))
    (distillation(made.supernet(small, x), targets) / 2).backward()
    second = slopes(made)
    for name, slope in together.items():
        assert torch.allclose(slope, first.get(name, 0) + second.get(name, 0), atol=1e-6), name


def test_distillation_is_the_cross_entropy_of_the_answers_and_least_when_they_agree():
    logits = torch.tensor([[1.0, -0.5, 0.3]], requires_grad=True)
    target = {"": torch.softmax(logits.detach(), 1)}
    loss = distillation(logits, target)
    assert loss.item() == pytest.approx(-(target[""] * target[""].log()).sum().item())
    loss.backward()
    assert logits.grad.abs().max() < 1e-6


@pytest.mark.parametrize("level", [0, 1])
def test_the_gradient_outside_a_level_is_exactly_zero(level):
    rule = Sorted(levels=3)
    made = training(training=rule)
    x, y = batch(made)
    candidate = rule.level(plain_space(), level, generator(0, "any"))
    made.gradients([candidate], [0], x, y)
    touched = 0
    plan = made.supernet.plan(candidate)
    for layer in plan.layers:
        for name in layer.form.axes if layer.form else ():
            slope = made.supernet.bank().tensor(layer.key, name).grad
            if slope is None:
                continue
            outside = torch.ones_like(slope, dtype=torch.bool)
            outside[layer.index[name] or ...] = False
            assert (slope[outside] == 0).all()
            touched += int(outside.sum())
    assert touched > 100


def test_one_network_in_the_space_is_trained_as_it_would_be_by_itself():
    """B = {full} is ordinary training: the same weights, batches and schedule give the same weights."""
    from evaluators.training.loop import fit
    from nas.core.language import op, seq
    from nas.core.records import Budget
    from nas.core.space import Space
    from tests.evaluators.supernet.spaces import IMAGE

    space = Space(seq(a=op("conv", width=6), head=op("head")), IMAGE, 3)
    made = training(space, epochs=1)
    candidate = space[0]
    network = made.supernet.extract(candidate).train()
    from nas.core.seeds import derive

    order = torch.Generator().manual_seed(derive(0, "batches", 0))
    fit(network, made.train, made.validation, made.settings.settings, Budget(1), order, "cpu")
    order = torch.Generator().manual_seed(derive(0, "batches", 0))
    for x, y in made.train.epoch(30, order, made._augment):
        made.step(x, y)
    for name, tensor in made.supernet.inherited(candidate).items():
        if "num_batches" not in name:
            assert torch.allclose(tensor, network.state_dict()[name], atol=1e-5), name


# ---- what a step touches ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_only_the_set_that_is_trained_changes_and_its_moments(optimizer):
    made = training(weights={"name": "balanced", "sets": 3}, optimizer=optimizer)
    x, y = batch(made)
    for _ in range(6):
        before = state(made)
        (candidate,) = made._draws(made.steps)
        which = made._set_of(candidate, 0, made._clock.progress(made.steps))
        made.assignment.restore({n.partition("|")[2]: t for n, t in before.items() if n.startswith("assignment")})
        made.step(x, y)
        after = state(made)
        changed = {name for name in after if name not in before or not torch.equal(after[name], before[name])}
        sets = {name.split("banks.")[1][0] for name in changed if "banks." in name}
        assert sets == {str(which)}
        assert any(name.startswith("optimizer") for name in changed)


def test_one_set_is_plain_sharing_bit_by_bit(tmp_path):
    one, plain = (
        prepare(evaluator(rich_space(), weights=weights), tmp_path / str(n), 3, None).training
        for n, weights in enumerate(({"name": "balanced", "sets": 1}, "elastic"))
    )
    assert equal(state(one), state(plain))


@pytest.mark.parametrize("routing", ["layer", "neuron"])
def test_one_expert_is_trained_as_plain_sharing_is(routing):
    fields = {"weight_decay": 0.5, "lr": 0.02}
    plain = training(rich_space(), **fields)
    mixed = training(rich_space(), weights={"name": "mixture", "experts": 1, "routing": routing}, **fields)
    assert {p for g in mixed.optimizer.param_groups for p in g["params"]} == set(mixed.supernet.parameters())
    for made in (plain, mixed):
        for _ in range(6):
            made.step(*batch(made))
    for candidate in made._draws(0) + made._draws(5):
        expected, found = (made.supernet.inherited(candidate) for made in (plain, mixed))
        for name, tensor in expected.items():
            assert torch.allclose(tensor, found[name], atol=1e-4), name


def test_what_no_network_of_a_step_uses_stays_as_it_is():
    made = training(rich_space(), optimizer="adamw", weight_decay=0.5)
    x, y = batch(made)
    made.step(x, y)
    before = state(made)
    draws = made._draws(made.steps)
    used = {layer.key for c in draws for layer in made.supernet.plan(c).layers if layer.form}
    made.step(x, y)
    after = state(made)
    others = [name for name in before if name.startswith("weights|banks.0.") and
              name.removeprefix("weights|banks.0.").rpartition(":")[0] not in used]  # fmt: skip
    assert others
    assert all(torch.equal(before[name], after[name]) for name in others)


# ---- growing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_tensor_that_grows_keeps_its_values_and_its_moments(optimizer):
    made = training(held=False, optimizer=optimizer, training={"name": "sandwich", "random": 0})
    low = smallest(plain_space())
    x, y = batch(made)
    made._draws = lambda step: [low]
    made.step(x, y)
    before = {name: (p, dict(made.optimizer.state[p])) for name, p in made.supernet.named_parameters()}
    made.make_room([largest(plain_space())])
    assert made.grown == [dict(largest(plain_space()).decisions)]
    plan, grown = made.supernet.plan(low), 0
    for layer in plan.layers:
        for name in layer.form.axes if layer.form else ():
            title = f"banks.0.{layer.key}:{name}"
            if title not in before:
                continue
            old, known = before[title]
            now = made.supernet.bank().tensor(layer.key, name)
            index = layer.index[name] or ...
            assert torch.equal(now[index], old)
            grown += now.shape != old.shape
            for key, value in known.items():
                moved = made.optimizer.state[now][key]
                if value is not None and value.shape == old.shape:
                    assert torch.equal(moved[index], value)
                    assert moved.count_nonzero() == value.count_nonzero()  # what was added begins at zero
                else:
                    assert moved == value
    assert grown >= 3
    made._draws = lambda step: [largest(plain_space())]
    before = state(made)
    made.step(x, y)
    assert not equal(before, state(made))


def test_a_training_that_grew_goes_on_as_if_it_had_not_been_cut_off(tmp_path):
    whole = training(rich_space(), held=False)
    order = torch.Generator().manual_seed(0)
    batches = list(whole.train.epoch(30, order, whole._augment))
    for x, y in batches[:3]:
        whole.step(x, y)
    assert whole.grown
    whole.identity = {"a": 1}
    whole.save(tmp_path)
    again = training(rich_space(), held=False)
    from evaluators.supernet.checkpoint import load

    again.restore(*load(tmp_path, {"a": 1}))
    assert equal(state(whole), state(again))
    for made in (whole, again):
        for x, y in batches[3:]:
            made.step(x, y)
    assert equal(state(whole), state(again))


# ---- checkpoints -----------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """What ends a process."""


@pytest.mark.parametrize("fields", ALL, ids=lambda fields: str(fields["training"]))
def test_killed_and_resumed_gives_bit_identical_weights(fields, tmp_path, monkeypatch):
    made = evaluator(rich_space(), epochs=2, **fields)
    whole = prepare(made, tmp_path / "whole", 7, None)
    step, save = Training.step, Training.save

    def dying(self, x, y):
        if self.steps == 6:  # in the second of two epochs, of four steps each
            raise Killed
        step(self, x, y)
        if self.steps == 5:
            self.save(tmp_path / "cut")

    monkeypatch.setattr(Training, "step", dying)
    with pytest.raises(Killed):
        prepare(made, tmp_path / "cut", 7, None)
    monkeypatch.setattr(Training, "step", step)
    monkeypatch.setattr(Training, "save", save)
    assert json.loads((tmp_path / "cut" / NAME).read_text())["step"] == 5
    rows = []
    resumed = prepare(made, tmp_path / "cut", 7, rows.append)
    assert equal(state(whole.training), state(resumed.training))
    assert [{k: v for k, v in row.items() if k != "seconds"} for row in whole.training.curve] == [
        {k: v for k, v in row.items() if k != "seconds"} for row in resumed.training.curve
    ]
    assert len(rows) == 1  # the first epoch was not trained again
    assert torch.initial_seed() is not None


def test_a_trained_supernet_is_not_trained_again(tmp_path, monkeypatch):
    made = evaluator()
    first = prepare(made, tmp_path, 0, None)
    monkeypatch.setattr(Training, "step", None)
    assert equal(state(first.training), state(prepare(made, tmp_path, 0, None).training))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"supernet-{first.training.steps}.safetensors", NAME]


def test_the_same_seed_gives_the_same_numbers_and_another_one_others(tmp_path):
    made = evaluator(rich_space())
    states = [state(prepare(made, tmp_path / str(n), seed, None).training) for n, seed in enumerate((3, 3, 4))]
    assert equal(states[0], states[1])
    assert not equal(states[0], states[2])


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"epochs": 2}, "epochs was 1.0, now it is 2.0"),
        ({"weights": "separate"}, r"weights was 'Elastic\(\)', now it is 'Separate\(\)'"),
        ({"training": "sandwich"}, "training was 'Uniform"),
        ({"space": rich_space()}, "space was 's1:"),
        ({"data": blobs(seed=1)}, "data was "),
        ({"lr": 0.1}, "lr was 0.008, now it is 0.1"),
    ],
)
def test_a_checkpoint_of_another_supernet_is_refused_naming_what_differs(other, told, tmp_path_factory, shared):
    with pytest.raises(RecipeError, match=told) as caught:
        TrainedSupernet(evaluator(**other), shared, 0)
    assert str(shared) in str(caught.value)
    assert str(caught.value).count(" was ") == 1


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    prepare(evaluator(), folder, 0, None)
    return folder


def test_a_checkpoint_of_another_seed_is_refused(shared):
    with pytest.raises(RecipeError, match="seed was 0, now it is 1"):
        TrainedSupernet(evaluator(), shared, 1)


def test_what_is_done_with_a_trained_supernet_may_change(shared):
    assert TrainedSupernet(evaluator(fine_tune=0.5, memory_gib=1), shared, 0).training.over


@pytest.mark.parametrize("damage", ["{", "{}", '{"version": 1, "identity": {}}'])
def test_a_damaged_checkpoint_is_said_to_be_one(damage, shared, tmp_path):
    shutil.copytree(shared, tmp_path / "copy")
    (tmp_path / "copy" / NAME).write_text(damage)
    with pytest.raises((EvaluationError, RecipeError), match=r"cannot be read|is of another supernet"):
        TrainedSupernet(evaluator(), tmp_path / "copy", 0)


def test_half_a_file_of_tensors_is_said_to_be_one(shared, tmp_path):
    shutil.copytree(shared, tmp_path / "copy")
    (file,) = (tmp_path / "copy").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(EvaluationError, match=r"cannot be read .*remove it"):
        TrainedSupernet(evaluator(), tmp_path / "copy", 0)


# ---- losses that are not finite --------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    made, gradients = evaluator(epochs=3), Training.gradients

    def poisoned(self, candidates, used, x, y):
        return gradients(self, candidates, used, x * float("nan") if self.steps == 6 else x, y)

    monkeypatch.setattr(Training, "gradients", poisoned)
    with pytest.raises(EvaluationError, match=r"nan at step 7 \(epoch 2\)") as caught:
        prepare(made, tmp_path, 0, None)
    assert f"the checkpoint in {tmp_path} from before that is kept" in str(caught.value)
    assert json.loads((tmp_path / NAME).read_text())["step"] == 4
    kept = TrainedSupernet(made, tmp_path, 0).training
    assert kept.steps == 4
    assert all(tensor.isfinite().all() for tensor in kept.tensors().values())


def test_weights_that_are_not_finite_are_never_written(tmp_path):
    made = training()
    made.step(*batch(made))
    made.save(tmp_path)
    with torch.no_grad():
        next(made.supernet.parameters()).view(-1)[0] = float("inf")
    made.steps = 2
    with pytest.raises(EvaluationError, match=r"not finite after step 2 \(epoch 1\)"):
        made.save(tmp_path)
    assert json.loads((tmp_path / NAME).read_text())["step"] == 1


def test_rules_of_ones_own_need_only_a_sampler():
    class Only(Rule):
        def sampler(self, space, seed):
            return lambda step: [smallest(space)]

    made = training(training=Only())
    made.step(*batch(made))
    assert made.steps == 1
    assert isinstance(Sandwich(), Rule)


def test_what_is_only_looked_at_has_room_before_there_is_an_optimizer(tmp_path):
    """A tensor that grew behind the optimizer's back would be trained no longer, and could not be written down."""
    data = blobs(side=8)
    space = cnn(data.inputs, classes=3, widths=(4, 8))
    made = SupernetEvaluator(
        data=data, space=space, epochs=0.1, weights={"name": "mixture", "experts": 2}, statistics="shadow"
    )
    trained = TrainedSupernet(made, tmp_path, 0)
    before = [bank.version for bank in trained.supernet.banks]
    assert diagnostics(trained.supernet, trained.training.watched)
    assert [bank.version for bank in trained.supernet.banks] == before


class Fussy(nn.Module):
    """Raises for one of its settings."""

    def __init__(self, in_channels: int, mood: int = 0) -> None:
        super().__init__()
        self.layer = nn.Conv2d(in_channels, in_channels, 1)
        self.again = self.layer  # legal torch: two names for one tensor
        self.mood = mood

    def forward(self, x: Tensor) -> Tensor:
        if self.mood and x.shape[0] > 2:
            raise ValueError("not today")
        return self.again(x)


def fussy_space(*moods: int) -> Space:
    own = op(Fussy, mood=one_of(*moods))
    return Space(seq(first=op("conv", width=one_of(4, 8)), own=own, head=op("head")), IMAGE, 3)


def test_a_network_that_fails_in_training_is_left_out_and_told(tmp_path):
    made = evaluator(fussy_space(0, 1), epochs=3)
    made.prepare(tmp_path, 0)
    assert any("failed in training" in text and "not today" in text for text in made.warnings)
    fine = fussy_space(0, 1).decide({"first/width": 4, "own/mood": 0})
    assert made.evaluate(fine, Budget(1), 0).metrics["val_accuracy"] >= 0
    trained = made.trained.training
    assert 0 < trained.failures < trained.steps == trained.steps_in_all
    assert any(state for state in trained.optimizer.state.values())  # the others were trained


def test_a_network_that_fails_is_left_out_of_balanced_sets_too(tmp_path):
    made = evaluator(fussy_space(0, 1), epochs=3, weights={"name": "balanced", "sets": 2})
    made.prepare(tmp_path, 0)
    assert made.trained.training.failures > 0
    assert made.trained.training.over


def test_training_ends_when_most_networks_fail(tmp_path):
    with pytest.raises(EvaluationError, match=r"networks failed in .* steps of training, the first with .*not today"):
        evaluator(fussy_space(1, 2), epochs=30).prepare(tmp_path, 0)


def test_a_full_disk_is_said_in_one_line(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("evaluators.supernet.checkpoint.write", full)
    with pytest.raises(EvaluationError, match=r"cannot be written: .*No space left.*no checkpoint had been written"):
        evaluator().prepare(tmp_path, 0)


def test_flipped_bytes_in_a_checkpoint_are_found(shared, tmp_path):
    folder = shutil.copytree(shared, tmp_path / "copy")
    (file,) = folder.glob("*.safetensors")
    body = bytearray(file.read_bytes())
    body[-5] ^= 0xFF
    file.write_bytes(body)
    with pytest.raises(EvaluationError, match=r"is not what was written.*remove it"):
        prepare(evaluator(), folder, 0, None)


@pytest.mark.parametrize(
    "facts", [{"step": "x"}, {"step": None}, {"grown": 3}, {"grown": [{"nope": 1}]}, {"curve": {}}]
)
def test_facts_that_no_training_wrote_are_found(facts, shared, tmp_path):
    folder = shutil.copytree(shared, tmp_path / "copy")
    told = json.loads((folder / NAME).read_text()) | facts
    (folder / NAME).write_text(json.dumps({name: value for name, value in told.items() if value is not None}))
    with pytest.raises(EvaluationError, match="remove it to train the supernet anew"):
        prepare(evaluator(), folder, 0, None)


def test_a_mixture_in_which_nothing_is_mixed_is_refused(tmp_path):
    made = evaluator(weights={"name": "mixture", "layers": "nowhere/*"})
    with pytest.raises(RecipeError, match=r"matches no convolution or linear layer; places are .*first"):
        made.prepare(tmp_path, 0)
