"""Evaluations on this machine: in this process when they are quick, else in one process per slot."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from nas.core.errors import EvaluationError, RecipeError
from nas.core.registry import register
from nas.core.roles import Done, Evaluator, Job
from nas.engine.checks import whole
from nas.engine.executors.attempt import attempt
from nas.engine.executors.shipping import pack
from nas.engine.executors.worker import IN_WORKER


@register("executor", "local")
@dataclass
class Local:
    """The cores of this machine, or its GPUs, one evaluation each.

    workers: processes at once; 'auto': one per GPU, or one per core, but no more than `lookahead`.
    lookahead: how many trials may be asked before the oldest is told; part of what determines the trials, while
        `workers` is not.
    threads: of torch in each worker. More threads may change the last digits of a number.

    A worker that dies (a crash, the system's out-of-memory killer) fails its own trial only, and is replaced.
    """

    workers: int | str = "auto"
    lookahead: int = 4
    threads: int = 1
    _slots: list[_Slot] = field(default_factory=list, init=False, repr=False)
    _queue: deque[Job] = field(default_factory=deque, init=False, repr=False)
    _evaluator: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, value in (("lookahead", self.lookahead), ("threads", self.threads), ("workers", self.workers)):
            if name == "workers" and value == "auto":
                continue
            expected = whole(value, 1)
            if expected:
                hint = " or 'auto'" if name == "workers" else ""
                raise RecipeError(f"executor local: {name} is {value!r}; {expected}{hint}")

    def check(self, evaluator: Evaluator) -> None:
        """Raises RecipeError when the evaluator cannot be sent to a worker; starts nothing."""
        if not getattr(evaluator, "in_process", False):
            pack(evaluator)

    def start(self, evaluator: Evaluator) -> None:
        """Get ready; processes start with the first jobs. Raises RecipeError when the evaluator cannot be sent."""
        self._evaluator = evaluator
        if getattr(evaluator, "in_process", False):
            return
        if os.environ.get(IN_WORKER):
            raise RecipeError(
                "a search was started inside a worker process; put the lines of your script that search under "
                "if __name__ == '__main__':"
            )
        packed = pack(evaluator)
        gpus = visible_gpus()
        count = min(len(gpus) or cores(), self.lookahead) if self.workers == "auto" else int(self.workers)
        self._slots = [_Slot(packed, self.threads, gpus[place % len(gpus)] if gpus else None) for place in range(count)]

    def submit(self, job: Job) -> None:
        """Take a job; it begins when a worker is free."""
        self._queue.append(job)
        self._feed()

    def next(self) -> Done:
        """The next job to end. Raises EvaluationError when a worker cannot even load the evaluator."""
        if not self._slots:
            return attempt(self._evaluator, self._queue.popleft())
        done = None
        while done is None:
            busy = {
                slot.connection: slot for slot in self._slots if slot.job is not None and slot.connection is not None
            }
            done = busy[wait(busy)[0]].take()  # type: ignore[index]
        self._feed()
        return done

    def close(self) -> None:
        """Kill all workers, with the processes they started."""
        self._queue.clear()
        for slot in self._slots:
            slot.kill()

    def _feed(self) -> None:
        for slot in self._slots:
            if self._queue and slot.job is None:
                slot.give(self._queue.popleft())


class _Slot:
    """One worker process at a time, and the job it is at."""

    def __init__(self, packed: bytes, threads: int, gpu: str | None) -> None:
        self.job: Job | None = None
        self.connection: Connection | None = None
        self._packed = packed
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._environment = {
            **os.environ,
            IN_WORKER: "1",
            # torch and its libraries read these when they are imported, so they must be set before the process begins
            **{name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")},
            **({"CUDA_VISIBLE_DEVICES": gpu} if gpu is not None else {}),
        }

    def give(self, job: Job) -> None:
        """Start a job, and a process for it where there is none."""
        self.job = job
        try:
            if self._process is None:
                self._begin()
            assert self.connection is not None
            self.connection.send(job)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it died while idle or at its start; `take` finds out and says so

    def take(self) -> Done | None:
        """How the job ended, once the connection has something to say; None when it only says that it is ready."""
        assert self.job is not None
        assert self.connection is not None
        job = self.job
        try:
            if not self._ready:
                problem = self.connection.recv()
                if problem:
                    raise EvaluationError(f"a worker process cannot load the evaluator: {problem}")
                self._ready = True
                return None
            done: Done = self.connection.recv()
        except (EOFError, ConnectionResetError):
            done = Done(job.id, None, 0.0, f"the worker process died: {self._death()}")
        self.job = None
        return done

    def kill(self) -> None:
        """End the process and everything it started."""
        if self._process is None:
            return
        assert self.connection is not None
        with suppress(ProcessLookupError):  # it is gone already
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self.connection.close()
        self._process = None
        self._ready = False

    def _begin(self) -> None:
        ours, theirs = multiprocessing.Pipe()
        self.connection = ours
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from nas.engine.executors.worker import main; main()", str(theirs.fileno())],
            stdin=subprocess.PIPE,
            stdout=2,  # what an evaluator prints is a message, not the result of the command
            pass_fds=[theirs.fileno()],
            env=self._environment,
            start_new_session=True,
        )
        theirs.close()
        ours.send(sys.path)
        ours.send_bytes(self._packed)

    def _death(self) -> str:
        """Why the process ended, in words; the next job gets a new one."""
        assert self._process is not None
        code = self._process.wait()
        self.kill()
        if code >= 0:
            return f"it ended itself with exit code {code}"
        name = signal.Signals(-code).name
        hint = "; the system may have run out of memory" if name == "SIGKILL" else ""
        return f"signal {name}{hint}"


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """CUDA_VISIBLE_DEVICES for one GPU each, of those this process may use; torch is asked where there may be one."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given == "" or (given is None and shutil.which("nvidia-smi") is None):
        return []
    import torch

    names = given.split(",") if given is not None else [str(i) for i in range(torch.cuda.device_count())]
    return names[: torch.cuda.device_count()]
