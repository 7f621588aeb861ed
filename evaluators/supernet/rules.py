"""Training rules: which networks of the space a supernet trains in one step. One of three choices of a supernet.

All draws come from `nas.core.seeds` by the number of the step, so that training that was cut off goes on with the same
networks. The gradients of the networks of a step are divided by their number.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from nas.core.errors import RecipeError
from nas.core.records import Candidate
from nas.core.registry import register
from nas.core.seeds import generator
from nas.core.space import Space
from nas.core.subsets import Subsets
from nas.core.supernet.extremes import draw, drawn, largest, ordered, smallest
from nas.core.values import Value
from nas.core.walk import Choice

Draws: TypeAlias = Callable[[int], list[Candidate]]
"""Number of a step, from 0 → the networks that are trained in it, on the same batch."""


@dataclass(frozen=True)
class Rule:
    """What all rules have in common.

    average: after each step each expert becomes (1 - average) of itself and `average` of the mean of the others, all
        from the values before; for weights with experts. The optimizer's moments are left as they are.

    Reference: Huang et al. 2023, Experts Weights Averaging, arXiv:2308.06093. Differs: all experts of a mixture are
    trained on each example, and what is evaluated is their mixture by gates.
    """

    average: float = 0.0

    teaches: ClassVar[bool] = False
    """Whether the first network of a step teaches the others."""

    def __post_init__(self) -> None:
        """Raises RecipeError naming the field."""
        if not _is_number(self.average) or not 0 <= self.average < 1:
            raise RecipeError(
                f"{self._title}: average is {self.average!r}; expected a number of at least 0 and below 1"
            )

    def sampler(self, space: Space, seed: int) -> Draws:
        """What is trained in each step."""
        raise NotImplementedError  # pragma: no cover - every rule says its own

    @property
    def _title(self) -> str:
        return f"training {type(self).__name__.lower()}"

    def _whole(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise RecipeError(f"{self._title}: {name} is {value!r}; expected a whole number of at least {least}")


@register("training", "uniform")
@dataclass(frozen=True)
class Uniform(Rule):
    """Random networks: each option of a choice is as likely; of a subset first how many members, then which.

    subnets: how many networks per step.

    Reference: Guo et al. 2020, Single Path One-Shot, arXiv:1904.00420; for subsets Chu et al. 2023, MixPath,
    arXiv:2001.05887, section 4 of the code.
    """

    subnets: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._whole("subnets", 1)

    def sampler(self, space: Space, seed: int) -> Draws:
        return lambda step: [_random(space, seed, step, number) for number in range(self.subnets)]


@register("training", "fair")
@dataclass(frozen=True)
class Fair(Rule):
    """As many networks per step as the choice with most options has, in which all options are met equally often.

    Each choice goes through a random order of its options, and through another one where it has fewer than are needed.
    Of a subset, the sizes go through a random order, and the members through a random circle: each member is met as
    often as the others, or once more. Networks that cannot be (shapes that do not fit) are left out of a step.

    A choice below an option is active in those networks only that have the option.

    Reference: Chu et al. 2021, FairNAS, arXiv:1907.01845. Differs: choices need not have as many options as each other.
    """

    def sampler(self, space: Space, seed: int) -> Draws:
        count = max((_rounds(choice) for choice in space.choices()), default=1)

        def step_of(step: int) -> list[Candidate]:
            for attempt in range(100):
                orders: dict[str, _Order] = {}

                def take(choice: Choice, attempt: int = attempt, orders: dict[str, _Order] = orders) -> Value:
                    if choice.address not in orders:
                        orders[choice.address] = _Order(choice, generator(seed, "fair", step, choice.address, attempt))
                    return orders[choice.address].next()

                found = [space.decide(take) for _ in range(count)]
                valid = [candidate for candidate in found if space.trouble(candidate) is None]
                if valid:
                    return valid
            raise RecipeError(f"{self._title}: none of {100 * count} candidates that were made is a network")

        return step_of


def _rounds(choice: Choice) -> int:
    """How many networks it takes to meet all options of a choice."""
    return len(choice.options.labels) if isinstance(choice.options, Subsets) else len(choice.options)


class _Order:
    """A random order of the options of a choice; another one follows it."""

    def __init__(self, choice: Choice, rng: random.Random) -> None:
        self._options, self._rng = choice.options, rng
        self._left: list[Value] = []
        self._circle = list(choice.options.labels) if isinstance(choice.options, Subsets) else []
        rng.shuffle(self._circle)

    def next(self) -> Value:
        if not self._left:
            options = self._options
            all_of = range(options.at_least, options.at_most + 1) if isinstance(options, Subsets) else options
            self._left = list(all_of)
            self._rng.shuffle(self._left)
        option = self._left.pop()
        if not isinstance(self._options, Subsets):
            return option
        size = int(option)  # type: ignore[arg-type]
        members = self._circle[:size]
        self._circle = [*self._circle[size:], *members]
        return tuple(label for label in self._options.labels if label in members)


@register("training", "sandwich")
@dataclass(frozen=True)
class Sandwich(Rule):
    """The largest network, the smallest, and random ones.

    random: how many. distill: all but the largest learn what the largest says of the same batch, instead of the labels;
        its answers are taken as they are, so it learns nothing from them.

    Reference: Yu & Huang 2019, Universally Slimmable Networks, arXiv:1903.05134. Differs: gradients are divided by the
    number of networks.
    """

    random: int = 2
    distill: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._whole("random", 0)
        if not isinstance(self.distill, bool):
            raise RecipeError(f"{self._title}: distill is {self.distill!r}; expected true or false")

    @property
    def teaches(self) -> bool:  # type: ignore[override]
        return self.distill

    def sampler(self, space: Space, seed: int) -> Draws:
        ends = [largest(space), smallest(space)]
        return lambda step: [*ends, *(_random(space, seed, step, number) for number in range(self.random))]


@register("training", "sorted")
@dataclass(frozen=True)
class Sorted(Rule):
    """Nested networks: at each level all choices with an order stand together, from their smallest to their largest.

    levels: how many. draws: how many of them are trained per step, each drawn evenly. Structures and other choices
        without an order are drawn anew each time.

    Reference: Valipour et al. 2023, SortedNet, arXiv:2309.00256. Differs: gradients are divided by the number of draws.
    """

    levels: int = 4
    draws: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        self._whole("levels", 1)
        self._whole("draws", 1)

    def level(self, space: Space, level: int, rng: random.Random) -> Candidate:
        """The network of a level, 0 … levels - 1."""
        share = level / (self.levels - 1) if self.levels > 1 else 1.0

        def take(choice: Choice, rng: random.Random) -> Value:
            options = ordered(choice)
            return options[round(share * (len(options) - 1))] if options else draw(choice, rng)

        return drawn(space, lambda attempt: rng, take)

    def sampler(self, space: Space, seed: int) -> Draws:
        def one(step: int, number: int) -> Candidate:
            rng = generator(seed, "subnet", step, number)
            return self.level(space, rng.randrange(self.levels), rng)

        return lambda step: [one(step, number) for number in range(self.draws)]


def _random(space: Space, seed: int, step: int, number: int) -> Candidate:
    return drawn(space, lambda attempt: generator(seed, "subnet", step, number, attempt))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
