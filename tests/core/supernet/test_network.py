"""The invariant of all supernets: what is taken out does exactly what the supernet does under the same decisions."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor, nn

from nas.core.build import build
from nas.core.errors import GraphError, NotInSpaceError
from nas.core.language import dag, one_of, op, optional, parallel, recursive, repeat, seq, some_of, tie
from nas.core.parts import Part
from nas.core.profile import InputSpec, profile
from nas.core.records import Candidate
from nas.core.space import Space, image, tokens
from nas.core.supernet.network import Supernet
from nas.core.supernet.norms import Shadow, Shared
from nas.core.supernet.sharing import Balanced, Elastic, Mixture, Separate
from search_spaces.cnn import cnn
from search_spaces.nas_bench_101 import nas_bench_101
from search_spaces.nas_bench_201 import nas_bench_201
from search_spaces.nas_bench_macro import nas_bench_macro
from search_spaces.tree import tree_space
from tests.core.operations.cases import CASES, combinations
from tests.strategies import candidates

WEIGHTS = (
    Elastic(), Separate(), Mixture(experts=3, hidden=5), Mixture(experts=2, hidden=5, routing="neuron"),
    Mixture(experts=2, hidden=4, start="copies", layers="*1*"), Balanced(sets=2),
)  # fmt: skip
STATISTICS = (Shared(), Shadow(), Shadow(by="paths"))


def operands(space: Space, batch: int = 3) -> list[Tensor]:
    dice = torch.Generator().manual_seed(5)
    return [
        torch.randint(0, spec.vocabulary or 2, (batch, *spec.shape), generator=dice)
        if spec.dtype == "int64"
        else torch.randn(batch, *spec.shape, generator=dice, dtype=torch.float64)
        for spec in space.inputs.values()
    ]


def largest_difference(net: Supernet, candidate: Candidate, which: int = 0) -> float:
    """Between the supernet and what is taken out of it, training and not, twice, so that statistics have moved."""
    given, worst = operands(net.space), 0.0
    for training in (True, False, True, False):
        net.train(training)
        alone = net.extract(candidate, which)
        torch.manual_seed(3)
        one = net(candidate, *given, which=which)
        torch.manual_seed(3)
        other = alone(*given)
        one, other = ({"": x} if isinstance(x, Tensor) else x for x in (one, other))
        assert list(one) == list(other)
        for name, x in one.items():
            assert x.dtype == other[name].dtype
            assert x.shape == other[name].shape
            worst = max(worst, (x - other[name]).abs().max().item())
    return worst


def net_of(space: Space, weights: Elastic | None = None, statistics: Shared | None = None) -> Supernet:
    return Supernet(space, weights, statistics).double()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(candidates())
def test_random_spaces(pair: tuple[Space, Candidate]) -> None:
    space, candidate = pair
    place = len(candidate.decisions) + space.size() % 7
    net = net_of(space, WEIGHTS[place % len(WEIGHTS)], STATISTICS[place % len(STATISTICS)])
    net.hold([space.sample(random.Random(seed)) for seed in range(3)])
    assert largest_difference(net, candidate) == 0.0


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_operation(name: str) -> None:
    """Every value of every attribute of every operation, where the combination is legal."""
    ran = 0
    for place, (shapes, attributes) in enumerate(combinations(CASES[name], most=4)):
        ids = name in ("embedding", "tokens")
        inputs = {f"x{at}": tokens(shape[0], 3) if ids else InputSpec(shape) for at, shape in enumerate(shapes)}
        try:
            part = dag({"y": (op(name, **attributes), list(inputs))}, inputs=tuple(inputs))
            space = Space(part, inputs)
            profile(space[0].graph, inputs)
        except GraphError:
            continue
        ran += 1
        assert largest_difference(net_of(space, WEIGHTS[place % len(WEIGHTS)]), space[0]) == 0.0
    assert ran


def transformer_space() -> Space:
    width = one_of(8, 16)
    block = op("transformer", heads=one_of(1, 2, 4), ratio=one_of(1, 2), dropout=0.1)
    return Space(
        seq(
            tokens=op("tokens", width=width),
            blocks=repeat(block, times=one_of(1, 3)),
            norm=op("layer_norm"),
            head=op("head"),
        ),
        tokens(6, 11),
        classes=3,
    )


def multi_task_space() -> Space:
    return Space(
        dag(
            {
                "stem": (op("conv", width=one_of(4, 6)), "input"),
                "deep": (repeat(op("conv"), times=one_of(1, 2)), "stem"),
                "first": (op("head", classes=3), one_of("stem", "deep")),
                "second": (op("head", classes=2), one_of("stem", "deep")),
            },
            outputs={"first": "first", "second": "second"},
        ),
        image(3, 6, 6),
    )


def wide_space() -> Space:
    """Concatenations of open widths, of which some may be missing, nested in one another and flattened."""
    branch = lambda: op("conv", width=one_of(2, 4, 6), kernel=one_of(1, 3))  # noqa: E731
    inner = some_of(
        a=branch(), b=seq(branch(), op("depthwise", kernel=one_of(3, 5))), skip=op("identity"), merge="concat"
    )
    outer = parallel(one=inner, two=branch(), merge=one_of("concat", "join"), fit="project")
    return Space(
        seq(stem=op("conv", width=one_of(4, 8)), outer=outer, after=op("depthwise"), norm=op("batch_norm"),
            mix=op("conv2d", width=one_of(3, 5), kernel=one_of(1, 3)), flat=op("flatten"), out=op("linear", width=4)),
        image(3, 5, 5),
    )  # fmt: skip


class Twice(nn.Module):
    """A module of a user's own, with weights, a buffer and a dropout."""

    def __init__(self, in_channels: int, factor: int = 2) -> None:
        super().__init__()
        self.layer = nn.Conv2d(in_channels, factor * in_channels, 1)
        self.drop = nn.Dropout(0.5)
        self.norm = nn.BatchNorm2d(factor * in_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.drop(self.layer(x)))  # type: ignore[no-any-return]


