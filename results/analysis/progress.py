"""How the best got better: the best so far and the hypervolume, over trials and over what was paid for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray

from results.front import Front
from results.rows import Row

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]


def paid(row: Row) -> float:
    """Seconds that a trial's evaluation cost: its wall time, or what a table says that it took; nothing from a cache.

    >>> from nas.core.records import Budget, Status
    >>> row = Row(0, Status.COMPLETE, "search", None, "evaluated", None, "", "random", Budget(1), 2.0, {})
    >>> paid(row)
    2.0
    """
    return 0.0 if row.source == "cache" else max(row.seconds, row.measured_seconds)


@dataclass(frozen=True, eq=False)
class Way:
    """The complete trials of a search in the order of their ids, as columns.

    ids: of the complete trials, (N,). trials: how many search trials there were up to and with each of them, (N,).
    seconds: paid for all of these, (N,). losses: the objectives' values as numbers to minimise, (N, K).
    """

    ids: Ints
    trials: Ints
    seconds: Floats
    losses: Floats

    @classmethod
    def of(cls, search: Sequence[Row], front: Front[Any]) -> Way:
        """The way of the search trials that a front was made of."""
        ids = np.fromiter((row.id for row in search), dtype=int, count=len(search))
        costs = np.fromiter((paid(row) for row in search), dtype=float, count=len(search))
        if len(ids) > 1 and (np.diff(ids) < 0).any():
            order = np.argsort(ids, kind="stable")
            ids, costs = ids[order], costs[order]
        spent = np.cumsum(costs)
        complete = np.fromiter((row.id for row in front.complete), dtype=int, count=len(front.complete))
        places = np.searchsorted(ids, complete)
        return cls(complete, places + 1, spent[places], front.complete_losses)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def best(self) -> Floats:
        """The best loss so far of each objective, (N, K)."""
        return np.minimum.accumulate(self.losses, axis=0)

    def changes(self, goal: int, most: int) -> Ints:
        """Places where the best of an objective got better, at most so many, the first and the last among them."""
        best = self.best[:, goal]
        places = np.flatnonzero(np.concatenate([[True], best[1:] < best[:-1]])[: len(best)])
        even = np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int)
        return np.asarray(places[np.unique(even)])

    def places(self, most: int) -> Ints:
        """At most so many places, close at the beginning, where most happens, and even after it; with the last one."""
        if not len(self):
            return np.zeros(0, dtype=int)
        early = np.geomspace(1, len(self), most // 2)
        even = np.linspace(1, len(self), most - most // 2)
        return np.asarray(np.unique(np.concatenate([early, even]).round().astype(int)) - 1)

    def volumes(self, places: Ints, reference: Floats) -> Floats:
        """The hypervolume of the trials up to and with each of these places, which ascend; (len(places),).

        reference: losses of the point that it is measured against, (K,); what lies behind it adds nothing.
        """
        kept = np.zeros((0, self.losses.shape[1]))
        volumes, start, volume = np.zeros(len(places)), 0, 0.0
        for number, place in enumerate(places):
            new = self.losses[start : place + 1]
            start = place + 1
            new = new[(new < reference).all(axis=1)]
            before = kept
            kept = moocore.filter_dominated(np.concatenate([kept, new]))  # what was dominated once stays dominated
            if not np.array_equal(kept, before):
                volume = float(moocore.hypervolume(kept, ref=reference))
            volumes[number] = volume
        return volumes

    def reaches(self, volume: float, reference: Floats) -> int | None:
        """The first place up to which the trials have at least this hypervolume; None when they never have."""
        low, high = 0, len(self) - 1
        enough = volume * (1 - 1e-9)  # volumes are added up in another order
        if high < 0 or self.volumes(np.array([high]), reference)[0] < enough:
            return None
        while low < high:
            middle = (low + high) // 2
            if self.volumes(np.array([middle]), reference)[0] >= enough:
                high = middle
            else:
                low = middle + 1
        return low

    def gets(self, loss: float, goal: int = 0) -> int | None:
        """The first place at which an objective's loss is at most this; None when it never is."""
        found = np.flatnonzero(self.losses[:, goal] <= loss)
        return int(found[0]) if len(found) else None
