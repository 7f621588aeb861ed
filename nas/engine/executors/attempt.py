"""One evaluation, whatever happens in it: the same few lines in this process, in a worker, and on a cluster."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from nas.core.errors import EvaluationError
from nas.core.records import Measurement
from nas.core.roles import Done, Evaluator, Job
from nas.engine.faults import name, one_line, shown, story

Report = Callable[[Mapping[str, float]], None]


def attempt(evaluator: Evaluator, job: Job, report: Report | None = None) -> Done:
    """Evaluate a job. Whatever it raises, `sys.exit` too, becomes the reason of a `Done`.

    Only an interrupt passes through, and what `report` raises to end the evaluation.
    """
    extra: dict[str, Any] = {}
    if getattr(evaluator, "writes_files", False):
        extra["folder"] = job.folder
    if getattr(evaluator, "knows_stage", False):
        extra["stage"] = job.stage
    if getattr(evaluator, "continues", False):
        extra |= {"before": job.before, "spent": job.spent, "checkpoint": job.checkpoint}
    ending: list[BaseException] = []

    def tell(row: Mapping[str, float]) -> None:
        assert report is not None
        try:
            report(row)
        except SystemExit as error:  # how Ray ends a trial that its scheduler has stopped
            ending.append(error)
            raise

    if report is not None and getattr(evaluator, "reports", False):
        extra["report"] = tell
    began = time.monotonic()
    try:
        measurement = evaluator.evaluate(job.candidate, job.budget, job.seed, **extra)
        fault = _fault(measurement)
        if fault:
            raise EvaluationError(f"evaluator {name(evaluator)}: evaluate() returned {fault}")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if any(error is ended for ended in ending):
            raise
        return Done(job.id, None, time.monotonic() - began, one_line(error), story(error))
    return Done(job.id, measurement, time.monotonic() - began)


def _fault(found: object) -> str:
    """What keeps the answer of an evaluator from being written down; '' when nothing does."""
    if not isinstance(found, Measurement):
        return f"{shown(found)}; expected a nas.core.records.Measurement"
    seconds: object = found.seconds
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return f"a Measurement whose seconds is {shown(seconds)}; expected a finite number"
    for what, value in (("metrics", found.metrics), ("notes", found.notes), *_rows(found)):
        if not isinstance(value, Mapping):
            return f"a Measurement whose {what} is {shown(value)}; expected a mapping from names to values"
        for key, entry in value.items():
            if not isinstance(key, str):
                return f"a Measurement whose {what} has the key {shown(key)}; expected a text"
            try:
                json.dumps(entry, default=_plain)
            except (TypeError, ValueError, RecursionError):
                return (
                    f"a Measurement whose {what}[{key!r}] is {shown(entry)}; expected numbers, texts, lists and "
                    "mappings of these, which can be written as JSON"
                )
    return ""


def _rows(found: Measurement) -> list[tuple[str, object]]:
    return [(f"curve[{number}]", row) for number, row in enumerate(found.curve)]


def _plain(value: Any) -> Any:
    """Scalars of numpy and torch as plain numbers, as the store writes them."""
    if isinstance(value, Mapping):
        return dict(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    raise TypeError
