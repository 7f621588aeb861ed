"""What made a run: what was asked for, and with which versions, on which machine, from which commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nas.core.values import digits
from nas.plan import Plan

_VERSIONS = ("espalier-nas", "torch", "numpy", "optuna", "ray")


def facts_of(plan: Plan, copies: Mapping[str, str]) -> dict[str, Any]:
    """What made the run, as JSON takes it. Parts are called as the user did; the recipe leads to them from anywhere.

    copies: place in the run's folder → file of the user's.
    """
    return {
        "name": plan.recipe.title,
        "seed": plan.recipe.seed,
        "objectives": [{"name": o.name, "direction": o.direction, "unit": o.unit} for o in plan.objectives],
        "constraints": [str(constraint) for constraint in plan.constraints],
        "budget": {"amount": plan.budget.amount, "unit": plan.budget.unit},
        "space_name": plan.specs["space"].asked,
        "space_size": digits(plan.space.size()),
        "inputs": {
            name: {"shape": list(spec.shape), "dtype": spec.dtype, "vocabulary": spec.vocabulary}
            for name, spec in plan.space.inputs.items()
        },
        "classes": dict(plan.space.classes) if isinstance(plan.space.classes, Mapping) else plan.space.classes,
        "evaluator": {"name": plan.specs["evaluator"].asked, "fingerprint": plan.evaluator.fingerprint()},
        "strategy": plan.specs["strategy"].asked,
        "cache": plan.cache.text,
        "data": plan.data.describe() if plan.data is not None else None,
        "code": dict(copies),
        "directory": str(Path.cwd()),
        "command": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{name: v for name in _VERSIONS if (v := _version(name))}},
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
        "commit": _commit(),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _commit() -> str | None:
    """The commit of this checkout of the engine, with '+' where files differ from it; None where it is none."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return None
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        rest = subprocess.run(
            ["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if rest.stdout.strip() else "")
