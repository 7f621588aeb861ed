"""`nas compare`: runs side by side."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from nas import running
from nas.cli.output import Output
from nas.core.errors import RecipeError
from results.compare import Comparison, compare
from results.front import NO_VOLUME
from results.units import clock, label, written

if TYPE_CHECKING:
    from rich.table import Table


def comparison(output: Output, folders: list[Path], figure: Path | None, json: bool) -> None:
    """Print runs side by side; with `figure`, draw them too."""
    if len(folders) < 2:
        raise RecipeError(f"nas compare takes two runs or more; given: {', '.join(map(str, folders)) or 'none'}")
    with contextlib.ExitStack() as stack:
        found = compare([stack.enter_context(running.open(folder)) for folder in folders])
    if figure is not None:
        from results.compare_figure import compare_figure

        compare_figure(found, figure)
    for caution in found.cautions:
        output.warn(caution)
    if json:
        drawn = {"figure": str(figure)} if figure is not None else {}
        output.result({**found.summary(), **drawn})
        return
    output.show(_found(found))
    output.show("")
    output.show(_effort(found))
    output.say(f"\n{_explained(found)}")
    if figure is not None:
        output.show(str(figure))


def _table(*names: str) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("run", overflow="fold")
    for name in names:
        table.add_column(name, justify="left" if name == "strategy" else "right")
    return table


def _found(found: Comparison) -> Table:
    """What each run found."""
    first, several = found.objectives[0], len(found.objectives) > 1
    units = {objective.name: objective.unit for objective in found.objectives}
    measured = found.hypervolume is not None
    more = ["front", *(["hypervolume"] if measured else []), "of the joint front"] if several else []
    table = _table("strategy", "seed", "trials", "complete", "evaluating", f"best {first.name}", *more)
    for run in found.runs:
        cells = [
            run.name if run.ended else f"{run.name} (not ended)",
            run.strategy,
            "" if run.seed is None else str(run.seed),
            f"{run.trials:,}",
            f"{run.complete:,}",
            clock(run.seconds),
            written(first.name, run.best, units),
        ]
        if several:
            shares = [_percent(run.share or 0.0)] if measured else []
            cells += [f"{run.front:,}", *shares, f"{run.joint:,} ({_percent(run.joint_share, 0)})"]
        table.add_row(*cells)
    return table


def _effort(found: Comparison) -> Table:
    """What reaching the same quality took each run."""
    first = found.objectives[0]
    value = written(first.name, found.level["best"], {first.name: first.unit})
    reach = f"{first.name} {value}"
    names = [f"trials to {reach}", "evaluating"]
    several = len(found.objectives) > 1 and found.hypervolume is not None
    if several:
        share = _percent((found.level["hypervolume"] or 0.0) / (found.hypervolume or 1.0))
        names = [f"trials to a hypervolume of {share}", "evaluating", *names]
    table = _table(*names)
    for run in found.runs:
        reached = [run.same_hypervolume, run.same_best] if several else [run.same_best]
        cells = [cell for each in reached if each for cell in (f"{each.trials:,}", clock(each.seconds))]
        table.add_row(run.name, *cells)
    return table


def _explained(found: Comparison) -> str:
    parts = ["The same quality is what the run that got least far reached in the end."]
    if found.hypervolume is None:
        parts.append(f"There is {NO_VOLUME}.")
    elif len(found.objectives) > 1:
        units = {objective.name: objective.unit for objective in found.objectives}
        point = ", ".join(f"{label(name, units)} {value:g}" for name, value in found.reference.items())
        parts.append(f"Hypervolumes are shares of that of all runs together, against the point {point}.")
    prepared = [run for run in found.runs if run.prepared_seconds]
    if prepared:
        said = ", ".join(f"{run.name} {clock(run.prepared_seconds)}" for run in prepared)
        parts.append(f"Evaluating includes what was trained before the first trial ({said}).")
    parts.append("One run is one draw: a difference may be luck until several seeds show it.")
    return " ".join(parts)


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"
