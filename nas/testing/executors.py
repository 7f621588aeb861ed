"""What every executor keeps to, as tests."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas.core.records import Budget, Candidate
from nas.core.roles import Done, Evaluator, Executor, Job
from nas.testing.samples import AgreementInWorkers, Remembering, small_space


class ExecutorContract:
    """Subclass and say how the executor is made."""

    def make(self) -> Executor:
        """A new executor, not yet started."""
        raise NotImplementedError

    def evaluator(self, **fields: Any) -> Evaluator:
        """The evaluator that the executor is started with; by default one that is sent to workers."""
        return AgreementInWorkers(**fields)

    @contextmanager
    def started(self, evaluator: Evaluator) -> Iterator[Executor]:
        """An executor that is closed at the end, as the controller does it."""
        executor = self.make()
        executor.start(evaluator)
        try:
            yield executor
        finally:
            executor.close()

    def candidates(self, count: int) -> list[Candidate]:
        """Different candidates."""
        every = list(small_space().enumerate())
        return random.Random(0).sample(every, count)

    def run(self, executor: Executor, candidates: list[Candidate]) -> Mapping[int, Done]:
        """Submit all candidates, wait for all; by id."""
        for place, candidate in enumerate(candidates):
            executor.submit(Job(place, candidate, Budget(1), seed=5))
        ended = [executor.next() for _ in candidates]
        return {done.id: done for done in ended}

    def test_looks_ahead(self) -> None:
        """`lookahead` is a whole number from 1."""
        lookahead = self.make().lookahead
        assert isinstance(lookahead, int), f"lookahead is {lookahead!r}"
        assert lookahead >= 1, f"lookahead is {lookahead}"

    def test_every_job_ends_once_with_what_the_evaluator_measures(self) -> None:
        """Also more jobs than fit at once."""
        candidates = self.candidates(7)
        evaluator = self.evaluator(target=dict(candidates[0].decisions))
        with self.started(evaluator) as executor:
            ended = self.run(executor, candidates)
        assert sorted(ended) == list(range(7)), f"jobs 0 to 6 were submitted, {sorted(ended)} ended"
        for place, candidate in enumerate(candidates):
            expected = evaluator.evaluate(candidate, Budget(1), 5).metrics
            found = ended[place].measurement
            assert found is not None, f"job {place} failed: {ended[place].reason}"
            assert found.metrics == expected, f"job {place}: {found.metrics}, expected {expected}"

    def test_a_job_that_raises_ends_with_its_reason(self) -> None:
        """And the others go on."""
        candidates = self.candidates(6)
        address = "pool/used"
        with self.started(self.evaluator(breaks_on=(address, True))) as executor:
            ended = self.run(executor, candidates)
        broken = {place for place, candidate in enumerate(candidates) if candidate.decisions[address]}
        assert {place for place, done in ended.items() if done.measurement is None} == broken
        for place in broken:
            assert "as the test wanted" in ended[place].reason, ended[place].reason
            assert "EvaluationError" in ended[place].traceback, ended[place].traceback

    def test_what_an_evaluation_goes_on_from_is_told(self, tmp_path: Path) -> None:
        """To an evaluator that continues; to others it would be an unknown keyword."""
        first, second = self.candidates(2)
        with self.started(Remembering()) as executor:
            executor.submit(Job(0, first, Budget(1), 5, tmp_path, checkpoint=True))
            executor.submit(Job(1, second, Budget(9), 5, tmp_path, before=tmp_path / "0", spent=Budget(2)))
            ended = {done.id: done for done in (executor.next(), executor.next())}
        notes = [found.notes if (found := ended[place].measurement) else ended[place].reason for place in (0, 1)]
        assert notes[0] == {"before": None, "spent": None, "checkpoint": True}
        assert notes[1] == {"before": str(tmp_path / "0"), "spent": "2 epochs", "checkpoint": False}

    def test_closing_stops_work(self) -> None:
        """`close` returns although jobs are in work."""
        with self.started(self.evaluator()) as executor:
            for place, candidate in enumerate(self.candidates(5)):
                executor.submit(Job(place, candidate, Budget(1), seed=5))
