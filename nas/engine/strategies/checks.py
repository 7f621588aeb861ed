"""Checks of the fields that strategies share."""

from __future__ import annotations

from nas.core.errors import RecipeError
from nas.engine import checks


def whole(strategy: str, name: str, value: object, least: int) -> None:
    """Raises RecipeError unless `value` is a whole number from `least` to `checks.MOST`."""
    expected = checks.whole(value, least)
    if expected:
        raise RecipeError(f"strategy {strategy}: {name} is {value!r}; {expected}")


def probability(strategy: str, name: str, value: object) -> None:
    """Raises RecipeError unless `value` is a number in [0, 1]."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise RecipeError(f"strategy {strategy}: {name} is {value!r}; expected a probability from 0 to 1")
