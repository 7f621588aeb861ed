"""Distances between numbers that may lie at the two ends of what a float holds, where their difference is none."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LARGEST = sys.float_info.max

DRAWN = 1e300
"""What is larger is drawn as this: libraries that draw axes work with differences and multiples of numbers."""


def between(low: Floats, high: Floats) -> Floats:
    """`high` minus `low`, at most LARGEST."""
    with np.errstate(over="ignore"):
        return np.minimum(high - low, LARGEST)


def farther(start: Floats, part: float, distance: Floats) -> Floats:
    """`start` and a part of a distance behind it, at most LARGEST.

    >>> farther(np.array([1.0, 1.7e308]), 0.5, np.array([4.0, 1e308])).tolist() == [3.0, LARGEST]
    True
    """
    with np.errstate(over="ignore"):
        return np.minimum(start + part * distance, LARGEST)


def scaled(values: Floats) -> Floats:
    """Columns from 0, their smallest value, to 1, their largest; all 0 where these are equal. (N, K), N > 0.

    >>> scaled(np.array([[-1.5e308, 7.0], [0.0, 7.0], [1.5e308, 7.0]])).tolist()
    [[0.0, 0.0], [0.5, 0.0], [1.0, 0.0]]
    """
    low, high = values.min(axis=0), values.max(axis=0)
    with np.errstate(over="ignore"):
        half = np.where(np.isfinite(high - low), 1.0, 0.5)
    values, low, high = values * half, low * half, high * half
    return np.asarray((values - low) / np.where(high > low, high - low, 1.0))


def drawable(values: Floats) -> Floats:
    """Values as they are drawn."""
    return np.clip(values, -DRAWN, DRAWN)
