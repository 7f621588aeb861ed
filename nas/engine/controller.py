"""The one loop: ask, see whether it can be, look up, evaluate, record, tell.

Trials are asked in the order of their ids and told in the same order, with a window: before trial t is asked, exactly
the trials up to t - lookahead have been told. So the order in which evaluations end does not matter, and the same
recipe and seed give the same trials on any number of workers. What has been measured is recorded at once; resuming runs
the same loop again, and what the store already holds is told instead of being evaluated.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace

from nas.core.errors import StoreError
from nas.core.records import Candidate, Measurement, Status, Trial, losses
from nas.core.roles import GATES, PREPARATION, PREPARED, Done, Job
from nas.core.seeds import derive
from nas.engine.asking import Asking, short
from nas.engine.clock import Clock
from nas.engine.feasibility import Feasibility, verdict
from nas.engine.finalists import Again, Final, Finals
from nas.engine.identity import Identity
from nas.engine.interrupts import Interrupts
from nas.engine.outcome import Event, Outcome
from nas.engine.reuse import Classes, Flight, Told
from nas.engine.settings import Settings
from nas.engine.weights import Weights

__all__ = ["Controller", "Event", "Outcome"]


class Controller(Settings):
    """A search, ready to run; `Settings` has its fields."""

    def run(self) -> Outcome:
        """Search until a limit is reached or somebody interrupts.

        Raises: StoreError when the store holds trials that this strategy does not propose. StrategyError when the
            strategy breaks, or proposes what is no candidate of the space.
        """
        with Interrupts() as interrupts:
            session = _Session(self, interrupts)
            try:
                self._prepare()
                self.executor.start(self.evaluator)
                interrupts.listen()  # Ray sets a handler of its own when it starts
                reason = session.search()
                if self.finalists is not None and reason != "failures":
                    session.retrain()
            except KeyboardInterrupt:
                reason = "interrupted"
            finally:
                self.executor.close()
            return session.end(reason)

    def _prepare(self) -> None:
        """Let the evaluator get ready, where it asks for it: before it is sent to workers, and anew on resume."""
        if getattr(self.evaluator, "prepares", False):
            assert self.folder is not None  # Settings checks it
            self.evaluator.prepare(  # type: ignore[attr-defined]
                self.folder / PREPARED, derive(self.seed, "prepare"), self.on_prepare
            )
            self.store.note(PREPARATION, [dict(row) for row in getattr(self.evaluator, "preparation", ())])
            self.store.note(GATES, getattr(self.evaluator, "gates", {}))
            for text in getattr(self.evaluator, "warnings", ()):
                if self.on_remark is not None:
                    self.on_remark(text)


@dataclass
class _Session:
    """One process's share of a run: what is in work, what is known, what was told."""

    plan: Settings
    interrupts: Interrupts
    flying: dict[int, Flight] = field(default_factory=dict)
    ended: dict[int, Trial] = field(default_factory=dict)
    complete: dict[str, Trial] = field(default_factory=dict)
    points: set[tuple[tuple[float, ...], str]] = field(default_factory=set)
    told: int = 0
    added: bool = False
    next_id: int = 0
    outcome: Outcome = field(default_factory=Outcome)

    def __post_init__(self) -> None:
        plan = self.plan
        self.identity = Identity(plan.space.inputs if plan.reuse is not None and plan.reuse.functional else None)
        facts = plan.store.facts()
        self.clock = Clock(plan.store, facts, self.identity.seconds)
        if plan.space is not None:
            self._check_space(facts.get("space"), plan.space.fingerprint())
        self.asking = Asking(plan.strategy, plan.space)
        self.recorded = {trial.id: trial for trial in plan.store.trials("search")}
        self.final = {trial.id: trial for trial in plan.store.trials("finalist")}
        self.feasibility = Feasibility(plan.cost, plan.constraints, plan.memory_bytes, self.identity)
        self.wanted = [o.name for o in plan.objectives] + [c.name for c in plan.constraints]
        self.classes = Classes(
            plan.reuse, plan.evaluator, plan.objectives, plan.constraints, plan.seed, identity=self.identity,
            submit=self._submit, record=self._reuse, cache=plan.cache,
            run=str(plan.folder.resolve()) if plan.folder is not None else "", remark=plan.on_remark,
        )  # fmt: skip
        writes = getattr(plan.evaluator, "writes_files", False) and plan.folder is not None
        again = Again(*plan.finalists) if plan.finalists is not None else None
        self.checkpoints = again is not None and again.continues
        spare = again.top if again is not None and again.continues else 1
        self.weights = Weights(plan.folder, plan.keep, spare) if writes and plan.folder is not None else None
        self.finals: Finals | None = None
        if again is not None:
            fingerprint = plan.evaluator.fingerprint()
            self.finals = Finals(again, fingerprint, self.classes.seed(0), self.weights, plan.on_remark)

    def _check_space(self, before: str | None, now: str) -> None:
        if before is None:
            self.plan.store.note("space", now)
        elif before != now:
            raise StoreError(f"this run was made with the space {before}, which is now {now}; {_CHANGED}")

    # ---- searching -----------------------------------------------------------------------------------------------

    def search(self) -> str:
        """Ask until a limit is reached, wait for what is in work, and say which limit it was."""
        plan = self.plan
        number = 0
        while True:
            self._tell(number - plan.executor.lookahead)
            reason = self._limit(number)
            if reason:
                break
            candidate = self.asking.ask()
            if candidate is None:
                reason = "exhausted"
                break
            self._place(number, self._new_id(self.final), candidate)
            number += 1
        self._tell(number - 1)
        if self.recorded and reason == "exhausted":
            raise StoreError(
                f"trial {min(self.recorded)} is recorded, but the strategy now has nothing left to propose after "
                f"{number} trials; {_CHANGED}"
            )
        return reason

    def _new_id(self, *taken: Container[int]) -> int:
        """The next id that is free: a run that was made longer after it had ended has finalists among its trials."""
        while any(self.next_id in ids for ids in taken):
            self.next_id += 1
        self.next_id += 1
        return self.next_id - 1

    def _limit(self, number: int) -> str:
        plan = self.plan
        if number >= plan.trials:
            return "trials"
        if self.outcome.failed >= plan.max_failures:
            return "failures"
        if plan.hours is not None and not self.recorded and self.clock.seconds >= plan.hours * 3600:
            return "hours"
        return ""

    def _tell(self, last: int) -> None:
        """Tell the strategy all trials up to the one asked as number `last`, waiting for them."""
        while self.told <= last:
            while self.told not in self.ended:
                self._collect(self.plan.executor.next())
            trial = self.ended.pop(self.told)
            self.told += 1
            self.asking.tell(trial)
            now = self.outcome
            self.outcome = replace(
                now,
                trials=now.trials + 1,
                complete=now.complete + trial.complete,
                cached=now.cached + (trial.source == "cache"),
                infeasible=now.infeasible + (trial.status is Status.INFEASIBLE),
                failed=now.failed + (trial.status is Status.FAILED),
            )

    def _place(self, number: int, trial_id: int, candidate: Candidate) -> None:
        """Bring a new trial on its way: recorded before, infeasible, known, waiting for an equal one, or evaluated."""
        before = self.recorded.pop(trial_id, None)
        if before is not None:
            self._replay(number, before, candidate)
            return
        finding = self.feasibility.look(candidate)
        flight = Flight(trial_id, number, candidate, self.plan.budget, finding.keys, finding.costs)
        if finding.reason:
            measurement = Measurement(finding.costs) if finding.costs else None
            self._record(flight, self._trial(flight, Status.INFEASIBLE, measurement, reason=finding.reason))
        else:
            self.classes.place(flight)

    def _replay(self, number: int, before: Trial, candidate: Candidate) -> None:
        if before.candidate.decisions != candidate.decisions:
            raise StoreError(
                f"trial {before.id} is recorded with the decisions {short(before.candidate)}, but the strategy now "
                f"proposes {short(candidate)}; {_CHANGED}"
            )
        trial = replace(before, candidate=candidate)
        self.classes.replay(trial)
        self._remember(trial)
        self.ended[number] = trial
        self._show("replay", trial)

    # ---- evaluating ----------------------------------------------------------------------------------------------

    def _submit(self, flight: Flight) -> None:
        self.flying[flight.id] = flight
        folder = self.weights.folder(flight.id) if self.weights is not None else None
        earlier = flight.earlier if isinstance(flight, Final) else None
        self.plan.executor.submit(
            Job(
                flight.id,
                flight.candidate,
                flight.budget,
                flight.seed,
                folder,
                flight.stage,
                before=earlier.folder if earlier is not None else None,
                spent=earlier.spent if earlier is not None else None,
                checkpoint=self.checkpoints,
            )
        )

    def _collect(self, done: Done) -> None:
        """Record a job that ended, and then the trials that waited for it."""
        flight = self.flying.pop(done.id)
        trial = self._judge(flight, done)
        if isinstance(flight, Final):
            assert self.finals is not None
            self._record(flight, self.finals.settled(flight, trial))
            return
        self._record(flight, self.classes.ended(flight, trial))
        self.classes.share(flight, trial, done.measurement)
        self.classes.go_on(flight)

    def _judge(self, flight: Flight, done: Done) -> Trial:
        """The trial that a job's end amounts to."""
        if done.measurement is None:
            return self._trial(flight, Status.FAILED, None, done, done.reason)
        measurement = replace(done.measurement, metrics={**flight.costs, **done.measurement.metrics})
        if done.pruned:
            return self._trial(flight, Status.PRUNED, measurement, done, "stopped early by the executor's scheduler")
        status, reason = verdict(measurement.metrics, self.wanted, self.plan.constraints)
        return self._trial(flight, status, None if status is Status.FAILED else measurement, done, reason)

    def _reuse(self, flight: Flight, told: Told) -> None:
        self._record(flight, self._trial(flight, told.status, told.measurement, reason=told.reason, told=told))

    def _trial(
        self,
        flight: Flight,
        status: Status,
        measurement: Measurement | None,
        done: Done | None = None,
        reason: str = "",
        told: Told | None = None,
    ) -> Trial:
        return Trial(
            flight.id,
            flight.candidate,
            status,
            flight.budget,
            measurement,
            stage=flight.stage,
            of=flight.of,
            source="cache" if told else "evaluated",
            reuses=told.known.trial if told else None,
            reason=reason,
            traceback=done.traceback if done else "",
            keys=flight.keys,
            seconds=done.seconds if done else 0.0,
            hit=told.hit if told else "",
            origin=told.known.run if told else "",
        )

    # ---- recording -----------------------------------------------------------------------------------------------

    def _record(self, flight: Flight, trial: Trial) -> None:
        with self.interrupts.shield():
            self.plan.store.add(trial)
            self.added = True
            self.clock.tick()
        if trial.stage == "search":
            self._remember(trial)
            self.ended[flight.number] = trial
        else:
            self.final[trial.id] = trial
        self._show("trial" if trial.stage == "search" else "finalist", trial)

    def _remember(self, trial: Trial) -> None:
        """Keep what a later equal trial, and the weights on disk, depend on."""
        if self.finals is not None and trial.complete:
            self._rank(trial)
            self.finals.learn(trial)
        if self.weights is not None:
            if not trial.complete:
                self.weights.useless(trial.id)
            elif trial.source == "evaluated":
                self.weights.measured(trial.id, *self._point(trial))

    def _rank(self, trial: Trial) -> None:
        """Keep a trial that may be a finalist: a network's latest numbers, one of equal networks with equal ones."""
        point = self._point(trial)
        if point not in self.points:
            self.points.add(point)
            self.complete[trial.keys["graph"]] = trial

    def _point(self, trial: Trial) -> tuple[tuple[float, ...], str]:
        """What a complete trial is worth, and a key that equal networks have in common."""
        return losses(trial, self.plan.objectives), trial.keys.get("functional", trial.keys["graph"])

    def _show(self, kind: str, trial: Trial) -> None:
        if self.plan.on_event is not None:
            self.plan.on_event(Event(kind, trial, replace(self.outcome, seconds=self.clock.seconds)))

    def end(self, reason: str) -> Outcome:
        """Write down how the session ended. One that found nothing to do took no time of the search."""
        worked = self.added or reason == "interrupted"
        with self.interrupts.shield():
            seconds = self.clock.note() if worked else self.clock.before
            self.outcome = replace(self.outcome, seconds=seconds, stop_reason=reason)
            self.plan.store.note("stop_reason", reason)
        return self.outcome

    # ---- finalists -----------------------------------------------------------------------------------------------

    def retrain(self) -> None:
        """Evaluate the best trials again with a larger budget; those that have been are not repeated."""
        assert self.finals is not None
        for flight in self.finals.flights(self.complete.values(), list(self.final.values()), self.plan.objectives):
            flight.id = self._new_id(self.final, self.recorded)
            flight.costs = self.feasibility.look(flight.candidate).costs
            self._submit(flight)
        while self.flying:
            self._collect(self.plan.executor.next())


_CHANGED = (
    "the space, the strategy, its fields, the seed or the code differ from those that made this run: resume with the "
    "same ones, or search in a new folder"
)
