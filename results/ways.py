"""In which ways finalists were measured side by side, as the names of their metrics tell.

A finalist of a supernet is measured with inherited weights, fine-tuned, and trained from scratch: val_accuracy_tuned is
val_accuracy by one of these ways, and val_accuracy itself that of the way whose weights were taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def ways_of(finalists: Iterable[Any]) -> list[str]:
    """'inherited' where there are val_accuracy_inherited and test_accuracy_inherited beside val_accuracy and
    test_accuracy, and so on; [] where each was measured in one way.
    """
    names = dict.fromkeys(name for trial in finalists for name in trial.metrics)
    found: dict[str, set[str]] = {}
    for name in names:
        for base in names:
            if name.startswith(f"{base}_"):
                found.setdefault(name.removeprefix(f"{base}_"), set()).add(base.partition("_")[0])
    return [way for way, parts in found.items() if parts >= {"val", "test"}]


def by_way(names: Iterable[str], ways: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Of these names those that tell a metric by one of these ways: the metric and the way.

    >>> by_way(["val_loss", "val_loss_tuned"], ["tuned"])
    {'val_loss_tuned': ('val_loss', 'tuned')}
    """
    split = {name: (name.removesuffix(f"_{way}"), way) for name in names for way in ways if name.endswith(f"_{way}")}
    return {name: told for name, told in split.items() if told[0]}


def taken(metrics: Mapping[str, float], way: str, names: Iterable[str]) -> bool:
    """Whether the weights of a finalist with these metrics are those of this way: it has the same numbers."""
    return all(metrics.get(f"{name}_{way}") == metrics.get(name) for name in names)
