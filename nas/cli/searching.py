"""`nas search` and `nas resume`: say what was found, search with a live line, then the front and what to do next."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import typer

from nas import running
from nas.cli.output import FAILED, Output
from nas.cli.tables import count, front_table
from nas.progress import Show, clock


def search(output: Output, recipe: Path, sets: list[str], out: Path | None, json: bool) -> None:
    """Begin a run and see it through."""
    _run(output, running.begin(recipe, out=out, sets=sets), json)


def resume(output: Output, folder: Path, sets: list[str], json: bool) -> None:
    """Go on with a run and see it through."""
    _run(output, running.go_on(folder, sets=sets), json)


def _run(output: Output, session: running.Session, json: bool) -> None:
    _announce(output, session)
    output.working = True
    plan = session.plan
    top = plan.finalists[0] if plan.finalists else 0
    began = time.monotonic()
    with Show(output.err, plan.objectives, plan.recipe.budget.trials, plan.recipe.budget.hours, top) as show:
        run = session.run(show)
    outcome = session.outcome
    assert outcome is not None
    folder = _short(session.folder)
    output.say(
        f"{outcome.trials} trials in {clock(time.monotonic() - began)}: {outcome.complete} complete ({outcome.cached} "
        f"from the cache), {outcome.infeasible} infeasible, {outcome.failed} failed; {_REASONS[outcome.stop_reason]}"
    )
    if json:
        output.result(summary(run, outcome, session.folder))
    elif len(run.front):
        output.show("")
        output.show(front_table(run.front, run.front.names, run.finalists))
    output.say("")
    if outcome.stop_reason == "interrupted":
        output.say(f"Go on with:  nas resume {folder}")
    elif len(run.front):
        _say_next(output, session, run)
    if not len(run.front) or outcome.stop_reason in ("interrupted", "failures"):
        _say_failure(output, session, run)
        raise typer.Exit(FAILED)


_REASONS = {
    "trials": "all trials are done",
    "hours": "the hours are used up",
    "failures": "too many failed",
    "exhausted": "nothing is left to propose",
    "interrupted": "interrupted",
}


def summary(run: Any, outcome: Any, folder: Path) -> dict[str, Any]:
    """What `nas search --json` prints."""
    return {
        "run": str(folder),
        "trials": outcome.trials,
        "complete": outcome.complete,
        "cached": outcome.cached,
        "infeasible": outcome.infeasible,
        "failed": outcome.failed,
        "seconds": round(outcome.seconds, 3),
        "stop_reason": outcome.stop_reason,
        "front": run.front.summary()["front"],
    }


def _announce(output: Output, session: running.Session) -> None:
    """Say what was found, before anything runs."""
    plan, recipe = session.plan, session.plan.recipe
    choices = len(plan.space.choices())
    rows = {
        "data": plan.data.summary() if plan.data is not None else "none",
        "space": f"{plan.specs['space'].label}: {count(plan.space.size())} networks by {choices} choices",
        "evaluator": f"{plan.specs['evaluator'].label}, {plan.budget} each",
        "strategy": plan.specs["strategy"].label,
        "goals": ", ".join(f"{o.name} {o.direction}" for o in plan.objectives)
        + "".join(f"; {constraint}" for constraint in plan.constraints),
        "budget": _budget(recipe),
    }
    if recipe.finalists is not None:
        rows["finalists"] = f"the best {recipe.finalists.top} again, {recipe.finalists.budget} each, then tested"
    word = "going on with" if session.goes_on else "search"
    output.say(f"{word} {recipe.title}, seed {recipe.seed}, in {_short(session.folder)}", "bold")
    for name, text in rows.items():
        output.say(f"  {name:<10} {text}")
    for warning in session.warnings:
        output.warn(warning)


def _budget(recipe: Any) -> str:
    limits = [
        f"{recipe.budget.trials} trials" if recipe.budget.trials else "",
        f"{recipe.budget.hours:g} h" if recipe.budget.hours else "",
    ]
    return " or ".join(limit for limit in limits if limit)


def _say_next(output: Output, session: running.Session, run: Any) -> None:
    """The three commands to try next."""
    folder = _short(session.folder)
    if getattr(session, "best", None) is not None:
        output.say(f"The best network (trial {session.best}) is in {folder}/best: model.py, weights.safetensors, …")
    output.say("Try next:")
    pick = run.front.knee() or run.front[0]
    for command, what in (
        (f"nas report {folder} --open", "look at the front and its networks"),
        (f"nas export {folder} {pick.id} --to net", "take another network home (this one: the knee of the front)"),
        (f"nas resume {folder} --set budget.trials={2 * max(1, session.plan.recipe.budget.trials or 50)}", "search on"),
    ):
        output.say(f"  {command:<52} {what}")


def _say_failure(output: Output, session: running.Session, run: Any) -> None:
    """Why there is nothing, or less than asked for: the last reason of a trial that failed or could not be."""
    rows = [row for row in run.rows if row.reason]
    if rows and not len(run.front):
        output.say(f"error: no trial is complete; trial {rows[-1].id} is {rows[-1].status}: {rows[-1].reason}")
    elif session.outcome is not None and session.outcome.stop_reason == "failures":
        output.say(f"error: the search ended after {session.outcome.failed} failures; the last: {rows[-1].reason}")


def _short(folder: Path) -> str:
    """A folder as a person would type it here."""
    try:
        return str(folder.relative_to(Path.cwd())) if folder.is_absolute() else str(folder)
    except ValueError:
        return str(folder)
