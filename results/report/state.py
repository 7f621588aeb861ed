"""How far a run is: ended, still going, or stopped on the way; and how to see more of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from results.lock import writer
from results.rows import Row
from results.units import clock

_ENDED = {
    "trials": ("finished", "all trials were made"),
    "hours": ("finished", "the time was used up"),
    "exhausted": ("finished", "nothing was left to propose"),
    "failures": ("stopped", "too many trials failed"),
    "interrupted": ("interrupted", "it can be resumed"),
}


def state_of(facts: Mapping[str, Any], store: Path | None, search: Sequence[Row], folder: str) -> dict[str, str]:
    """A word and why; of a run that has not ended, how far it is and the command that shows or makes more of it."""
    reason = str(facts.get("stop_reason") or "")
    where = shlex.quote(folder)
    if reason in _ENDED:
        word, why = _ENDED[reason]
        command = f"nas resume {where}" if word == "interrupted" else ""
        far = _far(facts, search) if word != "finished" else ""
        return {"word": word, "why": why, "kind": word, "far": far, "command": command, "does": "goes on with it"}
    at_work = writer(store) if store is not None else ""
    if at_work:
        return {
            "word": "still going",
            "why": f"{at_work} is writing it",
            "kind": "going",
            "far": _far(facts, search),
            "command": f"nas report {where}",
            "does": "writes this page anew, with what there is by then; reload it afterwards",
        }
    return {
        "word": "not ended",
        "why": "no process on this machine is writing it: it was stopped, or runs elsewhere",
        "kind": "not-ended",
        "far": _far(facts, search),
        "command": f"nas resume {where}",
        "does": f"goes on with it; if it runs elsewhere, nas report {where} writes this page anew",
    }


def _far(facts: Mapping[str, Any], search: Sequence[Row]) -> str:
    """`31 of 48 trials have ended, 2 min 3 s of at most 1 h 00 min are used`, as far as it was planned."""
    recipe = facts.get("recipe")
    budget = recipe.get("budget") if isinstance(recipe, Mapping) else None
    planned: Mapping[str, Any] = budget if isinstance(budget, Mapping) else {}
    trials, hours = planned.get("trials"), planned.get("hours")
    ended = f"{len(search):,} of {trials:,} trials have ended" if isinstance(trials, int) else ""
    ended = ended or f"{len(search):,} trial{'' if len(search) == 1 else 's'} ended so far"
    seconds = facts.get("seconds")
    if isinstance(hours, int | float):
        ended += f", {clock(float(seconds or 0))} of at most {clock(3600 * hours)} are used"
    return ended
