"""Evaluations as trials of Ray Tune: on this machine, or on a cluster, with fractions of GPUs and Tune's schedulers.

Tune's `Tuner` wants to run the loop itself. Here it runs in a thread, and its search algorithm is a queue: what the
controller submits is what Tune is given next. So strategy, window and cache are the same as on the local executor, and
a duplicate never becomes a Ray trial. With a scheduler that stops trials early (ASHA) the trials depend on how fast
each machine is; with the default, 'fifo', they do not.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import os
import pickle
import queue
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from nas.core.errors import EvaluationError, RecipeError, nearest
from nas.core.records import Measurement
from nas.core.registry import register
from nas.core.roles import Done, Evaluator, Job
from nas.engine.checks import whole
from nas.engine.executors.attempt import attempt
from nas.engine.executors.shipping import pack, unpack

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths in a recipe mean the directory where the search was started
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints to standard output also when it is told to be quiet
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the store keeps the results
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}

_DONE, _ROWS = "nas_done", "nas_rows"
"""Names of what a trial reports beside its metrics: how it ended, and all its reports so far."""

SCHEDULERS = {
    "fifo": "FIFOScheduler",
    "asha": "ASHAScheduler",
    "median": "MedianStoppingRule",
}
"""Schedulers that only stop trials. Those that change a running trial's configuration would change the candidate."""


@register("executor", "ray")
@dataclass
class Ray:
    """Ray Tune.

    cpus_per_trial, gpus_per_trial: what one evaluation takes; a GPU may be shared (0.25).
    max_concurrent: evaluations at once; None for as many as fit.
    lookahead: how many trials may be asked before the oldest is told.
    scheduler: 'fifo', 'asha' or 'median'; options: the scheduler's own arguments. Those that compare need `metric` and
        `mode`, and an evaluator that reports as it goes.
    address: of a running cluster ('auto' finds one); None starts Ray on this machine for this run.
    """

    cpus_per_trial: float = 1.0
    gpus_per_trial: float = 0.0
    max_concurrent: int | None = None
    lookahead: int = 8
    scheduler: str = "fifo"
    options: Mapping[str, Any] = field(default_factory=dict)
    address: str | None = None
    _bridge: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.scheduler not in SCHEDULERS:
            raise RecipeError(f"executor ray: scheduler {self.scheduler!r}; {nearest(self.scheduler, SCHEDULERS)}")
        if self.scheduler != "fifo" and not {"metric", "mode"} <= set(self.options):
            raise RecipeError(
                f"executor ray: scheduler {self.scheduler!r} compares trials; give options with a metric and a mode, "
                "as in {metric: val_accuracy, mode: max}"
            )
        expected = whole(self.lookahead, 1)
        if expected:
            raise RecipeError(f"executor ray: lookahead is {self.lookahead!r}; {expected}")

    def check(self, evaluator: Evaluator) -> None:
        """Raises RecipeError when the evaluator cannot be sent, or does not suit the scheduler; starts nothing."""
        self._packed(evaluator)

    def start(self, evaluator: Evaluator) -> None:
        """Start Ray, or join the cluster, and Tune's loop in a thread."""
        self._bridge = _Bridge(self, self._packed(evaluator))
        self._bridge.start()

    def _packed(self, evaluator: Evaluator) -> bytes:
        if self.scheduler != "fifo" and not getattr(evaluator, "reports", False):
            raise RecipeError(
                f"executor ray: scheduler {self.scheduler!r} needs an evaluator that reports after each epoch; "
                f"{type(evaluator).__name__} does not; use scheduler 'fifo'"
            )
        return pack(evaluator)

    def submit(self, job: Job) -> None:
        """Queue a job for Tune."""
        self._bridge.jobs.put(job)

    def next(self) -> Done:
        """The next job to end. Raises EvaluationError when Tune itself stopped."""
        done = self._bridge.ended.get()
        if isinstance(done, Done):
            return done
        raise EvaluationError(f"Ray Tune stopped: {type(done).__name__}: {done}") from done

    def close(self) -> None:
        """Stop all trials, and Ray if this run started it."""
        if self._bridge is not None:
            self._bridge.stop()


_BRIDGES: WeakValueDictionary[int, _Bridge] = WeakValueDictionary()


