"""An evaluator that takes its time in a worker."""

from __future__ import annotations

import time

from nas.core.records import Budget, Candidate, Measurement
from nas.testing import AgreementInWorkers


class Slow(AgreementInWorkers):
    def evaluate(self, candidate: Candidate, budget: Budget, seed: int) -> Measurement:
        time.sleep(0.05)
        return super().evaluate(candidate, budget, seed)
