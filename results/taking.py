"""A trial's network on its way out of a run: what an export needs to know of it, found and checked before any work."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.core.errors import ExportError, StoreError
from nas.core.records import Trial
from nas.core.roles import INHERITED
from results.export import Examples, Exported, Proof, export, ready, target
from results.export.formats import accepted
from results.rows import Row
from results.units import unit_of

if TYPE_CHECKING:
    from torch import Tensor

    from results.run import Run


@dataclass(frozen=True)
class Taking:
    """A request to export that was found right. `write` does it.

    trial: the one whose network it is. weights: its state dict, None where there is none and `untrained` was said.
    proofs: how far the network is from the supernet that it was taken out of.
    """

    trial: Trial
    inputs: Mapping[str, Any]
    weights: Mapping[str, Tensor] | None
    about: Mapping[str, Any]
    to: Path
    formats: tuple[str, ...] | None
    fusing: Mapping[str, bool]
    replace: bool = False
    proofs: tuple[Proof, ...] = ()
    notes: tuple[str, ...] = ()

    def write(self, examples: Examples | Sequence[Tensor] | Tensor | None = None) -> Exported:
        """Write and prove the export. Raises ExportError."""
        made = export(
            self.trial.candidate.graph, self.inputs, self.weights, self.to, self.about, examples,
            formats=self.formats, proofs=self.proofs, replace=self.replace, **self.fusing,
        )  # fmt: skip
        return dataclasses.replace(made, notes=(*made.notes, *self.notes))


def taking(
    run: Run,
    trial: Trial | Row | int,
    to: str | PathLike[str],
    *,
    untrained: bool = False,
    formats: Iterable[str] | str | None = None,
    fold_norms: bool = False,
    merge_branches: bool = False,
    replace: bool = False,
) -> Taking:
    """What `Run.export` is asked for, checked. Raises as it does, but for what only writing can tell."""
    wanted = trial.id if isinstance(trial, Trial | Row) else trial
    if isinstance(wanted, bool) or not isinstance(wanted, int):
        raise ExportError(f"{run}: trial {trial!r} cannot be exported; expected its number, such as 0, or a trial")
    if not isinstance(to, str | PathLike):
        raise ExportError(f"{run}: the folder to export to is {to!r}; expected a path")
    whole, inputs = run.trial(wanted), run.inputs
    if inputs is None:
        raise StoreError(f"{run} does not say what its networks take (the fact 'inputs'); it cannot be exported")
    if formats is not None:
        formats, _ = ready(formats)
    folder = target(Path(to), replace)
    weights = run.weights(whole)
    if weights is None and not untrained:
        held = ", ".join(str(t.id) for t in run.front if run.weights_of(t) is not None)
        which = f"it has those of {held}" if held else "it has none"
        raise ExportError(
            f"{run.folder or run} kept no weights of trial {_spoken(whole)} ({which}); "
            "say untrained (nas export … --untrained) for the network with fresh weights"
        )
    about, notes = _about(run, whole), []
    if weights is None:
        notes.append(f"the weights are untrained: the run kept none of trial {_spoken(whole)}")
    if (about["data"].get("normalisation") or {}).get("mean"):
        notes.append("inputs are to be normalised as in the run: architecture.json, about.data.normalisation")
    proofs = _inherited(run, whole)
    for proof in proofs:
        proof.check()
    fusing = {"fold_norms": fold_norms, "merge_branches": merge_branches}
    return Taking(whole, inputs, weights, about, folder, formats, fusing, replace, proofs, tuple(notes))


def _about(run: Run, trial: Trial) -> dict[str, Any]:
    """Where a network comes from, and what is known of it."""
    facts = run.facts
    noted = facts.get("data")
    data: Mapping[str, Any] = noted if isinstance(noted, Mapping) else {}
    name = run.folder.name if run.folder is not None else run.store.run_name
    first = trial.id if trial.of is None else trial.of
    return {
        "title": facts.get("name", ""),
        "run": name,
        "trial": trial.id if trial.of is None else _spoken(trial),
        "again": f"nas export {name} {first} --to FOLDER",
        "stage": trial.stage,
        "decisions": trial.candidate.decisions,
        "metrics": _in_order(trial.metrics, [objective.name for objective in run.objectives]),
        "units": {objective.name: objective.unit for objective in run.objectives if objective.unit},
        "data": {name: data[name] for name in ("name", "classes", "class_names", "normalisation") if name in data},
    }


def _in_order(metrics: Mapping[str, float], goals: Sequence[str]) -> dict[str, float]:
    """Metrics as people look for them: goals first, what memory it needs last.

    >>> _in_order({"train_memory_bytes": 9, "train_loss": 0.5, "val_accuracy": 90}, ["val_accuracy", "params"])
    {'val_accuracy': 90, 'train_loss': 0.5, 'train_memory_bytes': 9}
    """

    def rank(name: str) -> int:
        return goals.index(name) if name in goals else len(goals) + (unit_of(name) == "bytes")

    return {name: metrics[name] for name in sorted(metrics, key=rank)}


def _spoken(trial: Trial) -> str:
    """A trial's number, and that of the trial of the search which it is: the one that people ask for."""
    return str(trial.id) if trial.of is None else f"{trial.of}, trained again as {trial.id}"


def _inherited(run: Run, trial: Trial) -> tuple[Proof, ...]:
    """How far a network is from the supernet that its weights come from, where that was measured."""
    weights = run.weights_of(trial)
    path = weights.with_name(INHERITED) if weights is not None else None
    if path is None or not path.is_file():
        return ()
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        gaps = float(known["max_abs_difference"]), float(known["max_rel_difference"])
        return (Proof("supernet", *gaps, accepted("supernet"), (int(known["examples"]),)),)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged ({type(error).__name__}: {error}); delete it to export without") from error
