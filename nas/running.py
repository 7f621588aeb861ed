"""Searches from Python and from the command line: begin one, go on with one, open one.

search(space=…, data=…, …)      ─┐
begin(recipe) ─▶ Session.run()  ─┴▶ Run          what `nas search` does, in steps that can be shown
resume(folder)                                   goes on; replays what is recorded
open(folder)                                     any run, later, elsewhere
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import caching, runfolder
from nas.core.errors import RecipeError, StoreError
from nas.plan import Plan, make_plan
from nas.recipe import Source, change, parse, read
from nas.session import Session, inside, open  # noqa: A004 - `nas.open` is what it is called

if TYPE_CHECKING:
    from nas.engine.controller import Event
    from results.run import Run

__all__ = ["Session", "begin", "go_on", "inside", "open", "resume", "search"]

CHANGEABLE = ("budget", "finalists", "executor", "name", "keep", "data", "cache")
"""Keys of a recipe that may change between the sessions of a run: none of them changes which trials are proposed.

Data may lie elsewhere; other data are refused by the evaluator's fingerprint. So may a shared cache, and nothing else
of `cache` may change.
"""

BEFORE_FUNCTIONAL = {"functional": False, "aggregate": 1, "forget": 0.0}
"""`cache` of runs that were begun when it was no key yet: they go on as they began."""


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
