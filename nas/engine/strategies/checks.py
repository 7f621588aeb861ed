"""Checks of the fields that strategies share."""

from __future__ import annotations

from nas.core.errors import RecipeError


def whole(strategy: str, name: str, value: object, least: int) -> None:
    """Raises RecipeError unless `value` is a whole number of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise RecipeError(f"strategy {strategy}: {name} is {value!r}; expected a whole number of at least {least}")


def probability(strategy: str, name: str, value: object) -> None:
    """Raises RecipeError unless `value` is a number in [0, 1]."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise RecipeError(f"strategy {strategy}: {name} is {value!r}; expected a probability from 0 to 1")
