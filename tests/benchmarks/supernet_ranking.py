"""How well supernets rank networks: beside trainings from scratch, controls, trivial rankers and published numbers.

    python -m tests.benchmarks.supernet_ranking --form small|full [--data fashion|cifar5|paths|pooling …] [--json]

Random multi-path networks are trained from scratch on Fashion-MNIST and on five classes of CIFAR-10; their accuracies
are kept in `supernet_truth.csv` and trained again with `--retrain`. Supernets of all kinds rank the same networks. Each
is measured with the statistics of its training and with recalibrated ones. `paths` is Fashion-MNIST with networks in
which nothing but the paths is open, for shadow batch norms. For the 36 places of poolings in ResNet-20
the truth is published; the supernets are trained on the five classes, in the small form on fewer pixels and channels.

Can be cut off: what was trained is in the folder `--out`. The tables go to stdout as markdown; `--json` writes
`supernet_ranking.json` beside this file. The small form takes under an hour on two cores; the full one is for a GPU.
Images lie where ESPALIER_DATA says.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluators.devices import name_of, resolve
from tests.benchmarks.judging import say
from tests.benchmarks.supernet_jobs import Job, costs, jobs_of, run, supernets_of
from tests.benchmarks.supernet_ranks import Found, against, ceiling, judge, table
from tests.benchmarks.supernet_spaces import FORMS, HERE, TRUTH, networks, published

FIELDS = ("data", "form", "decisions", "seed", "val_accuracy", "params", "macs")
DATA_SETS = ("fashion", "cifar5", "paths", "pooling")
RESULT = HERE / "supernet_ranking.json"
GATES = ("gate_entropy", "gate_variance", "expert_cosine")
CONTROLS = {
    "mixture, layer-wise": "control: mixture, layer-wise, constant input",
    "mixture, neuron-wise": "control: mixture, neuron-wise, constant input",
    "balanced, 2 sets": "control: 2 sets at random",
    "balanced, 4 sets": "control: 4 sets at random",
    "balanced, 2 sets, 2 × steps": "control: 2 sets at random, 2 × steps",
    "balanced, 4 sets, 4 × steps": "control: 4 sets at random, 4 × steps",
}
"""What differs from a supernet in nothing but the thing that is claimed to help."""
Results = Mapping[Job, dict[str, Any]]


# ---- the ground truth ------------------------------------------------------------------------------------------------


def kept(data: str, form: str) -> np.ndarray | None:
    """Accuracies of the committed ground truth, (S, A) in the order of `networks`; None where it is not complete."""
    sizes = FORMS[form]
    known: dict[tuple[str, int], float] = {}
    if TRUTH.is_file():
        with TRUTH.open() as file:
            known = {
                (row["decisions"], int(row["seed"])): float(row["val_accuracy"])
                for row in csv.DictReader(file)
                if (row["data"], row["form"]) == (data, form)
            }
    texts = [candidate.decisions.text for candidate in networks(data, FORMS[form])]
    if any((text, seed) not in known for text in texts for seed in range(sizes.seeds)):
        return None
    return np.array([[known[text, seed] for text in texts] for seed in range(sizes.seeds)])


def keep(data: str, form: str, results: Results) -> None:
    """Write the ground truth that was trained into the table, in place of what is there of the same data and form."""
    rows: list[dict[str, Any]] = []
    if TRUTH.is_file():
        with TRUTH.open() as file:
            rows = [row for row in csv.DictReader(file) if (row["data"], row["form"]) != (data, form)]
    candidates = networks(data, FORMS[form])
    for job, found in results.items():
        if (job.data, job.form, job.kind) == (data, form, "scratch"):
            text = candidates[int(job.what)].decisions.text
            rows.append({"data": data, "form": form, "decisions": text, "seed": job.seed}
                        | {name: round(found[name], 3) for name in FIELDS[4:]})  # fmt: skip
    with TRUTH.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


# ---- tables ----------------------------------------------------------------------------------------------------------


def rankers(data: str, form: str, truth: np.ndarray) -> dict[str, Found]:
    """What needs no supernet."""
    params, macs = np.array(costs(data, form), dtype=float).T
    found = {"parameters alone": params, "multiply-adds alone": macs}
    return {name: judge(values[None], truth, percent=False) for name, values in found.items()}


def supernets(data: str, form: str, results: Results, truth: np.ndarray) -> dict[str, Found]:
    """Each supernet with recalibrated statistics, and in a row of its own with those of its training.

    Both are compared with the plain elastic supernet, and with their control, measured in the same way.
    """
    found: dict[str, Found] = {}
    runs_of: dict[str, list[dict[str, Any]]] = {}
    for job, row in results.items():
        if (job.data, job.form, job.kind) == (data, form, "supernet"):
            runs_of.setdefault(job.what, []).append(row)
    first = next(iter(supernets_of(data)))
    for name, runs in runs_of.items():
        for way, title in (("recalibrated", name), ("plain", f"{name}, not recalibrated")):
            scores = {other: np.array([run[way] for run in rows]) for other, rows in runs_of.items()}
            row = judge(scores[name], truth, percent=data != "pooling")
            row["mean_accuracy"] = round(float(scores[name].mean()), 2)
            if name != first and first in scores:
                row["more_than_elastic"] = against(scores[name], scores[first], truth)
            if CONTROLS.get(name) in scores:
                row["more_than_control"] = against(scores[name], scores[CONTROLS[name]], truth)
            row |= {"steps": runs[0]["steps"], "numbers": runs[0]["numbers"]}
            seconds = [run["training_processor_seconds"] for run in runs if run["training_processor_seconds"]]
            if seconds:
                row["training_seconds"] = round(float(np.mean(seconds)), 1)
            found[title] = row | _notes(runs)
    return found


def _notes(runs: list[dict[str, Any]]) -> Found:
    """Diagnostics of gates, and how evenly networks were assigned to sets."""
    last = [row["curve"][-1] for row in runs]
    gates = {name: round(float(np.mean([row[name] for row in last])), 5) for name in GATES if name in last[0]}
    if gates:
        said = "gates: entropy {gate_entropy:.3f}, variance {gate_variance:.5f}, cosine {expert_cosine:.3f}"
        return {"gates": gates, "notes": said.format(**gates)}
    if max(max(row["sets"]) for row in runs):
        shares = [np.bincount(row["sets"]).tolist() for row in runs]
        return {"networks_per_set": shares, "notes": f"networks per set {shares[0]}"}
    return {}


def report(data: str, form: str, results: Results) -> Found:
    """All of one data set, printed and as a mapping."""
    if data == "pooling":
        truth = np.array(list(published().values()))
        found: Found = {"truth": "published: ResNet-20 on CIFAR-10, arXiv:2306.11982", "networks": len(truth)}
        top: dict[str, Found] = {}
    else:
        both = kept(data, form)
        assert both is not None
        truth = both.mean(0)
        found = {"truth": f"{both.shape[0]} trainings of each", "networks": both.shape[1], "ceiling": ceiling(both)}
        top = {"ceiling: one training against another": found["ceiling"]}
    found["rankers"] = rankers(data, form, truth)
    found["supernets"] = supernets(data, form, results, truth)
    print(f"\n### {data}, {form} form: {found['networks']} networks, truth: {found['truth']}\n")
    print(table(top | found["rankers"] | found["supernets"]))
    alike = {job.what: [row["losses"], row["val_losses"]] for job, row in results.items() if job.kind == "alike"}
    if data == "fashion" and alike:
        rows = list(alike.values())
        found["equal_where_they_must_be"] = {"names": list(alike), "equal": all(row == rows[0] for row in rows)}
        print(f"\n{' = '.join(alike)} after the same steps, to the last digit: {all(row == rows[0] for row in rows)}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--form", choices=list(FORMS), default="small")
    parser.add_argument("--data", choices=DATA_SETS, nargs="*", default=DATA_SETS)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "supernet_ranking")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--seeds", type=int, help="supernets of each kind, instead of the form's number")
    parser.add_argument("--retrain", action="store_true", help="train the ground truth again")
    parser.add_argument("--known", action="store_true", help="train nothing: tables of what is in the folder")
    parser.add_argument("--json", action="store_true", help=f"write {RESULT.name}")
    chosen = parser.parse_args()
    known = json.loads(RESULT.read_text()) if chosen.json and RESULT.is_file() else {}
    for data in chosen.data:
        truth = chosen.retrain or (data != "pooling" and kept(data, chosen.form) is None)
        jobs = [
            job
            for job in jobs_of(data, chosen.form, truth)
            if job.kind != "supernet" or chosen.seeds is None or job.seed < chosen.seeds
        ]
        if chosen.known:
            jobs = [job for job in jobs if (chosen.out / f"{job.title}.json").is_file()]
        results = run(jobs, chosen.out, chosen.workers)
        if truth and data != "pooling":
            keep(data, chosen.form, results)
        part = known.setdefault(chosen.form, {})
        part[data] = report(data, chosen.form, results)
        trained = [row for job, row in results.items() if job.kind != "alike"]
        part[data]["processor_seconds"] = round(sum(row["processor_seconds"] for row in trained), 1)
        part[data]["command"] = f"python -m tests.benchmarks.supernet_ranking --form {chosen.form} --data {data} --json"
        part[data]["machine"] = f"{name_of(resolve('auto'))}, {platform.machine()}, torch {torch.__version__}"
        if chosen.json:
            RESULT.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
            say(f"wrote {RESULT.name}")


if __name__ == "__main__":
    main()
