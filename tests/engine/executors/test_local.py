from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas.core.errors import EvaluationError, RecipeError
from nas.core.imports import load_object
from nas.core.records import Budget, Candidate, Measurement, Metric
from nas.core.roles import Job
from nas.engine.executors.local import Local, cores, visible_gpus
from nas.engine.executors.worker import IN_WORKER
from nas.testing import Agreement, ExecutorContract, MemoryStore
from tests.engine.helpers import SPACE, TARGET, controller, summary

CANDIDATES = list(SPACE.enumerate())


class TestInWorkers(ExecutorContract):
    def make(self) -> Local:
        return Local(workers=2)


class TestInThisProcess(ExecutorContract):
    def make(self) -> Local:
        return Local()

    def evaluator(self, **fields: Any) -> Agreement:
        return Agreement(**fields)


@dataclass
class Probe:
    """Does what the width of its candidate's repetition says."""

    folder: str = ""

    def evaluate(self, candidate: Candidate, budget: Budget, seed: int) -> Measurement:
        print("this goes to standard error")
        what = candidate.decisions["rest/times"]
        if what == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if what == 3:
            os._exit(7)
        return Measurement({"val_accuracy": 1.0, "pid": os.getpid(), "omp": int(os.environ["OMP_NUM_THREADS"])})

    def metrics(self) -> tuple[Metric, ...]:
        return ()

    def fingerprint(self) -> str:
        return "probe"


def _run(executor: Local, candidates: list[Candidate]) -> list[Any]:
    for place, candidate in enumerate(candidates):
        executor.submit(Job(place, candidate, Budget(1), 0))
    return sorted((executor.next() for _ in candidates), key=lambda done: done.id)


def test_a_dying_worker_fails_its_own_trial_and_is_replaced(capfd: pytest.CaptureFixture[str]):
    ok, killed, quits = (next(c for c in CANDIDATES if c.decisions["rest/times"] == n) for n in (1, 2, 3))
    executor = Local(workers=1, threads=3)
    executor.start(Probe())
    try:
        found = _run(executor, [ok, killed, ok, quits, ok])
    finally:
        executor.close()
    assert [done.measurement is not None for done in found] == [True, False, True, False, True]
    assert found[1].reason == "the worker process died: signal SIGKILL; the system may have run out of memory"
    assert found[3].reason == "the worker process died: it ended itself with exit code 7"
    pids = [found[i].measurement.metrics["pid"] for i in (0, 2, 4)]
    assert len({*pids, os.getpid()}) == 4
    assert found[0].measurement.metrics["omp"] == 3
    out, err = capfd.readouterr()
    assert out == ""
    assert "this goes to standard error" in err


def test_the_number_of_workers_does_not_change_the_trials():
    found = []
    for workers in (1, 3):
        plan = controller(evaluator=_Workers(TARGET), executor=Local(workers=workers), store=MemoryStore(), trials=25)
        plan.run()
        found.append(summary(plan.store.trials()))
    assert found[0] == found[1]


class _Workers(Agreement):
    in_process = False


@dataclass
class Sleeps(Probe):
    def evaluate(self, candidate: Candidate, budget: Budget, seed: int) -> Measurement:
        child = subprocess.Popen(["sleep", "600"])
        (Path(self.folder) / f"{os.getpid()} {child.pid}").touch()
        time.sleep(600)
        raise AssertionError


def _gone(pid: int) -> bool:
    """Ended; a zombie that nobody has waited for counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def _wait_for(condition: Any) -> None:
    for _ in range(300):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 15 seconds")


def test_closing_kills_workers_and_their_children(tmp_path: Path):
    executor = Local(workers=2)
    executor.start(Sleeps(str(tmp_path)))
    for place in range(2):
        executor.submit(Job(place, CANDIDATES[0], Budget(1), 0))
    _wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
    pids = [int(pid) for path in tmp_path.iterdir() for pid in path.name.split()]
    assert not any(map(_gone, pids))
    executor.close()
    _wait_for(lambda: all(map(_gone, pids)))


SCRIPT = """
import sys
sys.path.insert(0, {root!r})
from tests.engine.executors.test_local import CANDIDATES, Sleeps
from nas.core.records import Budget
from nas.core.roles import Job
from nas.engine.executors.local import Local
executor = Local(workers=1)
executor.start(Sleeps({folder!r}))
executor.submit(Job(0, CANDIDATES[0], Budget(1), 0))
executor.next()
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: Path):
    root = str(Path(__file__).parents[3])
    parent = subprocess.Popen([sys.executable, "-c", SCRIPT.format(root=root, folder=str(tmp_path))])
    _wait_for(lambda: list(tmp_path.iterdir()))
    worker = int(next(tmp_path.iterdir()).name.split()[0])
    parent.kill()
    parent.wait()
    _wait_for(lambda: _gone(worker))


