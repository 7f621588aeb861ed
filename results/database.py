"""The tables of a run's database, its schema version, and how a database is reached.

One schema for every database that SQLAlchemy speaks to. SQLite is the default, one file in the run's folder: WAL
journal (readers never wait for the writer, nor the writer for them) and `synchronous=NORMAL`. This leaves to
`results.store` what is written and read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from nas.core.errors import StoreError
from nas.core.roles import STORE

SCHEMA = 2
"""Version of the tables below; a database says in `espalier_schema` which one it has."""

ADDED = {2: ("hit", "origin")}
"""Version → columns of `trials` that it added: an older database is read without them, and gets them when written."""

SUFFIXES = (".sqlite", ".sqlite3", ".db")

METADATA = sa.MetaData()

VERSION = sa.Table("espalier_schema", METADATA, sa.Column("version", sa.Integer, primary_key=True))

RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
)


def _run() -> sa.Column[int]:
    return sa.Column("run", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True)


FACTS = sa.Table(
    "facts", METADATA, _run(), sa.Column("name", sa.String(200), primary_key=True), sa.Column("body", sa.Text)
)

GRAPHS = sa.Table(
    "graphs",
    METADATA,
    _run(),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)
"""Each decided graph once, as the JSON of `Graph.to_dict`."""

TRIALS = sa.Table(
    "trials",
    METADATA,
    _run(),
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("stage", sa.String(40), nullable=False),
    sa.Column("of", sa.Integer),
    sa.Column("source", sa.String(20), nullable=False),
    sa.Column("reuses", sa.Integer),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("traceback", sa.Text, nullable=False),
    sa.Column("decisions", sa.Text, nullable=False),
    sa.Column("graph", sa.String(64), nullable=False),
    sa.Column("parents", sa.Text, nullable=False),
    sa.Column("proposer", sa.Text, nullable=False),
    sa.Column("budget_amount", sa.Text, nullable=False),
    sa.Column("budget_unit", sa.String(20), nullable=False),
    sa.Column("evaluation_key", sa.String(200)),
    sa.Column("keys", sa.Text, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("metrics", sa.Text),
    sa.Column("measured_seconds", sa.Double),
    sa.Column("curve", sa.Text),
    sa.Column("notes", sa.Text),
    sa.Column("hit", sa.String(20), nullable=False, server_default=""),
    sa.Column("origin", sa.Text, nullable=False, server_default=""),
    sa.Index("trials_by_evaluation_key", "run", "evaluation_key", "id"),
)
"""`evaluation_key` is the one of `keys` that is looked up. `metrics` and the three columns after it are null when
nothing was measured. Texts that hold a structure are JSON."""


def locate(where: str | os.PathLike[str]) -> tuple[sa.URL, Path | None]:
    """The URL of a database, and its file when it is a SQLite file.

    where: a URL (`postgresql://…`), a database file, or a run's folder, which stands for `store.sqlite` in it.

    Raises: StoreError for a URL that SQLAlchemy cannot read.
    """
    text = os.fspath(where)
    if "://" not in text:
        path = Path(text)
        try:
            path = path if path.is_file() or path.suffix in SUFFIXES else path / STORE
        except OSError as error:
            raise StoreError(
                f"store {text[:80]!r} cannot be looked for: {error.strerror}; give another path"
            ) from error
        return sa.URL.create("sqlite", database=str(path)), path
    try:
        url = sa.make_url(text)
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreError(
            f"store {text!r} is no database URL ({error}); expected a folder, a file such as 'run/{STORE}', or a URL "
            "such as 'postgresql+psycopg://user@host/name'"
        ) from error
    named = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return url, Path(str(url.database)) if named else None


def connect(url: sa.URL, path: Path | None, *, write: bool) -> sa.Engine:
    """An engine on the database; nothing is read yet.

    Raises: StoreError when the driver of the URL is not installed.
    """
    if url.get_backend_name() != "sqlite":
        try:
            return sa.create_engine(url)
        except ImportError as error:
            raise StoreError(
                f"store {url}: the driver of {url.drivername!r} is not installed ({error}); pip install it"
            ) from error
    if path is None:
        engine = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        engine = sa.create_engine(_sqlite_url(path, write=write), connect_args={"timeout": 30})
    event.listen(engine, "connect", _prepare_writer if write else _prepare_reader)
    event.listen(engine, "begin", _begin_writing if write else _begin_reading)
    return engine


def _sqlite_url(path: Path, *, write: bool) -> str:
    mode = "rwc"
    if not write:
        # A reader of a WAL database needs its side files, and the last to leave removes them: it must be able to
        # write. In a folder that nobody can write to there are none to make, and none are needed if no writer left any.
        rests = Path(f"{path}-wal")
        if os.access(path.parent, os.W_OK) and os.access(path, os.W_OK):
            mode = "rw"
        else:
            mode = "ro" if rests.exists() and rests.stat().st_size else "ro&immutable=1"
    return f"sqlite:///{path.absolute().as_uri()}?mode={mode}&uri=true"


def _prepare_writer(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own idea of transactions leaves tables out of them
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _prepare_reader(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only=ON")


def _begin_writing(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_reading(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def check(connection: sa.Connection, name: str) -> int:
    """The schema version. Raises StoreError for a database that is not ours, or whose schema we do not know."""
    tables = set(sa.inspect(connection).get_table_names())
    if not tables:
        raise StoreError(f"{name} is an empty database: its run was stopped before it began; start the search again")
    if VERSION.name not in tables:
        raise StoreError(
            f"{name} is a database of something else: expected a table {VERSION.name!r}, found {sorted(tables)[:8]}"
        )
    version = connection.execute(sa.select(sa.func.max(VERSION.c.version))).scalar()
    if version is None or version < 1:
        raise StoreError(f"{name} has schema version {version}; this version of espalier-nas reads 1 to {SCHEMA}")
    if version > SCHEMA:
        raise StoreError(
            f"{name} has schema version {version}, written by a newer espalier-nas; this one reads up to {SCHEMA}. "
            "Upgrade espalier-nas to open it"
        )
    missing = {table.name for table in METADATA.sorted_tables} - tables
    if missing:
        raise StoreError(f"{name} is damaged: its tables {sorted(missing)} are missing")
    return int(version)


def upgrade(connection: sa.Connection, version: int) -> None:
    """Bring a database to this schema: columns that are new, and what they would have held."""
    for newer in range(version + 1, SCHEMA + 1):
        for column in ADDED[newer]:
            kind = TRIALS.c[column].type.compile(connection.dialect)
            connection.execute(sa.DDL(f"ALTER TABLE trials ADD COLUMN {column} {kind} DEFAULT '' NOT NULL"))
    if version < 2:  # until then a candidate was known by its graph only
        connection.execute(sa.update(TRIALS).where(TRIALS.c.source == "cache").values(hit="graph"))
    if version < SCHEMA:
        connection.execute(sa.update(VERSION).values(version=SCHEMA))


def columns_of(version: int) -> dict[str, sa.ColumnElement[Any]]:
    """The columns of `trials` in a database of this version; those that it lacks are empty."""
    new = {name for newer, names in ADDED.items() if newer > version for name in names}
    return {c.name: sa.literal("").label(c.name) if c.name in new else c for c in TRIALS.c}


def examine(connection: sa.Connection, name: str) -> None:
    """Let SQLite look its file over before it is written to again. Raises StoreError when it is damaged."""
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if found != "ok":
            raise StoreError(f"{name} is damaged ({found}); open a copy made before, or start the search again")


@contextmanager
def clear(name: str, doing: str) -> Iterator[None]:
    """Turn what a database driver raises into one StoreError that says which store and what was being done."""
    try:
        yield
    except DBAPIError as error:
        cause = str(error.orig).splitlines()[0] if str(error.orig) else type(error.orig).__name__
        raise StoreError(f"{name}: could not be used while {doing}: {cause}{_way_out(cause)}") from error
    except SQLAlchemyError as error:
        raise StoreError(f"{name}: could not be used while {doing}: {error}") from error


def _way_out(cause: str) -> str:
    for sign, advice in (
        ("not a database", "; this file is not a store, or it is damaged"),
        ("malformed", "; the file is damaged: open a copy made before, or start the search again"),
        ("disk is full", "; free some space, then resume the run"),
        ("readonly", "; the file or its folder cannot be written to"),
        ("unable to open", "; check that the folder exists and may be read and written"),
        ("locked", "; another program holds the database locked: close it and try again"),
    ):
        if sign in cause:
            return advice
    return ""
