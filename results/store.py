"""`SqlStore`: the trials and facts of one run, in a database.

What survives: everything that `add` or `note` has returned from is there after the process is killed at any moment
(kill -9 included), and a trial is there whole or not at all. After a power cut or a crash of the whole machine a SQLite
store is still intact, but the last trials, as far as the operating system had not yet written them, may be gone; they
are then searched again on resume. (That is SQLite's WAL with `synchronous=NORMAL`; a server keeps its own promise.)

One process writes a run: a second one is refused while the first lives. Any number may read meanwhile.
"""

from __future__ import annotations

import gc
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from weakref import WeakValueDictionary

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from nas.core.errors import StoreError, nearest
from nas.core.graph import Graph
from nas.core.records import Status, Trial
from results.database import (
    FACTS,
    GRAPHS,
    METADATA,
    RUNS,
    SCHEMA,
    TRIALS,
    VERSION,
    check,
    clear,
    columns_of,
    connect,
    examine,
    locate,
    upgrade,
)
from results.lock import FileLock
from results.rows import ROW_COLUMNS, Row, dump, load, nested_in, pack, pack_graph, unpack, unpack_graph, unpack_row

_MANY = 500
"""Most values in one `IN (…)`: every database takes that many."""

_ADD_TRIAL, _ADD_GRAPH = sa.insert(TRIALS), sa.insert(GRAPHS)


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Without the garbage collector, which looks at everything again and again while many small things are made."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class SqlStore:
    """The Store role over SQLAlchemy. Made by `create`, `open` (to write on) or `read`; close it, or use `with`.

    where: a run's folder, a SQLite file, or a SQLAlchemy URL. `run` names one of several runs in a shared database.

    >>> with SqlStore.create("sqlite://") as store:
    ...     store.note("seed", 7)
    ...     dict(store.facts()), len(store)
    ({'seed': 7}, 0)
    """

    def __init__(self, where: str | os.PathLike[str], *, mode: str, run: str = "main") -> None:
        if mode not in ("create", "write", "read"):
            raise StoreError(f"mode {mode!r} of a store; {nearest(mode, ('create', 'write', 'read'))}")
        self.url, self.path = locate(where)
        self.run_name = run
        self.writable = mode != "read"
        self._name = f"store {self.path if self.path is not None else self.url}"
        self._run = 0
        self._written: set[str] = set()  # digests of the graphs that the store holds already
        self._graphs: WeakValueDictionary[str, Graph] = WeakValueDictionary()
        self._lock: FileLock | None = None
        self._holder: sa.Connection | None = None
        try:
            self._check_path(create=mode == "create")
        except OSError as error:
            raise StoreError(
                f"{self._name} cannot be read: {error.strerror}; check that you may read the file and its folder"
            ) from error
        self._engine = connect(self.url, self.path, write=self.writable)
        try:
            if self.writable and self.path is not None:
                self._lock = FileLock(Path(f"{self.path}.lock"))
                self._lock.take(self._name)
            with clear(self._name, "opening it"):
                self._enter(mode)
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, where: str | os.PathLike[str], *, run: str = "main") -> SqlStore:
        """A new store. Raises StoreError when one is there already."""
        return cls(where, mode="create", run=run)

    @classmethod
    def open(cls, where: str | os.PathLike[str], *, run: str = "main") -> SqlStore:
        """The store of an earlier run, to go on writing. Raises StoreError: missing, damaged, newer, or in use."""
        return cls(where, mode="write", run=run)

    @classmethod
    def read(cls, where: str | os.PathLike[str], *, run: str = "main") -> SqlStore:
        """The store of a run, ended or still going, to look at. Raises StoreError: missing, damaged or newer."""
        return cls(where, mode="read", run=run)

    # ---- opening ---------------------------------------------------------------------------------------------------

    def _check_path(self, *, create: bool) -> None:
        if self.path is None:
            return
        if self.path.is_dir():
            raise StoreError(f"{self._name} is a folder; expected a database file")
        if create:
            if not self.path.parent.is_dir():
                raise StoreError(f"{self._name} cannot be made: there is no folder {self.path.parent}")
        elif not self.path.exists():
            raise StoreError(f"{self._name} is missing; expected the folder of a run, or the database in it")
        if self.path.exists():
            with self.path.open("rb") as file:
                head = file.read(16)
            if head and head != b"SQLite format 3\0":
                raise StoreError(f"{self._name} is not a SQLite database (it begins with {head!r}), or it is damaged")
            if not head and not create:
                raise StoreError(f"{self._name} is empty: its run was stopped before it began; start the search again")

    def _enter(self, mode: str) -> None:
        with self._engine.begin() as connection:
            if mode == "create" and VERSION.name not in sa.inspect(connection).get_table_names():
                if set(sa.inspect(connection).get_table_names()) and self.path is not None:
                    check(connection, self._name)  # a file of something else: refused there
                METADATA.create_all(connection)
                connection.execute(sa.insert(VERSION).values(version=SCHEMA))
            version = check(connection, self._name)
            if mode == "write":
                examine(connection, self._name)
            if mode != "read":
                upgrade(connection, version)
                version = SCHEMA
            self._columns = columns_of(version)
            names = {row.name: row.id for row in connection.execute(sa.select(RUNS))}
            if mode == "create":
                if self.run_name in names:
                    raise StoreError(
                        f"{self._name} already holds a run{self._called()}; resume that one, or choose another folder"
                    )
                names[self.run_name] = max(names.values(), default=0) + 1
                connection.execute(sa.insert(RUNS).values(id=names[self.run_name], name=self.run_name))
            elif self.run_name not in names:
                raise StoreError(f"{self._name} holds no run {self.run_name!r}; {nearest(self.run_name, names)}")
            self._run = names[self.run_name]
            if mode == "write":
                known = connection.execute(sa.select(GRAPHS.c.digest).where(GRAPHS.c.run == self._run))
                self._written = set(known.scalars())
        if self.writable and self.url.get_backend_name() == "postgresql":
            self._take_advisory_lock()

    def _take_advisory_lock(self) -> None:
        # The server lets go of it when the connection breaks. Elsewhere a second writer is refused at its first `add`.
        number = zlib.crc32(b"espalier run") << 20 | self._run
        self._holder = self._engine.connect()
        if not self._holder.execute(sa.select(sa.func.pg_try_advisory_lock(number))).scalar():
            raise StoreError(
                f"{self._name}{self._called()} is being written by another process; a run has one writer: wait for it "
                "or stop it, then try again"
            )
        self._holder.commit()

    def _called(self) -> str:
        return "" if self.path is not None and self.run_name == "main" else f" named {self.run_name!r}"

    # ---- writing ---------------------------------------------------------------------------------------------------

    def add(self, trial: Trial) -> None:
        """Append an ended trial; it is durable on return.

        Raises: StoreError when the id is there already, or when the trial holds something that JSON cannot.
        """
        graph, row = trial.candidate.graph, pack(trial)
        row["run"] = self._run
        graphs = pack_graph(graph, self._written)
        with self._writing(f"writing trial {trial.id}") as connection:
            try:
                connection.execute(_ADD_TRIAL, row)
            except IntegrityError as error:
                raise StoreError(
                    f"{self._name} already holds trial {trial.id}; a trial is written once"
                    f"{'' if self.path else ' (does another process write this run?)'}"
                ) from error
            if graphs:
                new = [{"run": self._run, "digest": digest, "body": body} for digest, body in graphs.items()]
                connection.execute(_ADD_GRAPH, new)
        self._written.update(graphs)
        self._graphs[graph.digest] = graph

    def note(self, name: str, value: Any) -> None:
        """Write a fact of the run (anything JSON holds); a later note of the same name replaces it."""
        body = dump(value, f"fact {name!r}")
        with self._writing(f"writing the fact {name!r}") as connection:
            connection.execute(sa.delete(FACTS).where(FACTS.c.run == self._run, FACTS.c.name == name))
            connection.execute(sa.insert(FACTS).values(run=self._run, name=name, body=body))

    @contextmanager
    def _writing(self, doing: str) -> Iterator[sa.Connection]:
        if not self.writable:
            raise StoreError(f"{self._name} was opened to read; open it with SqlStore.open to write")
        with clear(self._name, doing), self._engine.begin() as connection:
            yield connection

    # ---- reading ---------------------------------------------------------------------------------------------------

    def trials(self, stage: str | None = None) -> list[Trial]:
        """All ended trials (of one stage), by id, whole. `rows` is many times quicker where the graphs are not used."""
        with self._reading("reading trials") as connection:
            query = self._select().where(TRIALS.c.run == self._run).order_by(TRIALS.c.id)
            rows = connection.execute(query if stage is None else query.where(TRIALS.c.stage == stage)).all()
            return self._whole(connection, rows)

    def rows(self, stage: str | None = None, skipped: Callable[[str], None] | None = None) -> list[Row]:
        """All ended trials (of one stage), by id, in their light form.

        skipped: is told of each damaged one, which is then left out; without it the first of them is an error.
        """
        with self._reading("reading trials") as connection:
            columns = [self._columns[name] for name in ROW_COLUMNS]
            query = sa.select(*columns).where(TRIALS.c.run == self._run).order_by(TRIALS.c.id)
            query = query if stage is None else query.where(TRIALS.c.stage == stage)
            rows = connection.execution_options(yield_per=_MANY * 20).execute(query)
            with _no_collecting():
                if skipped is None:
                    return [unpack_row(row) for row in rows]
                found = []
                for row in rows:
                    try:
                        found.append(unpack_row(row))
                    except StoreError as error:
                        skipped(" ".join(str(error).split()))
                return found

    def pick(self, ids: Iterable[int]) -> list[Trial]:
        """The trials of these ids, whole, in the order of `ids`. Raises StoreError when one is not there."""
        ids = list(ids)
        with self._reading("reading trials") as connection:
            rows: list[Any] = []
            for some in _slices(ids):
                query = self._select().where(TRIALS.c.run == self._run, TRIALS.c.id.in_(some))
                rows.extend(connection.execute(query).all())
            found = {trial.id: trial for trial in self._whole(connection, rows)}
        for id_ in ids:
            if id_ not in found:
                raise StoreError(f"{self._name} holds no trial {id_}; it has {len(self)} trials")
        return [found[id_] for id_ in ids]

    def find(self, evaluation_key: str) -> Trial | None:
        """The complete, evaluated trial (the first) whose `keys["evaluation"]` is this one; an index leads to it."""
        with self._reading("looking up a key") as connection:
            query = self._select().where(
                TRIALS.c.run == self._run,
                TRIALS.c.evaluation_key == evaluation_key,
                TRIALS.c.status == Status.COMPLETE.value,
                TRIALS.c.source == "evaluated",
            )
            row = connection.execute(query.order_by(TRIALS.c.id)).first()
            return self._whole(connection, [row])[0] if row is not None else None

    def facts(self) -> Mapping[str, Any]:
        """All facts, by name."""
        with self._reading("reading facts") as connection:
            query = sa.select(FACTS.c.name, FACTS.c.body).where(FACTS.c.run == self._run).order_by(FACTS.c.name)
            return {name: load(body, f"fact {name!r}") for name, body in connection.execute(query)}

    def __len__(self) -> int:
        with self._reading("counting trials") as connection:
            query = sa.select(sa.func.count()).select_from(TRIALS).where(TRIALS.c.run == self._run)
            return connection.execute(query).scalar_one()

    def _select(self) -> sa.Select[Any]:
        return sa.select(*self._columns.values())

    @contextmanager
    def _reading(self, doing: str) -> Iterator[sa.Connection]:
        with clear(self._name, doing), self._engine.connect() as connection:
            try:
                yield connection
            except StoreError as error:
                raise StoreError(f"{self._name}: {error}" if self._name not in str(error) else str(error)) from error

    def _whole(self, connection: sa.Connection, rows: Sequence[Any]) -> list[Trial]:
        """Rows of all columns as trials; equal graphs are one object."""
        known: dict[str, Graph] = {}
        bodies: dict[str, str] = {}
        wanted = {row.graph for row in rows}
        while wanted:
            known.update((digest, graph) for digest in wanted if (graph := self._graphs.get(digest)) is not None)
            new: dict[str, str] = {}
            for some in _slices(sorted(wanted - known.keys())):
                query = sa.select(GRAPHS.c.digest, GRAPHS.c.body)
                query = query.where(GRAPHS.c.run == self._run, GRAPHS.c.digest.in_(some))
                new.update((row.digest, row.body) for row in connection.execute(query))
            bodies.update(new)
            wanted = {digest for body in new.values() for digest in nested_in(body)} - bodies.keys() - known.keys()
        trials = [unpack(row, unpack_graph(row.graph, bodies, known)) for row in rows]
        self._graphs.update(known)
        return trials

    # ---- ending ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the database; a SQLite store is then one file again. May be called twice."""
        if self._holder is not None:
            self._holder.invalidate()  # ends the connection, and with it the server's lock
            self._holder.close()
            self._holder = None
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> SqlStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path or self.url} run={self.run_name!r}>"


def _slices(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _MANY):
        yield values[start : start + _MANY]
