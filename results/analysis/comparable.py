"""What makes the numbers of runs incomparable, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nas.core.records import Objective
from results.units import together

_MATTERS = {
    "space": "what could be found differs",
    "data": "numbers measured on different data cannot be compared",
    "evaluator": "numbers were not measured in the same way",
    "constraints": "what one keeps the other may refuse",
    "costs": "costs were not measured in the same way",
}
"""Keys of a recipe that make numbers incomparable where they differ, and why."""

MEASURED = ("latency_ms", "train_seconds")
"""Metrics that depend on the machine."""


def cautions(facts: Sequence[Mapping[str, Any]], names: Sequence[str], objectives: Sequence[Objective]) -> list[str]:
    """One line for each thing that differs between runs and should not, each run beside the first.

    facts: of the runs, as `Run.facts`. names: what the runs are called.
    """
    found: dict[str, None] = {}
    for place in range(1, len(facts)):
        first, other = facts[0], facts[place]
        recipes = [_mapping(each.get("recipe")) for each in (first, other)]
        for key, why in _MATTERS.items():
            one, two = (_flat(_spelled(recipe.get(key)), key) for recipe in recipes)
            differing = [name for name in dict.fromkeys([*one, *two]) if one.get(name) != two.get(name)]
            if f"{key}.name" in differing:  # of another part, fields say nothing more
                differing = [f"{key}.name"]
            if differing:
                shown = [f"{n} {one.get(n, 'not set')} / {two.get(n, 'not set')}" for n in differing[:3]]
                more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
                found[f"{names[0]} and {names[place]} differ in {together(shown)}{more}: {why}"] = None
        if first.get("space") != other.get("space") and recipes[0].get("space") == recipes[1].get("space"):
            found[f"{names[0]} and {names[place]} were made with another version of the space"] = None
        timed = [objective.name for objective in objectives if objective.name in MEASURED]
        if timed and first.get("machine") != other.get("machine"):
            found[f"{names[0]} and {names[place]} ran on different machines, and {together(timed)} depends on it"] = (
                None
            )
    return list(found)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _spelled(part: Any) -> Any:
    """A part that is given by its name alone, as the mapping that it stands for."""
    return {"name": part} if isinstance(part, str) else part


def _flat(value: Any, key: str) -> dict[str, str]:
    """`{"evaluator.epochs": "4"}`: what a part of a recipe says, one entry per field."""
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for name, inner in value.items():
            found |= _flat(inner, f"{key}.{name}")
        return found
    return {} if value is None else {key: json.dumps(value, default=str, ensure_ascii=False)}
