"""Tables of known results as they lie on disk: Parquet or CSV, several joined into one."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluators.paths import find
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


def read(path: str, key: str, wanted: Sequence[str], joins: Sequence[Mapping[str, str]]) -> Rows:
    """Read a table and the tables joined to it.

    Args:
        key: the column of the networks' spellings. wanted: the columns of numbers. joins: mappings of `path` and `on`.

    Raises: DataError for a file that cannot be read and for a key that stands twice; RecipeError for an unknown column.
    """
    where = Path(path).name
    table, content = _open(path, key)
    names = list(table.column_names)
    _need(key, names, f"{where}: key column")
    places: dict[str, int] = {}
    for row, value in enumerate(table[key].to_pylist()):
        if places.setdefault(str(value), row) != row:
            raise DataError(f"{where}: {key} {value!r} stands in rows {places[str(value)]} and {row}; keys must differ")
    columns: dict[str, list[float | None]] = {n: _numbers(table, n, where) for n in wanted if n in names}
    for given in joins:
        if set(given) != {"path", "on"}:
            raise RecipeError(f"table: join {dict(given)!r}; expected {{path: FILE, on: COLUMN}}")
        other_path = str(find(given["path"], "table"))
        other, digest = _open(other_path, "")
        content += digest
        _need(given["on"], names[: len(table.column_names)], f"{where}: column to join on")
        _need(given["on"], other.column_names, f"{Path(other_path).name}: column to join on")
        index = {value: row for row, value in enumerate(other[given["on"]].to_pylist())}
        if len(index) != other.num_rows:
            raise DataError(
                f"{Path(other_path).name}: {given['on']} holds a value twice; a join needs one row for each"
            )
        order = [index.get(value) for value in table[given["on"]].to_pylist()]
        for name in other.column_names:
            if name in wanted and name in columns:
                raise RecipeError(f"table: column {name!r} is in {where} and in {Path(other_path).name}; rename one")
            if name in wanted:
                numbers = _numbers(other, name, Path(other_path).name)
                columns[name] = [None if row is None else numbers[row] for row in order]
        names += other.column_names
    for name in wanted:
        _need(name, names, f"{where}: column")
    return Rows(places, columns, content)


def _open(path: str, key: str) -> tuple[pyarrow.Table, str]:
    """The table of a file, and a digest of the file. `key` is read as text, so that 007 stays 007."""
    import pyarrow
    from pyarrow import csv, parquet

    where = Path(path).name
    try:
        if path.endswith((".csv", ".tsv", ".txt")):
            convert = csv.ConvertOptions(column_types={key: pyarrow.string()} if key else {})
            parse = csv.ParseOptions(delimiter="," if path.endswith(".csv") else "\t")
            table = csv.read_csv(path, parse_options=parse, convert_options=convert)
        else:
            table = parquet.read_table(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are both of these
        raise DataError(f"{where} cannot be read as a Parquet or CSV table: {error}") from error
    return table, hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest()


def _numbers(table: pyarrow.Table, name: str, where: str) -> list[float | None]:
    """A column as floats; what is missing or not finite is None."""
    column = table[name].to_pylist()
    if str(table[name].type) == "float":  # 94.37 in 32 bits is 94.37, not 94.37000274658203
        column = [None if value is None else str(np.float32(value)) for value in column]
    try:
        values = [None if value is None else float(value) for value in column]
    except (TypeError, ValueError):
        raise RecipeError(f"{where}: column {name!r} holds {table[name].type}, not numbers") from None
    return [value if value is not None and math.isfinite(value) else None for value in values]


def _need(name: str, names: Sequence[str], what: str) -> None:
    if name not in names:
        raise RecipeError(f"{what} {name!r} is not there; {nearest(name, names)}")
