"""A worker process: `python -m nas.engine.executors.worker DESCRIPTOR`. It evaluates the jobs that come through a pipe.

It is started fresh, not forked (a forked process may not use a GPU or torch's threads that its parent has used), and
not by `multiprocessing` (which would run the user's script again). It ends when its parent does, however that ended.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

from nas.core.roles import Done
from nas.engine.executors.attempt import attempt
from nas.engine.executors.shipping import unpack
from nas.engine.faults import one_line, story

IN_WORKER = "ESPALIER_WORKER"
"""Environment variable that is set in workers: a search started in one would start workers without end."""


def serve(connection: Connection) -> None:
    """Read the search path and the evaluator, answer 'ready' or what went wrong, then evaluate job after job."""
    sys.path[:] = connection.recv()
    try:
        evaluator = unpack(connection.recv_bytes())
    except BaseException as error:  # also SystemExit: a script that was loaded for its classes may end itself
        connection.send(one_line(error))
        return
    connection.send("")
    while True:
        try:
            job: Any = connection.recv()
        except EOFError:
            return
        done = attempt(evaluator, job)
        try:
            connection.send(done)
        except Exception as error:
            reason = f"the measurement cannot be sent back: {one_line(error)}"
            connection.send(Done(job.id, None, done.seconds, reason, story(error)))


def _end_with_parent() -> None:
    """Standard input is a pipe that the parent holds open and never writes to.

    It is not read through `sys.stdin`, whose lock a process that ends while this thread waits cannot take.
    """
    while os.read(0, 1024):
        pass
    os._exit(1)


def main() -> None:
    """What a worker process runs; its argument is the number of its end of the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal; the parent decides what stops
    threading.Thread(target=_end_with_parent, daemon=True).start()
    serve(Connection(int(sys.argv[1])))
