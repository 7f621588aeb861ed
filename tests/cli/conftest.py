"""A small search whose evaluations take no time, and a way to call the command as a user does."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nas.cli import main

OWN = '''
    """A space, an evaluator and a strategy of a user's own."""
    import time
    from dataclasses import dataclass
    from pathlib import Path
    from nas import Measurement, Metric, Space, image, one_of, op, optional, repeat, seq, some_of

    def space(widths: tuple[int, ...] = (4, 8, 12, 16)):
        block = one_of(
            conv=op("conv", width=8, kernel=one_of(1, 3, 5)),
            paths=some_of(op("conv", width=8, kernel=1), op("conv", width=8, kernel=3), at_least=1),
        )
        part = seq(stem=op("conv", width=one_of(*widths)), body=repeat(block, times=one_of(1, 2, 3)),
                   pool=optional(op("avg_pool", kernel=3)), head=op("head"))
        return Space(part, image(1, 8, 8), classes=4)

    @dataclass
    class Quick:
        """A score that depends on the graph alone. `log`: a file that gets a line for each evaluation."""
        log: str | None = None
        delay: float = 0.0
        breaks: bool = False
        in_process = True

        def evaluate(self, candidate, budget, seed):
            time.sleep(self.delay)
            if self.breaks:
                raise RuntimeError("it broke, as the test wanted")
            kernels = [v for a, v in candidate.decisions.items() if a.endswith("kernel")]
            score = 10.0 * len(candidate.decisions) + sum(kernels) + seed % 7
            if self.log:
                with open(self.log, "a") as file:
                    file.write(candidate.decisions.key + "\\n")
            return Measurement({"val_score": score, "test_score": score + 1})

        def metrics(self):
            return [Metric("val_score", "max"), Metric("test_score", "max")]

        def fingerprint(self):
            return "quick1"

    class InWorkers(Quick):
        in_process = False
'''

RECIPE = """
    space: "own.py:space"
    evaluator: {name: "own.py:Quick"}
    strategy: {name: evolution, population: 6, sample: 2}
    objectives: {val_score: max, params: min}
    constraints: {macs: "<= 1e6"}
    budget: {trials: 20}
    finalists: {top: 2, epochs: 5}
    seed: 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with `own.py` and `quick.yaml`."""
    (tmp_path / "own.py").write_text(textwrap.dedent(OWN))
    (tmp_path / "quick.yaml").write_text(textwrap.dedent(RECIPE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Nas = Callable[..., Said]


@pytest.fixture
def nas(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Nas:
    """The command `nas`, in this process."""

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["nas", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        code = end.value.code
        return Said(code if isinstance(code, int) else int(bool(code)), said.out, said.err)

    return call
