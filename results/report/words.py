"""What a report says in words: the title, the paragraph at its top, and what made the run.

Facts are what the roof noted; a fact that is missing leaves its words out.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nas.core.records import Objective, Status, Trial
from results.front import NO_VOLUME, Front
from results.rows import Row
from results.units import clock, count, label, together, written


def title_of(facts: Mapping[str, Any], folder: str) -> str:
    recipe = facts.get("recipe")
    named = facts.get("name") or (recipe.get("name") if isinstance(recipe, Mapping) else None)
    return str(named or folder.rstrip("/").rpartition("/")[2] or "a search")


def summary_of(
    facts: Mapping[str, Any],
    search: Sequence[Row],
    front: Front[Trial],
    shown: Sequence[Row],
    units: Mapping[str, str],
) -> str:
    """One paragraph: what was searched, for what, on what, with what outcome."""
    goals = together([f"{'high' if o.direction == 'max' else 'low'} {o.name}" for o in front.objectives])
    space, size = _space(facts)
    where = f" in the space {space}" if space else ""
    where += f" of {count(size)} networks" if size else ""
    by = _name(facts.get("strategy"), facts, "strategy")
    data = _data_line(facts.get("data"))
    what = f"{f'The strategy {by}' if by else 'A search'} looked for {goals}{where}"
    first = f"{what}, measured on {data}." if data else f"{what}."
    tally = Counter(row.status for row in search)
    cached = sum(row.source == "cache" for row in search)
    seconds = facts.get("seconds")
    complete = f"{tally[Status.COMPLETE]:,} of {len(search):,} trials are complete"
    complete += f" ({cached:,} of all took their numbers from an equal network)" if cached else ""
    complete += f" after {clock(float(seconds))}" if seconds else ""
    return f"{first} {complete}. {_front_line(front, shown, units)}"


def _front_line(front: Front[Trial], shown: Sequence[Row], units: Mapping[str, str]) -> str:
    if not shown:
        return "There is no front yet: no trial is complete."
    first, last, objectives = shown[0].metrics, shown[-1].metrics, front.objectives
    best = [written(o.name, first[o.name], units) + f" {o.name}" for o in objectives]
    if len(shown) == 1:
        return f"One network is best: trial {shown[0].id}, with {together(best)}."
    if len(objectives) == 1:
        return f"{len(shown)} networks share the best value, {best[0]}."
    ends = [written(o.name, last[o.name], units) + f" {o.name}" for o in objectives]
    return (
        f"{len(shown):,} networks are on the front: nothing beats them in every goal. They reach from {together(best)} "
        f"(trial {shown[0].id}) to {together(ends)} (trial {shown[-1].id})."
    )


def _name(given: Any, facts: Mapping[str, Any], key: str) -> str:
    """A part's name: as noted, or as the recipe says it."""
    recipe = facts.get("recipe")
    spec = given if given is not None else recipe.get(key) if isinstance(recipe, Mapping) else None
    return str(spec.get("name", "")) if isinstance(spec, Mapping) else str(spec or "")


def _space(facts: Mapping[str, Any]) -> tuple[str, str]:
    space = facts.get("space")
    if isinstance(space, Mapping):
        return str(space.get("name", "")), str(space.get("size", ""))
    return _name(facts.get("space_name"), facts, "space"), str(facts.get("space_size") or "")


def _data_line(data: Any) -> str:
    """`digits (1,437 + 360 images of 1×8×8, 10 classes)`, as far as it is known."""
    if not isinstance(data, Mapping):
        return str(data or "")
    counts = data.get("counts")
    parts = []
    if isinstance(counts, Mapping):
        parts.append(", ".join(f"{int(number):,} {split}" for split, number in counts.items() if number))
    inputs = data.get("inputs")
    if isinstance(inputs, Mapping):
        parts += ["×".join(map(str, spec["shape"])) for spec in inputs.values() if isinstance(spec, Mapping)]
    classes = data.get("classes")
    if isinstance(classes, int | str):
        parts.append(f"{classes} classes")
    elif isinstance(classes, Mapping):
        parts += [f"{number} classes" if len(classes) == 1 else f"{name}: {number}" for name, number in classes.items()]
    return f"{data.get('name', 'data')} ({'; '.join(parts)})" if parts else str(data.get("name", "data"))


