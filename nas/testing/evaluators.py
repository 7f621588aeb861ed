"""What every evaluator keeps to, as tests."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from nas.core.records import Budget, Candidate, Measurement
from nas.core.roles import CHECKPOINT, FROM_SCRATCH, Evaluator


class EvaluatorContract:
    """Subclass and say how the evaluator is made and which candidates it can measure.

    noisy: metrics that may differ between two measurements of one candidate, such as times.
    """

    noisy: tuple[str, ...] = ("latency_ms", "train_seconds", "peak_memory_bytes")
    budget = Budget(1)

    def make(self) -> Evaluator:
        """A new evaluator; each call gives an equal one."""
        raise NotImplementedError

    def candidates(self) -> list[Candidate]:
        """At least two candidates with different measurements."""
        raise NotImplementedError

    def measure(self, evaluator: Evaluator, candidate: Candidate, folder: Path, seed: int = 3) -> Measurement:
        """One evaluation, as an executor does it."""
        extra: dict[str, Any] = {"folder": folder} if getattr(evaluator, "writes_files", False) else {}
        return evaluator.evaluate(candidate, self.budget, seed, **extra)

    def part(
        self,
        evaluator: Evaluator,
        budget: Budget,
        folder: Path,
        before: Path | None = None,
        spent: Budget | None = None,
        checkpoint: bool = False,
    ) -> Measurement:
        """One evaluation of an evaluator that continues, of the first candidate."""
        extra: dict[str, Any] = {"folder": folder, "before": before, "spent": spent, "checkpoint": checkpoint}
        return evaluator.evaluate(self.candidates()[0], budget, 3, **extra)

    def stable(self, measurement: Measurement) -> dict[str, float]:
        """The metrics without the noisy ones."""
        return {name: value for name, value in measurement.metrics.items() if name not in self.noisy}

    def test_reports_what_it_announces(self, tmp_path: Path) -> None:
        """Every reported metric is in `metrics()`, with its direction."""
        evaluator = self.make()
        names = {metric.name for metric in evaluator.metrics()}
        found = self.measure(evaluator, self.candidates()[0], tmp_path)
        assert isinstance(found, Measurement), f"evaluate() returned {type(found).__name__}"
        assert found.metrics, "a measurement without a metric"
        assert set(found.metrics) <= names, f"{sorted(set(found.metrics) - names)} are not in metrics()"

    def test_the_same_request_gives_the_same_numbers(self, tmp_path: Path) -> None:
        """A cached number is a number that the evaluator would have given."""
        candidate = self.candidates()[0]
        first = self.stable(self.measure(self.make(), candidate, tmp_path))
        assert first == self.stable(self.measure(self.make(), candidate, tmp_path))

    def test_different_candidates_differ(self, tmp_path: Path) -> None:
        """At least two of the candidates have different numbers."""
        evaluator = self.make()
        found = [self.stable(self.measure(evaluator, candidate, tmp_path)) for candidate in self.candidates()]
        assert any(other != found[0] for other in found), f"all candidates measure {found[0]}"

    def test_can_be_sent_to_a_worker(self, tmp_path: Path) -> None:
        """A pickled copy has the same fingerprint and measures the same."""
        evaluator, candidate = self.make(), self.candidates()[0]
        copy = pickle.loads(pickle.dumps(evaluator))
        assert copy.fingerprint() == evaluator.fingerprint()
        numbers = self.stable(self.measure(evaluator, candidate, tmp_path))
        assert self.stable(self.measure(copy, candidate, tmp_path)) == numbers

    def test_fingerprint_is_a_stable_text(self) -> None:
        """Equal evaluators have equal fingerprints."""
        fingerprint = self.make().fingerprint()
        assert isinstance(fingerprint, str)
        assert fingerprint == self.make().fingerprint() != ""

    def test_writes_its_weights_where_it_is_told(self, tmp_path: Path) -> None:
        """An evaluator with `writes_files` leaves `weights.safetensors` in its folder."""
        evaluator = self.make()
        self.measure(evaluator, self.candidates()[0], tmp_path)
        there = (tmp_path / "weights.safetensors").is_file()
        assert there == getattr(evaluator, "writes_files", False), f"files there: {sorted(tmp_path.iterdir())}"

    def test_goes_on_from_an_earlier_evaluation(self, tmp_path: Path) -> None:
        """An evaluator with `continues` leaves a checkpoint when it is asked for one, and uses it."""
        evaluator = self.make()
        if not getattr(evaluator, "continues", False):
            return
        longer = Budget(3 * self.budget.amount, self.budget.unit)
        first, other = tmp_path / "first", tmp_path / "other"
        self.part(evaluator, self.budget, first, checkpoint=True)
        assert list(first.glob(CHECKPOINT)), f"no {CHECKPOINT} was left"
        found = self.part(evaluator, longer, other, first, self.budget)
        assert FROM_SCRATCH not in found.notes, found.notes[FROM_SCRATCH]
        assert not list(other.glob(CHECKPOINT)), "a checkpoint was left that nobody wants"

    def test_begins_anew_where_nothing_was_left_and_says_so(self, tmp_path: Path) -> None:
        """Such an evaluation gives the numbers of one from scratch."""
        evaluator = self.make()
        if not getattr(evaluator, "continues", False):
            return
        (tmp_path / "empty").mkdir()
        found = self.part(evaluator, self.budget, tmp_path / "found", tmp_path / "empty", self.budget)
        assert found.notes.get(FROM_SCRATCH), "nothing says that it began anew"
        assert self.stable(found) == self.stable(self.part(evaluator, self.budget, tmp_path / "other"))
