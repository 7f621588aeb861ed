"""The proof of an export: a fresh process loads each of its forms, and outputs are those of the built module.

Everything runs on the CPU, in eval mode, with the same number of threads, on the same inputs in the same data type,
with as many examples as there are, with one, and with five. What a difference is, `nas.core.difference` says; what is
accepted, `results.export.formats`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nas.core.difference import Difference, difference, says_nothing
from nas.core.errors import ExportError
from nas.core.profile import InputSpec
from nas.core.seeds import derive
from results.export.formats import accepted

BATCH = 4
"""Examples that are drawn where the caller gives none."""
BATCHES = (1, 5)
"""Numbers of examples beside those that are given: one, and one that no program was made with."""
SEED = 0
SEEDS = (SEED, SEED + 1)
"""Of two runs that have to give the same: a network in use is not seeded."""
UNSTEADY = "it draws random numbers in eval mode, or keeps something from one run to the next"
STEADY = "let modules do that only where self.training is true"
SECONDS = 600
"""How long a fresh process may take."""


@dataclass(frozen=True)
class Claim:
    """Something to be proved: each form in `folder` gives, for each batch of operands, the outputs at its place."""

    folder: Path
    batches: tuple[tuple[Tensor, ...], ...]
    results: tuple[Mapping[str, Tensor], ...]

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """All examples that were given."""
        return self.batches[0]

    @property
    def outputs(self) -> Mapping[str, Tensor]:
        """Output name → what the built module gives for all examples."""
        return self.results[0]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Examples of each batch."""
        return tuple(len(batch[0]) for batch in self.batches)


def claim(folder: Path, network: nn.Module, operands: tuple[Tensor, ...]) -> Claim:
    """What a built network gives for the operands, and for one and five of them where it takes so few or many.

    Raises: ExportError when it does not run on the operands, or gives no number at all: NaN is the same as any NaN.
    """
    batches, results = [operands], [outputs_of(network, operands)]
    empty = says_nothing(results[0])
    if empty is not None:
        what = f"output {empty!r}" if empty else "the network"
        raise ExportError(f"{what} gives no finite number on any example, which proves nothing; did training diverge?")
    for size in BATCHES:
        if size == len(operands[0]):
            continue
        batch = tuple(torch.cat([value] * (size // len(value) + 1))[:size].clone() for value in operands)
        try:
            results.append(outputs_of(network, batch))
        except ExportError:  # a module of the user's that needs another number; `Proof.batches` says what was seen
            continue
        batches.append(batch)
    return Claim(folder, tuple(batches), tuple(results))


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


def outputs_of(network: nn.Module, operands: Sequence[Tensor], seed: int = SEED) -> dict[str, Tensor]:
    """What a network gives in eval mode; one output is called ''. Raises ExportError when it does not run."""
    was_training = network.training
    network.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU, for good
            result = network(*(value.clone() for value in operands))
    except Exception as error:
        shapes = ", ".join(f"{tuple(value.shape)} {value.dtype}" for value in operands)
        raise ExportError(f"the network does not run on inputs {shapes}: {type(error).__name__}: {error}") from error
    finally:
        network.train(was_training)
    return dict(result) if isinstance(result, dict) else {"": result}


# ---- fresh processes -------------------------------------------------------------------------------------------------


class Fresh:
    """A fresh Python that runs one of the scripts beside this file; it starts up while others still work.

    alone: it sees installed packages only, not the caller's own paths.
    """

    def __init__(self, script: str, alone: bool) -> None:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        if not alone:
            environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        command = [sys.executable, "-P", str(Path(__file__).with_name(script)), str(torch.get_num_threads())]
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment, encoding="utf-8"
            )
        except OSError as error:
            raise ExportError(f"no fresh process can be started for the export: {error}") from error

    def answers(self, jobs: Sequence[Mapping[str, Any]], mark: str) -> list[Any]:
        """What it answers to the jobs, one value each. Raises ExportError when it fails."""
        try:
            out, err = self._process.communicate(json.dumps(jobs), timeout=SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ExportError(f"the process that looks at the export did not end: {error}") from error
        said = (line.partition(f"{mark}: ") for line in out.split("\n"))
        found = [json.loads(text) for before, word, text in said if word and not before]
        if self._process.returncode != 0 or len(found) != len(jobs):
            last = err.strip().splitlines()[-1:] or [f"exit code {self._process.returncode}"]
            raise ExportError(f"the process that looks at the export failed: {last[0]}")
        return found

    def stop(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None and not stream.closed:
                stream.close()


@contextmanager
def fresh(script: str, alone: bool) -> Iterator[Fresh]:
    """A fresh process that is ended with the block."""
    process = Fresh(script, alone)
    try:
        yield process
    finally:
        process.stop()


def differences(
    claims: Sequence[Claim],
    forms: Sequence[Sequence[str]] | None = None,
    alone: bool = True,
    process: Fresh | None = None,
) -> list[dict[str, Difference | str]]:
    """For each claim and each of its forms the difference, or what went wrong. One fresh process proves all.

    forms: of each claim; None: the source alone. process: one that has been started (`reload.py`).
    Raises: ExportError when the process itself fails.
    """
    if process is None:
        with fresh("reload.py", alone) as process:
            return differences(claims, forms, alone, process)
    forms = [["source"]] * len(claims) if forms is None else forms
    with tempfile.TemporaryDirectory(prefix="nas-export-") as place:
        jobs: list[dict[str, Any]] = []
        for number, (made, names) in enumerate(zip(claims, forms, strict=True)):
            fed = [save(batch, Path(place) / f"{number}.{size}.inputs") for size, batch in enumerate(made.batches)]
            results = {
                form: [str(Path(place) / f"{number}.{form}.{size}.outputs") for size in range(len(fed))]
                for form in names
            }
            outputs = list(made.outputs)
            jobs.append(
                {"folder": str(made.folder), "forms": list(names), "inputs": fed, "results": results,
                 "outputs": outputs, "seed": SEED}
            )  # fmt: skip
        troubles = process.answers(jobs, "reloaded")
        return [
            {form: said[form] or _apart(made, form, job["results"][form]) for form in job["forms"]}
            for made, job, said in zip(claims, jobs, troubles, strict=True)
        ]


def save(operands: Sequence[Tensor], path: Path) -> str:
    """Write operands to a file that the scripts read; return its name."""
    save_file({f"{i:06d}": value.contiguous().clone() for i, value in enumerate(operands)}, path)
    return str(path)


def named(found: Mapping[str, Tensor], run: str = "output") -> dict[str, Tensor]:
    """Outputs by their own names, from a file of `reload.py`. run: the first ('output') or the second ('again')."""
    given = (name.partition(":") for name in found)
    return {name: found[f"{which}:{name}"] for which, _, name in given if which == run}


def _apart(made: Claim, form: str, files: Sequence[str]) -> Difference | str:
    """The largest difference over all batches; what went wrong says of which."""
    worst = Difference(0.0, 0.0)
    for size, expected, file in zip(made.sizes, made.results, files, strict=True):
        given = load_file(file)
        found, itself = difference(expected, named(given)), difference(named(given), named(given, "again"))
        on = f"on {size} example{'s' if size > 1 else ''}"
        if isinstance(found, str):
            return f"{on} {found}"
        if isinstance(itself, str) or not itself.relative <= accepted(form):
            gap = itself if isinstance(itself, str) else f"by {itself.absolute:.3g}"
            return f"{on} it gives other outputs when it runs again, {gap}: {UNSTEADY}; {STEADY}"
        worst = Difference(max(worst.absolute, found.absolute), max(worst.relative, found.relative))
    return worst
