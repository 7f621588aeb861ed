"""`Front`: the trials that nothing dominates, and what is computed from them.

Metrics become numbers to minimise by `Objective.loss`; dominance and hypervolume are moocore's.

The reference point is a rule, so that anybody gets the same number from the same trials: in each objective the worst
value of all complete search trials, made worse by `MARGIN` of the distance between the best and the worst. Where all
values are equal the distance is taken as the size of that value (or 1 when it is 0). Dominated trials are part of it:
the front itself may shrink to one point, whose own worst would leave no volume. A reference may be given instead, to
compare runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar, cast, overload

import moocore
import numpy as np
from numpy.typing import NDArray

from nas.core.errors import RecipeError, StoreError, nearest
from nas.core.records import Objective
from results.ranges import between, farther, scaled
from results.suggestions import Suggestion, suggest

MARGIN = 0.1
"""How far behind the worst value the reference point lies, as a part of the range from best to worst."""


NO_VOLUME = "no hypervolume: it is larger than what a number holds"
"""What is said where there is none."""


class Ended(Protocol):
    """What a front needs to know of a trial: a `Trial`, or the lighter `results.rows.Row`."""

    @property
    def id(self) -> int: ...
    @property
    def stage(self) -> str: ...
    @property
    def reuses(self) -> int | None: ...
    @property
    def origin(self) -> str: ...
    @property
    def complete(self) -> bool: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...


T = TypeVar("T", bound=Ended)


class Front(Sequence[T], Generic[T]):
    """The complete search trials that no other one dominates, the best by the first objective first.

    A trial from the cache with the values of the one that it reuses is not listed beside it: it is the same network, or
    computes the same. One that does so at another cost is listed, and so are different networks with equal values.

    trials: of any stage and status; those that are not complete search trials are left out.
    reference: metric → value of the reference point, in the metrics' own units; by default the rule above.
    load: gives the trials of ids, to be shown in place of light ones; asked only for those that are looked at.

    Raises: RecipeError without objectives, or for a reference that names other metrics; StoreError when a complete
        trial lacks an objective's metric.
    """

    def __init__(
        self,
        trials: Iterable[Ended],
        objectives: Sequence[Objective],
        reference: Mapping[str, float] | None = None,
        load: Callable[[Sequence[int]], Sequence[T]] | None = None,
    ) -> None:
        if not objectives:
            raise RecipeError("a front needs at least one objective, as in {'val_accuracy': 'max'}")
        self.objectives = tuple(objectives)
        self.names = tuple(objective.name for objective in objectives)
        own = [trial for trial in trials if trial.complete and trial.stage == "search"]
        own.sort(key=lambda trial: trial.id)
        self.complete: tuple[Ended, ...] = tuple(own)
        self._load = load
        self._signs = np.array([-1.0 if objective.direction == "max" else 1.0 for objective in objectives])
        self._losses = self._values() * self._signs
        self._distinct = np.array(self._without_repetitions(), dtype=int)
        self._front = self._distinct[self._best_of(self._distinct)]
        self._front = self._front[np.lexsort(self._losses[self._front].T[::-1])]  # stable: ties stay in order of ids
        self.given_reference = dict(reference) if reference is not None else None
        self._reference = self._reference_losses(reference)

    def _without_repetitions(self) -> list[int]:
        """Places of the complete trials, those left out that repeat the trial of this run that they reuse."""
        if all(trial.reuses is None for trial in self.complete):
            return list(range(len(self.complete)))
        place_of = {trial.id: place for place, trial in enumerate(self.complete)}
        found, seen = [], set()
        for place, trial in enumerate(self.complete):
            if trial.reuses is None:
                found.append(place)
                continue
            source = None if trial.origin else place_of.get(trial.reuses)
            values = tuple(self._losses[place])
            if source is not None and values == tuple(self._losses[source]):
                continue
            if (trial.origin, trial.reuses, values) not in seen:
                seen.add((trial.origin, trial.reuses, values))
                found.append(place)
        return found

    def _values(self) -> NDArray[np.float64]:
        """The objectives of the complete trials as they were measured, column by column: there may be a million."""
        metrics = [trial.metrics for trial in self.complete]
        values = np.empty((len(metrics), len(self.names)))
        for place, name in enumerate(self.names):
            try:
                values[:, place] = [each[name] for each in metrics]
            except KeyError:
                trial = next(trial for trial in self.complete if name not in trial.metrics)
                raise StoreError(
                    f"trial {trial.id} is complete but has no metric {name!r}, which is an objective; "
                    f"{nearest(name, trial.metrics)}"
                ) from None
        return values

    def _best_of(self, places: NDArray[np.int_]) -> NDArray[np.bool_]:
        """Which of these trials nothing among them dominates, equal ones included."""
        if not len(places):
            return np.zeros(0, dtype=bool)
        return np.asarray(moocore.is_nondominated(self._losses[places], keep_weakly=True))

    def _reference_losses(self, given: Mapping[str, float] | None) -> NDArray[np.float64] | None:
        if given is not None:
            if set(given) != set(self.names):
                raise RecipeError(f"a reference point of {sorted(given)}; expected a value for each of {self.names}")
            return np.asarray([float(given[name]) for name in self.names] * self._signs, dtype=float)
        return reference_of(self._losses) if self.complete else None

    # ---- a sequence of trials --------------------------------------------------------------------------------------

    @cached_property
    def trials(self) -> tuple[T, ...]:
        return self._at(self._front)

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(self.complete[place].id for place in self._front)

    @property
    def light(self) -> tuple[Ended, ...]:
        """The front's trials as they were given, without loading any."""
        return tuple(self.complete[place] for place in self._front)

    @property
    def dominated(self) -> tuple[Ended, ...]:
        """The other complete trials by id, as they were given, without those that repeat the trial that they reuse."""
        return tuple(self.complete[place] for place in np.setdiff1d(self._distinct, self._front))

    def at(self, place: int) -> T:
        """One trial of the front, without loading the others."""
        return self.trials[place] if "trials" in self.__dict__ else self._at([self._front[place]])[0]

    @property
    def losses(self) -> NDArray[np.float64]:
        """The front's values as numbers to minimise, (trials of the front, objectives)."""
        return np.asarray(self._losses[self._front])

    @property
    def complete_losses(self) -> NDArray[np.float64]:
        """The values of `complete` as numbers to minimise, (complete trials, objectives)."""
        return np.asarray(self._losses)

    @property
    def reference_losses(self) -> NDArray[np.float64] | None:
        """The reference point as numbers to minimise, (objectives,); None as long as no trial is complete."""
        return self._reference

    @property
    def values(self) -> NDArray[np.float64]:
        """The front's values as they were measured, (trials of the front, objectives)."""
        return np.asarray(self.losses * self._signs)

    def scaled(self) -> NDArray[np.float64]:
        """The front's losses from 0, its best, to 1, its worst, (trials of the front, objectives)."""
        return scaled(self.losses)

    def _at(self, places: Iterable[int]) -> tuple[T, ...]:
        found = [self.complete[place] for place in places]
        return tuple(self._load([trial.id for trial in found]) if self._load is not None else cast("list[T]", found))

    def __len__(self) -> int:
        return len(self._front)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...
    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        return self.trials[place] if isinstance(place, slice) else self.at(place)

    def __iter__(self) -> Iterator[T]:
        return iter(self.trials)

    def __repr__(self) -> str:
        goals = ", ".join(f"{objective.direction} {objective.name}" for objective in self.objectives)
        ids = ", ".join(str(id_) for id_ in self.ids[:8]) + (", …" if len(self) > 8 else "")
        return f"Front({goals}; {len(self)} of {len(self.complete)} complete trials: {ids})"

    # ---- what is computed from it ----------------------------------------------------------------------------------

    @property
    def reference(self) -> dict[str, float] | None:
        """The reference point in the metrics' own units; None as long as no trial is complete."""
        if self._reference is None:
            return None
        return {name: float(value) for name, value in zip(self.names, self._reference * self._signs, strict=True)}

    @property
    def hypervolume(self) -> float | None:
        """The volume between the front and the reference point, in the product of the objectives' units; 0.0 of none.

        With one objective it is the distance from the best value to the reference. None where it is larger than what a
        number holds.
        """
        if self._reference is None or not len(self):
            return 0.0
        return volume_of(self.losses, self._reference)

    def knee(self) -> T | None:
        """The trial where giving up more of one objective stops paying in the others; None of an empty front.

        Losses are scaled to [0, 1] over the front; the knee is the point farthest from the plane through the ends of
        the scaled axes, on the side of the ideal point: the one with the smallest sum. Ties go to the better first
        objective. With one objective it is the best trial.

        Reference: Das 1999, On characterizing the "knee" of the Pareto curve based on normal-boundary intersection.
        Differs: the plane goes through the ends of the scaled axes, not through the best trials of each objective,
        which is the same with two objectives.
        """
        return self.at(int(np.argmin(self._sums))) if len(self) else None

    def knee_place(self) -> int | None:
        """Where on the front a knee stands out; None where two objectives are traded evenly or worse all along it."""
        if len(self) < 3 or len(self.objectives) < 2:
            return None
        place = int(np.argmin(self._sums))
        return place if len(self.objectives) > 2 or self._sums[place] < 1 else None

    @property
    def _sums(self) -> NDArray[np.float64]:
        return np.asarray(self.scaled().sum(axis=1).round(12))

    def suggestions(self) -> tuple[Suggestion[T], ...]:
        """The knee, and the cheapest network within 1 % of the best, each with how it was found.

        With one objective, or one network on the front, it is the best one; none of an empty front. A front without a
        knee that stands out has none suggested. Where both are the same network it comes once, with both names.
        """
        return suggest(self)

    def top(self, k: int) -> tuple[T, ...]:
        """The k trials to look at first: the front, best by the first objective first; then the front without it, …

        So with one objective these are the k best trials. Fewer when there are fewer distinct complete trials.
        """
        chosen: list[int] = list(self._front)
        rest = np.setdiff1d(self._distinct, self._front)
        while len(chosen) < k and len(rest):
            layer = rest[self._best_of(rest)]
            chosen.extend(layer[np.lexsort(self._losses[layer].T[::-1])])
            rest = np.setdiff1d(rest, layer)
        return self._at(chosen[:k])

    def summary(self) -> dict[str, Any]:
        """The front as JSON takes it: objectives, trials with metrics and decisions, hypervolume, reference."""
        return {
            "objectives": [{"name": o.name, "direction": o.direction, "unit": o.unit} for o in self.objectives],
            "front": [
                {"trial": trial.id, "metrics": dict(trial.metrics), "decisions": decisions_of(trial)}
                for trial in self.light
            ],
            "hypervolume": self.hypervolume,
            "reference": self.reference,
        }


def reference_of(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """The reference point, (K,), of trials with these losses, (N, K), N > 0, by the rule at the top of this module."""
    best, worst = losses.min(axis=0), losses.max(axis=0)
    size = np.where(worst == 0, 1.0, np.abs(worst))
    return farther(worst, MARGIN, np.where(worst > best, between(best, worst), size))


def volume_of(losses: NDArray[np.float64], reference: NDArray[np.float64]) -> float | None:
    """The hypervolume of points, (N, K), against a reference, (K,); None where no number holds it."""
    volume = float(moocore.hypervolume(losses, ref=reference))
    return volume if math.isfinite(volume) else None


def decisions_of(trial: Any) -> dict[str, Any]:
    """Address → option of a `Trial` or a `Row`."""
    return dict(trial.candidate.decisions if hasattr(trial, "candidate") else trial.decisions)
