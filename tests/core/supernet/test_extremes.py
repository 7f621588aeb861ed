"""The largest and the smallest network, told by brute force; covers that leave hardly anything to grow."""

import pytest

from nas.core.language import one_of, op, optional, parallel, repeat, seq, some_of, tie
from nas.core.profile import profile
from nas.core.space import Space, image
from nas.core.supernet.extremes import cover, largest, options_of, smallest
from nas.core.supernet.network import Supernet

IMAGE = image(1, 6, 6)


def space(**parts) -> Space:
    return Space(seq(first=op("conv", width=4), **parts, head=op("head")), IMAGE, 3)


SPACES = {
    "widths": space(a=op("conv", width=one_of(8, 4, 16)), b=op("mbconv", kernel=one_of(5, 3), expand=one_of(2, 4))),
    "structures": space(
        a=one_of(i=op("identity"), c1=op("conv", kernel=1), c5=op("conv", kernel=5), s=op("separable"))
    ),
    "paths": space(a=some_of(op("conv", kernel=1), op("conv", kernel=3), op("identity"), at_least=1)),
    "some paths": space(
        a=some_of(op("conv", kernel=1), op("conv", kernel=3), op("conv", kernel=5), at_least=1, at_most=2)
    ),
    "repeats": space(a=repeat(one_of(c=op("conv", kernel=3), i=op("identity")), times=one_of(2, 1, 3))),
    "optional": space(a=parallel(op("identity"), optional(op("conv", kernel=3)))),
    "tied": space(**{n: tie("cell", one_of(c=op("conv", kernel=one_of(1, 3)), i=op("identity"))) for n in ("a", "b")}),
    "zeros": space(a=one_of(z=op("zero"), c=op("conv", kernel=1))),
}


def macs(candidate, of: Space) -> int:
    return profile(candidate.graph, of.inputs).macs


@pytest.mark.parametrize("name", SPACES)
def test_extremes_are_those_of_all_networks(name):
    of = SPACES[name]
    every = [macs(c, of) for c in of.enumerate() if of.trouble(c) is None]
    assert macs(largest(of), of) == max(every)
    assert macs(smallest(of), of) == min(every)
    assert of.trouble(smallest(of)) is None


@pytest.mark.parametrize("name", SPACES)
def test_a_cover_takes_every_option_and_leaves_nothing_to_grow(name):
    of = SPACES[name]
    found = list(cover(of))
    assert all(of.trouble(candidate) is None for candidate in found)
    taken = {(address, option) for c in found for address, option in c.decisions.items()}
    wanted = {(choice.address, option) for choice, option in options_of(of) if option != "z"}
    assert wanted <= taken
    supernet = Supernet(of)
    supernet.hold(found)
    sizes = {name: p.shape for name, p in supernet.named_parameters()}
    supernet.hold(c for c in of.enumerate() if of.trouble(c) is None)
    assert {name: p.shape for name, p in supernet.named_parameters()} == sizes


def test_choices_below_options_are_met():
    inner = one_of(deep=seq(one_of(op("conv", kernel=1), op("conv", kernel=3, width=4))), flat=op("identity"))
    of = space(a=some_of(x=inner, y=op("conv", kernel=5), at_least=1), b=one_of(on=inner, off=op("identity")))
    found = list(cover(of))
    taken = {(address, option) for c in found for address, option in c.decisions.items()}
    assert {(choice.address, option) for choice, option in options_of(of)} <= taken


def test_a_space_whose_largest_values_do_not_fit_has_extremes_all_the_same():
    narrow, wide = op("conv", width=one_of(4, 8, 16), kernel=one_of(1, 3)), op("conv", width=8, kernel=one_of(1, 3))
    of = space(a=parallel(narrow, wide))
    every = [macs(c, of) for c in of.enumerate() if of.trouble(c) is None]
    assert 0 < len(every) < of.size()
    assert macs(largest(of), of) == max(every)
    assert macs(smallest(of), of) == min(every)


def test_a_cover_of_a_large_space_is_a_sample_and_the_same_each_time():
    of = space(a=repeat(op("conv", kernel=one_of(1, 3, 5)), times=one_of(*range(1, 30))))
    one, other = (list(cover(of, more=3, most=20, seed=1)) for _ in range(2))
    assert one == other
    assert 10 < len(one) <= 25
