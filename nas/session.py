"""A search that is checked and about to run: one process's share of a run, from its folder to its report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nas import caching, runfolder
from nas.core.errors import NASError
from nas.core.records import Trial, losses
from nas.core.roles import TRIALS
from nas.facts import facts_of
from nas.plan import Plan

if TYPE_CHECKING:
    from nas.core.roles import Cache
    from nas.engine.controller import Event, Outcome
    from nas.progress import Show
    from results.run import Run

T = TypeVar("T")


@dataclass
class Session:
    """A search about to run: one process's share of a run.

    facts: what the store knows, for a run that goes on; None for a new one.
    outcome: how the session ended. report: where the report is. best: the trial whose network is in `best/`. problems:
        what went wrong after the search, which is safe in its folder. remarks: what was noticed while it ran.
    """

    plan: Plan
    folder: Path
    facts: Mapping[str, Any] | None = None
    warnings: list[str] = field(default_factory=list)
    outcome: Outcome | None = None
    report: Path | None = None
    best: Trial | None = None
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.warnings = [*self.plan.warnings, *self.warnings]

    @property
    def goes_on(self) -> bool:
        """Whether the run has begun before."""
        return self.facts is not None

    def run(
        self,
        on_event: Callable[[Event], None] | None = None,
        on_prepare: Callable[[Mapping[str, float]], None] | None = None,
        *,
        progress: bool = False,
    ) -> Run:
        """Search, write the report and the best network, and return the run.

        on_event: is told each trial. on_prepare: is told how far an evaluator is that gets ready before the search.

        Raises: StoreError when the run cannot be written, or its trials are not those that are proposed now.
        """
        plan = self.plan
        shared = caching.open_cache(plan.cache.at, self.remarks.append)  # first: nothing is written where it is refused
        closing = contextlib.closing(shared) if shared is not None else contextlib.nullcontext()
        with closing, self._showing(progress) as show:
            return self._run(shared, _both(show, on_event), _both(show.prepare if show else None, on_prepare))

    def _run(
        self,
        shared: Cache | None,
        on_event: Callable[[Event], None] | None,
        on_prepare: Callable[[Mapping[str, float]], None] | None,
    ) -> Run:
        import results.store
        from nas.engine.controller import Controller

        plan, folder = self.plan, self.folder
        if self.facts is None:
            runfolder.check_free(folder)
            copies = runfolder.begin(folder, plan.resolved())
            store = results.store.SqlStore.create(folder)
            for name, value in facts_of(plan, copies).items():
                store.note(name, value)
        else:
            store = results.store.SqlStore.open(folder)
            runfolder.write_recipe(folder, plan.resolved(), self.facts.get("code", {}), self.facts.get("directory", ""))
        with store, inside((self.facts or {}).get("directory")):
            store.note("recipe", plan.resolved())
            store.note("stop_reason", "")
            controller = Controller(
                strategy=plan.strategy,
                evaluator=plan.evaluator,
                store=store,
                executor=plan.executor,
                objectives=plan.objectives,
                constraints=plan.constraints,
                budget=plan.budget,
                trials=plan.trials,
                hours=plan.recipe.budget.hours,
                max_failures=plan.recipe.budget.max_failures,
                finalists=plan.finalists,
                space=plan.space,
                seed=plan.recipe.seed,
                folder=folder,
                cost=plan.cost,
                memory_bytes=plan.memory_bytes(),
                keep=plan.recipe.keep,
                reuse=plan.cache.reuse,
                cache=shared,
                on_event=on_event,
                on_prepare=on_prepare,
                on_remark=self.remarks.append,
            )
            self.outcome = controller.run()
        run = open(folder)
        if self.outcome.stop_reason != "interrupted":
            self._finish(run)
        return run

    def _finish(self, run: Run) -> None:
        """Write the report, and the best network as a plain torch module. What fails is noted: the run is safe."""
        try:
            self._write_inherited(run)
            self.report = run.report()
            best = self._to_take_home(run)
            if best is not None:
                run.export(best, self.folder / runfolder.BEST, formats="none", replace=True)
                self.best = best
        except NASError as error:
            self.problems.append(str(error))

    def _write_inherited(self, run: Run) -> None:
        """Weights of the front's networks where the evaluator has them ready, so that any of them can be exported."""
        inherit = getattr(self.plan.evaluator, "inherit", None)
        for trial in run.front if inherit is not None else ():
            if run.weights_of(trial) is None:
                inherit(trial.candidate, self.folder / TRIALS / str(trial.id))  # type: ignore[misc]

    def _to_take_home(self, run: Run) -> Trial | None:
        """The best trial, or the first of the front, whose weights are at hand."""
        best = best_of(run) if getattr(self.plan.evaluator, "writes_files", False) else None
        if best is None or run.weights_of(best) is not None:
            return best
        other = next((trial for trial in run.front if run.weights_of(trial) is not None), None)
        self.remarks.append(
            f"trial {best.id}, the best, has the numbers of an equal network and no weights of its own; "
            + (f"trial {other.id} is taken home" if other is not None else f"nas export {run.folder} {best.id} "
               "--to FOLDER --untrained writes it")
        )  # fmt: skip
        return other

    @contextlib.contextmanager
    def _showing(self, progress: bool) -> Iterator[Show | None]:
        if not progress:
            yield None
            return
        from rich.console import Console

        from nas.progress import Show

        budget = self.plan.recipe.budget
        top = self.plan.finalists[0] if self.plan.finalists else 0
        with Show(Console(stderr=True), self.plan.objectives, budget.trials, budget.hours, top) as show:
            yield show


def _both(first: Callable[[T], None] | None, second: Callable[[T], None] | None) -> Callable[[T], None] | None:
    """A function that tells both, or the one that is there."""
    if first is None or second is None:
        return first or second

    def tell(what: T) -> None:
        first(what)
        second(what)

    return tell


def best_of(run: Run) -> Trial | None:
    """The trial to take home first: the best finalist by the objectives in their order, else the first of the front.

    Finalists are compared by what they reached on the validation part: a choice by test numbers would spoil these.
    """
    again = [trial for trial in run.finalists.values() if trial.complete]
    if again:
        return min(again, key=lambda trial: (losses(trial, run.objectives), trial.id))
    return run.front[0] if len(run.front) else None


def open(folder: str | Path) -> Run:  # noqa: A001 - `nas.open` is what it is called
    """A run, ended or still going, to look at. Raises StoreError."""
    from results.run import Run

    path = runfolder.find(folder)
    runfolder.use_code(path)
    return Run.open(path)


@contextlib.contextmanager
def inside(directory: str | None) -> Iterator[None]:
    """Work in the directory where the run was begun, if it is there: relative paths meant that."""
    if directory is None or not Path(directory).is_dir() or Path(directory) == Path.cwd():
        yield
        return
    with contextlib.chdir(directory):
        yield
