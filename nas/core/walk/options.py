"""The options of one choice: which one a value is, one drawn, another one, those next to one."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from nas.core.errors import NotInSpaceError
from nas.core.subsets import Subsets
from nas.core.values import Value, canonical, freeze
from nas.core.walk.deciding import Choice


def place_of(options: Sequence[Value], value: Value) -> int:
    """The place of an option. 1, 1.0 and True are equal in Python and different options here. Raises ValueError."""
    if isinstance(options, Subsets):
        return options.index(value)
    for place, option in enumerate(options):
        if option is value or (option == value and canonical(option) == canonical(value)):
            return place
    raise ValueError(f"{value!r} is not one of {options!r}")


def shown_options(options: Sequence[Value]) -> str:
    """Options for a message, the first dozen."""
    return ", ".join(repr(option) for option in options[:12]) + (f", … ({len(options)})" if len(options) > 12 else "")


def option_of(choice: Choice, value: Any) -> Value:
    """The choice's own option that equals `value`. Raises NotInSpaceError."""
    given: Value = freeze(value, choice.address)
    if isinstance(choice.options, Subsets):
        if given in choice.options:
            return given
    else:
        for option in choice.options:
            if canonical(option) == canonical(given):
                return option
    raise NotInSpaceError(f"{choice.address!r} cannot be {given!r}; options: {shown_options(choice.options)}")


def draw(choice: Choice, rng: random.Random) -> Value:
    """An option, drawn evenly."""
    return choice.options[rng.randrange(len(choice.options))]


def other_option(choice: Choice, option: Value, rng: random.Random) -> Value:
    """Another option than this one, drawn evenly; of a subset one of `near_options`."""
    if isinstance(choice.options, Subsets):
        near: Value = rng.choice(list(near_options(choice, option)))
        return near
    place = rng.randrange(len(choice.options) - 1)
    other: Value = choice.options[place + (place >= place_of(choice.options, option))]
    return other


def near_options(choice: Choice, option: Value) -> Iterator[Value]:
    """Options next to one: all others; for a subset those with one member more or less, or one swapped."""
    if not isinstance(choice.options, Subsets):
        held = place_of(choice.options, option)
        yield from (other for place, other in enumerate(choice.options) if place != held)
        return
    options, members = choice.options, option if isinstance(option, tuple) else ()
    for label in options.labels:
        other = tuple(name for name in options.labels if (name in members) != (name == label))
        if other in options:
            yield other
    if options.at_least == options.at_most:
        for out in members:
            for label in options.labels:
                if label not in members:
                    yield tuple(name for name in options.labels if (name in members and name != out) or name == label)
