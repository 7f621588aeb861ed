"""What was paid for, and what an equal candidate gets of it.

Candidates are one class when they have one functional key or, where that is not used, one graph key. The proposals of a
class are dealt with one after the other, in the order in which they were made, and each one waits until the one before
it has ended. So what a proposal gets depends on the proposals before it, not on which evaluation ended first, and
replaying recorded trials in their order leads to the same state.

    evaluations of the class     a proposal is                    and is told
    none                         a miss: evaluated                its own numbers
    fewer than `aggregate`       a partial hit: evaluated too     the mean of all so far
    `aggregate`                  a full hit: taken from there     that mean

Reference: Gillard et al. 2023, Unified Functional Hashing, arXiv:2302.05433, the functional equivalence cache. Differs:
each evaluation keeps its own numbers and time beside the mean; an evaluation that broke does not count; with exact keys
alone the classes are those of the graph; a bound that was broken ends a class's evaluations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum

from nas.core.errors import RecipeError, StoreError
from nas.core.keys import evaluation_key
from nas.core.records import Budget, Candidate, Constraint, Known, Measurement, Objective, Status, Trial
from nas.core.roles import Cache, Evaluator
from nas.core.seeds import derive, generator
from nas.engine.checks import whole
from nas.engine.feasibility import verdict
from nas.engine.identity import Identity

OWN, EVALUATIONS = "own", "evaluations"
"""Notes of a measurement that is a mean: the trial's own metrics, and of how many evaluations it is."""


@dataclass(frozen=True)
class Reuse:
    """When a candidate counts as known.

    functional: also by what it does on a probe, not by its graph alone.
    aggregate: evaluations of one class whose mean is told, each with a seed of its own.
    forget: the probability that a class that has all its evaluations is forgotten when they are used.

    Raises: RecipeError for numbers that cannot be.
    """

    functional: bool = False
    aggregate: int = 1
    forget: float = 0.0

    def __post_init__(self) -> None:
        expected = whole(self.aggregate, 1)
        if expected:
            raise RecipeError(f"aggregate is {self.aggregate!r}; {expected}")
        number = isinstance(self.forget, int | float) and not isinstance(self.forget, bool)
        if not number or not 0 <= self.forget <= 1:
            raise RecipeError(f"forget is {self.forget!r}; expected a probability, from 0 to 1")


@dataclass(slots=True)
class Flight:
    """A trial between being asked and being recorded. number: how many search trials were asked before it."""

    id: int
    number: int
    candidate: Candidate
    budget: Budget
    keys: Mapping[str, str]
    costs: Mapping[str, float]
    seed: int = 0
    stage: str = "search"
    of: int | None = None


@dataclass(slots=True)
class Told:
    """What a flight gets without an evaluation."""

    status: Status
    reason: str
    measurement: Measurement
    hit: str
    known: Known


@dataclass(slots=True)
class _Class:
    """What is known of candidates that count as equal.

    paid: those that count now. ever: how many were ever made or taken, forgotten ones too. refused: those that broke a
    bound after others had not. busy: one is being evaluated. queue: proposals that wait for it.
    """

    paid: list[Known] = field(default_factory=list)
    ever: int = 0
    refused: int = 0
    busy: bool = False
    queue: deque[Flight] | None = None
    seen: set[str] = field(default_factory=set)

    def full(self, aggregate: int) -> bool:
        if not self.paid:
            return False
        return len(self.paid) + self.refused >= aggregate or self.paid[0].status is Status.INFEASIBLE

    def kind(self, keys: Mapping[str, str]) -> str:
        """The cheapest kind of key by which a candidate was seen before in this class."""
        if keys["decisions"] in self.seen:
            return "decisions"
        return "graph" if keys["graph"] in self.seen else "functional"


