"""The store keeps what it was given, whole, through kills, second writers and damage."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.errors import StoreError
from nas.core.records import Budget, Candidate, Decisions, Measurement, Status, Trial
from nas.core.roles import Store
from results.database import SCHEMA
from results.store import SqlStore
from tests.results.samples import TEXTS, VALUES, graphs, line, network, store_of, trial

NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False))
UNITS = ["epochs", "steps", "seconds"]
METRICS = st.dictionaries(TEXTS, NUMBERS, max_size=4)


MEASUREMENTS = st.builds(
    Measurement,
    METRICS,
    st.floats(0, 1e6),
    st.lists(METRICS, max_size=3).map(tuple),
    st.dictionaries(TEXTS, VALUES, max_size=3),
)


@st.composite
def some_trials(draw: st.DrawFn) -> list[Trial]:
    pool = draw(st.lists(graphs(depth=2, most=3), min_size=1, max_size=2))
    made = []
    for id_ in draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=4, unique=True)):
        candidate = Candidate(
            Decisions(draw(st.dictionaries(TEXTS, VALUES, max_size=4))),
            draw(st.sampled_from(pool)),
            tuple(draw(st.lists(st.integers(0, 10**6), max_size=2))),
            draw(TEXTS),
        )
        made.append(
            Trial(
                id_,
                candidate,
                draw(st.sampled_from(Status)),
                draw(st.builds(Budget, st.one_of(st.integers(1, 100), st.floats(0.1, 1e6)), st.sampled_from(UNITS))),
                draw(st.none() | MEASUREMENTS),
                stage=draw(st.sampled_from(["search", "finalist"])),
                of=draw(st.none() | st.integers(0, 10**6)),
                source=draw(st.sampled_from(["evaluated", "cache"])),
                reuses=draw(st.none() | st.integers(0, 10**6)),
                reason=draw(TEXTS),
                traceback=draw(TEXTS),
                keys=draw(st.dictionaries(TEXTS, TEXTS, max_size=3)),
                seconds=draw(st.floats(0, 1e6)),
            )
        )  # fmt: skip
    return made


def same(a: Trial, b: Trial) -> bool:
    """Equality of everything, also of what a candidate leaves out of its own."""
    return a == b and all(
        getattr(a.candidate, name) == getattr(b.candidate, name) for name in ("graph", "parents", "proposer")
    )


@settings(max_examples=30, deadline=None)
@given(some_trials())
def test_a_trial_comes_back_as_it_was(trials: list[Trial]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with SqlStore.create(folder) as store:
            for each in trials:
                store.add(each)
        with SqlStore.read(folder) as store:
            back = store.trials()
            assert [t.id for t in back] == sorted(t.id for t in trials)
            for before in trials:
                after = next(t for t in back if t.id == before.id)
                assert same(before, after)
                assert isinstance(after.candidate.decisions, Decisions)
                assert str(after.budget) == str(before.budget)
                assert after.candidate.graph.digest == before.candidate.graph.digest
            for row, whole in zip(store.rows(), back, strict=True):
                for name in (
                    "id",
                    "status",
                    "stage",
                    "of",
                    "source",
                    "reuses",
                    "reason",
                    "budget",
                    "seconds",
                    "metrics",
                ):
                    assert getattr(row, name) == getattr(whole, name)


def test_it_is_a_store() -> None:
    with SqlStore.create("sqlite://") as store:
        assert isinstance(store, Store)


def test_stages_are_kept_apart(tmp_path: Path) -> None:
    with store_of(tmp_path, [trial(0), trial(1), trial(2, stage="finalist", of=1)]) as store:
        assert [t.id for t in store.trials("search")] == [0, 1]
        assert [t.of for t in store.trials("finalist")] == [1]
        assert [row.id for row in store.rows("finalist")] == [2]
        assert len(store) == 3


def test_equal_graphs_and_repeated_cells_are_written_once_and_read_as_one(tmp_path: Path) -> None:
    with store_of(tmp_path, [trial(0, graph=network(3)), trial(1, graph=network(3)), trial(2, graph=network(3, 3))]):
        pass
    # two networks, a stage of two and one of three blocks, and the one block that both repeat
    assert sql(tmp_path, "select count(*) from graphs")[0][0] == 5
    with SqlStore.read(tmp_path) as store:
        first, second, third = store.trials()
        assert first.candidate.graph is second.candidate.graph
        assert third.candidate.graph == network(3, 3)
        assert third.candidate.graph["stage"].op["block0"].op is first.candidate.graph["stage"].op["block1"].op  # type: ignore[index, union-attr]


def test_a_graph_written_by_an_earlier_process_is_not_written_again(tmp_path: Path) -> None:
    store_of(tmp_path, [trial(0, graph=network(5))]).close()
    with SqlStore.open(tmp_path) as store:
        store.add(trial(1, graph=network(5)))
        assert [t.candidate.graph for t in store.trials()] == [network(5)] * 2


def test_pick_gives_the_asked_trials_in_the_asked_order(tmp_path: Path) -> None:
    with store_of(tmp_path, [trial(id_) for id_ in range(5)]) as store:
        assert [t.id for t in store.pick([3, 1, 3])] == [3, 1, 3]
        with pytest.raises(StoreError, match=r"no trial 7; it has 5 trials"):
            store.pick([1, 7])


def test_find_takes_complete_evaluated_trials_only_and_the_first(tmp_path: Path) -> None:
    trials = [
        trial(0, status=Status.FAILED, keys={"evaluation": "e1:a"}),
        trial(1, source="cache", reuses=3, keys={"evaluation": "e1:a"}),
        trial(3, keys={"evaluation": "e1:a", "graph": "g1:a"}),
        trial(2, keys={"evaluation": "e1:b"}),
        trial(4, keys={"evaluation": "e1:a"}),
        trial(5, keys={"graph": "g1:only"}),
    ]
    with store_of(tmp_path, trials) as store:
        found = store.find("e1:a")
        assert found is not None
        assert same(found, trials[2])
        assert store.find("e1:c") is None
        assert store.find("g1:only") is None


def test_find_uses_the_index(tmp_path: Path) -> None:
    store_of(tmp_path, [trial(0)]).close()
    plan = sql(
        tmp_path,
        "explain query plan select * from trials where run=1 and evaluation_key='e' and status='complete' order by id",
    )
    assert "trials_by_evaluation_key" in plan[0][-1]
    assert len(plan) == 1  # a second row would be a sort


def test_facts_are_json_and_the_last_note_counts(tmp_path: Path) -> None:
    with store_of(tmp_path, []) as store:
        store.note("recipe", {"seed": 0, "space": {"widths": [16, 24]}})
        store.note("seconds", 1.5)
        store.note("seconds", 2)
        assert {name: store.facts()[name] for name in ("recipe", "seconds")} == {
            "recipe": {"seed": 0, "space": {"widths": [16, 24]}},
            "seconds": 2,
        }
        with pytest.raises(StoreError, match=r"fact 'model' cannot be written as JSON .*object"):
            store.note("model", object())


def test_numpy_numbers_become_numbers_and_other_things_are_refused(tmp_path: Path) -> None:
    with store_of(tmp_path, []) as store:
        good = Measurement({"a": 1.0}, curve=({"loss": np.float32(0.5)},), notes={"batch": np.int64(8)})
        store.add(Trial(0, trial(0).candidate, Status.COMPLETE, Budget(1), good))
        (back,) = store.trials()
        assert back.measurement == Measurement({"a": 1.0}, curve=({"loss": 0.5},), notes={"batch": 8})
        bad = Measurement({"a": 1.0}, notes={"path": Path("x")})
        with pytest.raises(StoreError, match=r"trial 1: notes cannot be written as JSON .*Path"):
            store.add(Trial(1, trial(1).candidate, Status.COMPLETE, Budget(1), bad))
        with pytest.raises(StoreError, match="trial 2 took nan seconds"):
            store.add(trial(2, seconds=float("nan")))
        assert len(store) == 1


def test_texts_that_no_database_takes_are_spelled_out(tmp_path: Path) -> None:
    with store_of(tmp_path, [trial(0, status=Status.FAILED, reason="no file a\udcffb", traceback="x\0y")]) as store:
        (back,) = store.trials()
        assert (back.reason, back.traceback) == ("no file a\\udcffb", "x\\0y")


def test_a_trial_is_written_once(tmp_path: Path) -> None:
    with store_of(tmp_path, [trial(3)]) as store:
        with pytest.raises(StoreError, match="already holds trial 3"):
            store.add(trial(3, graph=line("conv")))
        store.add(trial(4))  # and the store is as good as before
        assert [t.id for t in store.trials()] == [3, 4]
    assert sql(tmp_path, "select count(*) from trials")[0][0] == 2


# ---- doors -----------------------------------------------------------------------------------------------------------


def test_create_refuses_a_second_run_and_open_goes_on(tmp_path: Path) -> None:
    store_of(tmp_path, [trial(0)]).close()
    with pytest.raises(StoreError, match=r"store.sqlite already holds a run; resume"):
        SqlStore.create(tmp_path)
    with SqlStore.open(tmp_path) as store:
        store.add(trial(1))
    with SqlStore.read(tmp_path / "store.sqlite") as store:
        assert len(store) == 2


def test_several_runs_share_a_database_by_url(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    with SqlStore.create(url, run="a") as a:
        a.add(trial(0, metrics={"loss": 1.0}))
    with SqlStore.create(url, run="b") as b:
        b.add(trial(0, metrics={"loss": 2.0}))
        b.note("seed", 1)
        assert b.find("e1:0").metrics == {"loss": 2.0}  # type: ignore[union-attr]
    with SqlStore.read(url, run="a") as a:
        assert a.trials()[0].metrics == {"loss": 1.0}
        assert a.facts() == {}
    with pytest.raises(StoreError, match=r"holds no run 'bb'; did you mean 'b'"):
        SqlStore.read(url, run="bb")


def test_reading_does_not_write(tmp_path: Path) -> None:
    store_of(tmp_path, [trial(0)]).close()
    with SqlStore.read(tmp_path) as store:
        with pytest.raises(StoreError, match="opened to read"):
            store.add(trial(1))
        with pytest.raises(StoreError, match="opened to read"):
            store.note("seed", 1)


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    store_of(tmp_path, [trial(0)]).close()
    before = (tmp_path / "store.sqlite").read_bytes()
    with SqlStore.read(tmp_path) as store:
        assert len(store.trials()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"store.sqlite", "store.sqlite.lock"}
    assert (tmp_path / "store.sqlite").read_bytes() == before


def test_a_missing_store_is_named(tmp_path: Path) -> None:
    for door in (SqlStore.open, SqlStore.read):
        with pytest.raises(StoreError, match=r"nowhere/store\.sqlite is missing; expected the folder of a run"):
            door(tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"cannot be made: there is no folder .*nowhere"):
        SqlStore.create(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: its run was stopped before it began"),
        (b"<html>not found</html>", r"is not a SQLite database \(it begins with b'<html>not found<"),
        (b"SQLite format 3\0" + bytes(range(256)) * 40, r"store\.sqlite: could not be used while opening it: "),
    ],
)
@pytest.mark.parametrize("door", [SqlStore.open, SqlStore.read])
def test_a_file_that_is_no_store_is_refused(tmp_path: Path, door, content: bytes, message: str) -> None:
    (tmp_path / "store.sqlite").write_bytes(content)
    with pytest.raises(StoreError, match=message):
        door(tmp_path)


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.sqlite") as other:
        other.execute("create table songs (name text)")
    other.close()
    for door in (SqlStore.create, SqlStore.open, SqlStore.read):
        with pytest.raises(StoreError, match=r"database of something else.*songs"):
            door(tmp_path)


def test_an_empty_database_left_by_a_kill_can_be_made_again_but_not_opened(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.sqlite") as other:
        other.execute("pragma journal_mode=wal")
    other.close()
    with pytest.raises(StoreError, match="stopped before it began"):
        SqlStore.read(tmp_path)
    with SqlStore.create(tmp_path) as store:
        store.add(trial(0))


def test_a_newer_schema_is_refused_naming_both_versions(tmp_path: Path) -> None:
    store_of(tmp_path, [trial(0)]).close()
    sql(tmp_path, f"update espalier_schema set version = {SCHEMA + 6}")
    for door in (SqlStore.create, SqlStore.open, SqlStore.read):
        with pytest.raises(StoreError, match=rf"schema version {SCHEMA + 6}.*reads up to {SCHEMA}\."):
            door(tmp_path)


def old_store(folder: Path, trials: list[Trial]) -> None:
    """A store as version 1 wrote it: without the columns that version 2 added."""
    store_of(folder, trials).close()
    for column in ("hit", "origin"):
        sql(folder, f"alter table trials drop column {column}")
    sql(folder, "update espalier_schema set version = 1")


def test_a_store_of_the_version_before_is_read_as_it_is_and_upgraded_when_written(tmp_path: Path) -> None:
    old_store(tmp_path, [trial(0), trial(1, source="cache", reuses=0), trial(2)])
    with SqlStore.read(tmp_path) as store:
        assert [(t.source, t.hit, t.origin) for t in store.trials()] == [
            ("evaluated", "", ""), ("cache", "", ""), ("evaluated", "", "")
        ]  # fmt: skip
        assert [row.hit for row in store.rows()] == ["", "", ""]
        assert store.find("e1:2") == trial(2)
        assert store.pick([1])[0].reuses == 0
    with SqlStore.open(tmp_path) as store:
        assert [t.hit for t in store.trials()] == ["", "graph", ""]  # what such a run knew a candidate by
        store.add(trial(3, source="cache", reuses=7, hit="functional", origin="runs/other"))
    with SqlStore.read(tmp_path) as store:
        assert [(row.hit, row.origin) for row in store.rows()][1:] == [
            ("graph", ""), ("", ""), ("functional", "runs/other")
        ]  # fmt: skip


def test_a_damaged_page_is_one_clear_error(tmp_path: Path) -> None:
    store_of(tmp_path, [trial(id_) for id_ in range(200)]).close()
    file = tmp_path / "store.sqlite"
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    file.write_bytes(content)
    for door in (SqlStore.open, SqlStore.read):
        with pytest.raises(StoreError, match=r"store\.sqlite.*(malformed|damaged)"):
            door(tmp_path)


def test_a_truncated_file_is_one_clear_error(tmp_path: Path) -> None:
    store_of(tmp_path, [trial(id_) for id_ in range(200)]).close()
    file = tmp_path / "store.sqlite"
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(StoreError, match=r"store\.sqlite.*(malformed|damaged)"):
        SqlStore.open(tmp_path)
    with pytest.raises(StoreError, match=r"store\.sqlite.*(malformed|damaged)"), SqlStore.read(tmp_path) as store:
        store.trials()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("update trials set status = 'sleeping' where id = 1", r"trial 1 is damaged.*sleeping"),
        ("update trials set metrics = '{\"loss\": NaN}' where id = 1", r"trial 1 is damaged.*nan"),
        ("update trials set decisions = '{' where id = 1", r"trial 1 is damaged"),
        ("update graphs set body = '{}'", r"a graph is damaged .*nodes"),
        ("delete from graphs", r"graph .* is missing"),
    ],
)
def test_a_damaged_value_is_named(tmp_path: Path, statement: str, message: str) -> None:
    store_of(tmp_path, [trial(0), trial(1)]).close()
    sql(tmp_path, statement)
    with SqlStore.read(tmp_path) as store, pytest.raises(StoreError, match=rf"store\.sqlite: {message}"):
        store.trials()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("postgres://", "is no database URL"),
        ("nosuchdb://host/name", "is no database URL"),
        ("mysql+mysqldb://host/name", "driver of 'mysql.mysqldb' is not installed"),
    ],
)
def test_a_bad_url_is_refused(where: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        SqlStore.read(where)


# ---- other processes -------------------------------------------------------------------------------------------------

WRITER = textwrap.dedent(
    """
    import sys
    from results.store import SqlStore
    from tests.results.samples import trial
    with SqlStore.open(sys.argv[1]) as store:
        first = len(store)
        for id_ in range(first, first + int(sys.argv[2])):
            store.add(trial(id_))
            print(id_, flush=True)
        sys.stdin.read()
    """
)


def start_writer(folder: Path, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_add_returned_from_survives_kill_9_at_any_moment(tmp_path: Path) -> None:
    store_of(tmp_path, []).close()
    seen = -1
    for after in (1, 7, 40):
        writer = start_writer(tmp_path, 100_000)
        assert writer.stdout is not None
        for _ in range(after):
            seen = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        seen = max([seen, *(int(number) for number in writer.stdout.read().split())])
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
        with SqlStore.read(tmp_path) as store:
            back = store.trials()
        assert len(back) in (seen + 1, seen + 2)  # the one in work may have been written before it was printed
        assert all(same(each, trial(each.id)) for each in back)
        assert [each.id for each in back] == list(range(len(back)))
        seen = len(back) - 1


def test_a_second_writer_is_refused_while_the_first_lives_and_a_reader_is_not(tmp_path: Path) -> None:
    store_of(tmp_path, []).close()
    writer = start_writer(tmp_path, 3)
    try:
        assert writer.stdout is not None
        for _ in range(3):
            writer.stdout.readline()
        with pytest.raises(StoreError, match=rf"is being written by process {writer.pid} on .*one writer"):
            SqlStore.open(tmp_path)
        with SqlStore.read(tmp_path) as store:
            assert [t.id for t in store.trials()] == [0, 1, 2]
    finally:
        _, errors = writer.communicate("")
    assert (writer.returncode, errors) == (0, "")
    with SqlStore.open(tmp_path) as store:
        store.add(trial(3))


def test_one_process_cannot_write_a_run_twice_either(tmp_path: Path) -> None:
    with store_of(tmp_path, []) as store:
        with pytest.raises(StoreError, match="already open for writing in this process"):
            SqlStore.open(tmp_path)
        store.add(trial(0))  # the refused attempt has not let go of the lock or the database
        with pytest.raises(StoreError, match="already open for writing in this process"):
            SqlStore.open(tmp_path)
    SqlStore.open(tmp_path).close()


def test_a_reader_sees_each_trial_as_soon_as_it_is_written(tmp_path: Path) -> None:
    with store_of(tmp_path, [trial(0)]) as writer, SqlStore.read(tmp_path) as reader:
        for id_ in range(1, 4):
            writer.add(trial(id_))
            assert len(reader.rows()) == id_ + 1


def test_a_closed_store_is_one_file_that_can_be_copied(tmp_path: Path) -> None:
    store_of(tmp_path / "run", [trial(id_) for id_ in range(20)]).close()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "store.sqlite").write_bytes((tmp_path / "run" / "store.sqlite").read_bytes())
    with SqlStore.read(tmp_path / "copy") as store:
        assert len(store.trials()) == 20


def test_a_run_in_a_folder_that_nobody_can_write_to_can_be_read(tmp_path: Path) -> None:
    store_of(tmp_path, [trial(0)]).close()
    tmp_path.chmod(0o555)
    try:
        script = (
            "import sys\nfrom results.store import SqlStore\n"
            "with SqlStore.read('store.sqlite') as store: print(len(store.trials()))"
        )
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere")
        done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("1\n", "")
        assert {path.name for path in tmp_path.iterdir()} == {"store.sqlite", "store.sqlite.lock"}
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.skipif("ESPALIER_TEST_DATABASE" not in os.environ, reason="ESPALIER_TEST_DATABASE names no server")
def test_a_server_keeps_a_run_too() -> None:
    url, run = os.environ["ESPALIER_TEST_DATABASE"], f"test-{os.getpid()}"
    with SqlStore.create(url, run=run) as store:
        for id_ in range(3):
            store.add(trial(id_))
        store.note("seed", 1)
        store.note("seed", 2)
        with pytest.raises(StoreError, match="being written by another process"):
            SqlStore.open(url, run=run)
        with pytest.raises(StoreError, match="already holds trial 2"):
            store.add(trial(2))
        assert store.facts() == {"seed": 2}
        assert store.find("e1:1").id == 1  # type: ignore[union-attr]
    with SqlStore.open(url, run=run) as store:
        assert all(same(each, trial(each.id)) for each in store.trials())
        with pytest.raises(StoreError, match="already holds a run"):
            SqlStore.create(url, run=run)


def sql(folder: Path, statement: str) -> list[tuple]:
    connection = sqlite3.connect(folder / "store.sqlite")
    try:
        with connection:
            return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_the_texts_in_the_database_are_plain_json(tmp_path: Path) -> None:
    store_of(tmp_path, [trial(0, graph=line("conv", "head", kernel=3))]).close()
    ((decisions, metrics, body),) = sql(
        tmp_path, "select decisions, metrics, body from trials join graphs on graphs.digest = trials.graph"
    )
    assert json.loads(decisions) == {"stage/kernel": 3, "number": 0}
    assert json.loads(metrics) == {"val_accuracy": 90.0, "params": 1000}
    assert json.loads(body) == line("conv", "head", kernel=3).to_dict()
