from __future__ import annotations

import subprocess
import sys

CODE = """
import sys, nas.engine
from nas.core.registry import get, names
print(names("strategy"), names("executor"))
print(sorted({"torch", "optuna", "ray", "numpy", "moocore", "pandas"} & set(sys.modules)))
"""


def test_all_parts_are_registered_and_cost_nothing_to_declare():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["['evolution', 'nsga2', 'optuna', 'random'] ['local', 'ray']", "[]"], (
        done.stderr
    )
