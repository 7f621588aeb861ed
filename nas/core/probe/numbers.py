"""Canonical numbers: what a probe is fed, what weights are filled with, and how results are made coarse."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from math import frexp, isfinite, ldexp, prod, sqrt, trunc
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from nas.core.profile import InputSpec

Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

_SIZE = 1 << 20

_LAG = 7919
"""How far the second projection's numbers lie behind the first's."""

_GAIN = 1.7
"""Evenly drawn numbers in (-1, 1) times this have a variance near 1."""

_OFF_GRID = 1.0 + 3e-9
"""Round numbers (1.0, 0.5, …) would lie on the edge of a step, where rounding noise decides; times this they do not."""


@lru_cache(maxsize=1)
def _pool() -> Tensor:
    """Evenly drawn numbers in (-1, 1), the same everywhere; weights are stretches of it."""
    words = np.random.Generator(np.random.Philox(2023)).integers(0, 1 << 53, 2 * _SIZE, dtype=np.int64)
    return torch.from_numpy(words / float(1 << 52) - 1.0)


def _start(purpose: str, seed: int) -> int:
    found = hashlib.blake2b(f"{seed} {purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(found, "little") % _SIZE


def noise(purpose: str, seed: int, count: int) -> Tensor:
    """`count` canonical numbers for a purpose, float64, in (-1, 1). A view: not to be written to."""
    start, pool = _start(purpose, seed), _pool()
    if count <= _SIZE:
        return pool[start : start + count]
    return pool[start:].repeat(-(-count // (len(pool) - start)))[:count]


def probe_input(spec: InputSpec, batch: int, seed: int, place: int) -> Tensor:
    """The batch for one input, (N, …): each row three times as loud as the one before, so that bounds are felt.

    Token ids (int64) are drawn evenly.
    """
    numbers = noise(f"input {place}", seed, batch * prod(spec.shape)).view(batch, *spec.shape)
    if spec.dtype == "int64":
        return ((numbers + 1.0) / 2.0 * (spec.vocabulary or 2)).long()
    loud = torch.from_numpy(_GAIN * 3.0 ** np.arange(batch))
    return numbers * loud.view(-1, *(1 for _ in spec.shape))


@lru_cache(maxsize=1)
def _loud() -> Tensor:
    """A norm's scales: most near 1, some up to 7."""
    return torch.add(1.0, _pool().pow(4), alpha=6.0)


def weight(name: str, shape: tuple[int, ...], purpose: str, seed: int) -> Tensor:
    """A canonical weight. Matrices keep the loudness of what passes them and a ReLU; of a norm's scales, some are loud,
    and at least one, so that a bound such as relu6's 6 is felt behind it."""
    count = prod(shape)
    if len(shape) > 1:
        return noise(f"{purpose} {name}", seed, count).view(shape) * sqrt(6.0 / max(prod(shape[1:]), 1))
    if name != "weight" or count > _SIZE:
        return noise(f"{purpose} {name}", seed, count) * 0.5
    start = _start(f"{purpose} {name}", seed)
    scales = _loud()[start : start + count].clone()
    scales[start % count] = 6.0 + start / _SIZE
    return scales


def coarse(numbers: Numbers, bits: int) -> Numbers:
    """Numbers with sign, exponent and the top `bits` bits of the mantissa; what is rounding noise beside the largest
    is 0. More bits never make two numbers equal that fewer bits tell apart.

    >>> coarse(np.array([1.0, 1.0 + 1e-12, -3.0, 1e-17]), 16).tolist()
    [1.0, 1.0, -3.0, 0.0]
    """
    largest = np.abs(numbers[np.isfinite(numbers)]).max(initial=0.0)
    mantissa, exponent = np.frexp(np.where(np.abs(numbers) < 1e-11 * largest, 0.0, numbers * _OFF_GRID))
    return np.ldexp(np.trunc(np.ldexp(mantissa, bits + 1)), exponent - bits - 1) + 0.0  # type: ignore[no-any-return]


def mixed(numbers: Numbers, bits: int) -> str:
    """A digest of numbers in their order.

    >>> mixed(np.array([1.0]), 16) == mixed(np.array([1.0, 1.0]), 16)
    False
    """
    return hashlib.blake2b(coarse(numbers, bits).tobytes(), digest_size=16).hexdigest()


def glance(tensor: Tensor, bits: int) -> str:
    """A tensor's shape and two coarse projections of it, as text."""
    flat = tensor.detach().reshape(-1).double()
    count = len(flat)
    if count + _LAG <= len(_pool()):
        sums = torch.as_strided(_pool(), (2, count), (_LAG, 1)) @ flat
    else:
        sums = torch.stack([flat @ noise(f"glance {k}", 0, count) for k in (1, 2)])
    return f"{tuple(tensor.shape)} {[_coarse(number, bits) for number in sums.tolist()]}"


def _coarse(number: float, bits: int) -> float:
    """The same as `coarse` for one number."""
    if not isfinite(number):
        return number
    mantissa, exponent = frexp(number * _OFF_GRID)
    return ldexp(trunc(ldexp(mantissa, bits + 1)), exponent - bits - 1)
