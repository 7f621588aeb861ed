"""`SqlCache`: measurements that several runs share, in a database of their own.

A row per measurement. What `add` has returned from is there for every process; several may read and write at the same
time (SQLite: WAL, a writer waits for another up to 30 s, readers wait for nobody; or a server by its URL). It holds no
networks and no weights: a run's own store stays the record of what the run was told.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa

from nas.core.errors import NASError, StoreError
from nas.core.records import Known, Measurement, Status
from results.database import SUFFIXES, clear, connect, locate
from results.rows import dump, load

SCHEMA = 1
"""Version of the table below; a database says in `espalier_cache` which one it has."""

METADATA = sa.MetaData()
VERSION = sa.Table("espalier_cache", METADATA, sa.Column("version", sa.Integer, primary_key=True))
MEASUREMENTS = sa.Table(
    "measurements",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("evaluation", sa.String(200), nullable=False, index=True),
    sa.Column("function", sa.String(200), index=True),
    sa.Column("graph_version", sa.String(20), nullable=False),
    sa.Column("function_version", sa.String(20), nullable=False),
    sa.Column("keys", sa.Text, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("metrics", sa.Text, nullable=False),
    sa.Column("measured_seconds", sa.Double, nullable=False),
    sa.Column("curve", sa.Text, nullable=False),
    sa.Column("notes", sa.Text, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("trial", sa.Integer, nullable=False),
    sa.Column("written", sa.String(40), nullable=False),
)
"""`evaluation` and `function` are the evaluation keys by graph and by function, with the versions of these keys."""

_C = MEASUREMENTS.c
_WAIT = 3
"""Tries to make the tables: two processes may begin at the same moment."""


class SqlCache:
    """The Cache role over SQLAlchemy; close it, or use `with`.

    where: a SQLite file, which is made if it is not there, or a SQLAlchemy URL. report: is told, in a line, of each
        damaged row; by default as a Python warning.

    Raises: StoreError: the file is no database, or one of something else; its folder is not there; no server answers.

    >>> with SqlCache("sqlite://") as cache:
    ...     print(cache.find({"decisions": "d1:0", "graph": "g1:0", "evaluation": "e1:0"}))
    None
    """

    def __init__(self, where: str | os.PathLike[str], report: Callable[[str], None] | None = None) -> None:
        check_place(where)
        self.url, self.path = locate(where)
        self._name = f"cache {self.path if self.path is not None else self.url}"
        self._report = report or warnings.warn
        self._told: set[int] = set()
        if self.path is not None and not self.path.parent.is_dir():
            raise StoreError(f"{self._name} cannot be made: there is no folder {self.path.parent}; make it first")
        self._writer = connect(self.url, self.path, write=True)
        self._reader = self._writer
        try:
            for left in reversed(range(_WAIT)):
                try:
                    self._enter()
                    break
                except StoreError as error:
                    if not left or not isinstance(error.__cause__, sa.exc.DBAPIError):
                        raise
            if self.path is not None:
                self._reader = connect(self.url, self.path, write=False)
        except BaseException:
            self.close()
            raise

    def _enter(self) -> None:
        if self.path is not None and self.path.is_file():
            with self.path.open("rb") as file:
                head = file.read(16)
            if head and head != b"SQLite format 3\0":
                raise StoreError(
                    f"{self._name} is no database (it begins with {head!r}), or it is damaged; name another file, "
                    "which is then made"
                )
        with clear(self._name, "opening it"), self._writer.begin() as connection:
            tables = set(sa.inspect(connection).get_table_names())
            if not tables or (self.path is None and VERSION.name not in tables):
                METADATA.create_all(connection)
                connection.execute(sa.insert(VERSION).values(version=SCHEMA))
                return
            if not {VERSION.name, MEASUREMENTS.name} <= tables:
                raise StoreError(
                    f"{self._name} is a database of something else: expected a table {VERSION.name!r}, found "
                    f"{sorted(tables)[:8]}; name another file, which is then made"
                )
            version = connection.execute(sa.select(sa.func.max(VERSION.c.version))).scalar()
            if version != SCHEMA:
                raise StoreError(
                    f"{self._name} has version {version}, this espalier-nas reads {SCHEMA}; name another file, or "
                    "upgrade espalier-nas"
                )

    # ---- the role --------------------------------------------------------------------------------------------------

    def find(self, keys: Mapping[str, str]) -> Known | None:
        """The first measurement by `keys["evaluation"]`, else by `keys["function"]`; damaged rows are reported."""
        by_graph = (_C.evaluation == keys["evaluation"]) & (_C.graph_version == _version(keys["graph"]))
        wanted = by_graph
        if keys.get("function"):
            by_function = (_C.function == keys["function"]) & (_C.function_version == _version(keys["functional"]))
            wanted = by_graph | by_function
        query = sa.select(MEASUREMENTS).where(wanted).order_by(sa.case((by_graph, 0), else_=1), _C.id)
        with clear(self._name, "looking up a key"), self._reader.connect() as connection:
            for row in connection.execute(query):
                try:
                    return _unpack(row)
                except (NASError, TypeError, ValueError, AttributeError, KeyError) as error:
                    self._tell(row.id, error)
        return None

    def add(self, known: Known) -> None:
        """Append a measurement; it is there for every process on return."""
        keys, what = dict(known.keys), f"trial {known.trial} of {known.run or 'this run'}"
        row = {
            "evaluation": keys["evaluation"],
            "function": keys.get("function"),
            "graph_version": _version(keys["graph"]),
            "function_version": _version(keys.get("functional", "")),
            "keys": dump(keys, what),
            "status": known.status.value,
            "reason": known.reason,
            "metrics": dump(known.measurement.metrics, what),
            "measured_seconds": known.measurement.seconds,
            "curve": dump(known.measurement.curve, what),
            "notes": dump(known.measurement.notes, what),
            "seconds": known.seconds,
            "run": known.run,
            "trial": known.trial,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with clear(self._name, "adding a measurement"), self._writer.begin() as connection:
            connection.execute(sa.insert(MEASUREMENTS), row)

    def close(self) -> None:
        """Let go of the database; may be called twice."""
        self._writer.dispose()
        self._reader.dispose()

    def __enter__(self) -> SqlCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        with clear(self._name, "counting"), self._reader.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(MEASUREMENTS)).scalar_one()

    def __repr__(self) -> str:
        return f"<SqlCache {self.path or self.url}>"

    def _tell(self, row: int, error: Exception) -> None:
        if row not in self._told:
            self._told.add(row)
            self._report(f"{self._name}: row {row} is damaged and was skipped: {' '.join(str(error).split())}")


def check_place(where: str | os.PathLike[str]) -> None:
    """Raises StoreError for a text that is neither a file of the usual endings nor a URL."""
    text = os.fspath(where)
    if "://" not in text and Path(text).suffix not in SUFFIXES:
        raise StoreError(
            f"{text!r} is no place for a cache; expected a file that ends in {', '.join(SUFFIXES)}, or a "
            "database URL such as 'postgresql+psycopg://user@host/name'"
        )


def _version(key: str) -> str:
    """The version that a key begins with; '' of no key."""
    return key.partition(":")[0]


def _unpack(row: Any) -> Known:
    what = f"row {row.id}"
    keys = load(row.keys, what)
    if keys["evaluation"] != row.evaluation or "graph" not in keys or "decisions" not in keys:
        raise ValueError("its keys do not agree")
    return Known(
        keys,
        Status(row.status),
        row.reason,
        Measurement(load(row.metrics, what), row.measured_seconds, tuple(load(row.curve, what)), load(row.notes, what)),
        int(row.trial),
        row.run,
        float(row.seconds),
    )
