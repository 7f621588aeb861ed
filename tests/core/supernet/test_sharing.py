"""Weights: slices, experts and gates do what their papers say, checked against what can be worked out by hand."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.core.errors import RecipeError
from nas.core.language import one_of, op, parallel, seq, some_of
from nas.core.records import Candidate
from nas.core.space import Space, features, image
from nas.core.supernet.bank import Bank
from nas.core.supernet.forms import Centre, Form
from nas.core.supernet.network import Layer, Supernet
from nas.core.supernet.sharing import Balanced, Elastic, Mixture, Separate
from nas.core.supernet.slicing import Experts

WIDTHS = (4, 6, 8)


def widths_space() -> Space:
    hidden = op("linear", width=one_of(*WIDTHS))
    return Space(seq(first=hidden, act=op("relu"), second=hidden, out=op("linear", width=3)), features(5))


def double(space: Space, weights: Elastic, seed: int = 0) -> Supernet:
    net = Supernet(space, weights, seed=seed).double().train()
    net.hold(space.enumerate())
    return net


def batch(seed: int = 0) -> Tensor:
    return torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def slopes(net: Supernet, candidate: Candidate) -> dict[str, Tensor]:
    net.zero_grad(set_to_none=True)
    net(candidate, batch()).square().sum().backward()
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


def layer_of(net: Supernet, candidate: Candidate, path: str) -> Layer:
    return next(layer for layer in net.plan(candidate).layers if layer.path == path)


def mixed(net: Supernet, candidate: Candidate, path: str) -> dict[str, Tensor]:
    """The weights that a layer of a candidate gets."""
    plan, layer = net.plan(candidate), layer_of(net, candidate, path)
    assert layer.form is not None
    assert layer.index is not None
    return net.slices.weights(net.bank(), layer.key, layer.form, layer.index, plan.encoding)


def gates(net: Supernet, candidate: Candidate, path: str, encoding: Tensor | None = None) -> Tensor:
    plan, layer = net.plan(candidate), layer_of(net, candidate, path)
    assert isinstance(net.slices, Experts)
    assert layer.index is not None
    return net.slices.gates(net.bank(), layer.key, layer.index, plan.encoding if encoding is None else encoding)


def experts(net: Supernet, path: str, name: str = "weight") -> Tensor:
    return net.bank().tensor(f"{path}:linear", name)


def router(net: Supernet, path: str, name: str) -> Tensor:
    return net.bank().tensor(f"{path}:linear:router", name)


def force_gates(net: Supernet, logits: list[float]) -> None:
    """The same gates for every candidate."""
    with torch.no_grad():
        for title, parameter in net.named_parameters():
            if title.endswith("router:out.weight"):
                parameter.zero_()
            if title.endswith("router:out.bias"):
                parameter.copy_(torch.tensor(logits, dtype=parameter.dtype).expand_as(parameter))


ROUTINGS = ("layer", "neuron")


# ---- mixture of experts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("routing", ROUTINGS)
def test_one_expert_is_plain_sharing_and_its_router_learns_nothing(routing: str) -> None:
    space = widths_space()
    plain, one = double(space, Elastic()), double(space, Mixture(experts=1, routing=routing, hidden=4))
    for candidate in space.enumerate():
        assert torch.equal(plain(candidate, batch()), one(candidate, batch()))
        mine, other = slopes(plain, candidate), slopes(one, candidate)
        for name, slope in other.items():
            if ":router:" in name:
                assert torch.equal(slope, torch.zeros_like(slope))
            else:
                assert torch.equal(slope.squeeze(0), mine[name])


@pytest.mark.parametrize("routing", ROUTINGS)
def test_equal_gates_are_the_mean_of_the_experts_and_one_hot_gates_are_one_of_them(routing: str) -> None:
    space = widths_space()
    net, plain = double(space, Mixture(experts=3, routing=routing, hidden=4)), double(space, Elastic())

    def as_plain(choose: int | None) -> None:
        with torch.no_grad():
            for path in ("first", "second", "out"):
                for name in ("weight", "bias"):
                    stacked = experts(net, path, name)
                    plain.bank().tensor(f"{path}:linear", name).copy_(
                        stacked.mean(0) if choose is None else stacked[choose]
                    )

    force_gates(net, [0.0, 0.0, 0.0])
    as_plain(None)
    for candidate in space.enumerate():
        torch.testing.assert_close(net(candidate, batch()), plain(candidate, batch()), rtol=1e-12, atol=1e-12)
    for chosen in range(3):
        force_gates(net, [1e4 * (place == chosen) for place in range(3)])
        as_plain(chosen)
        for candidate in space.enumerate():
            assert torch.equal(net(candidate, batch()), plain(candidate, batch()))


@pytest.mark.parametrize("routing", ROUTINGS)
def test_equal_experts_make_gates_idle(routing: str) -> None:
    space = widths_space()
    net = double(space, Mixture(experts=3, routing=routing, hidden=4))
    with torch.no_grad():
        for path in ("first", "second", "out"):
            for name in ("weight", "bias"):
                experts(net, path, name).copy_(
                    experts(net, path, name)[:1].expand(3, *experts(net, path, name).shape[1:])
                )
    candidate = space[4]
    before = net(candidate, batch())
    largest = max(slope.abs().max().item() for name, slope in slopes(net, candidate).items() if ":router:" not in name)
    for name, slope in slopes(net, candidate).items():
        if ":router:" in name:
            assert slope.abs().max().item() < 1e-13 * largest
    force_gates(net, [2.0, -1.0, 0.3])
    torch.testing.assert_close(net(candidate, batch()), before, rtol=1e-12, atol=1e-12)


def test_copies_start_apart_and_their_router_learns() -> None:
    net = double(widths_space(), Mixture(experts=3, hidden=4, start="copies", noise=0.05))
    stacked = experts(net, "first")
    spread = (stacked - stacked.mean(0)).std() / stacked.std()
    assert 0.01 < spread < 0.1
    slope = slopes(net, net.space[4])
    assert all(slope[name].abs().max() > 0 for name in slope if name.endswith("router:out.bias"))
    with pytest.raises(RecipeError, match="never part"):
        Mixture(start="copies", noise=0.0)


@pytest.mark.parametrize("routing", ROUTINGS)
def test_slicing_before_mixing_is_slicing_after(routing: str) -> None:
    space = widths_space()
    net = double(space, Mixture(experts=3, routing=routing, hidden=4))
    narrow, wide = space[0], space[space.size() - 1]
    assert mixed(net, narrow, "second")["weight"].shape == (4, 4)
    share = gates(net, narrow, "second")
    if routing == "layer":
        whole = torch.einsum("m,moi->oi", share, experts(net, "second"))[:4, :4]
        bias = torch.einsum("m,mo->o", share, experts(net, "second", "bias"))[:4]
    else:
        assert share.shape == (4, 3)
        every = gates(net, wide, "second", net.plan(narrow).encoding)  # the same encoding, all rows
        assert torch.equal(every[:4], share)
        whole = torch.einsum("om,moi->oi", every, experts(net, "second"))[:4, :4]
        bias = torch.einsum("om,mo->o", every, experts(net, "second", "bias"))[:4]
    torch.testing.assert_close(mixed(net, narrow, "second")["weight"], whole, rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(mixed(net, narrow, "second")["bias"], bias, rtol=1e-13, atol=1e-14)


def test_neurons_with_equal_gates_are_one_layers_gates() -> None:
    space = widths_space()
    neuron, layer = (double(space, Mixture(experts=3, routing=routing, hidden=4)) for routing in ROUTINGS)
    for net in (neuron, layer):
        force_gates(net, [0.4, -0.2, 1.0])
    for candidate in space.enumerate():
        torch.testing.assert_close(neuron(candidate, batch()), layer(candidate, batch()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("routing", ROUTINGS)
def test_experts_may_be_renumbered_with_the_rows_of_their_router(routing: str) -> None:
    space = widths_space()
    net = double(space, Mixture(experts=3, routing=routing, hidden=4))
    before = [net(candidate, batch()) for candidate in space.enumerate()]
    order = torch.tensor([2, 0, 1])
    with torch.no_grad():
        for path in ("first", "second", "out"):
            for name in ("weight", "bias"):
                experts(net, path, name).copy_(experts(net, path, name)[order])
            last = router(net, path, "out.weight")
            last.copy_(last.index_select(last.dim() - 2, order))
            shift = router(net, path, "out.bias")
            shift.copy_(shift.index_select(shift.dim() - 1, order))
    for candidate, out in zip(space.enumerate(), before, strict=True):
        torch.testing.assert_close(net(candidate, batch()), out, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("routing", ROUTINGS)
def test_gates_are_a_matter_of_the_architecture_alone(routing: str) -> None:
    space = widths_space()
    net = double(space, Mixture(experts=3, routing=routing, hidden=4))
    known: set[tuple[float, ...]] = set()
    for candidate in space.enumerate():
        share = gates(net, candidate, "first")
        net(candidate, batch(1))
        assert torch.equal(share, gates(net, candidate, "first"))
        assert share.sum(-1).sub(1).abs().max() < 1e-12
        known.add(tuple(share.flatten()[:3].tolist()))
    assert len(known) == space.size()  # no two candidates have one encoding
    constant = double(space, Mixture(experts=3, routing=routing, hidden=4, router_input="constant"))
    rows = {tuple(gates(constant, candidate, "first").flatten()[:3].tolist()) for candidate in space.enumerate()}
    assert len(rows) == 1


@pytest.mark.parametrize("routing", ROUTINGS)
def test_each_expert_learns_its_gates_share_inside_the_slice_only(routing: str) -> None:
    space = widths_space()
    net = double(space, Mixture(experts=3, routing=routing, hidden=4))
    candidate = space[0]  # all widths at their smallest
    slope = slopes(net, candidate)["banks.0.second:linear:weight"]
    alone = net.extract(candidate)
    alone(batch()).square().sum().backward()
    plain = alone.get_submodule("second").weight.grad
    share = gates(net, candidate, "second")
    expected = torch.zeros_like(slope)
    wide = share.view(3, 1, 1) if routing == "layer" else share.t().unsqueeze(-1)
    expected[:, :4, :4] = wide * plain
    torch.testing.assert_close(slope, expected, rtol=1e-12, atol=1e-13)
    assert torch.equal(slope[:, 4:], torch.zeros_like(slope[:, 4:]))


def test_only_the_layers_that_are_named_are_mixed() -> None:
    net = double(widths_space(), Mixture(experts=3, hidden=4, layers="second"))
    mixes = {name for name, parameter in net.named_parameters() if ":router:" in name}
    assert {name.partition(":")[0] for name in mixes} == {"banks.0.second"}
    assert experts(net, "second").shape == (3, 8, 8)
    assert experts(net, "first").shape == (8, 5)


@pytest.mark.parametrize("routing", ROUTINGS)
def test_the_plain_network_of_a_mixture_is_as_small_as_any(routing: str) -> None:
    space = widths_space()
    net, plain = double(space, Mixture(experts=3, routing=routing)), double(space, Elastic())
    for candidate in space.enumerate():
        counts = [sum(p.numel() for p in one.extract(candidate).parameters()) for one in (net, plain)]
        assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"experts": 0}, "experts is 0; expected a whole number from 1 to 256"),
        ({"experts": True}, "experts is True"),
        ({"hidden": 2.5}, "hidden is 2.5"),
        ({"routing": "neurons"}, "did you mean 'neuron'"),
        ({"router_input": "nothing"}, "router_input is 'nothing'"),
        ({"start": "copy"}, "did you mean 'copies'"),
        ({"experts": 10**6}, "experts is 1000000"),
        ({"layers": 5}, "layers is 5; expected a pattern"),
        ({"noise": "big"}, "noise is 'big'"),
        ({"noise": float("nan")}, "noise is nan"),
    ],
)
def test_fields_of_a_mixture_are_checked(fields: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        Mixture(**fields)  # type: ignore[arg-type]


def test_fields_of_balanced_sets_are_checked() -> None:
    with pytest.raises(RecipeError, match="sets is 0"):
        Balanced(sets=0)
    with pytest.raises(RecipeError, match="did you mean 'learned'"):
        Balanced(assignment="learn")


# ---- slices ----------------------------------------------------------------------------------------------------------


def test_a_smaller_kernel_lies_in_the_middle_of_the_largest() -> None:
    space = Space(op("conv2d", width=2, kernel=one_of(1, 3, 7)), image(3, 9, 9))
    net = Supernet(space).double()
    net.hold(space.enumerate())
    weight = net.bank().tensor("conv2d:conv", "weight")
    bias = net.bank().tensor("conv2d:conv", "bias")
    assert weight.shape == (2, 3, 7, 7)
    x = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    for candidate, kernel in zip(space.enumerate(), (1, 3, 7), strict=True):
        at = (7 - kernel) // 2
        middle = weight[:, :, at : at + kernel, at : at + kernel].contiguous()
        assert torch.equal(net(candidate, x), F.conv2d(x, middle, bias, padding=kernel // 2))


def test_after_a_concatenation_each_operand_keeps_its_own_weights() -> None:
    """A prefix of the whole would give the second operand the first one's weights."""
    branch = op("conv2d", width=one_of(2, 4), kernel=1)
    space = Space(
        seq(both=parallel(a=branch, b=branch, merge="concat"), out=op("conv2d", width=1, kernel=1, bias=False)),
        image(1, 3, 3),
    )
    net = Supernet(space).double()
    net.hold(space.enumerate())
    weight = net.bank().tensor("out:conv", "weight")
    assert weight.shape == (1, 8, 1, 1)
    for candidate in space.enumerate():
        a, b = candidate.decisions["both/a/width"], candidate.decisions["both/b/width"]
        assert isinstance(a, int)
        assert isinstance(b, int)
        taken = mixed(net, candidate, "out")["weight"]
        assert torch.equal(taken, torch.cat([weight[:, :a], weight[:, 4 : 4 + b]], 1))