def user_space() -> Space:
    own = op(f"{__name__}:Twice", factor=one_of(1, 2))
    return Space(seq(stem=op("conv", width=one_of(2, 4)), own=own, head=op("head")), image(3, 5, 5), classes=2)


def grouped_space() -> Space:
    conv = op("conv", width=one_of(4, 8), groups=one_of(1, 2, 4))
    return Space(
        seq(first=conv, second=conv, norm=op("group_norm", groups=2), head=op("head")), image(4, 5, 5), classes=2
    )


SPACES = {
    "transformer": transformer_space,
    "multi_task": multi_task_space,
    "wide": wide_space,
    "user": user_space,
    "grouped": grouped_space,
    "cnn": lambda: cnn(image(3, 8, 8)),
    "tree": lambda: tree_space(image(3, 8, 8)),
    "nas_bench_101": lambda: nas_bench_101(image(3, 8, 8)),
    "nas_bench_201": lambda: nas_bench_201(image(3, 8, 8)),
    "nas_bench_macro": lambda: nas_bench_macro(image(3, 8, 8)),
}


@pytest.mark.parametrize("weights", WEIGHTS[:4] + WEIGHTS[5:], ids=lambda w: f"{w}"[:24])
@pytest.mark.parametrize("name", sorted(SPACES))
def test_every_kind_of_space(name: str, weights: Elastic) -> None:
    heavy = name.startswith("nas_bench")
    if heavy and not isinstance(weights, Elastic | Mixture):
        return
    space = SPACES[name]()
    net = net_of(space, weights, STATISTICS[len(name) % 3])
    drawn = [space.sample(random.Random(seed)) for seed in range(1 if heavy else 5)]
    fitting = [candidate for candidate in drawn if space.trouble(candidate) is None]
    net.hold(fitting)
    for place, candidate in enumerate(fitting):
        assert largest_difference(net, candidate, which=place % weights.sets) == 0.0


def test_what_is_taken_out_has_the_names_and_sizes_of_a_fresh_network() -> None:
    space = cnn(image(3, 8, 8))
    net = net_of(space, Mixture(experts=2, hidden=3))
    for seed in range(4):
        candidate = space.sample(random.Random(seed))
        fresh = build(candidate.graph, space.inputs).double().state_dict()
        taken = net.extract(candidate).state_dict()
        assert {name: x.shape for name, x in taken.items()} == {name: x.shape for name, x in fresh.items()}


def test_what_is_taken_out_is_a_copy() -> None:
    space = cnn(image(3, 8, 8))
    net, candidate = net_of(space), cnn(image(3, 8, 8))[0]
    alone = net.extract(candidate)
    before = [parameter.clone() for parameter in alone.parameters()]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(one, other) for one, other in zip(before, alone.parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in alone.parameters())


def test_gradients_are_those_of_the_plain_network_and_zero_outside_the_slice() -> None:
    space = wide_space()
    net = net_of(space).train()
    drawn = [space.sample(random.Random(seed)) for seed in range(12)]
    net.hold(drawn)
    (x,) = operands(space)
    for candidate in drawn:
        alone = net.extract(candidate)
        net(candidate, x).square().sum().backward()
        alone(x).square().sum().backward()
        total = sum(float(p.grad.abs().sum()) for p in net.parameters() if p.grad is not None)
        plain = sum(float(p.grad.abs().sum()) for p in alone.parameters() if p.grad is not None)
        assert total == pytest.approx(plain, rel=1e-12)
        inside = {layer.path: layer for layer in net.plan(candidate).layers if layer.form is not None}
        for path, layer in inside.items():
            weight = net.bank().tensor(layer.key, "weight")
            index = layer.index["weight"] if layer.index else None
            slope = weight.grad if index is None else weight.grad[index]
            assert torch.equal(slope, alone.get_submodule(path).weight.grad)
        net.zero_grad(set_to_none=True)


