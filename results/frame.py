"""Trials as a pandas frame, for notebooks and figures, and as tables on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from nas.core.errors import StoreError
from results.rows import Row
from results.store import SqlStore

if TYPE_CHECKING:
    from results.run import Run

DECISION = "decision:"
"""What the columns of decisions begin with; the address follows."""

RETRAINED = "retrained:"
"""What the columns begin with that hold what a finalist of the trial measured; the metric follows."""

FRONT_TABLE, TRIALS_TABLE = "front.csv", "trials.parquet"
"""Names of the tables in a run's folder."""

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


def trials(source: Run | SqlStore | list[Row], stage: str | None = None) -> pd.DataFrame:
    """One row per ended trial, by id: COLUMNS, then a column per metric, then one per choice as `decision:ADDRESS`.

    source: a run, its store, or some of its rows. stage: 'search' or 'finalist'; by default both.

    A metric that was not measured is NaN; a choice that was not active is None. A metric that is called like one of
    COLUMNS comes as `metric:NAME`. Graphs are not in the frame: `store.pick` has them.
    """
    if isinstance(source, SqlStore):
        rows = source.rows(stage)
    else:
        rows = [row for row in (source if isinstance(source, list) else source.rows) if stage in (None, row.stage)]
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


def front(run: Run) -> pd.DataFrame:
    """One row per trial of a run's front, the best by the first objective first: trial, metrics, decisions.

    What its finalist measured stands in columns `retrained:METRIC`.
    """
    found, finalists = run.front, run.finalists
    rows = {row.id: row for row in run.rows}
    shown = [rows[id_] for id_ in found.ids]
    frame = trials(shown)
    again = [finalists[id_].metrics if id_ in finalists else {} for id_ in found.ids]
    table = {"trial": frame["trial"]}
    measured = [name for name in frame.columns if name not in COLUMNS and not name.startswith(DECISION)]
    for name in dict.fromkeys([*(name for name in found.names if name in measured), *measured]):
        table[name] = frame[name]
    for name in _names(again):
        values = [metrics.get(name, float("nan")) for metrics in again]
        table[f"{RETRAINED}{name}"] = pd.Series(values, dtype="float64")
    table |= {name: frame[name] for name in frame.columns if name.startswith(DECISION)}
    return pd.DataFrame(table)


def write_tables(run: Run, folder: Path) -> list[Path]:
    """Write the front as CSV and all trials as Parquet into a folder; return where they are.

    Metrics are called as they are recorded, with their units in the names. An option that is no plain number or text
    stands as JSON.

    Raises: StoreError when a table cannot be written.
    """
    tables = {FRONT_TABLE: _plain(front(run)), TRIALS_TABLE: _plain(trials(run))}
    for name, table in tables.items():
        partial = folder / f".{name}.part"
        try:
            if name == FRONT_TABLE:
                _whole(table).to_csv(partial, index=False)
            else:
                table.to_parquet(partial, index=False)
            partial.replace(folder / name)  # a reader never sees half a table
        except OSError as error:
            raise StoreError(f"the table {name} cannot be written to {folder}: {error}") from error
    return [folder / name for name in tables]


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The same with columns of one kind each, which files need: whole numbers, numbers, truth, or texts."""
    table = {}
    for name in frame.columns:
        column = frame[name]
        table[name] = _of_one_kind(column) if name.startswith(DECISION) else column
    return pd.DataFrame(table)


def _whole(frame: pd.DataFrame) -> pd.DataFrame:
    """The same with whole numbers written as such: 18906 parameters, not 18906.0."""
    table = {}
    for name in frame.columns:
        column = frame[name]
        whole = column.dtype == "float64" and (column.isna() | ((column % 1 == 0) & (column.abs() < 2**53))).all()
        table[name] = column.astype("Int64") if whole else column
    return pd.DataFrame(table)


def _of_one_kind(column: pd.Series[Any]) -> pd.Series[Any]:
    kinds = {type(value) for value in column if value is not None}
    for kind, name in ((bool, "boolean"), (int, "Int64"), (float, "Float64"), (str, "str")):
        if kinds == {kind} or (kind is float and kinds == {int, float}):
            try:
                return pd.Series(column.tolist(), dtype=name)
            except OverflowError:  # a whole number beyond 64 bits
                break
    texts = [None if value is None else value if isinstance(value, str) else json.dumps(value) for value in column]
    return pd.Series(texts, dtype="str")


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
