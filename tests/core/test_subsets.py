"""The lazy sequence of subsets against `itertools`."""

from __future__ import annotations

import pickle
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.core.subsets import Subsets

LABELS = ("e", "d", "c", "b", "a", "f")


@pytest.mark.parametrize("count", range(7))
def test_everything_against_brute_force(count: int) -> None:
    labels = LABELS[:count]
    everything = [chosen for size in range(count + 1) for chosen in combinations(labels, size)]
    for least in range(count + 1):
        for most in range(least, count + 1):
            subsets = Subsets(labels, least, most)
            expected = [chosen for chosen in everything if least <= len(chosen) <= most]
            assert list(subsets) == expected
            assert len(subsets) == len(expected)
            assert [subsets[i] for i in range(len(expected))] == expected
            assert [subsets[-i - 1] for i in range(len(expected))] == expected[::-1]
            assert [subsets.index(chosen) for chosen in expected] == list(range(len(expected)))
            assert [chosen in subsets for chosen in everything] == [chosen in expected for chosen in everything]
            for outside in (len(expected), -len(expected) - 1):
                with pytest.raises(IndexError):
                    subsets[outside]
            assert subsets[1:7:2] == expected[1:7:2]
            assert subsets[::-1] == expected[::-1]


@pytest.mark.parametrize("value", [("b", "a"), ("a", "a"), ("x",), (), "ab", ["a"], None, ("a", "b", "c"), ("a", 1)])
def test_what_is_not_a_subset_has_no_place(value: object) -> None:
    subsets = Subsets(("a", "b", "c"), 1, 2)
    assert value not in subsets
    with pytest.raises(ValueError, match="is not one of these subsets"):
        subsets.index(value)


@given(st.integers(0, 2**40 - 1))
def test_large_ones_are_never_listed(index: int) -> None:
    labels = tuple(f"path{i}" for i in range(40))
    subsets = Subsets(labels, 0, 40)
    assert len(subsets) == 2**40
    assert subsets.index(subsets[index]) == index


def test_subsets_are_values() -> None:
    one = Subsets(("a", "b"), 1, 2)
    assert one == Subsets(("a", "b"), 1, 2)
    assert hash(one) == hash(pickle.loads(pickle.dumps(one)))
    assert one not in (Subsets(("b", "a"), 1, 2), Subsets(("a", "b"), 0, 2), Subsets(("a", "b"), 1, 1), [("a",)])
    assert repr(one) == "Subsets(['a', 'b'], 1..2)"
