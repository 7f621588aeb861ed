"""The parts that a search is composed of, as contracts. A class of a user's own needs no base class.

`nas.testing` has a suite per role that checks these sentences on any implementation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from nas.core.records import Budget, Candidate, Known, Measurement, Metric, Trial


@runtime_checkable
class Strategy(Protocol):
    """Proposes. It never loops, never evaluates, and draws only from `nas.core.seeds`.

    It is built with `space`, `objectives` and `seed`, and its own fields. The controller asks for trial 0, 1, 2, … and
    tells every ended search trial exactly once, in the order of their ids, FAILED and INFEASIBLE ones too; several may
    be asked before the first is told. The same sequence of asks and tells gives the same candidates in any process:
    resuming is replaying.
    """

    def ask(self) -> Candidate | None:
        """The next candidate, or None when there is nothing left to propose."""

    def tell(self, trial: Trial) -> None:
        """One ended trial."""


@runtime_checkable
class Evaluator(Protocol):
    """Says what a candidate is worth. It must be picklable: executors send it to worker processes.

    Optional attributes: `in_process = True` when an evaluation takes less time than sending it to a worker;
    `writes_files = True` when `evaluate` takes a keyword `folder` (a Path) and leaves `weights.safetensors` there;
    `knows_stage = True` when `evaluate` takes a keyword `stage` ('search' or 'finalist': only finalists are tested);
    `reports = True` when `evaluate` takes a keyword `report`, a function to be called with one mapping per epoch, so
    that an executor's scheduler may stop it early; `continues = True`, with `writes_files`, when `evaluate` takes
    keywords `checkpoint` (whether to leave in `folder`, in files called `CHECKPOINT`, what going on from there needs),
    `before` and `spent` (the folder where an evaluation of the same candidate left that, and the `Budget` spent there,
    or None): it then spends the rest of its budget, or says in its notes, under `FROM_SCRATCH`, why it began anew;
    `default_budget`, a `Budget`; `prepares = True` when it has a method
    `prepare(folder, seed, report)`, called once before the first evaluation and again on resume, which may take long,
    keeps what it makes in `folder` (a Path) and tells how far it is by calling `report` (or None) with a mapping of
    numbers such as `epoch` and `epochs`; `preparation`, the rows that it told at the end of each epoch of that, from
    the first on; `inherit(candidate, folder)`, which writes `weights.safetensors` of a candidate whose weights are
    ready without training, and beside it `INHERITED`; `gates`, what `GATES` is to hold, where there is such.
    """

    def evaluate(self, candidate: Candidate, budget: Budget, seed: int) -> Measurement:
        """Measure. Raises EvaluationError (or anything) when it cannot: the controller records it and goes on."""

    def metrics(self) -> Iterable[Metric]:
        """Every metric that a measurement of this evaluator may hold."""

    def fingerprint(self) -> str:
        """A text that changes whenever the numbers would: data, recipe, versions that matter."""


STORE = "store.sqlite"
"""The file of a run's folder that is the database of its trials and facts."""

REPORT = "report.html"
"""The file of a run's folder that is its report."""

TRIALS = "trials"
"""The folder of a run that has a folder for each trial that left files."""

PREPARED = "prepared"
"""The folder of a run in which an evaluator keeps what it got ready."""

WEIGHTS = "weights.safetensors"
"""The file of a trial's folder that holds the weights of its network, by the names of the network's state."""

CHECKPOINT = "checkpoint.*"
"""Names of the files that an evaluator leaves so that a later evaluation can go on from there."""

FROM_SCRATCH = "from_scratch"
"""The note of a measurement that says why an evaluation that was to go on from an earlier one did not."""


PREPARATION = "preparation"
"""The fact of a run that holds the rows of an evaluator's `preparation`."""

GATES = "gates"
"""The fact of a run that says how experts are combined: place of a layer → `networks` that were looked at, and over
these the `mean` and the `spread` (standard deviation) of each expert's gate."""

INHERITED = "inherited.json"
"""What is known of inherited weights: on how many `examples` their network was compared with what it was taken out of,
and `max_abs_difference` and `max_rel_difference` (to the largest output) of that."""


@dataclass(frozen=True)
class Job:
    """One evaluation to be done. `folder`: where an evaluator that writes files may do so. `stage`: as in `Trial`.

    before, spent: where an earlier evaluation of the candidate left a checkpoint, and its budget. checkpoint: whether
        to leave one in `folder`. All three are for evaluators with `continues`.
    """

    id: int
    candidate: Candidate
    budget: Budget
    seed: int
    folder: Path | None = None
    stage: str = "search"
    before: Path | None = None
    spent: Budget | None = None
    checkpoint: bool = False


@dataclass(frozen=True)
class Done:
    """How a job ended: a measurement, or the reason and traceback of its failure.

    pruned: a scheduler stopped it early, and the measurement is of the smaller budget.
    """

    id: int
    measurement: Measurement | None
    seconds: float
    reason: str = ""
    traceback: str = ""
    pruned: bool = False


@runtime_checkable
class Executor(Protocol):
    """Runs jobs, somewhere. A job that raises, or whose worker dies, ends as a `Done` with a reason.

    `lookahead`: how many trials may be asked before the oldest of them is told. It is part of the recipe, so that the
    same recipe gives the same trials on any number of workers.
    """

    lookahead: int

    def start(self, evaluator: Evaluator) -> None:
        """Get ready to evaluate with `evaluator`; called once."""

    def submit(self, job: Job) -> None:
        """Take a job; returns at once unless the executor evaluates in this process."""

    def next(self) -> Done:
        """Wait until any job has ended and return it."""

    def close(self) -> None:
        """Stop all work at once. Called exactly once, also after an interrupt."""


@runtime_checkable
class Store(Protocol):
    """Keeps trials and facts of one run, durably: what `add` has returned from is there after the process is killed.

    One process writes a run; several may read it while it is written.
    """

    def add(self, trial: Trial) -> None:
        """Append an ended trial. Raises StoreError when its id is there already."""

    def trials(self, stage: str | None = None) -> list[Trial]:
        """All ended trials (of one stage), by id."""

    def find(self, evaluation_key: str) -> Trial | None:
        """The complete, evaluated trial whose keys hold this evaluation key, if any."""

    def note(self, name: str, value: Any) -> None:
        """Write a fact of the run (JSON); a later note of the same name replaces it."""

    def facts(self) -> Mapping[str, Any]:
        """All facts."""


@runtime_checkable
class Cache(Protocol):
    """Keeps measurements for other runs; several processes may read and write it at the same time.

    It is asked before an evaluation and told after one. A run's own record is its store: what is taken from here is
    written there too, and a cache that breaks is left aside.
    """

    def find(self, keys: Mapping[str, str]) -> Known | None:
        """The first measurement that was added under `keys["evaluation"]`, else under `keys["function"]`, if given.

        Only one whose graph and functional key have the versions of those in `keys`. A damaged entry is reported and
        skipped.
        """

    def add(self, known: Known) -> None:
        """Keep a measurement; it is there for every process on return."""

    def close(self) -> None:
        """Let go of it; may be called twice."""
