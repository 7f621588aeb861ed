"""Tables for a person: the front, and how a number is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

BYTES = ("B", "KiB", "MiB", "GiB")


def number(name: str, value: float | None) -> str:
    """A metric's value with a unit that its name tells.

    >>> number("val_accuracy", 98.6111), number("params", 18906), number("peak_memory_bytes", 3 * 2**20)
    ('98.61 %', '18,906', '3.0 MiB')
    >>> number("latency_ms", 1.23456), number("val_loss", None)
    ('1.235 ms', '')
    """
    if value is None:
        return ""
    if "accuracy" in name or name.endswith("_error"):
        return f"{value:.2f} %"
    if name.endswith("_bytes"):
        step = 0
        while value >= 1024 and step < len(BYTES) - 1:
            value, step = value / 1024, step + 1
        return f"{value:.1f} {BYTES[step]}"
    unit = " ms" if name.endswith("_ms") else " s" if name.endswith("_seconds") else ""
    if float(value).is_integer() and not unit:
        return f"{int(value):,}"
    return f"{value:.4g}{unit}"


def count(size: int) -> str:
    """An exact number while it can be read, else about how many.

    >>> count(15625), count(2419393593600)
    ('15,625', 'about 2.4 · 10^12')
    """
    if size < 10**9:
        return f"{size:,}"
    digits = str(size)
    return f"about {digits[0]}.{digits[1]} · 10^{len(digits) - 1}"


def front_table(
    trials: Iterable[Any],
    names: Sequence[str],
    finalists: Mapping[int, Any],
    title: str = "",
) -> Table:
    """One row per trial of a front: its objectives, and beside them what its retraining gave.

    names: the metrics to show. finalists: trial id → the trial that evaluated it again.
    """
    table = Table(title=title or None, title_justify="left", box=None, header_style="bold", pad_edge=False)
    table.add_column("trial", justify="right")
    for name in names:
        table.add_column(name, justify="right")
    again = _again(names, finalists.values())
    if finalists:
        table.add_column("retrained for", justify="right")
    for name in again:
        table.add_column(name, justify="right", style="bold" if name.startswith("test_") else "")
    for trial in trials:
        row = [str(trial.id), *(number(name, trial.metrics.get(name)) for name in names)]
        if finalists:
            other = finalists.get(trial.id)
            row.append("" if other is None else str(other.budget) if other.complete else f"failed: {other.reason[:40]}")
            row += [number(name, other.metrics.get(name)) if other is not None else "" for name in again]
        table.add_row(*row)
    return table


def _again(names: Sequence[str], finalists: Iterable[Any]) -> list[str]:
    """Metrics of finalists that are worth a column: objectives that change with training, then those of the test."""
    have = {name for trial in finalists for name in trial.metrics}
    trained = [name for name in names if name in have and name.startswith(("val_", "train_"))]
    return trained + sorted(name for name in have if name.startswith("test_accuracy") or name == "test_score")
