"""Graphs, trials and runs made by hand: the tests of `results` need no search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.core.graph import Graph, Node, chain
from nas.core.records import Budget, Candidate, Decisions, Measurement, Objective, Status, Trial
from results.store import SqlStore

ACCURACY = Objective("val_accuracy", "max", "%")
PARAMS = Objective("params", "min")
LATENCY = Objective("latency_ms", "min", "ms")

OBJECTIVES = [
    {"name": "val_accuracy", "direction": "max", "unit": "%"},
    {"name": "params", "direction": "min", "unit": ""},
]


def line(*ops: str, **attributes: Any) -> Graph:
    """Operations one after another, all with these attributes."""
    return chain(Node(f"{op}{place}", op, attributes) for place, op in enumerate(ops))


def network(kernel: int = 3, blocks: int = 2) -> Graph:
    """A stem, a stage of equal two-branch blocks, and a head."""
    left = Node("left", "conv", {"kernel": kernel, "width": 16}, ("x",))
    right = Node("right", "max_pool", {"kernel": 3}, ("x",))
    block = Graph(("x",), (left, right, Node("sum", "add", {}, ("left", "right"))), (("y", "sum"),))
    stage = chain(Node(f"block{place}", block) for place in range(blocks))
    steps = [
        Node("stem", "conv", {"kernel": 3, "width": 16}),
        Node("stage", stage),
        Node("head", "head", {"classes": 10}),
    ]
    return chain(steps)


def trial(
    id_: int,
    *,
    graph: Graph | None = None,
    decisions: dict[str, Any] | None = None,
    status: Status = Status.COMPLETE,
    keys: dict[str, str] | None = None,
    metrics: dict[str, float] | None = None,
    **others: Any,
) -> Trial:
    """A trial with an accuracy and a size that follow from its id, unless `metrics` are given."""
    if metrics is None:
        metrics = {"val_accuracy": 90.0 + id_ % 7, "params": 1000 * (id_ % 5 + 1)}
    decisions = {"stage/kernel": 3 + 2 * (id_ % 3), "number": id_} if decisions is None else decisions
    return Trial(
        id_,
        Candidate(Decisions(decisions), graph or network(3 + 2 * (id_ % 3)), proposer="random"),
        status,
        Budget(2),
        Measurement(metrics, 0.5) if status is Status.COMPLETE else None,
        keys={"evaluation": f"e1:{id_}"} if keys is None else keys,
        **others,
    )


def store_of(folder: Path, trials: list[Trial], **facts: Any) -> SqlStore:
    """A new store in `folder` with these trials and facts, open for writing."""
    folder.mkdir(parents=True, exist_ok=True)
    store = SqlStore.create(folder)
    for name, value in {"objectives": OBJECTIVES, **facts}.items():
        store.note(name, value)
    for each in trials:
        store.add(each)
    return store
