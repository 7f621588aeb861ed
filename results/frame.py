"""Trials as a pandas frame, for notebooks and figures."""

from __future__ import annotations

from typing import Any

import pandas as pd

from results.rows import Row
from results.store import SqlStore

DECISION = "decision:"
"""What the columns of decisions begin with; the address follows."""

COLUMNS = {
    "trial": "int64",
    "status": "str",
    "stage": "str",
    "of": "Int64",
    "source": "str",
    "reuses": "Int64",
    "hit": "str",
    "origin": "str",
    "proposer": "str",
    "reason": "str",
    "budget": "float64",
    "budget_unit": "str",
    "seconds": "float64",
}
"""The columns that every frame has, before metrics and decisions. `seconds` is wall time of the trial."""


def trials(source: SqlStore | list[Row], stage: str | None = None) -> pd.DataFrame:
    """One row per ended trial, by id: COLUMNS, then a column per metric, then one per choice as `decision:ADDRESS`.

    A metric that was not measured is NaN; a choice that was not active is None. A metric that is called like one of
    COLUMNS comes as `metric:NAME`. Graphs are not in the frame: `store.pick` has them.
    """
    rows = source.rows(stage) if isinstance(source, SqlStore) else [r for r in source if stage in (None, r.stage)]
    table: dict[str, pd.Series[Any]] = {
        name: pd.Series([_base(row, name) for row in rows], dtype=kind) for name, kind in COLUMNS.items()
    }
    for name in _names(row.metrics for row in rows):
        column = f"metric:{name}" if name in COLUMNS else name
        table[column] = pd.Series([row.metrics.get(name, float("nan")) for row in rows], dtype="float64")
    for address in _names(row.decisions for row in rows):
        values = [_option(row.decisions.get(address)) for row in rows]
        table[f"{DECISION}{address}"] = pd.Series(values, dtype=object)
    return pd.DataFrame(table)


def _base(row: Row, name: str) -> Any:
    if name == "trial":
        return row.id
    if name == "status":
        return row.status.value
    if name == "budget":
        return row.budget.amount
    if name == "budget_unit":
        return row.budget.unit
    return getattr(row, name)


def _names(mappings: Any) -> list[str]:
    """All names, in the order in which they first occur."""
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _option(value: Any) -> Any:
    """An option of a subset choice comes as a tuple, so that it can be compared and counted."""
    return tuple(_option(item) for item in value) if isinstance(value, list) else value
