"""The exact checks of the note on Balanced Mixture (section 8), and what follows from them for a training."""

from collections import Counter
from itertools import permutations

import pytest
import torch

from evaluators.supernet.balance import CLOSE, Assignment, balance, temperature
from nas.core.language import one_of, op, repeat, seq
from nas.core.space import Space
from tests.evaluators.supernet.spaces import IMAGE, plain_space


def table(rows: int, sets: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(rows, sets, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def divergence(p: torch.Tensor) -> float:
    shares = p.mean(0)
    return (shares * (shares * len(shares)).log()).sum().item()


def large_space() -> Space:
    block = one_of(a=op("conv", kernel=1), b=op("conv", kernel=3), c=op("identity"))
    return Space(seq(first=op("conv", width=4), all=repeat(block, times=one_of(6, 7, 8)), head=op("head")), IMAGE, 3)


def test_a_constant_table_gives_equal_chances():
    p, _ = balance(torch.full((6, 3), 0.7, dtype=torch.float64), 0.01)
    assert torch.allclose(p, torch.full_like(p, 1 / 3), atol=1e-12)


@pytest.mark.parametrize("warmth", [1.0, 0.1, 0.01, 1 / 400])
def test_rows_are_distributions_and_columns_have_equal_shares(warmth):
    p, _ = balance(table(36, 4), warmth)
    assert torch.allclose(p.sum(1), torch.ones(36, dtype=torch.float64), atol=1e-12)
    assert 0 <= divergence(p) + 1e-12 < CLOSE + 1e-12


def test_it_is_of_the_form_that_ipf_converges_to():
    scores = table(8, 3)
    p, column = balance(scores, 0.2)
    rest = p.log() - scores / 0.2 - column  # what is left is constant in each row
    assert torch.allclose(rest, rest[:, :1].expand_as(rest), atol=1e-9)


def test_a_constant_added_to_a_row_or_column_changes_nothing():
    scores = table(12, 3)
    p, _ = balance(scores, 0.1)
    rows, columns = torch.linspace(0, 2, 12)[:, None].double(), torch.tensor([0.0, 0.5, -0.3]).double()
    again, _ = balance(scores + rows + columns, 0.1)
    assert (p - again).abs().max() < 0.02  # each is within its own divergence of the one limit
    assert (balance(scores + rows, 0.1)[0] - p).abs().max() < 1e-9


def test_hot_is_even_and_cold_is_the_best_balanced_assignment():
    scores = table(6, 2, seed=3)
    assert (balance(scores, 1e6)[0] - 0.5).abs().max() < 1e-5
    cold = balance(scores, 1e-3)[0].argmax(1).tolist()
    halves = {tuple(order) for order in permutations([0, 0, 0, 1, 1, 1])}
    best = max(halves, key=lambda given: sum(scores[row, m].item() for row, m in enumerate(given)))
    assert tuple(cold) == best


def test_temperature_falls_from_one_to_a_hundredth_of_a_set():
    assert [temperature(p, 2) for p in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.5025, 0.005])


def test_draws_train_each_set_as_often():
    space = plain_space()
    assignment = Assignment(space, 2, 0)
    candidates = list(space.enumerate())
    for number, candidate in enumerate(candidates):
        for which in range(2):
            for _ in range(30):
                assignment.learn(candidate, which, 0.9 if which == number % 2 else 0.4)
    drawn = Counter(assignment.draw(candidates[step % 8], step, 0, 0.5) for step in range(800))
    assert (drawn[0] - 400) ** 2 / 400 + (drawn[1] - 400) ** 2 / 400 < 10.8  # one degree of freedom, p = 0.001
    assert [assignment.best(candidate) for candidate in candidates] == [0, 1] * 4


def test_one_set_is_always_taken():
    assignment = Assignment(plain_space(), 1, 0)
    candidate = next(plain_space().enumerate())
    assert assignment.probabilities(candidate, 0.3).tolist() == [1.0]
    assert assignment.draw(candidate, 0, 0, 0.3) == assignment.best(candidate) == 0


def test_accuracies_are_averaged_from_an_optimistic_start():
    space = plain_space()
    assignment = Assignment(space, 2, 0)
    candidate = space[3]
    assignment.learn(candidate, 1, 0.5)
    assert assignment.table[3].tolist() == pytest.approx([1.0, 0.95])
    assert assignment.table.sum().item() == pytest.approx(15.95)
    assignment.learn(candidate, 1, 0.5)
    assert assignment.table[3, 1].item() == pytest.approx(0.905)
    assert assignment.visits.sum().item() == assignment.visits[3, 1].item() == 2


def test_a_large_space_has_a_row_per_option_and_shares_what_is_learned():
    space = large_space()
    assignment = Assignment(space, 2, 0)
    assert assignment.table.shape == (len(space.encoding()), 2)
    candidate = space[123]
    assignment.learn(candidate, 0, 0.0)
    touched = [row for row, value in enumerate(assignment.table[:, 0].tolist()) if value < 1]
    assert touched == [row for row, there in enumerate(space.encode(candidate)) if there]
    p = assignment.probabilities(candidate, 0.9)
    assert p[1] > 0.5 > p[0]
    chances = torch.stack([assignment.probabilities(space[n * 37], 0.9) for n in range(100)]).mean(0)
    assert (chances - 0.5).abs().max() < 0.1


def test_the_control_is_balanced_fixed_and_learns_nothing():
    space = plain_space()
    control = Assignment(space, 2, 0, learned=False)
    before = [control.best(candidate) for candidate in space.enumerate()]
    assert sorted(before) == [0] * 4 + [1] * 4
    assert before == [control.draw(c, step, 0, 0.1) for step, c in enumerate(space.enumerate())]
    others = [[Assignment(space, 2, seed, learned=False).best(c) for c in space.enumerate()] for seed in range(4)]
    assert len(set(map(tuple, others))) > 1
    wide = Assignment(large_space(), 2, 0, learned=False)
    shares = Counter(wide.best(large_space()[n * 37]) for n in range(100))
    assert min(shares.values()) > 30


def test_its_state_is_all_that_it_knows():
    space = plain_space()
    one = Assignment(space, 2, 0)
    for step in range(30):
        candidate = space[step % 8]
        one.learn(candidate, one.draw(candidate, step, 0, step / 60), 0.1 * (step % 7))
    other = Assignment(space, 2, 0)
    other.restore(one.state)
    for step in range(30, 60):
        candidate = space[step % 8]
        assert torch.equal(one.probabilities(candidate, step / 60), other.probabilities(candidate, step / 60))
