"""`nas search` and `nas resume`: say what was found, search with a live line, then the front and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nas import running
from nas.cli.output import FAILED, Output
from nas.cli.tables import front_of
from nas.core.records import losses
from nas.progress import Show
from results.commands import Commands
from results.units import clock, count

if TYPE_CHECKING:
    from nas.plan import Plan


def search(output: Output, recipe: Path, sets: list[str], out: Path | None, json: bool) -> None:
    """Begin a run and see it through."""
    session = running.begin(recipe, out=out, sets=sets)
    _run(output, session, session.folder, json)


def resume(output: Output, folder: Path, sets: list[str], json: bool) -> None:
    """Go on with a run and see it through."""
    _run(output, running.go_on(folder, sets=sets), folder, json)


def _run(output: Output, session: running.Session, folder: Path, json: bool) -> None:
    """folder: the run's, as the user calls it."""
    _announce(output, session, folder)
    output.working = True
    plan = session.plan
    top = plan.finalists[0] if plan.finalists else 0
    with Show(output.err, plan.objectives, plan.recipe.budget.trials, plan.recipe.budget.hours, top) as show:
        run = session.run(show, show.prepare)
    outcome = session.outcome
    assert outcome is not None
    output.say(
        f"{outcome.trials} trials in {clock(outcome.seconds)}: {outcome.complete} complete ({outcome.cached} "
        f"from the cache), {outcome.infeasible} infeasible, {outcome.failed} failed; {_REASONS[outcome.stop_reason]}"
    )
    if outcome.trials:
        output.say(run.saved.text())
    for remark in session.remarks:
        output.warn(remark)
    if json:
        output.result(summary(run, outcome, folder))
    elif len(run.front):
        output.show("")
        output.show(front_of(run.front, run.finalists, folder, width=output.out.width))
    output.say("")
    if outcome.stop_reason == "interrupted":
        output.say(f"Go on with:  nas resume {folder}")
    elif len(run.front):
        _say_next(output, session, run, folder)
    troubles = [*_troubles(session, run), *session.problems]
    for trouble in troubles:
        output.fail(trouble)
    if troubles or outcome.stop_reason == "interrupted":
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
        "saved": run.saved.summary(),
        "front": run.front.summary()["front"],
    }


def _how_often(plan: Plan) -> str:
    """How often an evaluator spends its budget."""
    return "once, for all networks" if getattr(plan.evaluator, "prepares", False) else "each"


def _announce(output: Output, session: running.Session, folder: Path) -> None:
    """Say what was found, before anything runs."""
    plan, recipe = session.plan, session.plan.recipe
    choices = len(plan.space.choices())
    rows = {
        **({"data": plan.data.summary()} if plan.data is not None else {}),
        "space": f"{plan.specs['space'].asked}: {count(plan.space.size())} networks by {choices} choices",
        "evaluator": plan.specs["evaluator"].asked
        + (f", {plan.budget} {_how_often(plan)}" if hasattr(plan.evaluator, "default_budget") else ""),
        "strategy": plan.specs["strategy"].asked,
        "goals": ", ".join(f"{o.name} {o.direction}" for o in plan.objectives)
        + "".join(f"; {constraint}" for constraint in plan.constraints),
        "budget": _budget(recipe),
        "cache": plan.cache.text,
    }
    if recipe.finalists is not None:
        rows["finalists"] = f"the best {recipe.finalists.top} again, {recipe.finalists.budget} each, then tested"
    word = "going on with" if session.goes_on else "search"
    output.say(f"{word} {recipe.title}, seed {recipe.seed}, in {folder}", "bold")
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


def _say_next(output: Output, session: running.Session, run: Any, folder: Path) -> None:
    """Where things are, and the three commands to try next."""
    taken = None
    if session.best is not None:
        taken = session.best.of if session.best.of is not None else session.best.id
        output.say(f"The best network (trial {taken}) is a plain torch module in {folder}/best")
    if session.report is not None:
        output.say(f"The report is {folder}/{session.report.name}")
    commands = Commands(run, folder)
    others = [trial for trial in _worth_a_look(run) if trial.id != taken]
    pick = next((trial for trial in others if commands.holds(trial)), others[0] if others else run.front[0])
    more = 2 * (session.plan.recipe.budget.trials or max(1, len(run.rows)))
    which = "a" if taken is None else "another"
    steps = {
        f"nas report {folder} --open": "look at the front and at the networks on it",
        commands.of(pick): f"take {which} network home",
        f"nas resume {folder} --set budget.trials={more}": "search on",
    }
    wide = max(map(len, steps))
    output.say("Try next:")
    for command, what in steps.items():
        output.say(f"  {command:<{wide}}   {what}")


def _worth_a_look(run: Any) -> list[Any]:
    """Networks to take home, the best first: the front from its knee on; with one goal, by what retraining gave.

    With one goal the front is the best of the search alone, and training it again may have shown others to be better.
    """
    again = {id_: trial for id_, trial in run.finalists.items() if trial.complete}
    if len(run.objectives) > 1 or not again:
        return [run.front.knee(), *run.front]
    order = sorted(again, key=lambda id_: (losses(again[id_], run.objectives), id_))
    return [*run.store.pick(order), *(trial for trial in run.front if trial.id not in again)]


def _troubles(session: running.Session, run: Any) -> list[str]:
    """Why there is nothing, or less than was asked for."""
    reasons = [f"trial {row.id} is {row.status}: {row.reason}" for row in run.rows if row.reason]
    outcome = session.outcome
    assert outcome is not None
    if outcome.stop_reason == "failures":
        return [f"the search ended after {outcome.failed} failures; the last: {reasons[-1]}"]
    if not len(run.front) and outcome.stop_reason != "interrupted":
        return [
            f"none of {outcome.trials} trials is complete; the last: {reasons[-1]}" if reasons else "nothing to try"
        ]
    return []
