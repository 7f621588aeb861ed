"""Seconds until a user sees something: `import nas` and some commands, in fresh processes.

    python tests/benchmarks/startup.py [--repeats 7]

Prints JSON: the median and the smallest of the repeats, in wall seconds. `import torch` stands beside them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python": ["-c", "pass"],
    "import nas": ["-c", "import nas"],
    "nas --help": ["-m", "nas", "--help"],
    "nas spaces": ["-m", "nas", "spaces"],
    "import torch": ["-c", "import torch"],
}


def seconds(arguments: list[str], repeats: int) -> dict[str, float]:
    """How long a fresh process takes."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return {"median": round(statistics.median(times), 3), "smallest": round(min(times), 3)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    print(json.dumps({name: seconds(arguments, given.repeats) for name, arguments in COMMANDS.items()}, indent=1))
