"""A small space and a quick evaluator whose answers are known without evaluating: what the contract suites run on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from nas.core.errors import EvaluationError
from nas.core.language import one_of, op, optional, repeat, seq, some_of
from nas.core.records import Budget, Candidate, Measurement, Metric
from nas.core.space import Space, image
from nas.core.values import canonical, digest


def small_space() -> Space:
    """A space with every kind of choice: a value, a structure, a subset, a repetition and an optional part."""
    block = one_of(
        wide=op("conv", width=one_of(8, 16, 24), kernel=one_of(1, 3, 5)),
        paths=some_of(
            op("conv", width=8, kernel=1),
            op("conv", width=8, kernel=3),
            op("conv", width=8, kernel=5),
            at_least=1,
            merge="concat",
        ),
    )
    part = seq(
        stem=op("conv", width=8),
        block=block,
        rest=repeat(op("conv", width=8), times=one_of(1, 2, 3)),
        pool=optional(op("avg_pool", kernel=3)),
        head=op("head"),
    )
    return Space(part, image(3, 8, 8), classes=4)


@dataclass
class Agreement:
    """`val_accuracy`: the percentage of `target`'s decisions that a candidate shares, at most 100 at the target itself.

    breaks_on: the evaluation fails for candidates whose decisions hold this (address, option).
    """

    target: Mapping[str, Any] = field(default_factory=dict)
    breaks_on: tuple[str, Any] | None = None
    in_process: ClassVar[bool] = True

    def evaluate(self, candidate: Candidate, budget: Budget, seed: int) -> Measurement:
        """The share of decisions, and a `val_loss` that no two candidates have in common."""
        decisions = candidate.decisions
        if self.breaks_on is not None and decisions.get(self.breaks_on[0]) == self.breaks_on[1]:
            raise EvaluationError(f"{self.breaks_on[0]} is {self.breaks_on[1]!r}, as the test wanted")
        addresses = set(decisions) | set(self.target)
        shared = sum(a in decisions and a in self.target and decisions[a] == self.target[a] for a in addresses)
        unique = int(digest(decisions.text, 4), 16) / 2**32
        return Measurement({"val_accuracy": 100.0 * shared / max(len(addresses), 1), "val_loss": unique})

    def metrics(self) -> tuple[Metric, ...]:
        """What `evaluate` reports."""
        return (Metric("val_accuracy", "max", "%"), Metric("val_loss", "min"))

    def fingerprint(self) -> str:
        """A digest of the target."""
        return digest(canonical([dict(self.target), self.breaks_on]))


class AgreementInWorkers(Agreement):
    """The same, in worker processes."""

    in_process: ClassVar[bool] = False


class Remembering(AgreementInWorkers):
    """The same, with what it is told of an earlier evaluation in its notes."""

    writes_files: ClassVar[bool] = True
    continues: ClassVar[bool] = True

    def evaluate(  # type: ignore[override]
        self,
        candidate: Candidate,
        budget: Budget,
        seed: int,
        folder: Path | None = None,
        before: Path | None = None,
        spent: Budget | None = None,
        checkpoint: bool = False,
    ) -> Measurement:
        """As above; nothing is written."""
        found = super().evaluate(candidate, budget, seed)
        told = {"before": before and str(before), "spent": spent and str(spent), "checkpoint": checkpoint}
        return Measurement(found.metrics, notes=told)
