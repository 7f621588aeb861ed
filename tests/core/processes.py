"""Fresh Python processes with different string hashes."""

from __future__ import annotations

import os
import subprocess
import sys


def in_fresh_processes(code: str, count: int = 2) -> list[str]:
    """What `code` prints in processes that differ in PYTHONHASHSEED, run beside each other."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for seed in range(1, count + 1)
    ]
    texts = []
    for process in running:
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        texts.append(out)
    return texts
