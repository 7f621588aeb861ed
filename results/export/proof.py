"""The proof of an export: a fresh process loads it, and its outputs are those of the built module.

Both run on the CPU, in eval mode, with the same number of threads, on the same inputs in the same data type; the
largest absolute difference is 0.0 for an export that computes the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nas.core.errors import ExportError
from nas.core.profile import InputSpec
from nas.core.seeds import derive

BATCH = 4
"""Examples that are drawn where the caller gives none."""
TOLERANCE = 0.0
"""Largest difference that is accepted."""
SEED = 0
SECONDS = 600
"""How long a fresh process may take."""


@dataclass(frozen=True)
class Claim:
    """Something to be proved: the network in `folder` gives `outputs` for `operands`."""

    folder: Path
    operands: tuple[Tensor, ...]
    outputs: Mapping[str, Tensor]


def examples(inputs: Mapping[str, InputSpec], seed: int = SEED) -> tuple[Tensor, ...]:
    """Seeded inputs, (4, *shape) each: normal numbers, or tokens in [0, vocabulary)."""
    drawn = []
    for name, spec in inputs.items():
        source = torch.Generator().manual_seed(derive(seed, "examples", name))
        shape = (BATCH, *spec.shape)
        if spec.dtype == "int64":
            drawn.append(torch.randint(spec.vocabulary or 2, shape, generator=source))
        else:
            drawn.append(torch.randn(shape, generator=source))
    return tuple(drawn)


def outputs_of(network: nn.Module, operands: Sequence[Tensor]) -> dict[str, Tensor]:
    """What a network gives in eval mode; one output is called ''. Raises ExportError when it does not run."""
    was_training = network.training
    network.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.default_generator.manual_seed(SEED)  # torch.manual_seed would seed every GPU, for good
            result = network(*(value.clone() for value in operands))
    except Exception as error:
        shapes = ", ".join(f"{tuple(value.shape)} {value.dtype}" for value in operands)
        raise ExportError(f"the network does not run on inputs {shapes}: {type(error).__name__}: {error}") from error
    finally:
        network.train(was_training)
    return dict(result) if isinstance(result, dict) else {"": result}


def differences(claims: Sequence[Claim], alone: bool = True) -> list[float | str]:
    """For each claim the largest absolute difference, or what went wrong. One fresh process proves all.

    alone: the process sees installed packages only, not the caller's own paths.
    Raises: ExportError when the process itself fails.
    """
    with tempfile.TemporaryDirectory(prefix="nas-export-") as place:
        jobs: list[dict[str, Any]] = []
        for number, claim in enumerate(claims):
            fed, given = Path(place) / f"{number}.inputs", Path(place) / f"{number}.outputs"
            save_file({f"{i:06d}": value.contiguous().clone() for i, value in enumerate(claim.operands)}, fed)
            jobs.append({"folder": str(claim.folder), "inputs": str(fed), "outputs": str(given), "seed": SEED})
        troubles = _fresh(jobs, alone)
        return [
            trouble if trouble is not None else _largest(claim.outputs, load_file(job["outputs"]))
            for claim, job, trouble in zip(claims, jobs, troubles, strict=True)
        ]


def _fresh(jobs: Sequence[Mapping[str, Any]], alone: bool) -> list[str | None]:
    """Run `reload.py` on the jobs; per job None or what went wrong."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if not alone:
        environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    script = Path(__file__).with_name("reload.py")
    command = [sys.executable, "-P", str(script), str(torch.get_num_threads())]
    try:
        ended = subprocess.run(
            command,
            input=json.dumps(jobs),
            capture_output=True,
            text=True,
            env=environment,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportError(f"the process that reloads the export did not end: {error}") from error
    said = (line.partition("reloaded: ") for line in ended.stdout.split("\n"))
    found = [json.loads(text) for before, mark, text in said if mark and not before]
    if ended.returncode != 0 or len(found) != len(jobs):
        last = ended.stderr.strip().splitlines()[-1:] or [f"exit code {ended.returncode}"]
        raise ExportError(f"the process that reloads the export failed: {last[0]}")
    return found


def _largest(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> float | str:
    """The largest absolute difference over all outputs; infinite where shapes or types differ."""
    names = [name.removeprefix("output:") for name in given]
    if sorted(names) != sorted(expected):
        return f"it gives the outputs {sorted(names)}, expected {sorted(expected)}"
    largest = 0.0
    for name, value in expected.items():
        other = given[f"output:{name}"]
        if other.shape != value.shape or other.dtype != value.dtype:
            return (
                f"output {name!r} has shape {tuple(other.shape)} and type {other.dtype}, "
                f"expected {tuple(value.shape)} and {value.dtype}"
            )
        same = (other == value) | ((other != other) & (value != value))
        if not same.all():
            apart = (other.double() - value.double()).abs()[~same]
            largest = max(largest, float(apart.where(~apart.isnan(), float("inf")).max()))
    return largest
