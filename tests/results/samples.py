"""Graphs, trials and runs made by hand or drawn by hypothesis: the tests of `results` need no search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from nas.core.graph import Graph, Node, chain
from nas.core.records import Budget, Candidate, Decisions, Measurement, Objective, Status, Trial
from results.store import SqlStore

ACCURACY = Objective("val_accuracy", "max", "%")
PARAMS = Objective("params", "min")
LATENCY = Objective("latency_ms", "min", "ms")

NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False))
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)

OPS = ["conv", "max_pool", "add", "identity", "head", "mbconv", "my.module:Block"]

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


@st.composite
def graphs(draw: st.DrawFn, depth: int = 2, most: int = 5) -> Graph:
    """Any graphs: nested, with several inputs and outputs, shared operands, dead nodes, unknown operations."""
    inputs = draw(st.sampled_from([("x",), ("x",), ("image", "text")]))
    nodes: list[Node] = []
    refs: list[str] = list(inputs)
    for place in range(draw(st.integers(0 if depth < 2 else 1, most))):
        nested = draw(graphs(depth - 1, most)) if depth > 0 and draw(st.integers(0, 2)) == 0 else None
        op = nested or draw(st.sampled_from(OPS) | TEXTS.filter(bool))
        count = len(nested.inputs) if nested else draw(st.integers(1, 3))
        operands = draw(st.lists(st.sampled_from(refs), min_size=count, max_size=count))
        attributes = draw(st.dictionaries(st.sampled_from(["kernel", "width", "act"]) | TEXTS, VALUES, max_size=2))
        nodes.append(Node(f"n{place}", op, attributes, tuple(operands)))
        several = nested is not None and len(nested.outputs) > 1
        refs += [f"n{place}:{name}" for name in nested.output_names] if several and nested else [f"n{place}"]
    outputs = draw(st.lists(st.sampled_from(refs), min_size=1, max_size=2))
    return Graph(inputs, tuple(nodes), {f"y{place}": ref for place, ref in enumerate(outputs)})