class _Bridge:
    """Between the controller's calls and Tune's loop, which runs in a thread of its own.

    Tune copies its search algorithm and writes it down. A copy of a bridge is the bridge itself.
    """

    def __init__(self, plan: Ray, packed: bytes) -> None:
        self.plan = plan
        self.packed = packed
        self.jobs: queue.Queue[Job] = queue.Queue()
        self.ended: queue.Queue[Done | BaseException] = queue.Queue()
        self.closed = threading.Event()
        self.running: dict[str, Job] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ours = False
        self._prints = ExitStack()
        _BRIDGES[id(self)] = self

    def __reduce__(self) -> Any:
        return _bridge, (id(self),)

    def start(self) -> None:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        import ray

        self._prints.enter_context(redirect_stdout(sys.stderr))  # Ray prints what happens to its workers
        if not ray.is_initialized():
            ours: dict[str, Any] = {} if self.plan.address else {"include_dashboard": False}
            quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
            ray.init(address=self.plan.address or "local", **ours, **quiet)
            self._ours = True
        self._thread.start()

    def stop(self) -> None:
        import ray

        self.closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)  # Tune stops its trials itself; what is left then ends with Ray
        if self._ours:
            ray.shutdown()
        self._prints.close()

    def _run(self) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="nas_ray_") as folder:
                self._tuner(folder).fit()
        except BaseException as error:
            self.ended.put(error)

    def _tuner(self, folder: str) -> Any:
        from ray import tune

        plan = self.plan
        trainable = tune.with_parameters(_trainable, packed=self.packed, path=list(sys.path))
        resources = {"cpu": plan.cpus_per_trial, "gpu": plan.gpus_per_trial}
        return tune.Tuner(
            tune.with_resources(trainable, resources),
            tune_config=tune.TuneConfig(
                search_alg=_searcher(self),
                scheduler=getattr(tune.schedulers, SCHEDULERS[plan.scheduler])(**plan.options),
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(name="search", storage_path=folder, verbose=0, stop=_stopper(self)),
        )

    def finish(self, trial_id: str, result: Mapping[str, Any] | None, error: bool) -> None:
        """A Ray trial ended: by itself, by the scheduler, or with its worker."""
        job = self.running.pop(trial_id)
        if result and _DONE in result:
            self.ended.put(_decode(result[_DONE]))
        elif result and _ROWS in result and not error:
            self.ended.put(_pruned(job, result))
        else:
            reason = "the Ray worker died; its machine may have run out of memory or left the cluster"
            self.ended.put(Done(job.id, None, 0.0, reason))


def _bridge(number: int) -> _Bridge | None:
    return _BRIDGES.get(number)


def _searcher(bridge: _Bridge) -> Any:
    from ray.tune.search import Searcher

    class Feed(Searcher):
        """Tune's search algorithm: the controller's queue."""

        def suggest(self, trial_id: str) -> Any:
            if bridge.closed.is_set():
                return Searcher.FINISHED
            full = bridge.plan.max_concurrent is not None and len(bridge.running) >= bridge.plan.max_concurrent
            try:
                # Tune polls; with nothing at work it would sleep for a second between polls, so wait here instead
                job = bridge.jobs.get(timeout=0.0 if full or bridge.running else 0.2) if not full else None
            except queue.Empty:
                job = None
            if job is None:
                return None
            folder, before = (path.resolve() if path is not None else None for path in (job.folder, job.before))
            bridge.running[trial_id] = job
            return {"job": _encode(replace(job, folder=folder, before=before))}

        def on_trial_complete(
            self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False, **_: Any
        ) -> None:
            try:
                bridge.finish(trial_id, result, error)
            except Exception as problem:  # Tune would log it, and the controller wait for ever
                bridge.ended.put(problem)

        def save(self, checkpoint_path: str) -> None:
            """Nothing: the store is what a run resumes from."""
            Path(checkpoint_path).write_text("{}")

        def restore(self, checkpoint_path: str) -> None:
            """Nothing, as above."""

    return Feed()


def _stopper(bridge: _Bridge) -> Any:
    from ray.tune import Stopper

    class Closed(Stopper):
        """Ends the whole experiment when the controller closes the executor."""

        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            return False

        def stop_all(self) -> bool:
            return bridge.closed.is_set()

    return Closed()


def _trainable(config: Mapping[str, Any], packed: bytes, path: list[str]) -> None:
    """One evaluation, inside a Ray worker."""
    from ray import tune

    sys.path[:] = [*path, *(entry for entry in sys.path if entry not in path)]
    job: Job = _decode(config["job"])
    rows: list[dict[str, float]] = []

    def report(row: Mapping[str, float]) -> None:
        rows.append(dict(row))
        epochs = row.get("epoch", len(rows))  # a continued evaluation begins after those before
        if not (job.budget.unit == "epochs" and epochs >= job.budget.amount):  # the last one comes with the result
            tune.report({**row, _ROWS: json.dumps(rows)})

    done = attempt(_evaluator(packed), job, report)
    metrics = dict(done.measurement.metrics) if done.measurement is not None else {}
    tune.report({**(rows[-1] if rows else {}), **metrics, _DONE: _encode(done)})


@lru_cache(maxsize=1)
def _evaluator(packed: bytes) -> Any:
    return unpack(packed)


def _pruned(job: Job, result: Mapping[str, Any]) -> Done:
    rows = json.loads(result[_ROWS])
    metrics = {
        name: value
        for name, value in rows[-1].items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
    seconds = float(result.get("time_total_s", 0.0))
    return Done(job.id, Measurement(metrics, seconds, tuple(rows)), seconds, pruned=True)


def _encode(value: Any) -> str:
    """Text, because Tune writes configurations and results down as JSON."""
    return base64.b64encode(pickle.dumps(value)).decode()


def _decode(text: str) -> Any:
    return pickle.loads(base64.b64decode(text))


def tune_space(space: Any) -> dict[str, Any]:
    """The decisions of a space as a Ray Tune parameter space: address → `tune.choice` among its options.

    Tune's own search algorithms draw all of them, also those that are inactive under the others; `space.decide` with
    `lambda choice: config[choice.address]` takes the active ones.
    """
    from ray import tune

    return {choice.address: tune.choice(list(choice.options)) for choice in space.choices()}
