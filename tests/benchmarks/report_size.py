"""How a report grows with the run: seconds to write it, bytes, seconds to open it, peak memory.

    python -m tests.benchmarks.report_size --trials 10000 100000 --json tests/benchmarks/report_size.json

The stores are made up: networks of the space `cnn`, 200 different graphs among them, accuracies and sizes that trade
off against each other with noise, one trial in twelve infeasible, one in fifty failed, one in eight from the cache.
They are written by bulk inserts, which is not what is timed.

Writing is timed in a fresh process, with its peak memory (`ru_maxrss`), once without and once with a page from before,
which holds what was found of the decisions; opening is timed in headless Chromium, from the
address to the load event and to the drawn front, the best of three.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import nas
from nas.core.records import Budget, Candidate, Measurement, Status, Trial
from results.database import GRAPHS, TRIALS
from results.rows import pack, pack_graph
from results.store import SqlStore
from tests.results.report.browser import CHROMIUM, FLAGS

GRAPH_KINDS, BATCH = 200, 20_000

OBJECTIVES = [
    {"name": "val_accuracy", "direction": "max", "unit": "%"},
    {"name": "params", "direction": "min", "unit": ""},
]


def make_store(folder: Path, trials: int, seed: int = 0) -> Path:
    """A run's folder with so many made-up trials. The same seed gives the same trials."""
    rng = random.Random(seed)
    inputs = nas.image(3, 32, 32)
    space: Any = nas.load("space", "cnn", inputs=inputs, classes=10)
    candidates = [space.sample(random.Random(place)) for place in range(GRAPH_KINDS)]
    folder.mkdir(parents=True, exist_ok=True)
    with SqlStore.create(folder) as store:
        facts = {
            "objectives": OBJECTIVES, "name": f"{trials:,} trials", "inputs": {"x": {"shape": [3, 32, 32]}},
            "constraints": ["params <= 900000"], "space_name": "cnn", "strategy": "nsga2", "seed": seed,
            "recipe": {"space": "cnn", "strategy": "nsga2", "budget": {"trials": trials}, "seed": seed},
            "stop_reason": "trials", "seconds": 2.0 * trials,
        }  # fmt: skip
        for name, value in facts.items():
            store.note(name, value)
        with store._engine.begin() as connection:
            graphs: dict[str, str] = {}
            for candidate in candidates:
                graphs |= pack_graph(candidate.graph)
            rows = [{"run": store._run, "digest": digest, "body": body} for digest, body in graphs.items()]
            connection.execute(sa.insert(GRAPHS), rows)
        columns: list[dict[str, Any]] = []
        for row in _rows(candidates, trials, rng):
            columns.append(row | {"run": store._run})
            if len(columns) == BATCH:
                _insert(store, columns)
        _insert(store, columns)
    return folder


def _insert(store: SqlStore, rows: list[dict[str, Any]]) -> None:
    if rows:
        with store._engine.begin() as connection:
            connection.execute(sa.insert(TRIALS), rows)
    rows.clear()


def _rows(candidates: list[Candidate], trials: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    templates = [pack(Trial(0, each, Status.COMPLETE, Budget(4), Measurement({}, 1.0))) for each in candidates]
    for id_ in range(trials):
        row = dict(templates[rng.randrange(GRAPH_KINDS)])
        row |= {"id": id_, "parents": json.dumps([id_ // 2] if id_ else []), "proposer": "nsga2", "seconds": 1.7}
        size = rng.random()
        params = int(10 ** (3 + 2.95 * size))
        accuracy = 96 * (1 - math.exp(-3 * (size + 0.15))) - abs(rng.gauss(0, 3))
        row["keys"] = json.dumps({"graph": f"g3:{id_ % (trials // 2 + 1)}", "evaluation": f"e1:{id_}"})
        row["evaluation_key"] = f"e1:{id_}"
        if id_ % 12 == 5:
            row |= {"status": "infeasible", "reason": f"params is {params + 900000}, expected params <= 900000"}
        elif id_ % 50 == 7:
            row |= {"status": "failed", "reason": f"loss is nan after step {id_}", "traceback": "Traceback …"}
        if row["status"] != "complete":
            row |= {"metrics": None, "measured_seconds": None, "curve": None, "notes": None}
        else:
            numbers = {"val_accuracy": accuracy, "params": params, "macs": params * 37, "val_loss": 2 - accuracy / 60}
            row |= {"metrics": json.dumps(numbers), "measured_seconds": 1.5}
            if id_ % 8 == 1:
                row |= {"source": "cache", "reuses": id_ - 1, "hit": "graph"}
        yield row


def write(folder: Path) -> dict[str, float]:
    """Seconds on the clock and of the processor, and MB of memory, that `nas report` takes in a fresh process."""
    code = (
        "import resource, runpy, sys\n"
        "sys.argv = ['nas', 'report', sys.argv[1]]\n"
        "try:\n    runpy.run_module('nas', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)\n"
    )
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - begun
    processor, peak = map(float, done.stdout.split()[-2:])
    return {"write_seconds": round(seconds, 2), "write_cpu_seconds": round(processor, 2), "peak_mb": round(peak)}


def load(page: Path) -> dict[str, float]:
    """Seconds in Chromium until the page has loaded and until the front is drawn, the best of three."""
    from playwright.sync_api import sync_playwright

    best: dict[str, float] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for _ in range(3):
            tab = browser.new_page(viewport={"width": 1360, "height": 900})
            begun = time.perf_counter()
            tab.goto(page.resolve().as_uri())
            loaded = time.perf_counter() - begun
            tab.wait_for_selector("#plot .scatterlayer .point", state="attached")
            drawn = time.perf_counter() - begun
            tab.close()
            now = {"load_seconds": round(loaded, 2), "drawn_seconds": round(drawn, 2)}
            best = {name: min(value, best.get(name, value)) for name, value in now.items()}
        browser.close()
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--trials", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--keep", type=Path, help="keep the made-up runs in this folder, and use those that are there")
    given = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for trials in given.trials:
            folder = Path(given.keep or scratch) / f"run-{trials}"
            if not (folder / "store.sqlite").exists():
                make_store(folder, trials)
            (folder / "report.html").unlink(missing_ok=True)  # what it holds would not be worked out again
            figures: dict[str, float] = write(folder)
            figures |= {f"again_{name}": value for name, value in write(folder).items() if "seconds" in name}
            page = folder / "report.html"
            figures["page_kb"] = round(page.stat().st_size / 1024)
            if CHROMIUM:
                figures |= load(page)
            found[str(trials)] = figures
            print(
                f"{trials:>9,} trials:", ", ".join(f"{name} {value:g}" for name, value in figures.items()), flush=True
            )
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
