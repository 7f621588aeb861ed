"""One evaluation, whatever happens in it: the same few lines in this process, in a worker, and on a cluster."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from nas.core.errors import NASError
from nas.core.records import Measurement
from nas.core.roles import Done, Evaluator, Job

Report = Callable[[Mapping[str, float]], None]


def attempt(evaluator: Evaluator, job: Job, report: Report | None = None) -> Done:
    """Evaluate a job. Whatever it raises becomes the reason of a `Done`; only an interrupt passes through."""
    extra: dict[str, Any] = {}
    if getattr(evaluator, "writes_files", False):
        extra["folder"] = job.folder
    if getattr(evaluator, "knows_stage", False):
        extra["stage"] = job.stage
    if report is not None and getattr(evaluator, "reports", False):
        extra["report"] = report
    began = time.monotonic()
    try:
        measurement = evaluator.evaluate(job.candidate, job.budget, job.seed, **extra)
        if not isinstance(measurement, Measurement):
            raise TypeError(
                f"evaluate() returned {type(measurement).__name__}; expected a nas.core.records.Measurement"
            )
    except Exception as error:
        return Done(job.id, None, time.monotonic() - began, one_line(error), traceback.format_exc())
    return Done(job.id, measurement, time.monotonic() - began)


def one_line(error: BaseException) -> str:
    """An exception as a reason: its message, with its type where the engine did not raise it on purpose."""
    text = " ".join(str(error).split())
    if isinstance(error, NASError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