def test_paths_that_are_concatenated_keep_their_weights_when_others_are_missing() -> None:
    paths = some_of(*(op("conv2d", width=2, kernel=1).named(name) for name in "abc"), merge="concat")
    space = Space(seq(paths=paths, out=op("conv2d", width=1, kernel=1, bias=False)), image(1, 3, 3))
    net = Supernet(space).double()
    net.hold(reversed(list(space.enumerate())))
    pieces = {}
    for candidate in space.enumerate():
        taken = candidate.decisions["paths/paths"]
        assert isinstance(taken, tuple)
        if len(taken) > 1:
            weight = mixed(net, candidate, "out")["weight"]
            for place, name in enumerate(taken):
                piece = weight[:, 2 * place : 2 * place + 2]
                assert torch.equal(pieces.setdefault(name, piece), piece)
    assert not torch.equal(pieces["a"], pieces["b"])


def test_growing_keeps_what_is_there_where_it_is() -> None:
    bank = Bank(seed=0)

    def form(rows: tuple[tuple[str, int], ...], kernel: int) -> Form:
        return Form(
            "any",
            {"weight": (rows, Centre(kernel))},
            lambda sizes: {"weight": torch.rand(sizes["weight"])},
            lambda x, weights, mode: x,
        )

    bank.hold("place", form((("a", 2), ("b", 1)), 1))
    before = bank.tensor("place", "weight").clone()
    first = bank.version
    bank.hold("place", form((("a", 1),), 1))
    assert bank.version == first
    bank.hold("place", form((("a", 3), ("b", 1), ("c", 2)), 3))
    assert bank.version > first
    after = bank.tensor("place", "weight")
    assert after.shape == (6, 3)
    assert torch.equal(after[[0, 1, 3], 1], before[:, 0])
    index = bank.index("place", form((("b", 1), ("c", 1)), 1))["weight"]
    assert index is not None
    assert torch.equal(after[index], after[[3, 4], 1:2])


