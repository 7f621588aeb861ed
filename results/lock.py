"""One writer per run: a lock that the operating system lets go of when its process ends, however it ends."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

from nas.core.errors import StoreError

_HELD: set[str] = set()
"""Locks that this process holds: record locks do not keep a process from locking twice."""


class FileLock:
    """A lock on `path`, a small file beside the database that names the holder. It is never deleted.

    A record lock (`lockf`), not `flock`: workers forked by the holder do not inherit it, so that a killed search can be
    resumed while its orphans are still ending.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name = os.path.realpath(path)
        self._file: Any = None

    def take(self, what: str) -> None:
        """Raises StoreError, naming the holder, when another process or another store of this one holds it."""
        if self._name in _HELD:
            raise StoreError(f"{what} is already open for writing in this process; close that store first")
        try:
            file = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115 - held open for as long as the lock
        except OSError as error:
            raise StoreError(f"{what} cannot be written: {error}; check that its folder may be written to") from error
        try:
            _lock(file)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise StoreError(
                f"{what} is being written by {holder}; a run has one writer: wait for it or stop it, then try again"
            ) from error
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        self._file = file
        _HELD.add(self._name)

    def release(self) -> None:
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()  # nobody holds it now, and `writer` reads it so
            self._file.close()
            self._file = None
            _HELD.discard(self._name)


def writer(database: Path) -> str:
    """Who is writing this database, as far as this machine can tell: 'process 17 on host', or '' when nobody here is.

    It looks at the name in the lock's file and for that process, and never touches the lock.
    """
    path = Path(f"{database}.lock")
    if os.path.realpath(path) in _HELD:
        return f"process {os.getpid()} on {socket.gethostname()}"
    try:
        holder = path.read_text(encoding="utf-8").strip()
    except OSError:  # no run was ever written here, or not by a version that locks
        return ""
    match = re.fullmatch(r"process (\d+) on (.+)", holder)
    if match is None or match[2] != socket.gethostname() or int(match[1]) == os.getpid():
        return ""
    try:
        os.kill(int(match[1]), 0)
    except ProcessLookupError:
        return ""
    except OSError:  # it lives, and is somebody else's
        pass
    return holder


if sys.platform == "win32":
    import msvcrt

    def _lock(file: Any) -> None:
        file.seek(1 << 30)  # a byte far behind the text, which others must still be able to read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: Any) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
