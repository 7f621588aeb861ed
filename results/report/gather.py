"""What a report says, as plain values: the front first, then what the search did, then what made it.

Sizes are bounded: however many trials there are, the page holds a bounded number of points, rows, reasons and drawings,
and says what it left out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from nas.core.records import losses
from results.report import course, networks, words
from results.run import Run
from results.savings import savings

DRAWN = 60
"""Most drawings."""


def gather(run: Run, folder: str) -> dict[str, Any]:
    """Everything that the template shows. `folder`: the run's folder as a person would type it."""
    facts, rows, front, finalists, objectives = run.facts, run.rows, run.front, run.finalists, run.objectives
    units = {objective.name: objective.unit for objective in objectives}
    search = [row for row in rows if row.stage == "search"]
    behind = sorted(run.store.pick(sorted(set(finalists) - set(front.ids))), key=lambda t: losses(t, objectives))
    drawn, inputs = networks.spread(front, DRAWN), run.inputs
    badges = networks.badges_of(front, finalists)
    return {
        "title": words.title_of(facts, folder),
        "state": words.state_of(facts),
        "summary": words.summary_of(facts, search, front, units),
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "folder": folder,
        "objectives": [words.goal(objective, units) for objective in objectives],
        "front": len(front),
        "table": networks.front_table(front, behind, finalists, units, badges),
        "cards": [
            networks.card_of(trial, inputs, objectives, finalists, units, badges, folder) for trial in [*drawn, *behind]
        ],
        "drawn": len(drawn),
        "left_out": len(front) - len(drawn),
        "counts": course.counts_of(search),
        "saved": course.saved_of(savings(search, facts)),
        "reasons": course.reasons_of(search, run),
        "progress": course.progress_of(search, front, units),
        "plot": networks.points_of(search, front, behind, finalists, units, folder),
        "hypervolume": words.hypervolume_line(front, units),
        "made": words.made_of(facts),
        "recipe": words.recipe_of(facts),
    }
