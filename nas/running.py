"""Searches from Python and from the command line: begin one, go on with one, open one.

search(space=…, data=…, …)      ─┐
begin(recipe) ─▶ Session.run()  ─┴▶ Run          what `nas search` does, in steps that can be shown
resume(folder)                                   goes on; replays what is recorded
open(folder)                                     any run, later, elsewhere
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nas import caching, runfolder
from nas.core.errors import NASError, RecipeError, StoreError
from nas.core.records import Trial, losses
from nas.core.roles import TRIALS
from nas.core.values import digits
from nas.plan import Plan, make_plan
from nas.recipe import Source, change, parse, read

if TYPE_CHECKING:
    from nas.core.roles import Cache
    from nas.engine.controller import Event, Outcome
    from nas.progress import Show
    from results.run import Run

T = TypeVar("T")

CHANGEABLE = ("budget", "finalists", "executor", "name", "keep", "data", "cache")
"""Keys of a recipe that may change between the sessions of a run: none of them changes which trials are proposed.

Data may lie elsewhere; other data are refused by the evaluator's fingerprint. So may a shared cache, and nothing else
of `cache` may change.
"""

BEFORE_FUNCTIONAL = {"functional": False, "aggregate": 1, "forget": 0.0}
"""`cache` of runs that were begun when it was no key yet: they go on as they began."""

_VERSIONS = ("espalier-nas", "torch", "numpy", "optuna", "ray")


def search(
    recipe: str | Path | Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    sets: tuple[str, ...] | list[str] = (),
    on_event: Callable[[Event], None] | None = None,
    progress: bool = False,
    **keys: Any,
) -> Run:
    """Search, from the first trial to the last, and return the run.

    recipe: a recipe file or mapping; `keys` (space, data, evaluator, strategy, objectives, constraints, budget,
        executor, finalists, seed, name, keep, cache) go before what it says. Parts may be objects.
    out: the run's folder; `runs/NAME-N` if not given. sets: changes as texts, `evaluator.epochs=2`.
    progress: show what goes on, on standard error. on_event: is told each trial.

    Raises: NASError before anything runs for everything that is wrong with the request.

    >>> search(space="cnn", data="digits", objectives={"val_acc": "max"}, budget={"trials": 3})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nas.core.errors.RecipeError: objectives: evaluator 'train' reports no 'val_acc'; did you mean 'val_accuracy'? ...
    """
    return _seen_through(begin(recipe, out=out, sets=sets, **keys), on_event, progress)


def resume(
    folder: str | Path,
    *,
    sets: tuple[str, ...] | list[str] = (),
    on_event: Callable[[Event], None] | None = None,
    progress: bool = False,
    **keys: Any,
) -> Run:
    """Go on with a run that was stopped, or that is to be longer (`budget={"trials": 200}`).

    keys: `budget`, `finalists`, `executor`; and any part that was given as a Python object, given again.

    Raises: StoreError for a folder that holds no run, or whose trials another recipe made. RecipeError for a change
        that would make it another search.
    """
    return _seen_through(go_on(folder, sets=sets, **keys), on_event, progress)


def _seen_through(session: Session, on_event: Callable[[Event], None] | None, progress: bool) -> Run:
    for text in session.warnings:
        warnings.warn(text, stacklevel=3)
    run = session.run(on_event, progress=progress)
    for text in (*session.remarks, *session.problems):
        warnings.warn(text, stacklevel=3)
    return run


def open(folder: str | Path) -> Run:  # noqa: A001 - `nas.open` is what it is called
    """A run, ended or still going, to look at. Raises StoreError."""
    from results.run import Run

    path = runfolder.find(folder)
    runfolder.use_code(path)
    return Run.open(path)


def begin(
    recipe: str | Path | Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    sets: tuple[str, ...] | list[str] = (),
    **keys: Any,
) -> Session:
    """A search that is checked and ready to run; nothing but its folder is made yet. Raises as `search` does."""
    given, source = _given(recipe, keys)
    given, source = change(given, sets, source)
    wanted = parse(given, source)
    if out is not None:
        runfolder.check_free(Path(out))
    plan = make_plan(wanted, source)
    return Session(plan, Path(out) if out is not None else runfolder.make_next(wanted.title))


def go_on(folder: str | Path, *, sets: tuple[str, ...] | list[str] = (), **keys: Any) -> Session:
    """A run that is checked and ready to go on. Raises as `resume` does."""
    from results.store import SqlStore

    path = runfolder.find(folder).resolve()
    with SqlStore.read(path) as store:
        facts = dict(store.facts())
    copies = facts.get("code", {})
    runfolder.use_code(path)
    given, source = runfolder.read_recipe(path, copies, facts.get("directory", ""))
    for key in [*keys, *(text.partition("=")[0].split(".")[0] for text in sets)]:
        was_object = isinstance(given.get(key), Mapping) and set(given[key]) == {"object"}
        if key not in CHANGEABLE and not was_object:
            raise RecipeError(
                f"{key!r} cannot change in a run that has begun; only {', '.join(map(repr, CHANGEABLE))} can. For "
                f"another search: nas search {path / runfolder.RECIPE} --set {key}=…"
            )
    before = given.setdefault("cache", BEFORE_FUNCTIONAL)
    given, source = change({**given, **keys}, sets, source)
    given["cache"] = caching.changed(before, given["cache"])
    for key, value in given.items():
        if isinstance(value, Mapping) and set(value) == {"object"}:
            raise RecipeError(
                f"{key} was given as a Python object, {value['object']}; give it again: "
                f"nas.resume({str(folder)!r}, {key}=…)"
            )
    with inside(facts.get("directory")):
        plan = make_plan(parse(given, source), source)
    _check_same(facts, plan, path)
    noticed = [
        f"{file} has changed since this run began; the new one is used" for file in runfolder.changed(path, copies)
    ]
    if caching.is_gone(plan.cache.at):
        noticed.append(
            f"the shared cache {plan.cache.at} is not there any more; an empty one is made, and what this run took "
            "from the old one stays recorded in it"
        )
    return Session(plan, path, facts=facts, warnings=noticed)


def _given(recipe: Any, keys: Mapping[str, Any]) -> tuple[dict[str, Any], Source]:
    given: dict[str, Any] = {}
    source = Source()
    if isinstance(recipe, Mapping):
        given = dict(recipe)
    elif recipe is not None:
        given, source = read(recipe)
        given.setdefault("name", Path(recipe).stem)
    given.update({key: value for key, value in keys.items() if value is not None})
    return given, source


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
            return self._run(shared, _both(show, on_event), _both(show and show.prepare, on_prepare))

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
            for name, value in _facts(plan, copies).items():
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
                run.export(best, self.folder / runfolder.BEST, formats="none")
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


# ---- facts -----------------------------------------------------------------------------------------------------------


def _facts(plan: Plan, copies: Mapping[str, str]) -> dict[str, Any]:
    """What made the run, as JSON takes it."""
    return {
        "name": plan.recipe.title,
        "seed": plan.recipe.seed,
        "objectives": [{"name": o.name, "direction": o.direction, "unit": o.unit} for o in plan.objectives],
        "constraints": [str(constraint) for constraint in plan.constraints],
        "budget": {"amount": plan.budget.amount, "unit": plan.budget.unit},
        "space_name": plan.specs["space"].label,
        "space_size": digits(plan.space.size()),
        "inputs": {
            name: {"shape": list(spec.shape), "dtype": spec.dtype, "vocabulary": spec.vocabulary}
            for name, spec in plan.space.inputs.items()
        },
        "classes": dict(plan.space.classes) if isinstance(plan.space.classes, Mapping) else plan.space.classes,
        "evaluator": {"name": plan.specs["evaluator"].label, "fingerprint": plan.evaluator.fingerprint()},
        "strategy": plan.specs["strategy"].label,
        "cache": plan.cache.text,
        "data": plan.data.describe() if plan.data is not None else None,
        "code": dict(copies),
        "directory": str(Path.cwd()),
        "command": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{name: v for name in _VERSIONS if (v := _version(name))}},
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
        "commit": _commit(),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _commit() -> str | None:
    """The commit of this checkout of the engine, with '+' where files differ from it; None where it is none."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return None
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        rest = subprocess.run(
            ["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if rest.stdout.strip() else "")


def _check_same(facts: Mapping[str, Any], plan: Plan, folder: Path) -> None:
    """Refuse to go on when what was measured before could not be compared with what would be measured now.

    The controller looks at the space itself.
    """
    before, now = facts.get("evaluator", {}).get("fingerprint"), plan.evaluator.fingerprint()
    if before not in (None, now):
        raise StoreError(
            f"{folder}: the evaluator is no longer the one that made this run (its fields, its data or a version "
            f"changed), so numbers would not be comparable; before: {before}; now: {now}. Bring the old one back, or "
            f"begin a new run: nas search {folder / runfolder.RECIPE}"
        )


@contextlib.contextmanager
def inside(directory: str | None) -> Iterator[None]:
    """Work in the directory where the run was begun, if it is there: relative paths meant that."""
    if directory is None or not Path(directory).is_dir() or Path(directory) == Path.cwd():
        yield
        return
    with contextlib.chdir(directory):
        yield