class Classes:
    """Deals with proposals: each is submitted, or recorded with what is known.

    reuse: None when nothing is to be used twice. cache: what other runs share, if anything.
    submit, record: what is done with a flight. remark: is told, once, of a cache that breaks.
    """

    def __init__(
        self,
        reuse: Reuse | None,
        evaluator: Evaluator,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint],
        seed: int,
        *,
        identity: Identity,
        submit: Callable[[Flight], None],
        record: Callable[[Flight, Told], None],
        cache: Cache | None = None,
        run: str = "",
        remark: Callable[[str], None] | None = None,
    ) -> None:
        self._reuse = reuse or Reuse()
        self._off = reuse is None
        self._cache = None if self._off else cache
        self._run, self._seed = run, seed
        self._identity, self._submit, self._record, self._remark = identity, submit, record, remark
        self._fingerprint = evaluator.fingerprint()
        self._wanted = frozenset([o.name for o in objectives] + [c.name for c in constraints])
        self._constraints = tuple(constraints)
        self._of_function = functional_metrics(evaluator)
        self._needs = self._wanted - self._of_function  # a functional hit has these only as computed costs
        self._first_seed = derive(seed, "evaluate")
        self._classes: dict[str, _Class] = {}
        self._keys: dict[tuple[str, int, Budget], str] = {}

    # ---- keys ------------------------------------------------------------------------------------------------------

    def seed(self, number: int) -> int:
        """The seed of a class's evaluation; that of the first one is the same for all candidates."""
        return derive(self._seed, "evaluate", number) if number else self._first_seed

    def evaluation_key(self, key: str, budget: Budget, number: int = 0) -> str:
        """The key of a class's evaluation, by graph or by function."""
        asked = (key, number, budget)
        if asked not in self._keys:
            self._keys[asked] = evaluation_key(key, self._fingerprint, budget, self.seed(number))
        return self._keys[asked]

    def _class_of(self, keys: Mapping[str, str]) -> _Class:
        key = keys.get("functional") if self._reuse.functional else None
        return self._classes.setdefault(key or keys["graph"], _Class())

    # ---- proposals -------------------------------------------------------------------------------------------------

    def place(self, flight: Flight) -> None:
        """Deal with a proposal, at once or when the one before it in its class has ended."""
        if self._off:
            self._evaluate(flight, 0)
            return
        if self._reuse.functional and self._needs <= flight.costs.keys():
            if self._cache is not None and not self._identity.knows(flight.keys["graph"]):
                found = self._found(self._with_key(flight, 0))  # another run may have probed this network
                if found is not None:
                    self._identity.learn(found.keys)
            functional, reason = self._identity.functional(flight.candidate.graph, flight.keys["graph"])
            if functional:
                flight.keys = {**flight.keys, "functional": functional}
            elif reason:
                flight.keys = {**flight.keys, "unkeyed": reason}
        known = self._class_of(flight.keys)
        if known.busy:
            known.queue = known.queue or deque()
            known.queue.append(flight)
        else:
            self._deal(known, flight)

    def ended(self, flight: Flight, trial: Trial) -> Trial:
        """Take an evaluation into account; the trial as it is to be told."""
        if self._off:
            return trial
        known = self._class_of(flight.keys)
        if not _usable(trial):
            return trial
        assert trial.measurement is not None
        told = self._enter(known, trial, trial.measurement)
        if told is not trial.measurement:
            trial = replace(trial, measurement=told)
        return trial

    def share(self, flight: Flight, trial: Trial, raw: Measurement | None) -> None:
        """Give an evaluation to other runs, when it is recorded. raw: as the evaluator gave it."""
        if self._cache is None or raw is None or not _usable(trial):
            return
        keys = self._asked(flight, self._class_of(flight.keys).ever - 1)
        self._share(Known(keys, trial.status, trial.reason, raw, trial.id, self._run, trial.seconds))

    def go_on(self, flight: Flight) -> None:
        """Deal with the proposals that waited for this one, which is recorded now."""
        if self._off:
            return
        known = self._class_of(flight.keys)
        known.busy = False
        while known.queue and not known.busy:
            self._deal(known, known.queue.popleft())

    def replay(self, trial: Trial) -> None:
        """Take a trial that was recorded in an earlier session into account."""
        if self._off or "evaluation" not in trial.keys:
            return
        self._identity.learn(trial.keys)
        known = self._class_of(trial.keys)
        if trial.source == "cache" and not trial.origin:
            self._forget(known, trial.id)
        elif _usable(trial):
            assert trial.measurement is not None
            own = trial.measurement.notes.get(OWN)
            raw = replace(trial.measurement, metrics=own) if isinstance(own, Mapping) else trial.measurement
            self._enter(known, trial, raw)
        known.seen.update((trial.keys["decisions"], trial.keys["graph"]))

    # ---- what a proposal gets ----------------------------------------------------------------------------------------

    def _deal(self, known: _Class, flight: Flight) -> None:
        hit = known.kind(flight.keys)
        known.seen.update((flight.keys["decisions"], flight.keys["graph"]))
        if known.full(self._reuse.aggregate):
            last = known.paid[-1]
            flight.keys = self._with_key(flight, known.ever - 1)
            measurement = self._combined(known.paid, flight.keys["graph"], flight.costs)
            self._record(flight, Told(last.status, last.reason, measurement, hit, last))
            self._forget(known, flight.id)
            return
        taken = self._taken(known, flight) if self._cache is not None else None
        if taken is not None:
            self._record(flight, taken)
            return
        known.busy = True
        self._evaluate(flight, known.ever)

    def _evaluate(self, flight: Flight, number: int) -> None:
        flight.seed = self.seed(number)
        flight.keys = self._with_key(flight, number)
        self._submit(flight)

    def _with_key(self, flight: Flight, number: int) -> Mapping[str, str]:
        key = self.evaluation_key(flight.keys["graph"], flight.budget, number)
        return {**flight.keys, "evaluation": key}

    def _enter(self, known: _Class, trial: Trial, raw: Measurement) -> Measurement:
        """Count an evaluation in; what the trial is told."""
        known.ever += 1
        if trial.status is Status.INFEASIBLE and known.paid:
            known.refused += 1
            return raw
        id_ = trial.reuses if trial.origin and trial.reuses is not None else trial.id
        known.paid.append(Known(trial.keys, trial.status, trial.reason, raw, id_, trial.origin))
        if len(known.paid) == 1:
            return raw
        mean = self._combined(known.paid, trial.keys["graph"], {})
        return replace(mean, seconds=raw.seconds, curve=raw.curve, notes={**raw.notes, **mean.notes, OWN: raw.metrics})

    def _forget(self, known: _Class, trial_id: int) -> None:
        share = self._reuse.forget
        if share and generator(self._seed, "forget", trial_id).random() < share:
            known.paid, known.refused = [], 0

    def _combined(self, paid: Sequence[Known], graph: str, costs: Mapping[str, float]) -> Measurement:
        """What evaluations of a class say of a graph: means of what belongs to the function or was of this graph.

        costs: the graph's own, as computed; what else belongs to another graph is left out.
        """
        last = paid[-1]
        same = [known for known in paid if known.keys["graph"] == graph]
        if len(paid) == len(same) == 1:
            return last.measurement
        metrics = dict(costs)
        for name in dict.fromkeys(name for known in paid for name in known.measurement.metrics):
            of = paid if name in self._of_function else same
            values = [known.measurement.metrics[name] for known in of if name in known.measurement.metrics]
            if values:
                metrics[name] = values[0] if len(values) == 1 else fsum(values) / len(values)
        notes = dict(last.measurement.notes) if last in same else {}
        if len(paid) > 1:
            notes[EVALUATIONS] = len(paid)
        return replace(last.measurement, metrics=metrics, notes=notes)

    # ---- what other runs share ---------------------------------------------------------------------------------------

    def _asked(self, flight: Flight, number: int) -> dict[str, str]:
        """The keys by which a cache is asked."""
        keys = dict(self._with_key(flight, number))
        if "functional" in keys:
            keys["function"] = self.evaluation_key(keys["functional"], flight.budget, number)
        return keys

    def _taken(self, known: _Class, flight: Flight) -> Told | None:
        """What another run has paid for, judged by this run's own bounds; None when that does not do."""
        found = self._found(self._asked(flight, known.ever))
        if found is None:
            return None
        foreign = found.measurement
        if found.keys["graph"] == flight.keys["graph"]:
            mine = replace(foreign, metrics={**foreign.metrics, **flight.costs})  # what is computed here is not taken
            hit = "decisions" if found.keys["decisions"] == flight.keys["decisions"] else "graph"
        else:
            mine = self._combined([found], flight.keys["graph"], flight.costs)
            hit = "functional"
        status, reason = verdict(mine.metrics, self._wanted, self._constraints)
        if status is Status.FAILED:
            return None
        flight.keys = self._with_key(flight, known.ever)
        trial = Trial(
            flight.id, flight.candidate, status, flight.budget, mine, reuses=found.trial, reason=reason,
            keys=flight.keys, origin=found.run,
        )  # fmt: skip
        told = self._enter(known, trial, mine)
        return Told(status, reason, told, hit, replace(found, keys=flight.keys))

    def _found(self, keys: Mapping[str, str]) -> Known | None:
        assert self._cache is not None
        try:
            return self._cache.find(keys)
        except StoreError as error:
            self._leave(error)
            return None

    def _share(self, known: Known) -> None:
        assert self._cache is not None
        try:
            self._cache.add(known)
        except StoreError as error:
            self._leave(error)

    def _leave(self, error: StoreError) -> None:
        self._cache = None
        if self._remark is not None:
            self._remark(f"the shared cache is left aside for the rest of this session: {error}")


def functional_metrics(evaluator: Evaluator) -> frozenset[str]:
    """Names of the metrics that belong to the function a network computes, not to its graph."""
    metrics: Iterable[object] = evaluator.metrics()
    return frozenset(m.name for m in metrics if getattr(m, "of", "graph") == "function")  # type: ignore[attr-defined]


def _usable(trial: Trial) -> bool:
    """Whether a trial says something about equal candidates: an attempt that broke or was stopped early does not."""
    return trial.status in (Status.COMPLETE, Status.INFEASIBLE) and trial.measurement is not None
