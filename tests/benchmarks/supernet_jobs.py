"""What the ranking benchmark trains: each job by itself, in any process, its result kept as one JSON file.

A job is named by data, form, kind, what is trained, and seed; a job whose file is there is not run again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from evaluators.supernet.evaluator import SupernetEvaluator
from evaluators.supernet.trained import Subnet, TrainedSupernet
from evaluators.train import Train
from evaluators.training.loop import measure
from nas.core.profile import profile
from nas.core.records import Budget, Candidate
from tests.benchmarks.judging import say
from tests.benchmarks.supernet_spaces import FORMS, data_of, networks, space_of

ELASTIC = {"weights": "elastic"}
FEW = {"name": "shared", "recalibrate": 4}
"""Statistics are gathered on four batches; each supernet is measured with these and with those of its training."""


def mixture(routing: str, **more: Any) -> dict[str, Any]:
    """The recipe of a mixture of four experts."""
    return {"weights": {"name": "mixture", "experts": 4, "routing": routing, **more}}


def balanced(sets: int, assignment: str = "learned") -> dict[str, Any]:
    """The recipe of a balanced mixture."""
    return {"weights": {"name": "balanced", "sets": sets, "assignment": assignment}}


def shadow(by: str) -> dict[str, Any]:
    """The recipe of shadow batch norms."""
    return {"statistics": {"name": "shadow", "by": by, "recalibrate": 4}}


SUPERNETS: Mapping[str, tuple[dict[str, Any], int]] = {
    "elastic": (ELASTIC, 1),
    "shadow norms by count": (shadow("count"), 1),
    "mixture, layer-wise": (mixture("layer"), 1),
    "mixture, neuron-wise": (mixture("neuron"), 1),
    "balanced, 2 sets": (balanced(2), 1),
    "balanced, 4 sets": (balanced(4), 1),
    "control: mixture, layer-wise, constant input": (mixture("layer", router_input="constant"), 1),
    "control: mixture, neuron-wise, constant input": (mixture("neuron", router_input="constant"), 1),
    "control: 2 sets at random": (balanced(2, "random"), 1),
    "control: 4 sets at random": (balanced(4, "random"), 1),
    "shadow norms by paths": (shadow("paths"), 1),
    "control: elastic, 2 × steps": (ELASTIC, 2),
    "control: elastic, 4 × steps": (ELASTIC, 4),
}
"""Name → fields of the evaluator, and how many times the steps of the others."""

POOLING: Mapping[str, tuple[dict[str, Any], int]] = {
    "elastic, 1 set": (ELASTIC, 1),
    "balanced, 2 sets": (balanced(2), 1),
    "balanced, 4 sets": (balanced(4), 1),
    "balanced, 2 sets, 2 × steps": (balanced(2), 2),
    "balanced, 4 sets, 4 × steps": (balanced(4), 4),
    "control: 2 sets at random, 2 × steps": (balanced(2, "random"), 2),
    "control: 4 sets at random, 4 × steps": (balanced(4, "random"), 4),
    "control: elastic, 4 × steps": (ELASTIC, 4),
}
"""As the paper has it, steps are as many times as there are sets; also at equal steps."""

PATHS = {name: SUPERNETS[name] for name in ("elastic", "shadow norms by count", "shadow norms by paths")}
"""MixPath's comparison, in a space where nothing but paths is open."""

ALIKE: Mapping[str, dict[str, Any]] = {
    "elastic": ELASTIC,
    "mixture of 1 expert": {"weights": {"name": "mixture", "experts": 1}},
    "balanced, 1 set": balanced(1),
}
"""Three recipes that are one supernet: after the same steps their numbers must be equal, to the last digit.

Without clipping: the norm of the gradient is summed in another order where there are routers, whose gradients are 0.
"""


@dataclass(frozen=True)
class Job:
    """kind: 'scratch', 'supernet' or 'alike'. what: number of the network, or name of the supernet."""

    data: str
    form: str
    kind: str
    what: str
    seed: int

    @property
    def title(self) -> str:
        return f"{self.data}-{self.form}-{self.kind}-{self.what}-{self.seed}".replace(" ", "_").replace(":", "")


def supernets_of(data: str) -> Mapping[str, tuple[dict[str, Any], int]]:
    """The supernets that are compared on a data set."""
    return {"pooling": POOLING, "paths": PATHS}.get(data, SUPERNETS)


