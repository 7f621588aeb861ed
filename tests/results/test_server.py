"""Store and cache in a database server, where ESPALIER_POSTGRES names one: `postgresql+psycopg://user@host/name`."""

import os
import uuid

import pytest

from nas.core.errors import StoreError
from results.run import Run
from results.store import SqlStore
from tests.results.samples import trial

URL = os.environ.get("ESPALIER_POSTGRES", "")

pytestmark = pytest.mark.skipif(not URL, reason="ESPALIER_POSTGRES names no database server")


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


def test_a_run_is_written_and_read_again(name, tmp_path):
    with SqlStore.create(URL, run=name) as store:
        for number in range(5):
            store.add(trial(number, metrics={"val_accuracy": 90.0 + number}))
        store.note("objectives", [{"name": "val_accuracy", "direction": "max"}])
    with SqlStore.open(URL, run=name) as store:
        store.add(trial(5, metrics={"val_accuracy": 80.0}))
        assert len(store) == 6
        assert [each.id for each in store.pick([4, 1])] == [4, 1]
    with Run(URL, run=name) as run:
        assert [each.id for each in run.front] == [4]
        assert run.report(tmp_path / "report.html").is_file()


def test_one_writer_and_each_trial_once(name):
    with SqlStore.create(URL, run=name) as store:
        store.add(trial(0))
        with pytest.raises(StoreError, match="written by another process"):
            SqlStore.open(URL, run=name)
        with pytest.raises(StoreError, match="already holds trial 0"):
            store.add(trial(0))
    with pytest.raises(StoreError, match="holds no run"):
        SqlStore.read(URL, run=f"{name}-other")
