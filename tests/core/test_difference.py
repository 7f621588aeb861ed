"""How far outputs are apart: known answers, and numbers that are none."""

from __future__ import annotations

import pytest
import torch

from nas.core.difference import Difference, difference, says_nothing

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("expected", "given", "absolute", "relative"),
    [
        ([NAN, INF, -INF, 1.0], [NAN, INF, -INF, 1.0], 0.0, 0.0),
        ([NAN, 1.0], [1.0, 1.0], INF, INF),
        ([1.0, 1.0], [NAN, 1.0], INF, INF),
        ([INF, 1.0], [-INF, 1.0], INF, INF),
        ([1.0, -4.0], [1.0, -4.5], 0.5, 0.125),
        ([0.0, 0.0], [0.0, 0.25], 0.25, 0.25),
        ([], [], 0.0, 0.0),
        ([7, 1000], [7, 1001], 1.0, INF),  # classes, not measures
        ([True, False], [True, True], 1.0, INF),
        ([7, 1000], [7, 1000], 0.0, 0.0),
    ],
)
def test_known_answers(expected: list, given: list, absolute: float, relative: float) -> None:
    assert difference({"": torch.tensor(expected)}, {"": torch.tensor(given)}) == (absolute, relative)


def test_a_large_output_hides_nothing_in_a_small_one() -> None:
    expected = {"large": torch.tensor([1e6]), "small": torch.tensor([1e-3])}
    given = {"large": torch.tensor([1e6]), "small": torch.tensor([1.5e-3])}
    assert difference(expected, given) == pytest.approx((5e-4, 0.5))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"b": torch.ones(2)}, "it gives the outputs ['b'], expected ['a']"),
        ({"a": torch.ones(1)}, "output 'a' has shape (1,) and type torch.float32, expected (2,) and torch.float32"),
        ({"a": torch.ones(2).double()}, "type torch.float64"),
    ],
)
def test_what_does_not_fit_is_told(given: dict, words: str) -> None:
    found = difference({"a": torch.ones(2)}, given)
    assert not isinstance(found, Difference)
    assert words in found


def test_outputs_without_a_number_say_nothing() -> None:
    assert says_nothing({"a": torch.tensor([NAN, 1.0]), "b": torch.tensor([3])}) is None
    assert says_nothing({"a": torch.ones(1), "b": torch.tensor([NAN, INF])}) == "b"
