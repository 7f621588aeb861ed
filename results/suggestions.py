"""Which networks of a front to look at first, and how each was found: the knee, and the cheapest near the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from results.units import together, written

if TYPE_CHECKING:
    from nas.core.records import Objective
    from results.front import Front

T = TypeVar("T")

NEAR = 0.01
"""How far from the best value of the first goal, as a part of its size, a network may be that is called near it."""

MANIFOLD = 1000.0
"""From how many times as much on a percentage says nothing."""


@dataclass(frozen=True)
class Suggestion(Generic[T]):
    """A trial of a front, what it is called, and one sentence that says how it was found, with numbers."""

    trial: T
    name: str
    why: str


def suggest(front: Front[T]) -> tuple[Suggestion[T], ...]:  # type: ignore[type-var]
    """At most two of a front; none of an empty one, and the best alone where nothing is traded."""
    if not len(front):
        return ()
    objectives = front.objectives
    if len(objectives) == 1 or len(front) == 1:
        return (Suggestion(front.at(0), "best", _alone(front)),)
    found = {}
    knee = front.knee_place()
    if knee is not None:
        found[knee] = [("knee", _of_knee(front, knee))]
    cheap, near = _cheapest(front)
    found.setdefault(cheap, []).append((_called(*objectives[:2]), _of_cheapest(front, cheap, near)))
    return tuple(
        Suggestion(front.at(place), " and ".join(name for name, _ in said), " ".join(why for _, why in said))
        for place, said in found.items()
    )


def seen_first(front: Front[T]) -> list[int]:  # type: ignore[type-var]
    """Places on a front that are shown however little of it is: its ends, the best in each goal, what is suggested."""
    if not len(front):
        return []
    suggested = {each.trial.id for each in suggest(front)}
    found = {0, len(front) - 1, *map(int, front.losses.argmin(axis=0))}
    return sorted(found | {place for place, id_ in enumerate(front.ids) if id_ in suggested})


def _called(first: Objective, second: Objective) -> str:
    if second.direction == "min":
        return f"cheapest within {_percent(NEAR)} of the best"
    return f"best {second.name} within {_percent(NEAR)} of the best {first.name}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _alone(front: Front[T]) -> str:  # type: ignore[type-var]
    first, values = front.objectives[0], front.values[0]
    units = {objective.name: objective.unit for objective in front.objectives}
    if len(front.objectives) > 1:
        reached = together([f"{written(n, v, units)} {n}" for n, v in zip(front.names, values, strict=True)])
        return f"Nothing beats it in any goal ({reached}), so there is nothing to choose."
    best = written(first.name, values[0], units)
    others = f", the first of {len(front)} that share it" if len(front) > 1 else ""
    return f"It has the best {first.name} of {len(front.complete):,} complete trials, {best}{others}."


def _of_knee(front: Front[T], place: int) -> str:  # type: ignore[type-var]
    given = front.scaled()[place]
    parts = [f"{_percent(share)} in {name}" for name, share in zip(front.names, given, strict=True)]
    return (
        f"Of the way from best to worst along the front it gives up {together(parts)}, which is the smallest sum among "
        f"the front's {len(front):,} networks."
    )


def _cheapest(front: Front[T]) -> tuple[int, int]:  # type: ignore[type-var]
    """Its place, and how many networks are near the best value of the first goal."""
    losses = front.losses
    best = float(losses[0, 0])
    near = np.flatnonzero(losses[:, 0] <= best + NEAR * abs(best))
    order = np.lexsort([losses[near, 0], *losses[near, 1:].T[::-1]])  # by the second goal, the third, …
    return int(near[order[0]]), len(near)


def _of_cheapest(front: Front[T], place: int, near: int) -> str:  # type: ignore[type-var]
    first, second = front.objectives[:2]
    units = {first.name: first.unit, second.name: second.unit}
    mine, best = front.values[place], front.values[0]
    reach = f"within {_percent(NEAR)} of the best"
    if near == 1:
        only = f"It has the best {first.name}, {written(first.name, mine[0], units)}"
        return f"{only}, and no other network of the front comes {reach}."
    word = "least" if second.direction == "min" else "most"
    has = f"the {word} {second.name}, {written(second.name, mine[1], units)}"
    if place == 0:
        return f"It has the best {first.name}, {written(first.name, mine[0], units)}, and {has}, of the {near} {reach}."
    share = abs(float(mine[1]) / float(best[1]) - 1) if best[1] else None
    told = share is not None and share < MANIFOLD
    change = f" ({_percent(share or 0.0)} {'less' if mine[1] < best[1] else 'more'})" if told else ""
    return (
        f"Its {first.name} of {written(first.name, mine[0], units)} is {reach}, {written(first.name, best[0], units)}, "
        f"and of the {near} networks of which that is true it has {has}{change}."
    )
