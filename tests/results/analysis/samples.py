"""Rows made by hand: complete trials with these decisions and metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nas.core.records import Budget, Status
from results.rows import Row


def rows_of(decisions: Sequence[Mapping[str, Any]], *values: Sequence[float], **others: Any) -> list[Row]:
    """A row per trial; the metrics are val_accuracy, params and latency_ms, as far as values are given."""
    names = ("val_accuracy", "params", "latency_ms")
    return [
        Row(
            id=i,
            status=Status.COMPLETE,
            stage="search",
            of=None,
            source="evaluated",
            reuses=None,
            reason="",
            proposer="random",
            budget=Budget(1),
            seconds=1.0,
            metrics={name: float(each[i]) for name, each in zip(names, values, strict=False)},
            packed_decisions=json.dumps(decided),
            packed_keys=json.dumps({"graph": json.dumps(decided, sort_keys=True)}),
            **others,
        )
        for i, decided in enumerate(decisions)
    ]
