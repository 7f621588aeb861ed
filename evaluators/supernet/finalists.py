"""A finalist three ways, side by side: with inherited weights, these fine-tuned, and trained from scratch."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.supernet.evaluator import WAYS
from evaluators.training.run import run
from nas.core.records import Budget, Candidate, Measurement
from nas.core.roles import WEIGHTS

if TYPE_CHECKING:
    from evaluators.supernet.trained import TrainedSupernet


def measure_finalist(
    trained: TrainedSupernet,
    candidate: Candidate,
    budget: Budget,
    seed: int,
    folder: Path | None,
    report: Callable[[Mapping[str, float]], object] | None = None,
) -> Measurement:
    """Measure a finalist on the validation and test part.

    `val_accuracy`, `test_accuracy` and the curve are those of the network whose weights are written: of the fine-tuned
    and the one from scratch the one that is better on the validation part. `…_inherited`, `…_tuned` and `…_scratch` are
    those of each way. budget: of the training from scratch; fine-tuning has its share `fine_tune`.
    """
    began, evaluator = time.perf_counter(), trained.evaluator
    found: dict[str, Measurement] = {}
    on_validation, on_test = (trained.measure(candidate, split) for split in ("validation", "test"))
    found["inherited"] = replace(on_validation, metrics={**on_validation.metrics, **on_test.metrics})
    settings, graph = evaluator.settings, candidate.graph
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        room = Path(scratch) if folder is not None else None
        if evaluator.fine_tune:
            state = trained.inherited(candidate)
            gentle = replace(settings, lr=settings.lr * evaluator.fine_tune_lr)
            share = Budget(budget.amount * evaluator.fine_tune, budget.unit)
            found["tuned"] = run(gentle, graph, share, seed, room and room / "tuned", "finalist", None, state)
        found["scratch"] = run(settings, graph, budget, seed, room and room / "scratch", "finalist", report)
        best = max((way for way in found if way != "inherited"), key=lambda way: found[way].metrics["val_accuracy"])
        if folder is not None and room is not None:
            shutil.move(room / best / WEIGHTS, folder / WEIGHTS)
    announced = {metric.name for metric in evaluator.metrics()}
    metrics = {name: value for name, value in found[best].metrics.items() if name in announced}
    for way in WAYS:
        if way in found:
            metrics |= {
                f"{name}_{way}": value for name, value in found[way].metrics.items() if f"{name}_{way}" in announced
            }
    notes = {**found[best].notes, **found["inherited"].notes, "weights": best}
    return Measurement(metrics, time.perf_counter() - began, found[best].curve, notes)