def goal(objective: Objective, units: Mapping[str, str]) -> dict[str, str]:
    """An objective as the page names it."""
    return {"name": objective.name, "direction": objective.direction, "label": label(objective.name, units)}


def hypervolume_line(front: Front[Trial], units: Mapping[str, str]) -> str:
    """The hypervolume and what it is measured against; '' where it says no more than the best value."""
    if front.reference is None or len(front.objectives) == 1:
        return ""
    if front.hypervolume is None:
        return f"{NO_VOLUME[0].upper()}{NO_VOLUME[1:]}."
    point = ", ".join(f"{name} {written(name, value, units)}" for name, value in front.reference.items())
    return (
        f"Hypervolume {front.hypervolume:.6g}, against the reference point ({point}): the worst value of all complete "
        "trials in each goal, widened by 10 % of the range."
    )


def made_of(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Facts in the order in which one asks for them."""
    space, size = _space(facts)
    recipe = facts.get("recipe") if isinstance(facts.get("recipe"), Mapping) else {}
    seed = facts.get("seed", recipe.get("seed") if isinstance(recipe, Mapping) else None)
    given = facts.get("command")
    data = facts.get("data")
    how = data.get("how") if isinstance(data, Mapping) else None
    rows = [
        ("begun", str(facts.get("started") or facts.get("created") or "")),
        ("command", shlex.join(map(str, given)) if isinstance(given, list) else str(given or "")),
        ("in the folder", str(facts.get("directory") or "")),
        ("seed", "" if seed is None else str(seed)),
        ("space", f"{space}, {count(size)} networks" if size else space),
        ("data", _data_line(data)),
        ("", "; ".join(map(str, how)) if isinstance(how, list) else ""),
        ("evaluator", _name(facts.get("evaluator"), facts, "evaluator")),
        ("strategy", _name(facts.get("strategy"), facts, "strategy")),
        ("constraints", "; ".join(map(str, facts.get("constraints") or []))),
        ("versions", _pairs(facts.get("versions"))),
        ("machine", _pairs(facts.get("machine"))),
        ("commit", str(facts.get("commit") or "")),
    ]
    return [(name, text) for name, text in rows if text]


def again_of(facts: Mapping[str, Any], folder: str, *, has_folder: bool) -> list[dict[str, str]]:
    """Commands that make the same run again, or more of it, each with what it does."""
    if not has_folder or facts.get("recipe") is None:
        return []
    where = shlex.quote(folder)
    plain = folder.rstrip("/")
    again = "again" if plain == "." else f"{plain}-again"
    commit = str(facts.get("commit") or "")
    versions = facts.get("versions")
    rows = [
        (f"git checkout {commit}", "the version of Espalier that ran") if commit else ("", ""),
        (f"nas search {shlex.quote(f'{plain}/recipe.yaml')} --out {shlex.quote(again)}",
         "the same search anew: the same recipe and seed give the same trials"
         + (", with the versions above" if versions else "")),
        (f"nas resume {where}", "go on where it stopped, or with --set budget.trials=… make it longer"),
        (f"nas front {where}", "the front as a table; --json for scripts"),
        (f"nas report {where} --figures", "this page anew, and the front as PNG, SVG and PDF"),
    ]  # fmt: skip
    return [{"command": command, "does": does} for command, does in rows if command]


def _pairs(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {text}" for name, text in value.items())
    return str(value or "")


def recipe_of(facts: Mapping[str, Any]) -> str:
    if facts.get("recipe") is None:
        return ""
    import yaml

    return str(yaml.safe_dump(facts["recipe"], sort_keys=False, allow_unicode=True, default_flow_style=None))
