"""`nas front`, `nas report`: what was found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas import running
from nas.cli.output import Output
from nas.cli.tables import front_of
from nas.core.errors import RecipeError, nearest
from nas.core.records import Objective
from results.drawing import FORMATS, save_networks
from results.figures import front_figure
from results.front import NO_VOLUME, Front
from results.progress_figure import progress_figure


def front(output: Output, folder: Path, x: str | None, y: str | None, whole: bool, json: bool) -> None:
    """Print a front: the run's own, or that of other metrics. whole: however long it is."""
    with running.open(folder) as run:
        objectives = _objectives(run, x, y)
        found = run.front if objectives == run.objectives else Front(run.rows, objectives, load=run.store.pick)
        if json:
            output.result({**found.summary(), "finalists": finalists_of(run.finalists)})
            return
        if not len(found):
            output.say(f"no trial of {folder} is complete yet ({len(run.rows)} ended)")
            return
        output.show(front_of(found, run.finalists, folder, width=output.out.width, whole=whole))
        reference = ", ".join(f"{name} {value:g}" for name, value in (found.reference or {}).items())
        volume = NO_VOLUME if found.hypervolume is None else f"hypervolume {found.hypervolume:.6g} to {reference}"
        output.say(f"\n{len(found)} of {len(found.complete)} complete trials; {volume}")


def finalists_of(finalists: Mapping[int, Any]) -> list[dict[str, Any]]:
    """What training again gave, as JSON takes it: trial of the search, its finalist, its budget, what it reached."""
    return [
        {
            "trial": id_,
            "finalist": again.id,
            "status": str(again.status),
            "reason": again.reason,
            "budget": {"amount": again.budget.amount, "unit": again.budget.unit},
            "metrics": dict(again.metrics),
        }
        for id_, again in finalists.items()
    ]


def report(output: Output, folder: Path, open_: bool, figures: bool, tables: bool, json: bool) -> None:
    """Write the report, figures and tables; show the report in the browser."""
    with running.open(folder) as run:
        empty = not len(run.front)  # what cannot be read is told as by every other command
        output.working = True
        path = run.report()
        saved = run.saved.summary() if json else {}
        drawn = [
            draw(run, path.with_name(f"{name}{ending}"))
            for name, draw in (("front", front_figure), ("progress", progress_figure))
            for ending in FORMATS
            if figures
        ]
        written = _tables(run, path.parent) if tables else []
        networks, left_out = save_networks(run.front, run.inputs, path.with_name("networks")) if figures else ([], "")
    if json:
        figures_drawn = {"figures": [*map(str, drawn)], "networks": [*map(str, networks)]} if drawn else {}
        tables_written = {"tables": [*map(str, written)]} if tables else {}
        output.result({"run": str(folder), "report": str(path), "saved": saved, **figures_drawn, **tables_written})
    else:
        for file in (path, *drawn, *written, *([path.with_name("networks")] if networks else [])):
            output.show(str(file))
        if empty:
            output.say("no trial is complete yet: the page says what happened so far; write it again later")
    if left_out:
        output.say(left_out)
    if open_:
        import webbrowser

        if not webbrowser.open(path.resolve().as_uri()):
            output.warn(f"no browser could be opened; open {path} yourself")


def _tables(run: Any, folder: Path) -> list[Path]:
    from results.frame import write_tables

    return write_tables(run, folder)


def _objectives(run: Any, x: str | None, y: str | None) -> tuple[Objective, ...]:
    """The run's own objectives, or those that --y and --x name (in this order)."""
    if x is None and y is None:
        return tuple(run.objectives)
    from evaluators.metrics import metric

    own = {objective.name: objective for objective in run.objectives}
    names = [name for name in (y or next((n for n in own if n != x), None), x) if name is not None]
    measured = sorted({name for row in run.rows if row.complete for name in row.metrics})
    for option, name in (("--x", x), ("--y", y)):
        if name is not None and name not in measured:
            raise RecipeError(f"{option} {name}: no trial has this metric; {nearest(name, measured)}")
    chosen = []
    for name in dict.fromkeys(names):
        usual = metric(name) if name not in own else own[name]
        chosen.append(Objective(name, usual.direction, usual.unit))
    return tuple(chosen)
