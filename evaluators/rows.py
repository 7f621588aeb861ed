"""Tables of known results as they lie on disk: Parquet or CSV, several joined into one."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluators.paths import find_file
from nas.core.errors import DataError, RecipeError, nearest

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True, eq=False)
class Rows:
    """A table by key, in the columns that are wanted.

    places: key → row number. columns: name → numbers, None where missing. content: a digest of the files.
    """

    places: Mapping[str, int]
    columns: Mapping[str, Sequence[float | None]]
    content: str


def read(path: str, key: Sequence[str], wanted: Sequence[str], joins: Sequence[Mapping[str, str]]) -> Rows:
    """Read a table and the tables joined to it.

    Args:
        key: the columns whose texts, joined by colons, spell the networks. wanted: the columns of numbers.
        joins: mappings of `path` and `on`, a column of both tables; 'row' is the row number where there is none.

    Raises: DataError for a file that cannot be read and for a key that stands twice; RecipeError for an unknown column.
    """
    where = Path(path).name
    table, content = _open(path, key)
    names = list(table.column_names)
    for column in key:
        _need(column, names, f"{where}: key column")
    spelled = (":".join(map(str, parts)) for parts in zip(*(table[name].to_pylist() for name in key), strict=True))
    places: dict[str, int] = {}
    for row, text in enumerate(spelled):
        if places.setdefault(text, row) != row:
            raise DataError(
                f"{where}: {':'.join(key)} {text!r} stands in rows {places[text]} and {row}; keys must differ"
            )
    columns: dict[str, list[float | None]] = {name: _numbers(table, name, where) for name in wanted if name in names}
    for given in joins:
        if set(given) != {"path", "on"}:
            raise RecipeError(f"table: join {dict(given)!r}; expected {{path: FILE, on: COLUMN}}")
        other_path = find_file(given["path"], "table")
        other, digest = _open(str(other_path), ())
        content += digest
        joined = _joined(table, where, other, other_path.name, given["on"], wanted)
        for name in joined:
            if name in columns:
                raise RecipeError(f"table: column {name!r} is in {where} and in {other_path.name}; rename one")
        columns |= joined
        names += other.column_names
    for name in wanted:
        _need(name, names, f"{where}: column")
    return Rows(places, columns, content)


def _joined(
    table: pyarrow.Table, where: str, other: pyarrow.Table, there: str, on: str, wanted: Sequence[str]
) -> dict[str, list[float | None]]:
    """The wanted columns of `other` in the order of the rows of `table`; None where it has no such row."""
    _need(on, other.column_names, f"{there}: column to join on")
    if on == "row" and on not in table.column_names:
        ours: Sequence[object] = range(table.num_rows)
    else:
        _need(on, table.column_names, f"{where}: column to join on")
        ours = table[on].to_pylist()
    index = {value: row for row, value in enumerate(other[on].to_pylist())}
    if len(index) != other.num_rows:
        raise DataError(f"{there}: {on} holds a value twice; a join needs one row for each")
    order = [index.get(value) for value in ours]
    numbers = {name: _numbers(other, name, there) for name in other.column_names if name in wanted}
    return {name: [None if row is None else column[row] for row in order] for name, column in numbers.items()}


def _open(path: str, key: Sequence[str]) -> tuple[pyarrow.Table, str]:
    """The table of a file, and a digest of the file. Columns of `key` are read as text, so that 007 stays 007."""
    import pyarrow
    from pyarrow import csv, parquet

    where = Path(path).name
    try:
        if path.endswith((".csv", ".tsv", ".txt")):
            convert = csv.ConvertOptions(column_types=dict.fromkeys(key, pyarrow.string()))
            parse = csv.ParseOptions(delimiter="," if path.endswith(".csv") else "\t")
            table = csv.read_csv(path, parse_options=parse, convert_options=convert)
        else:
            table = parquet.read_table(path)
        content = hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        said = " ".join(str(error).split())
        raise DataError(f"{where} cannot be read as a Parquet or CSV table: {said}") from error
    return table, content


def _numbers(table: pyarrow.Table, name: str, where: str) -> list[float | None]:
    """A column as floats; what is missing or not finite is None."""
    _need(name, table.column_names, f"{where}: column")
    column = table[name].to_pylist()
    if str(table[name].type) == "float":  # 94.37 in 32 bits is 94.37, not 94.37000274658203
        column = [None if value is None else str(np.float32(value)) for value in column]
    try:
        values = [None if value is None else float(value) for value in column]
    except (TypeError, ValueError, OverflowError):
        raise RecipeError(f"{where}: column {name!r} holds {table[name].type}, not numbers") from None
    return [value if value is not None and math.isfinite(value) else None for value in values]


def _need(name: str, names: Sequence[str], what: str) -> None:
    if list(names).count(name) > 1:
        raise DataError(f"{what} {name!r} stands {list(names).count(name)} times in the table; rename or remove one")
    if name not in names:
        raise RecipeError(f"{what} {name!r} is not there; {nearest(name, names)}")
