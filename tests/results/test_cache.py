"""The shared cache: its contract, several processes at once, and files that are none."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import pytest

from nas.core.errors import StoreError
from nas.core.records import Measurement
from nas.testing import CacheContract, MemoryCache
from nas.testing.caches import known
from results.cache import SCHEMA, SqlCache
from tests.results.samples import store_of, trial


class TestSqlCache(CacheContract):
    def make(self, place: Path) -> SqlCache:
        return SqlCache(place)


class TestMemoryCache(CacheContract):
    places: dict[Path, MemoryCache] = {}

    def make(self, place: Path) -> MemoryCache:
        return self.places.setdefault(place, MemoryCache())


def _work(place: str, worker: int, count: int) -> None:
    with SqlCache(place) as cache:
        for number in range(count):
            own = worker * 1000 + number
            if cache.find(known(own).keys) is None:
                cache.add(known(own, run=f"run {worker}"))
            cache.find(known((worker + 1) % 4 * 1000 + number).keys)


def test_several_processes_begin_and_write_at_the_same_time(tmp_path: Path) -> None:
    place = str(tmp_path / "cache.sqlite")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_work, args=(place, worker, 60)) for worker in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    with SqlCache(place) as cache:
        assert len(cache) == 240
        for worker in range(4):
            for number in range(60):
                found = cache.find(known(worker * 1000 + number).keys)
                assert found is not None
                assert (found.trial, found.run) == (worker * 1000 + number, f"run {worker}")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("metrics", "{no json", "no JSON"),
        ("metrics", '{"val_accuracy": NaN}', "finite"),
        ("keys", "{}", "evaluation"),
        ("status", "done", "done"),
        ("curve", "7", "int"),
    ],
)
def test_a_damaged_row_is_reported_once_and_skipped(tmp_path: Path, column: str, value: str, said: str) -> None:
    place = tmp_path / "cache.sqlite"
    with SqlCache(place) as cache:
        cache.add(known(0))
        cache.add(known(0, trial=8))
        cache.add(known(1))
    with sqlite3.connect(place) as other:
        other.execute(f"update measurements set {column} = ? where id in (1, 3)", [value])
    other.close()
    told: list[str] = []
    with SqlCache(place, told.append) as cache:
        for _ in range(2):
            found = cache.find(known(0).keys)
            assert found is not None
            assert found.trial == 8, "the next row of the same key is taken"
        assert cache.find(known(1).keys) is None
    assert len(told) == 2
    assert f"{place}: row 1 is damaged and was skipped" in told[0]
    assert said in told[0]
    with SqlCache(place) as cache, pytest.warns(UserWarning, match="row 1 is damaged"):
        cache.find(known(0).keys)


def test_what_is_no_cache_is_refused_plainly(tmp_path: Path) -> None:
    text = tmp_path / "notes.db"
    text.write_text("not a database at all")
    with pytest.raises(StoreError, match=r"notes\.db is no database .*name another file"):
        SqlCache(text)
    store_of(tmp_path, [trial(0)]).close()
    with pytest.raises(StoreError, match=r"store\.sqlite is a database of something else.*espalier_cache"):
        SqlCache(tmp_path / "store.sqlite")
    with pytest.raises(StoreError, match="there is no folder"):
        SqlCache(tmp_path / "nowhere" / "cache.sqlite")
    with pytest.raises(StoreError, match="'no' is no place for a cache"):
        SqlCache("no")
    with pytest.raises(StoreError, match=r"is no database URL"):
        SqlCache("nosuch://nobody/knows")


def test_another_version_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "cache.sqlite"
    SqlCache(place).close()
    with sqlite3.connect(place) as other:
        other.execute(f"update espalier_cache set version = {SCHEMA + 1}")
    other.close()
    with pytest.raises(StoreError, match=f"has version {SCHEMA + 1}, this espalier-nas reads {SCHEMA}"):
        SqlCache(place)


def test_a_file_that_breaks_while_it_is_used_is_one_clear_error(tmp_path: Path) -> None:
    place = tmp_path / "cache.sqlite"
    with SqlCache(place) as cache:
        cache.add(known(0))
        with sqlite3.connect(place) as other:
            other.execute("drop table measurements")
        other.close()
        with pytest.raises(StoreError, match=r"cache .* could not be used while adding a measurement"):
            cache.add(known(1))


def test_what_json_cannot_hold_is_refused_naming_the_trial(tmp_path: Path) -> None:
    with SqlCache(tmp_path / "cache.sqlite") as cache, pytest.raises(StoreError, match="trial 3 of runs/first"):
        cache.add(known(3, measurement=Measurement({"a": 1.0}, notes={"bad": object()})))
