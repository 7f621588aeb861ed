"""Which networks are trained in a step: how often each option is met, and that a step's networks are its number's."""

import random
from collections import Counter
from itertools import combinations, pairwise

import pytest

from evaluators.supernet.rules import Fair, Rule, Sandwich, Sorted, Uniform
from nas.core.errors import RecipeError
from nas.core.language import one_of, op, parallel, seq, some_of
from nas.core.profile import profile
from nas.core.space import Space
from nas.core.supernet.extremes import largest, ordered, smallest
from nas.core.supernet.network import Supernet
from tests.evaluators.supernet.spaces import IMAGE, plain_space, rich_space

RULES = [Uniform(), Uniform(subnets=3), Fair(), Sandwich(), Sandwich(random=0, distill=True), Sorted(), Sorted(draws=1)]


def paths_space(count: int = 4) -> Space:
    paths = {f"p{n}": op("conv", kernel=1) for n in range(count)}
    return Space(seq(first=op("conv", width=4), many=some_of(**paths, at_least=1), head=op("head")), IMAGE, 3)


def chi_square(found: list[int], expected: list[float]) -> float:
    return sum((a - b) ** 2 / b for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_step_is_the_same_whenever_it_is_asked(rule: Rule):
    space = rich_space()
    one, other = rule.sampler(space, 5), rule.sampler(space, 5)
    later = [one(step) for step in range(6)]
    assert [other(step) for step in (4, 1)] == [later[4], later[1]]
    assert [rule.sampler(space, 6)(step) for step in range(6)] != later or rule == Sandwich(random=0, distill=True)


def test_uniform_meets_each_count_of_paths_as_often_and_each_subset_of_a_count():
    draws = Uniform().sampler(paths_space(), 0)
    taken = Counter(draws(step)[0].decisions["many/paths"] for step in range(1200))
    counts = Counter(len(t) for t in taken.elements())
    assert set(counts) == {1, 2, 3, 4}
    assert chi_square([counts[n] for n in (1, 2, 3, 4)], [300.0] * 4) < 16.3  # 3 degrees of freedom, p = 0.001
    pairs = [taken[pair] for pair in combinations(("p0", "p1", "p2", "p3"), 2)]
    assert chi_square(pairs, [sum(pairs) / 6] * 6) < 20.5  # 5 degrees of freedom


def test_uniform_meets_each_option_as_often():
    draws = Uniform(subnets=2).sampler(plain_space(), 1)
    seen = Counter(c.decisions["first/width"] for step in range(400) for c in draws(step))
    assert chi_square([seen[4], seen[8]], [400.0, 400.0]) < 10.8


def test_uniform_draws_only_networks():
    holes = Space(
        seq(a=one_of(zero=op("zero"), conv=op("conv", width=4)), b=op("conv", width=4), head=op("head")), IMAGE, 3
    )
    draws = Uniform().sampler(holes, 0)
    assert {draws(step)[0].decisions["a/op"] for step in range(20)} == {"conv"}


def test_fair_meets_every_option_of_every_choice_exactly_once_per_step():
    names = ("a", "b", "c")
    three = {name: one_of(x=op("conv", kernel=1), y=op("conv", kernel=3), z=op("identity")) for name in names}
    space = Space(seq(first=op("conv", width=4), **three, head=op("head")), IMAGE, 3)
    draws = Fair().sampler(space, 0)
    together = set()
    for step in range(20):
        found = draws(step)
        assert len(found) == 3
        for name in names:
            assert sorted(c.decisions[f"{name}/op"] for c in found) == ["x", "y", "z"]
        together |= {tuple(c.decisions[f"{name}/op"] for name in names) for c in found}
    assert len(together) > 15  # the orders of the three choices have nothing to do with each other


def test_fair_meets_each_path_of_a_subset_as_often_and_each_size_once():
    draws = Fair().sampler(paths_space(5), 3)
    for step in range(10):
        subsets = [c.decisions["many/paths"] for c in draws(step)]
        assert sorted(map(len, subsets)) == [1, 2, 3, 4, 5]
        assert set(Counter(label for subset in subsets for label in subset).values()) == {3}


def test_fair_options_of_unequal_choices_differ_by_at_most_one():
    draws = Fair().sampler(rich_space(), 0)
    for step in range(10):
        found = draws(step)
        assert len(found) == 3
        assert sorted(c.decisions["last/width"] for c in found) == [4, 8, 16]
        assert sorted(Counter(c.decisions["rest/times"] for c in found).values()) == [1, 2]


def test_sandwich_is_the_largest_the_smallest_and_random_ones():
    space = rich_space()
    found = [Sandwich(random=2).sampler(space, 0)(step) for step in range(8)]
    macs = [[profile(c.graph, space.inputs).macs for c in step] for step in found]
    everything = [profile(c.graph, space.inputs).macs for c in space.enumerate()]
    low = profile(smallest(space).graph, space.inputs).macs
    assert low < sorted(everything)[len(everything) // 20]
    assert all(step[0] == max(everything) and step[1] == low and len(step) == 4 for step in macs)
    assert len({step[2] for step in found}) > 3


def test_levels_of_sorted_lie_within_each_other():
    space, rule = plain_space(), Sorted(levels=3)
    levels = [rule.level(space, level, random.Random(0)) for level in range(3)]
    assert levels[0] == smallest(space)
    assert levels[2] == largest(space)
    supernet = Supernet(space)
    supernet.hold(levels)
    for low, high in pairwise(levels):
        for a, b in zip(supernet.plan(low).layers, supernet.plan(high).layers, strict=True):
            for name in a.form.axes if a.form else ():
                whole = supernet.bank().tensor(a.key, name)
                inside = [whole.new_zeros(whole.shape, dtype=bool) for _ in range(2)]
                for mask, layer in zip(inside, (a, b), strict=True):
                    mask[layer.index[name] or ...] = True
                assert not (inside[0] & ~inside[1]).any()


def test_sorted_draws_all_choices_with_an_order_together_and_structures_anew():
    space, rule = rich_space(), Sorted(levels=2, draws=1)
    draws = rule.sampler(space, 0)
    found = [draws(step)[0] for step in range(40)]
    ends = {(c.decisions["rest/times"], c.decisions["last/width"]) for c in found}
    assert ends == {(1, 4), (2, 16)}
    assert {c.decisions["block/op"] for c in found} == {"conv", "separable", "paths"}


def test_options_of_a_choice_are_in_order():
    space = Space(
        seq(
            a=op("conv", width=one_of(8, 2, 4)),
            p=parallel(op("conv", kernel=1), op("conv", kernel=3), merge=one_of("add", "mean")),
            head=op("head"),
        ),
        IMAGE,
        3,
    )
    orders = {choice.address: ordered(choice) for choice in space.choices()}
    assert orders == {"a/width": (2, 4, 8), "p/merge": None}


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Uniform(subnets=0), "subnets is 0"),
        (lambda: Sandwich(random=-1), "random is -1"),
        (lambda: Sandwich(distill="yes"), "distill is 'yes'"),
        (lambda: Sorted(levels=0), "levels is 0"),
        (lambda: Sorted(draws=True), "draws is True"),
        (lambda: Uniform(average=1.0), "average is 1.0"),
        (lambda: Fair(average=-0.1), "average is -0.1"),
        (lambda: Fair(average="0.1"), "average is '0.1'"),
    ],
)
def test_fields_that_cannot_be_are_refused(make, told):
    with pytest.raises(RecipeError, match=told):
        make()