def test_another_order_of_slots_is_not_taken_for_the_whole() -> None:
    bank = Bank(seed=0)

    def form(*slots: str) -> Form:
        rows = tuple((slot, 1) for slot in slots)
        return Form("any", {"weight": (rows,)}, lambda s: {"weight": torch.rand(s["weight"])}, lambda x, w, m: x)

    bank.hold("place", form("a", "b"))
    index = bank.index("place", form("b", "a"))["weight"]
    assert index is not None
    assert torch.equal(bank.tensor("place", "weight")[index], bank.tensor("place", "weight").flip(0))


def test_separate_weights_are_separate_for_each_form() -> None:
    space = widths_space()
    net = double(space, Separate())
    shapes = sorted(
        tuple(p.shape) for name, p in net.named_parameters() if name.startswith("banks.0.second") and p.dim() == 2
    )
    assert shapes == sorted((o, i) for o in WIDTHS for i in WIDTHS)
    one, other = space[0], space[1]
    assert one.decisions["first/width"] == other.decisions["first/width"]
    touched = {name for name, slope in slopes(net, one).items() if slope.abs().max() > 0}
    assert len(touched & {name for name in slopes(net, other) if "second" in name}) == 0


# ---- balanced sets ---------------------------------------------------------------------------------------------------


def test_only_the_set_in_use_learns() -> None:
    space = widths_space()
    net = double(space, Balanced(sets=3))
    net(space[5], batch(), which=1).sum().backward()
    learned = {name.split(".")[1] for name, p in net.named_parameters() if p.grad is not None}
    assert learned == {"1"}


def test_one_set_is_elastic_and_sets_start_apart() -> None:
    space = widths_space()
    plain, one, three = (double(space, w) for w in (Elastic(), Balanced(sets=1), Balanced(sets=3)))
    candidate = space.sample(random.Random(0))
    assert torch.equal(plain(candidate, batch()), one(candidate, batch()))
    outputs = [three(candidate, batch(), which=which) for which in range(3)]
    assert torch.equal(outputs[0], plain(candidate, batch()))
    assert not torch.equal(outputs[0], outputs[1])
    for which, out in enumerate(outputs):
        assert torch.equal(three.extract(candidate, which)(batch()), out)
