"""A search whose process is killed goes on as if nothing had happened: store, workers and controller together."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from nas.core.errors import StoreError
from nas.engine.executors.local import Local
from nas.engine.strategies.nsga2 import NSGA2
from results.store import SqlStore
from tests.engine.helpers import ACCURACY, PARAMS, SPACE, TARGET, Shuffled, controller, summary
from tests.engine.slow import Slow

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.engine.test_killed import search
search(Path(sys.argv[2]), create=True)
"""


def search(folder: Path, create: bool) -> list[int]:
    """A search of 40 trials; returns the ids that were evaluated now."""
    submitted: list[int] = []

    class Counting(Local):
        def submit(self, job):  # type: ignore[no-untyped-def]
            submitted.append(job.id)
            super().submit(job)

    strategy = NSGA2(space=SPACE, objectives=(ACCURACY, PARAMS), population=6)
    path = folder / "store.sqlite"
    with SqlStore.create(path) if create else SqlStore.open(path) as store:
        controller(
            store=store, strategy=strategy, evaluator=Slow(TARGET), executor=Counting(workers=2), trials=40
        ).run()
    return submitted


def test_kill_9_and_resume(tmp_path: Path):
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, root, str(tmp_path)])
    path = tmp_path / "store.sqlite"
    for _ in range(400):
        time.sleep(0.05)
        with suppress(StoreError), SqlStore.read(path) as store:  # it may not be there yet, or not whole
            if len(store) >= 8:
                break
    process.kill()
    process.wait()
    with SqlStore.read(path) as store:
        before = {trial.id for trial in store.trials()}
    assert 8 <= len(before) < 40
    evaluated = search(tmp_path, create=False)
    assert not before & set(evaluated)
    whole = controller(
        strategy=NSGA2(space=SPACE, objectives=(ACCURACY, PARAMS), population=6),
        evaluator=Slow(TARGET),
        executor=Shuffled(),
        trials=40,
    )
    whole.run()
    with SqlStore.read(path) as store:
        assert summary(store.trials()) == summary(whole.store.trials())
