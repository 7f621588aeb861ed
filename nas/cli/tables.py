"""The table of a front, for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from results.units import written


def front_table(
    trials: Iterable[Any],
    names: Sequence[str],
    finalists: Mapping[int, Any],
    units: Mapping[str, str] | None = None,
) -> Table:
    """One row per trial of a front: its objectives, and beside them what its retraining gave.

    names: the metrics to show. finalists: trial id → the trial that evaluated it again. units: of metrics.
    """
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("trial", justify="right")
    for name in names:
        table.add_column(name, justify="right")
    again = _again(names, finalists.values())
    if finalists:
        table.add_column("retrained for", justify="right")
    for name in again:
        table.add_column(name, justify="right", style="bold" if name.startswith("test_") else "")
    for trial in trials:
        row = [str(trial.id), *(written(name, trial.metrics.get(name), units) for name in names)]
        if finalists:
            other = finalists.get(trial.id)
            row.append("" if other is None else str(other.budget) if other.complete else f"failed: {other.reason[:40]}")
            row += [written(name, other.metrics.get(name), units) if other is not None else "" for name in again]
        table.add_row(*row)
    return table


def _again(names: Sequence[str], finalists: Iterable[Any]) -> list[str]:
    """Metrics of finalists that are worth a column: objectives that change with training, then those of the test."""
    have = {name for trial in finalists for name in trial.metrics}
    trained = [name for name in names if name in have and name.startswith(("val_", "train_"))]
    return trained + sorted(name for name in have if name.startswith("test_") and not name.endswith("loss"))
