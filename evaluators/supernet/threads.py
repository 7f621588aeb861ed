"""How many threads a supernet runs on: as many as its networks can keep busy."""

from __future__ import annotations

import os
from collections.abc import Sequence

from nas.core.profile import profile
from nas.core.records import Candidate
from nas.core.space import Space

PER_THREAD = 4_000_000_000
"""Multiply-adds of a batch's forward pass that keep one thread busy. With less to do, threads mostly wait for one
another; beside other work on the same cores that made a step on small images up to twenty times slower."""


def threads_for(space: Space, candidates: Sequence[Candidate], batch: int) -> int:
    """Threads for batches of the largest of these candidates; at most one per core. The same on every run."""
    most = max(profile(candidate.graph, space.inputs).macs for candidate in candidates)
    return max(1, min(most * batch // PER_THREAD, os.cpu_count() or 1))
