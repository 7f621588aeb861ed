"""What the usual metrics mean, in one place: unit, and what is better.

Accuracies are percent, 0 … 100. MACs and parameters are of one network for one input; latency and memory say their
batch, device and threads in the notes of the measurement. A metric of examples names their part: `val_`, `test_`,
`train_`; the search may look at `val_` and `train_`, never at `test_`.
"""

from __future__ import annotations

from nas.core.errors import RecipeError
from nas.core.records import Metric

PARTS = {"train": "train_", "validation": "val_", "test": "test_"}
"""Part of the data → what names of metrics measured on it begin with."""

USUAL = {
    metric.name: metric
    for metric in (
        Metric("params", "min", "", "trainable numbers"),
        Metric("macs", "min", "", "multiply-adds for one input"),
        Metric("latency_ms", "min", "ms", "median time of one forward pass"),
        Metric("peak_memory_bytes", "min", "bytes", "largest memory of one forward pass, weights included"),
        Metric("train_memory_bytes", "min", "bytes", "estimate of the memory that training needs"),
        Metric("train_seconds", "min", "s", "wall time of training"),
    )
}

_ENDINGS = {
    "accuracy": ("max", "%"), "auc": ("max", "%"), "loss": ("min", ""), "error": ("min", "%"), "ms": ("min", "ms"),
    "mj": ("min", "mJ"), "bytes": ("min", "bytes"), "seconds": ("min", "s"), "params": ("min", ""), "macs": ("min", ""),
}  # fmt: skip
_NEED_PART = ("accuracy", "auc", "loss", "error")


def metric(name: str) -> Metric:
    """The metric of a name, told by its ending where it is not a usual one; what is unknown counts as a score.

    What is measured on examples belongs to the function that a network computes; all else to its graph.

    Raises: RecipeError for a metric of examples that does not say of which.

    >>> metric("val_accuracy_digit").direction, metric("edge_gpu_ms").unit, metric("synflow").direction
    ('max', 'ms', 'max')
    """
    if name in USUAL:
        return USUAL[name]
    words = name.split("_")
    kind = next((word for word in reversed(words) if word in _ENDINGS), "")
    if kind in _NEED_PART and not name.startswith(tuple(PARTS.values())):
        raise RecipeError(f"metric {name!r} does not say on which part of the data; expected val_{kind} or test_{kind}")
    direction, unit = _ENDINGS.get(kind, ("max", ""))
    return Metric(name, direction, unit, of="function" if kind in _NEED_PART else "graph")
