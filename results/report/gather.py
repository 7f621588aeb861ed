"""What a report says, as plain values: the front first, then what the search did, then what made it.

Sizes are bounded: however many trials there are, the page holds a bounded number of points, rows, reasons and drawings,
and says what it left out.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nas.core.records import Trial
from results.analysis.decisions import decisions_of
from results.commands import Commands, export_command
from results.front import Front
from results.report import course, kept, networks, points, shares, state, words
from results.report.shares import unbroken
from results.rows import Row
from results.run import Run
from results.savings import savings
from results.spread import spread
from results.suggestions import seen_first

DRAWN = 40
"""Most drawings of networks on the front, and of those behind it."""


def gather(run: Run, folder: str, page: Path | None = None) -> dict[str, Any]:
    """Everything that the template shows.

    folder: the run's folder as a person would type it. page: where the page will be; one may be there from before.
    """
    facts, rows, front, finalists, objectives = run.facts, run.rows, run.front, run.finalists, run.objectives
    units = {objective.name: objective.unit for objective in objectives}
    search = [row for row in rows if row.stage == "search"]
    suggested = suggestions_of(front)
    ids = front.ids
    by_id = _light(front, {*ids, *finalists})
    shown = [by_id[id_] for id_ in ids]
    behind = sorted(
        (by_id[id_] for id_ in finalists if id_ in by_id and id_ not in set(ids)),
        key=lambda row: [objective.loss(row.metrics) for objective in objectives],
    )
    always = seen_first(front)
    places = spread(len(shown), DRAWN, always)
    drawn = [shown[place].id for place in places] + [row.id for row in behind[:DRAWN]]
    badges = networks.badges_of(front, shown, finalists, {each["trial"]: each["name"] for each in suggested})
    inputs, commands = run.inputs, Commands(run, folder)
    cards = [
        networks.card_of(trial, inputs, objectives, finalists, units, badges, commands.of(trial))
        for trial in run.store.pick(drawn)
    ]
    known = kept.taken(page, facts, rows, lambda: decisions_of(rows, front))
    plotted = [shown[place] for place in spread(len(shown), points.FRONTED, always)]
    plot = points.points_of(plotted, behind, front, finalists, units, facts.get("constraints") or [], commands.holds)
    return {
        "title": words.title_of(facts, folder),
        "damaged": run.damaged,
        "state": state.state_of(facts, run.store.path, search, folder),
        "summary": unbroken(words.summary_of(facts, search, front, shown, units)),
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "folder": shlex.quote(folder),
        "objectives": [words.goal(objective, units) for objective in objectives],
        "constraints": [str(each) for each in facts.get("constraints") or []],
        "front": len(front),
        "suggestions": suggested,
        "table": networks.front_table(shown, behind, objectives, finalists, units, badges, always),
        "cards": cards,
        "layers": {card["id"]: networks.layer_table(card["layers"]) for card in cards if card["layers"]},
        "retrained": networks.retrained_of(finalists),
        "units": networks.units_of(finalists, units),
        "drawn": len(places),
        "left_out": len(shown) - len(places),
        "not_plotted": len(shown) - len(plotted),
        "counts": course.counts_of(search),
        "saved": course.saved_of(savings(search, facts)),
        "reasons": course.reasons_of(search, run),
        "progress": [each | {"said": _ends(each)} for each in course.progress_of(search, front, units)],
        "times": course.time_of(rows, facts),
        "supernet": course.supernet_of(facts, finalists, objectives),
        "decisions": shares.with_bars(known["decisions"]),
        "kept": known,
        "plot": plot | {"command": [export_command(folder, points.ANY, held=held) for held in (False, True)]},
        "hypervolume": words.hypervolume_line(front, units),
        "made": words.made_of(facts),
        "again": words.again_of(facts, folder, has_folder=run.folder is not None),
        "recipe": words.recipe_of(facts),
    }


def suggestions_of(front: Front[Trial]) -> list[dict[str, Any]]:
    """What to look at first: the trial's number, what it is called, and how it was found."""
    return [{"trial": each.trial.id, "name": each.name, "why": unbroken(each.why)} for each in front.suggestions()]


def _ends(curve: Mapping[str, Any]) -> str:
    """A curve in words, for those who do not see it."""
    return f"from {curve['y'][0]:.6g} at trial {curve['trial'][0]:,} to {curve['y'][-1]:.6g} at {curve['trial'][-1]:,}"


def _light(front: Front[Trial], wanted: set[int]) -> Mapping[int, Row]:
    """The complete search trials of these ids in their light form."""
    return {row.id: row for row in front.complete if row.id in wanted and isinstance(row, Row)}
