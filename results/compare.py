"""Runs side by side: what each found, what it paid for that, and what reaching the same quality took."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray

from nas.core.errors import RecipeError, StoreError
from nas.core.records import Objective, Trial
from nas.core.roles import PREPARATION
from results.analysis.comparable import cautions
from results.analysis.progress import Way, paid
from results.front import Front, reference_of, volume_of
from results.run import Run

Losses = NDArray[np.float64]


@dataclass(frozen=True)
class Reached:
    """What it took a run to get as far as the weakest one did in the end: trials, seconds paid, and at which trial."""

    trials: int
    seconds: float
    trial: int


@dataclass(frozen=True)
class Compared:
    """One run. Seconds are those of evaluations that were paid for, and of what was prepared before them.

    best: the best value of the first objective, and `best_trial` which one has it. hypervolume: against the reference
    point that all runs share; `share` of that of all runs together. joint, joint_share: how many networks of the front
    of all runs together are of this one, and which part of it.
    same_hypervolume, same_best: what reaching those of the weakest run took; the first is None with one objective.
    """

    name: str
    folder: str
    strategy: str
    seed: int | None
    ended: bool
    trials: int
    complete: int
    seconds: float
    prepared_seconds: float
    best: float
    best_trial: int
    front: int
    hypervolume: float | None
    share: float | None
    joint: int
    joint_share: float
    same_hypervolume: Reached | None
    same_best: Reached
    way: Way = field(repr=False, compare=False)
    points: Front[Trial] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Comparison:
    """Runs with the same objectives, in the order in which they were given.

    reference: the point that hypervolumes are measured against, in the metrics' own units. level: the hypervolume (None
    with one objective) and the best first objective of the weakest run. cautions: what makes numbers incomparable.
    """

    runs: tuple[Compared, ...]
    objectives: tuple[Objective, ...]
    reference: Mapping[str, float]
    hypervolume: float | None
    level: Mapping[str, float | None]
    cautions: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """As JSON takes it."""
        left_out = ("way", "points")
        runs = []
        for run in self.runs:
            shown = {key: value for key, value in vars(run).items() if key not in left_out}
            for key in ("same_hypervolume", "same_best"):
                shown[key] = asdict(shown[key]) if shown[key] is not None else None
            runs.append(shown)
        return {
            "objectives": [{"name": o.name, "direction": o.direction, "unit": o.unit} for o in self.objectives],
            "runs": runs,
            "reference": dict(self.reference),
            "joint_hypervolume": self.hypervolume,
            "level": dict(self.level),
            "cautions": list(self.cautions),
        }


def compare(runs: Sequence[Run | str | os.PathLike[str]]) -> Comparison:
    """Compare runs, ended or still going, by what their search trials found.

    The reference point is that of all runs' complete trials together, by the rule of `results.front`. The same quality
    is that of the weakest run's end: the hypervolume, and the best value of the first objective, which every run has
    reached; said is when.

    runs: at least two, open ones or folders.

    Raises: RecipeError for fewer than two, for one that is given twice, and where objectives differ; StoreError for a
        folder without a run, and for a run of which no trial is complete.
    """
    if len(runs) < 2:
        given = "one run" if runs else "no run"
        raise RecipeError(f"{given} to compare; expected two or more, as in: nas compare runs/a runs/b")
    with contextlib.ExitStack() as stack:
        return _compare([run if isinstance(run, Run) else stack.enter_context(Run(run)) for run in runs])


def _compare(runs: Sequence[Run]) -> Comparison:
    names = _names(runs)
    objectives = _objectives(runs, names)
    searches = [[row for row in run.rows if row.stage == "search"] for run in runs]
    fronts: list[Front[Any]] = [Front(search, objectives) for search in searches]
    for name, run, front in zip(names, runs, fronts, strict=True):
        if not len(front):
            raise StoreError(
                f"{name}: no trial is complete yet ({len(run.rows)} ended), so there is nothing to compare"
            )
    ways = [Way.of(search, front) for search, front in zip(searches, fronts, strict=True)]
    reference = reference_of(np.concatenate([way.losses for way in ways]))
    volumes = [volume_of(front.losses, reference) for front in fronts]
    joint = _joint(fronts)
    all_ = np.concatenate([front.losses[keep] for front, keep in zip(fronts, joint, strict=True)])
    whole = volume_of(all_, reference)
    known = [volume for volume in volumes if volume is not None]  # all of them where the whole is a number
    volume = min(known) if len(objectives) > 1 and whole is not None else None
    loss = max(float(front.losses[0, 0]) for front in fronts)
    signs = np.array([-1.0 if objective.direction == "max" else 1.0 for objective in objectives])
    found = []
    for place, (run, front, way) in enumerate(zip(runs, fronts, ways, strict=True)):
        facts = run.facts
        before = float((facts.get(PREPARATION) or [{}])[-1].get("seconds", 0.0))
        enough = way.reaches(volume, reference) if volume is not None else None
        found.append(
            Compared(
                name=names[place],
                folder=str(run.folder or run.store.url),
                strategy=str(facts.get("strategy") or ""),
                seed=facts.get("seed"),
                ended=bool(facts.get("stop_reason")),
                trials=len(searches[place]),
                complete=len(way),
                seconds=sum(map(paid, searches[place])) + before,
                prepared_seconds=before,
                best=float(front.values[0, 0]),
                best_trial=front.ids[0],
                front=len(front),
                hypervolume=volumes[place],
                share=(volumes[place] or 0.0) / whole if whole else None if whole is None else 1.0,
                joint=int(joint[place].sum()),
                joint_share=float(joint[place].sum() / len(all_)),
                same_hypervolume=_reached(way, enough, before) if enough is not None else None,
                same_best=_reached(way, way.gets(loss), before),
                way=way,
                points=front,
            )
        )
    return Comparison(
        tuple(found),
        objectives,
        {o.name: float(value) for o, value in zip(objectives, reference * signs, strict=True)},
        whole,
        {"hypervolume": volume, "best": float(loss * signs[0]) + 0.0},
        tuple(cautions([run.facts for run in runs], names, objectives)),
    )


def _reached(way: Way, place: int | None, before: float) -> Reached:
    assert place is not None  # every run reaches what the weakest did
    return Reached(int(way.trials[place]), float(way.seconds[place]) + before, int(way.ids[place]))


def _joint(fronts: Sequence[Front[Any]]) -> list[NDArray[np.bool_]]:
    """Which trials of each front nothing of any other dominates; those with equal values all stay."""
    losses = np.concatenate([front.losses for front in fronts])
    keep = np.asarray(moocore.is_nondominated(losses, keep_weakly=True))
    return np.split(keep, np.cumsum([len(front) for front in fronts])[:-1])


# ---- which runs ------------------------------------------------------------------------------------


def _names(runs: Sequence[Run]) -> list[str]:
    """The last parts of the runs' paths, as many as it takes to tell them apart. Raises RecipeError for a run twice."""
    paths = [Path(run.folder).resolve() if run.folder is not None else Path(str(run.store.url)) for run in runs]
    seen: dict[tuple[Path, str], Run] = {}
    for path, run in zip(paths, runs, strict=True):
        key = (path, run.store.run_name)
        if key in seen:
            raise RecipeError(f"the run {path} is given twice; expected different runs")
        seen[key] = run
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        names = [str(Path(*path.parts[-parts:])) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{path} {run.store.run_name}" for path, run in zip(paths, runs, strict=True)]


def _objectives(runs: Sequence[Run], names: Sequence[str]) -> tuple[Objective, ...]:
    """Those of the first run. Raises RecipeError where another run has others."""
    goals = [run.objectives for run in runs]
    for place, each in enumerate(goals):
        if not each:
            raise StoreError(f"{names[place]} has no objectives: it was stopped before it began; start it again")
        if {(o.name, o.direction) for o in each} != {(o.name, o.direction) for o in goals[0]}:
            said = [", ".join(f"{o.direction} {o.name}" for o in goals[which]) for which in (0, place)]
            raise RecipeError(
                f"{names[0]} searched for {said[0]}, {names[place]} for {said[1]}; only runs with the same objectives "
                "can be compared"
            )
    return goals[0]
