"""Finalists: which trials are evaluated again, with which budget, and whether that goes on from what was spent.

A number from a continuation is not the number from scratch: the evaluation key of a continued finalist holds that of
the evaluation it goes on from. Where there is nothing to go on from, this is said, and the finalist begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from nas.core.errors import RecipeError, nearest
from nas.core.keys import evaluation_key
from nas.core.records import Budget, Objective, Status, Trial, losses
from nas.core.roles import FROM_SCRATCH, TRIALS, Evaluator
from nas.engine import faults
from nas.engine.pareto import by_front
from nas.engine.reuse import Flight
from nas.engine.weights import Weights, has_checkpoint

Start = Literal["scratch", "checkpoint"]
STARTS: tuple[str, ...] = get_args(Start)
"""Where a finalist begins: anew, or where the largest smaller budget of the same candidate ended."""

CONTINUED = "continued_from"
"""The note of a finalist that was continued: the trial whose evaluation it goes on from."""


class Again(NamedTuple):
    """How many of the best trials are evaluated again, with which budget, and from where."""

    top: int
    budget: Budget
    start: str = "scratch"

    @property
    def continues(self) -> bool:
        return self.start == "checkpoint"


def check_start(start: str, evaluator: Evaluator) -> None:
    """Raises RecipeError for a start that is none, or that the evaluator cannot make."""
    if start not in STARTS:
        raise RecipeError(f"finalists: start is {start!r}; {nearest(start, STARTS)}")
    able = getattr(evaluator, "continues", False) and getattr(evaluator, "writes_files", False)
    if start == "checkpoint" and not able:
        raise RecipeError(
            f"finalists: start is 'checkpoint', but evaluator {faults.name(evaluator)} does not go on from an earlier "
            "evaluation; leave start out, or use one that says continues = True, as 'train' does"
        )


class Earlier(NamedTuple):
    """What a finalist may go on from. trial: its id, with its run where that is another."""

    trial: int | str
    folder: Path
    spent: Budget
    key: str


@dataclass(slots=True)
class Final(Flight):
    """A finalist between being chosen and being recorded. scratch: its evaluation key if it begins anew."""

    earlier: Earlier | None = None
    scratch: str = ""


class Finals:
    """Chooses finalists, and what each goes on from.

    fingerprint: of the evaluator. seed: of every finalist. weights: what is on disk; None where nothing is.
    remark: is told why a finalist that was to be continued is not.
    """

    def __init__(
        self,
        again: Again,
        fingerprint: str,
        seed: int,
        weights: Weights | None,
        remark: Callable[[str], None] | None = None,
    ) -> None:
        self._again, self._fingerprint, self._seed = again, fingerprint, seed
        self._weights, self._remark = weights, remark
        self._paid: dict[str, list[Trial]] = {}  # by graph key

    def learn(self, trial: Trial) -> None:
        """Take in a trial that may have left a checkpoint: complete, and evaluated by this run or by another."""
        if self._again.continues and trial.complete and (trial.source == "evaluated" or trial.origin):
            self._paid.setdefault(trial.keys["graph"], []).append(trial)

    def flights(
        self, complete: Iterable[Trial], final: Collection[Trial], objectives: Sequence[Objective]
    ) -> Iterator[Final]:
        """The finalists that are not among those evaluated before, `final`, as flights that lack their ids and costs.

        The best are those of the front by the first objective, then those that are on the front without it, and so on.
        """
        trials = sorted(complete, key=lambda trial: trial.id)
        ranked = by_front([losses(trial, objectives) for trial in trials])
        for trial in (trials[place] for place in ranked[: self._again.top]):
            flight = self._flight(trial, final)
            if flight is not None:
                yield flight

    def _flight(self, trial: Trial, final: Collection[Trial]) -> Final | None:
        graph, budget = trial.keys["graph"], self._again.budget
        scratch = key = self._key(graph, "finalist")
        earlier, why_not = self._earlier(trial, final) if self._again.continues else (None, "")
        if earlier is not None:
            key = self._key(graph, f"finalist after {earlier.key}")
        if any(self._is_it(other, trial, scratch, earlier) for other in final):
            return None
        if why_not:
            self._say(trial.id, why_not)
        keys = {"decisions": trial.keys["decisions"], "graph": graph, "evaluation": key}
        return Final(-1, -1, trial.candidate, budget, keys, {}, self._seed, "finalist", trial.id, earlier, scratch)

    def _is_it(self, other: Trial, trial: Trial, scratch: str, earlier: Earlier | None) -> bool:
        """Whether a finalist is the one that is wanted of a trial. One that was continued stays so when files go."""
        if other.of != trial.id or other.budget != self._again.budget:
            return False
        anew = other.keys["evaluation"] == scratch
        return not anew or earlier is None or _refused(other) if self._again.continues else anew

    def _key(self, graph: str, stage: str) -> str:
        return evaluation_key(graph, self._fingerprint, self._again.budget, self._seed, stage)

    def settled(self, flight: Final, trial: Trial) -> Trial:
        """A finalist's trial with what it went on from in its notes; one that began anew after all has that key."""
        if flight.earlier is None or trial.measurement is None or trial.status is Status.PRUNED:
            return trial
        notes = trial.measurement.notes
        if FROM_SCRATCH in notes:
            assert flight.of is not None
            self._say(flight.of, f"the checkpoint of trial {flight.earlier.trial} is of no use: {notes[FROM_SCRATCH]}")
            return replace(trial, keys={**trial.keys, "evaluation": flight.scratch})
        noted = {**notes, CONTINUED: flight.earlier.trial, "spent_before": str(flight.earlier.spent)}
        return replace(trial, measurement=replace(trial.measurement, notes=noted))

    # ---- what there is to go on from ---------------------------------------------------------------------------------

    def _earlier(self, trial: Trial, final: Iterable[Trial]) -> tuple[Earlier | None, str]:
        """What a finalist of a trial goes on from, or None and why there is nothing."""
        wanted, graph = self._again.budget, trial.keys["graph"]
        again = [other for other in final if other.complete and other.keys["graph"] == graph]
        same = [other for other in [*self._paid.get(graph, []), *again] if _same_network(other, trial)]
        if not same:
            return None, "its numbers are those of an equal network of another run, whose layers may have other names"
        less = [other for other in same if other.budget.unit != wanted.unit or other.budget.amount < wanted.amount]
        if not less:
            return None, f"the {same[0].budget} that it had are no less than the {wanted} of a finalist"
        there = [(other, folder) for other in less if (folder := self._folder(other)) is not None]
        if not there:
            return None, "its checkpoint is not there (any more)"
        best, folder = max(
            there, key=lambda pair: (pair[0].budget.unit == wanted.unit, pair[0].budget.amount, -pair[0].id)
        )
        shown = f"{best.reuses} of {best.origin}" if best.origin else best.id
        return Earlier(shown, folder, best.budget, best.keys["evaluation"]), ""

    def _folder(self, trial: Trial) -> Path | None:
        """Where the checkpoint of a trial is, in this run or in the one that shared its measurement."""
        if trial.origin:
            folder = Path(trial.origin) / TRIALS / str(trial.reuses)
            return folder if has_checkpoint(folder) else None
        return self._weights.checkpoint(trial.id) if self._weights is not None else None

    def _say(self, trial_id: int, why: str) -> None:
        if self._remark is not None:
            self._remark(f"the finalist of trial {trial_id} is trained from scratch: {why}")


def _refused(trial: Trial) -> bool:
    """Whether a finalist was to go on from a checkpoint that turned out to be of no use."""
    return trial.measurement is not None and FROM_SCRATCH in trial.measurement.notes


def _same_network(other: Trial, trial: Trial) -> bool:
    """Whether weights of one are weights of the other: graphs with one key may give their nodes other names.

    Of what another run evaluated, the decisions say so.
    """
    return other.candidate.graph == trial.candidate.graph and (not other.origin or other.hit == "decisions")