def jobs_of(data: str, form: str, truth: bool) -> Iterator[Job]:
    """All jobs of a data set, those that matter most first. truth: the ground truth too, where one is trained."""
    sizes = FORMS[form]
    if truth and data != "pooling":
        for seed in range(sizes.seeds):
            yield from (Job(data, form, "scratch", str(n), seed) for n in range(sizes.networks))
    for seed in range(sizes.supernets):
        for name in supernets_of(data):
            yield Job(data, form, "supernet", name, seed)
    if data == "fashion":
        yield from (Job(data, form, "alike", name, 0) for name in ALIKE)


def work(job: Job, folder: Path) -> dict[str, Any]:
    """Do a job, and leave its result in `folder`."""
    kinds: dict[str, Callable[[Job, Path], dict[str, Any]]] = {
        "scratch": _scratch, "supernet": _supernet, "alike": _alike,
    }  # fmt: skip
    began, processor = time.perf_counter(), time.process_time()
    found = kinds[job.kind](job, folder)
    found |= {"seconds": time.perf_counter() - began, "processor_seconds": time.process_time() - processor}
    unfinished = folder / f".{job.title}.json"
    unfinished.write_text(json.dumps(found))
    unfinished.replace(folder / f"{job.title}.json")
    return found


def _scratch(job: Job, folder: Path) -> dict[str, Any]:
    form = FORMS[job.form]
    candidate = networks(job.data, form)[int(job.what)]
    trained = Train(data_of(job.data, form)).evaluate(candidate, Budget(form.epochs), job.seed)
    return {"decisions": dict(candidate.decisions), **trained.metrics}


def _evaluator(job: Job, fields: Mapping[str, Any], epochs: float) -> SupernetEvaluator:
    form = FORMS[job.form]
    return SupernetEvaluator(
        data=data_of(job.data, form), space=space_of(job.data, form), epochs=epochs, **{"statistics": FEW, **fields}
    )


def _supernet(job: Job, folder: Path) -> dict[str, Any]:
    form = FORMS[job.form]
    fields, times = supernets_of(job.data)[job.what]
    epochs = form.pooling_epochs if job.data == "pooling" else form.epochs * form.longer
    evaluator = _evaluator(job, fields, epochs * times)
    began, whole = time.process_time(), not (folder / job.title).is_dir()
    evaluator.prepare(folder / job.title, job.seed)
    found: dict[str, Any] = {"training_processor_seconds": time.process_time() - began if whole else None}
    trained = evaluator.trained
    found |= {
        "steps": trained.training.steps,
        "numbers": sum(parameter.numel() for parameter in trained.supernet.parameters()),
        "curve": trained.training.curve,
    }
    both = [accuracies(trained, candidate) for candidate in networks(job.data, form)]
    found["plain"], found["recalibrated"] = ([row[way] for row in both] for way in (0, 1))
    found["sets"] = [row[2] for row in both]
    return found


def accuracies(trained: TrainedSupernet, candidate: Candidate) -> tuple[float, float, int]:
    """Validation accuracy in percent, with the statistics of the training and with its own; and its set of weights."""
    which, norms = trained.adjusted(candidate)
    part = trained.part("validation")
    plain, own = (measure(Subnet(trained.supernet, candidate, which, n), part, "")["accuracy"] for n in (None, norms))
    return plain, own, which


def _alike(job: Job, folder: Path) -> dict[str, Any]:
    evaluator = _evaluator(job, {**ALIKE[job.what], "clip": 0.0}, 0.5)
    evaluator.prepare(folder / job.title, job.seed)
    trained = evaluator.trained
    candidates = networks(job.data, FORMS[job.form])[:4]
    return {
        "losses": [row["train_loss"] for row in trained.training.curve],
        "val_losses": [trained.measure(candidate).metrics["val_loss"] for candidate in candidates],
    }


def costs(data: str, form: str) -> list[tuple[int, int]]:
    """Parameters and multiply-adds of each network."""
    space = space_of(data, FORMS[form])
    known = [profile(candidate.graph, space.inputs) for candidate in networks(data, FORMS[form])]
    return [(row.params, row.macs) for row in known]


def _start() -> None:
    import torch

    torch.set_num_threads(1)


def run(jobs: list[Job], folder: Path, workers: int) -> dict[Job, dict[str, Any]]:
    """The results of all jobs; those that have none yet are run by `workers` processes of one thread each."""
    folder.mkdir(parents=True, exist_ok=True)
    left = [job for job in jobs if not (folder / f"{job.title}.json").is_file()]
    say(f"{len(jobs)} jobs, {len(left)} to run")
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start) as pool:
        futures = {pool.submit(work, job, folder): job for job in left}
        for number, future in enumerate(as_completed(futures), 1):
            future.result()
            say(f"{number}/{len(left)} {futures[future].title}")
    return {job: json.loads((folder / f"{job.title}.json").read_text()) for job in jobs}