def test_candidates_leave_nothing_behind() -> None:
    """Running others in between changes nothing, and each runs with its own decisions."""
    space = cnn(image(3, 8, 8))
    net = net_of(space, Mixture(experts=2, hidden=4)).eval()
    drawn = [space.sample(random.Random(seed)) for seed in range(5)]
    net.hold(drawn)
    (x,) = operands(space)
    first = [net(candidate, x) for candidate in drawn]
    again = [net(candidate, x) for candidate in reversed(drawn)]
    assert all(torch.equal(one, other) for one, other in zip(first, reversed(again), strict=True))


def test_a_candidate_of_another_space_is_refused() -> None:
    net = net_of(cnn(image(3, 8, 8)))
    other = transformer_space()[0]
    with pytest.raises(NotInSpaceError):
        net.plan(other)


def test_what_cannot_be_shared_is_said() -> None:
    space = user_space()
    net = net_of(space)
    net.hold(space.enumerate())
    assert {key.partition(":")[0] for key in net.unshared} == {"own"}
    assert len(net.unshared) == 4  # two widths that arrive, two factors: each has a module of its own
    assert all("Twice" in why for why in net.unshared.values())


def test_options_have_weights_of_their_own_and_values_share() -> None:
    same = op("conv", width=4)
    space = Space(one_of(a=same, b=seq(same, op("relu"))), image(3, 5, 5))
    net = net_of(space)
    net.hold(space.enumerate())
    places = {"a/conv/conv", "a/conv/norm", "b/conv/conv", "b/conv/norm"}
    assert {key.partition(":")[0] for key in net.bank().most} == places
    kernels = Space(op("conv2d", width=one_of(2, 4), kernel=one_of(1, 3, 5)), image(3, 5, 5))
    net = net_of(kernels)
    net.hold(kernels.enumerate())
    assert [tuple(p.shape) for p in net.parameters()] == [(4, 3, 5, 5), (4,)]


def test_places_with_one_tie_have_weights_of_their_own() -> None:
    cell = tie("cell", one_of(op("conv", width=3), op("conv", width=3, kernel=1)))
    space = Space(seq(first=cell, second=cell), image(3, 5, 5))
    net = net_of(space)
    net.hold(space.enumerate())
    assert {key.partition("/")[0] for key in net.bank().most} == {"first", "second"}


def test_the_only_path_of_several_has_the_weights_it_has_among_others() -> None:
    for part in (
        some_of(a=op("conv", width=3), b=op("conv", width=3, kernel=1)),
        parallel(a=optional(op("conv", width=3)), b=optional(op("conv", width=3, kernel=1))),
    ):
        space = Space(seq(paths=part), image(3, 5, 5))
        net = net_of(space)
        net.hold(space.enumerate())
        assert {key.rpartition("/")[0] for key in net.bank().most} == {"paths/a", "paths/b"}


def test_a_recursive_space_shares_what_stands_at_one_place() -> None:
    def body(again: Part) -> Part:
        return one_of(leaf=op("conv", width=3), pair=parallel(left=again, right=again))

    space = Space(seq(tree=recursive("tree", body, depth=2)), image(3, 5, 5))
    net = net_of(space)
    net.hold(space.enumerate())
    places = {"tree/leaf", "tree/pair/left/leaf", "tree/pair/right/leaf"}
    assert {key.rpartition("/")[0] for key in net.bank().most} == places


def test_the_same_seed_gives_the_same_weights_in_any_order_of_candidates() -> None:
    space = cnn(image(3, 8, 8))
    drawn = [space.sample(random.Random(seed)) for seed in range(6)]
    one, other, third = Supernet(space), Supernet(space), Supernet(space, seed=1)
    one.hold(drawn)
    other.hold([*drawn, *reversed(drawn)])
    third.hold(drawn)
    mine = one.state_dict()
    assert all(torch.equal(x, mine[name]) for name, x in other.state_dict().items())
    assert any(not torch.equal(x, mine[name]) for name, x in third.state_dict().items())


@pytest.mark.parametrize("statistics", STATISTICS, ids=str)
def test_recalibrated_statistics_are_those_of_the_plain_network(statistics: Shared) -> None:
    """Cumulative means over the batches, as a batch norm with momentum None gathers them."""
    space = cnn(image(3, 8, 8))
    net = net_of(space, statistics=statistics).eval()
    batches = [
        torch.randn(6, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(s)) for s in range(3)
    ]
    candidate = space.sample(random.Random(1))
    net.plan(candidate)
    before = {name: x.clone() for name, x in net.state_dict().items()}
    norms = net.recalibrated(candidate, [(x,) for x in batches])
    assert all(torch.equal(x, before[name]) for name, x in net.state_dict().items())
    alone = net.extract(candidate)
    for module in alone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    alone.train()
    for x in batches:
        alone(x)
    for path, (mean, var) in norms.items():
        module = alone.get_submodule(path)
        torch.testing.assert_close(mean, module.running_mean, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(var, module.running_var, rtol=1e-12, atol=1e-12)
    x = batches[0]
    taken = net.extract(candidate, norms=norms)
    assert torch.equal(net(candidate, x, norms=norms), taken(x))
    assert not torch.equal(net(candidate, x, norms=norms), net(candidate, x))
