"""How far what one network gives is from what another gives: one measure for every proof that two are the same."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Difference(NamedTuple):
    """The largest difference of any output: in numbers, and as a share of the largest number of that output."""

    absolute: float
    relative: float


def difference(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Difference | str:
    """The largest difference over all outputs, by name; or, in words, what does not fit.

    Each output is measured by its own largest number, so that a large one hides nothing in a small one. It is infinite
    where one of two numbers is none (NaN), and its share is where numbers that are counted, not measured, differ at
    all: a class is right or wrong, whatever its number.

    >>> import torch
    >>> difference({"": torch.tensor([1.0, -4.0])}, {"": torch.tensor([1.0, -4.5])})
    Difference(absolute=0.5, relative=0.125)
    >>> difference({"class": torch.tensor([1000])}, {"class": torch.tensor([1001])})
    Difference(absolute=1.0, relative=inf)
    """
    if sorted(given) != sorted(expected):
        return f"it gives the outputs {sorted(given)}, expected {sorted(expected)}"
    worst = Difference(0.0, 0.0)
    for name, value in expected.items():
        other = given[name]
        if other.shape != value.shape or other.dtype != value.dtype:
            return (
                f"output {name!r} has shape {tuple(other.shape)} and type {other.dtype}, "
                f"expected {tuple(value.shape)} and {value.dtype}"
            )
        found = _of_one(value, other)
        worst = Difference(max(worst.absolute, found.absolute), max(worst.relative, found.relative))
    return worst


def _of_one(value: Tensor, other: Tensor) -> Difference:
    same = (other == value) | ((other != other) & (value != value))
    if same.all():
        return Difference(0.0, 0.0)
    apart = (other.double() - value.double()).abs()[~same]
    gap = float(apart.where(~apart.isnan(), inf).max())
    if not value.is_floating_point():
        return Difference(gap, inf)
    finite = value[value.isfinite()].double().abs()
    scale = float(finite.max()) if len(finite) else 0.0
    return Difference(gap, gap / scale if scale else gap)


def says_nothing(outputs: Mapping[str, Tensor]) -> str | None:
    """The name of an output that has no finite number in it, so that agreeing with it proves nothing; None for none.

    >>> import torch
    >>> says_nothing({"a": torch.tensor([1.0, torch.nan]), "b": torch.tensor([torch.inf])})
    'b'
    """
    return next((name for name, value in outputs.items() if not value.isfinite().any()), None)
