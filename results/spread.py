"""Some of many, evenly spread: what is drawn, listed or plotted of a long front."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def spread(number: int, most: int, always: Iterable[int] = ()) -> list[int]:
    """At most so many places of a sequence, these among them, the others evenly from end to end, in order.

    >>> spread(9, 3), spread(9, 3, [1]), spread(2, 3)
    ([0, 4, 8], [0, 1, 8], [0, 1])
    """
    kept = {place for place in always if place < number}
    if number <= most:
        return list(range(number))
    rest = max(most - len(kept), 0)
    evenly = {int(place) for place in np.linspace(0, number - 1, rest).round()}
    return sorted(kept | evenly)
