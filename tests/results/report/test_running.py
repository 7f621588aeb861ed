"""The report of a search that goes on in another process meanwhile, and of the same search after it was stopped."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas.core.errors import StoreError
from results.report import write_report
from results.run import Run
from tests.results.report.test_report import Page

SCORE = """
import time
from dataclasses import dataclass
from nas import Measurement, Metric


@dataclass
class Score:
    def evaluate(self, candidate, budget, seed):
        time.sleep(0.15)
        return Measurement({"score": float(len(candidate.graph)), "edges": float(len(str(candidate.decisions)) % 7)})

    def metrics(self):
        return [Metric("score", "max"), Metric("edges", "min")]

    def fingerprint(self):
        return "slow score"
"""

RECIPE = """
space: nas_bench_201
evaluator: {name: "score.py:Score"}
strategy: random
objectives: {score: max, edges: min}
budget: {trials: 400}
executor: {name: local, workers: 1}
"""


@pytest.fixture
def search(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "score.py").write_text(SCORE)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "nas", "search", "recipe.yaml", "--out", "run"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def ended(folder: Path) -> int:
    try:
        with Run(folder) as run:
            return len(run.rows)
    except StoreError:  # it has not begun
        return 0


def test_a_search_that_goes_on_is_reported_as_far_as_it_is(search: subprocess.Popen[str], tmp_path: Path) -> None:
    deadline = time.monotonic() + 60
    while ended(tmp_path / "run") < 3:
        assert search.poll() is None, search.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    text = Page(write_report(tmp_path / "run").read_text(encoding="utf-8")).text
    assert "still going" in text
    far = re.search(r"(\d+) of 400 trials have ended", text)
    assert far is not None
    assert 3 <= int(far[1]) < 400
    assert f"process {search.pid} on" in text
    assert re.search(r"nas report \S+run copy writes this page anew", text)
    search.send_signal(signal.SIGINT)
    search.communicate(timeout=60)
    text = Page(write_report(tmp_path / "run").read_text(encoding="utf-8")).text
    assert "interrupted" in text
    assert "still going" not in text
    assert re.search(r"nas resume \S+run copy goes on with it", text)