USER_FILE = """
from nas.core.records import Measurement

class Mine:
    def evaluate(self, candidate, budget, seed):
        return Measurement({"val_accuracy": 42.0})
    def metrics(self):
        return ()
    def fingerprint(self):
        return "mine"
"""


def test_an_evaluator_from_a_file_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(USER_FILE)
    executor = Local(workers=1)
    executor.start(load_object("mine.py:Mine")())
    try:
        (done,) = _run(executor, CANDIDATES[:1])
    finally:
        executor.close()
    assert done.measurement is not None, done.reason
    assert done.measurement.metrics == {"val_accuracy": 42.0}


def test_an_evaluator_from_a_script_without_a_guard(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(
        f"""{USER_FILE}
import sys
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from nas.core.records import Budget
from nas.core.roles import Job
from nas.engine.executors.local import Local
from nas.testing import small_space
executor = Local(workers=1)
executor.start(Mine())
executor.submit(Job(0, next(small_space().enumerate()), Budget(1), 0))
print(executor.next().measurement.metrics["val_accuracy"])
executor.close()
"""
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.stdout == "42.0\n", done.stderr


@dataclass
class Unreadable(Probe):
    """Can be sent, but not read."""

    def __reduce__(self) -> Any:
        return _fails, ()


def _fails() -> None:
    raise RuntimeError("no such data here")


def test_a_worker_that_cannot_load_the_evaluator_ends_the_search():
    executor = Local(workers=1)
    executor.start(Unreadable())
    executor.submit(Job(0, CANDIDATES[0], Budget(1), 0))
    with pytest.raises(EvaluationError, match="cannot load the evaluator: RuntimeError: no such data here"):
        executor.next()
    executor.close()


def test_an_evaluator_that_cannot_be_sent_is_refused():
    probe = Probe()
    probe.folder = (line for line in ())  # type: ignore[assignment]
    with pytest.raises(RecipeError, match=r"evaluator Probe cannot be sent .*generator.*in_process = True"):
        Local().start(probe)


def test_a_search_in_a_worker_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(IN_WORKER, "1")
    with pytest.raises(RecipeError, match="if __name__ == '__main__':"):
        Local().start(Probe())


@dataclass
class Odd(Probe):
    """Returns what it should not."""

    def evaluate(self, candidate: Candidate, budget: Budget, seed: int) -> Any:
        if candidate.decisions["rest/times"] == 1:
            return {"val_accuracy": 1.0}
        if candidate.decisions["rest/times"] == 2:
            return Measurement({"val_accuracy": 1.0}, notes={"bad": lambda: None})
        return Measurement({"val_accuracy": type("Local", (float,), {"__reduce__": lambda self: 1 / 0})(1.0)})


def test_odd_measurements_are_reasons():
    three = [next(c for c in CANDIDATES if c.decisions["rest/times"] == n) for n in (1, 2, 3)]
    executor = Local(workers=1)
    executor.start(Odd())
    try:
        found = _run(executor, three)
    finally:
        executor.close()
    assert found[0].reason.endswith("expected a nas.core.records.Measurement")
    assert "whose notes['bad'] is <function" in found[1].reason
    assert found[2].reason.startswith("the measurement cannot be sent back")


def test_auto_is_no_more_than_the_window():
    executor = Local(lookahead=1)
    executor.start(Probe())
    assert len(executor._slots) == 1
    executor = Local(lookahead=1000)
    executor.start(Probe())
    assert len(executor._slots) == cores()


@pytest.mark.parametrize(
    ("visible", "smi", "there", "expected"),
    [
        (None, None, 8, []),
        ("", "/bin/nvidia-smi", 8, []),
        (None, "/bin/nvidia-smi", 2, ["0", "1"]),
        ("3,5", None, 2, ["3", "5"]),
        ("0", "/bin/nvidia-smi", 0, []),
    ],
)
def test_gpus_are_those_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, smi: str | None, there: int, expected: list[str]
):
    cuda = SimpleNamespace(device_count=lambda: there)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr("shutil.which", lambda name: smi)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert visible_gpus() == expected


def test_each_worker_sees_its_own_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nas.engine.executors.local.visible_gpus", lambda: ["3", "5"])
    executor = Local(lookahead=6)
    executor.start(Probe())
    assert [slot._environment["CUDA_VISIBLE_DEVICES"] for slot in executor._slots] == ["3", "5"]
    executor = Local(workers=3)
    executor.start(Probe())
    assert [slot._environment["CUDA_VISIBLE_DEVICES"] for slot in executor._slots] == ["3", "5", "3"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"workers": 0}, "workers is 0"), ({"lookahead": 0}, "lookahead is 0"), ({"workers": "all"}, "or 'auto'")],
)
def test_wrong_fields_are_refused(fields: dict[str, Any], said: str):
    with pytest.raises(RecipeError, match=said):
        Local(**fields)
