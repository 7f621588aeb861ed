"""Averaging of experts (section G5 of the note) and the numbers that say whether experts and gates came to differ."""

import random

import pytest
import torch

from evaluators.supernet.experts import combined, diagnostics, expert_tensors, gates, share
from nas.core.errors import RecipeError
from nas.core.supernet.network import Supernet
from nas.core.supernet.sharing import Elastic, Mixture
from tests.evaluators.supernet.spaces import evaluator, plain_space


def supernet(experts: int = 3, **fields) -> Supernet:
    made = Supernet(plain_space(), Mixture(experts, **fields)).double()
    made.hold(plain_space().enumerate())
    return made


def values(made: Supernet) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in expert_tensors(made)}


@pytest.mark.parametrize("experts", [2, 3, 5])
@pytest.mark.parametrize("rate", [0.1, 0.4, 0.9])
def test_averaging_keeps_the_sum_and_contracts_the_differences(experts, rate):
    made = supernet(experts)
    before = values(made)
    share(made, rate)
    assert before
    for name, after in values(made).items():
        first = before[name]
        others = (first.sum(0) - first) / (experts - 1)
        assert torch.allclose(after, (1 - rate) * first + rate * others, atol=1e-12)
        assert torch.allclose(after.sum(0), first.sum(0), atol=1e-12)
        factor = 1 - rate * experts / (experts - 1)
        assert torch.allclose(after - after.mean(0), factor * (first - first.mean(0)), atol=1e-12)


def test_one_rate_makes_all_experts_equal_and_zero_changes_nothing():
    made = supernet(4)
    before = values(made)
    share(made, 0.0)
    assert all(torch.equal(before[name], after) for name, after in values(made).items())
    share(made, 3 / 4)
    for after in values(made).values():
        assert torch.allclose(after, after[:1].expand_as(after), atol=1e-12)


def test_only_what_has_experts_is_averaged():
    made = supernet(2, layers="second*")
    names = {name for name, _ in expert_tensors(made)}
    assert names
    assert all("second" in name and "router" not in name for name in names)
    before = {name: tensor.clone() for name, tensor in made.named_parameters()}
    share(made, 0.3)
    changed = {name for name, tensor in made.named_parameters() if not torch.equal(tensor, before[name])}
    assert {name.removeprefix("banks.0.") for name in changed} == {name.removeprefix("0/") for name in names}
    plain = Supernet(plain_space(), Elastic())
    plain.hold(plain_space().enumerate())
    assert list(expert_tensors(plain)) == []


@pytest.mark.parametrize("weights", ["elastic", "separate", {"name": "mixture", "experts": 1}])
def test_averaging_without_experts_is_refused(weights):
    with pytest.raises(RecipeError, match=r"average is 0\.2, but weights .* have no experts to average"):
        evaluator(weights=weights, training={"name": "uniform", "average": 0.2})


@pytest.mark.parametrize("routing", ["layer", "neuron"])
def test_gates_of_an_even_mixture_and_of_one_expert(routing):
    made, space = supernet(2, routing=routing), plain_space()
    candidates = list(space.enumerate())
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "router" in name and "out" in name:
                parameter.zero_()
    found = diagnostics(made, candidates)
    assert found["gate_entropy"] == pytest.approx(1.0)
    assert found["gate_variance"] == 0.0
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("router:out.bias"):
                parameter[..., 0] = 1000.0
    assert diagnostics(made, candidates)["gate_entropy"] == pytest.approx(0.0, abs=1e-9)
    assert all(
        torch.allclose(alpha.sum(1), torch.ones(len(alpha)).double()) for alpha in gates(made, space[0]).values()
    )


def test_gates_that_see_the_architecture_vary_and_those_of_the_control_do_not():
    candidates = list(plain_space().enumerate())
    assert diagnostics(supernet(3), candidates)["gate_variance"] > 1e-6
    assert diagnostics(supernet(3, router_input="constant"), candidates)["gate_variance"] == 0.0


def test_the_cosine_tells_copies_from_strangers():
    candidates = [plain_space()[0]]
    assert diagnostics(supernet(3, start="copies", noise=0.01), candidates)["expert_cosine"] > 0.99
    assert abs(diagnostics(supernet(3), candidates)["expert_cosine"]) < 0.3
    assert diagnostics(Supernet(plain_space()), candidates) == {}


@pytest.mark.parametrize(("given", "moves"), [({}, True), ({"router_input": "constant"}, False)])
def test_the_table_of_gates_has_a_row_for_each_layer(given, moves):
    made = supernet(3, **given)
    space = made.space
    candidates = [space.sample(random.Random(seed)) for seed in range(12)]
    table = combined(made, candidates)
    assert table
    for place, row in table.items():
        assert ":" not in place
        assert 1 <= row["networks"] <= 12
        assert sum(row["mean"]) == pytest.approx(1.0)
        assert len(row["mean"]) == len(row["spread"]) == 3
    assert any(max(row["spread"]) > 1e-6 for row in table.values()) is moves
    assert combined(Supernet(plain_space()), []) == {}
