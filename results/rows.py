"""Trials as rows of a database and back; `Row`, the light form of a trial that tables, fronts and reports read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Container, Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from types import MappingProxyType
from typing import Any

from nas.core.errors import GraphError, NASError, StoreError
from nas.core.graph import Graph, Node
from nas.core.records import Budget, Candidate, Decisions, Measurement, Status, Trial
from nas.core.values import FrozenDict


@dataclass(frozen=True, slots=True)
class Row:
    """A trial without its graph, curve, notes and traceback: ten thousand of them load in a fraction of a second.

    Decisions, keys and parents are kept as the text that the store holds and read when they are asked for, the last few
    thousand remembered: a million rows fit in memory, and most looks at them need the metrics only. These mappings
    cannot be changed. Raises StoreError, when it is asked for one, where its text is damaged.
    """

    id: int
    status: Status
    stage: str
    of: int | None
    source: str
    reuses: int | None
    reason: str
    proposer: str
    budget: Budget
    seconds: float
    metrics: Mapping[str, float]
    hit: str = ""
    origin: str = ""
    measured_seconds: float = 0.0
    packed_decisions: str = "{}"
    packed_keys: str = "{}"
    packed_parents: str = "[]"

    @property
    def complete(self) -> bool:
        return self.status is Status.COMPLETE

    @property
    def decisions(self) -> Mapping[str, Any]:
        """Address → option."""
        return _mapping(self.packed_decisions, self.id)

    @property
    def keys(self) -> Mapping[str, str]:
        """Kind of key → key."""
        return _mapping(self.packed_keys, self.id)

    @property
    def parents(self) -> tuple[int, ...]:
        return tuple(load(self.packed_parents, f"trial {self.id}"))


@lru_cache(4096)
def _mapping(text: str, id_: int) -> Mapping[str, Any]:
    value = load(text, f"trial {id_}")
    if not isinstance(value, dict):
        raise StoreError(f"trial {id_} is damaged in the store: {text[:60]!r} is no mapping")
    return MappingProxyType(value)


@lru_cache(256)
def _budget(amount: str, unit: str) -> Budget:
    return Budget(load(amount, "a budget"), unit)


EVALUATION = "evaluation"
"""The kind of key, in `Trial.keys`, by which a measurement that was paid for is found again."""

ROW_COLUMNS = (
    "id",
    "status",
    "stage",
    "of",
    "source",
    "reuses",
    "reason",
    "decisions",
    "parents",
    "proposer",
    "budget_amount",
    "budget_unit",
    "seconds",
    "metrics",
    "hit",
    "origin",
    "keys",
    "measured_seconds",
)


_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once


def dump(value: Any, what: str) -> str:
    """`value` as JSON; scalars of numpy and torch become plain numbers. Raises StoreError, naming `what`."""
    try:
        return json.dumps(value, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"{what} cannot be written as JSON ({error}); use numbers, texts, lists and mappings of these"
        ) from error


def load(text: str, what: str) -> Any:
    """The value that `dump` wrote. Raises StoreError, naming `what`, when the text is damaged."""
    try:
        value, end = _scan(text, 0)  # what `json.loads` does behind its checks, which are half of its time
        return value if end == len(text) else json.loads(text)
    except StopIteration:
        raise StoreError(f"{what} is damaged in the store: {text[:60]!r} is no JSON (it is empty or cut off)") from None
    except ValueError as error:
        raise StoreError(f"{what} is damaged in the store: {text[:60]!r} is no JSON ({error})") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} is a {type(value).__name__}")


def _text(text: str) -> str:
    """`text` with what no database takes (lone surrogates, as file names may hold, and NUL) spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")


def _seconds(value: float, what: str) -> float:
    if not math.isfinite(value):
        raise StoreError(f"{what} took {value!r} seconds; expected a finite number")
    return float(value)


def pack(trial: Trial) -> dict[str, Any]:
    """The columns of a trial; its graph stands by digest. Raises StoreError for a value that JSON cannot hold."""
    candidate, measurement, what = trial.candidate, trial.measurement, f"trial {trial.id}"
    return {
        "id": trial.id,
        "status": trial.status.value,
        "stage": trial.stage,
        "of": trial.of,
        "source": trial.source,
        "reuses": trial.reuses,
        "reason": _text(trial.reason),
        "traceback": _text(trial.traceback),
        "decisions": dump(candidate.decisions, f"{what}: decisions"),
        "graph": candidate.graph.digest,
        "parents": dump(candidate.parents, f"{what}: parents"),
        "proposer": _text(candidate.proposer),
        "budget_amount": dump(trial.budget.amount, f"{what}: budget"),
        "budget_unit": trial.budget.unit,
        "evaluation_key": trial.keys.get(EVALUATION),
        "keys": dump(trial.keys, f"{what}: keys"),
        "seconds": _seconds(trial.seconds, what),
        "hit": trial.hit,
        "origin": _text(trial.origin),
        **_pack_measurement(measurement, what),
    }


def _pack_measurement(measurement: Measurement | None, what: str) -> dict[str, Any]:
    if measurement is None:
        return {"metrics": None, "measured_seconds": None, "curve": None, "notes": None}
    return {
        "metrics": dump(measurement.metrics, f"{what}: metrics"),
        "measured_seconds": _seconds(measurement.seconds, f"{what}: its measurement"),
        "curve": dump(measurement.curve, f"{what}: curve"),
        "notes": dump(measurement.notes, f"{what}: notes"),
    }


def unpack(row: Any, graph: Graph) -> Trial:
    """The trial of a full row. Raises StoreError when a column is damaged."""
    what = f"trial {row.id}"
    try:
        return Trial(
            id=row.id,
            candidate=Candidate(
                Decisions(load(row.decisions, what)), graph, tuple(load(row.parents, what)), row.proposer
            ),
            status=Status(row.status),
            budget=Budget(load(row.budget_amount, what), row.budget_unit),
            measurement=_measurement(row, what),
            stage=row.stage,
            of=row.of,
            source=row.source,
            reuses=row.reuses,
            reason=row.reason,
            traceback=row.traceback,
            keys=load(row.keys, what),
            seconds=row.seconds,
            hit=row.hit,
            origin=row.origin,
        )
    except StoreError:
        raise
    except (NASError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{what} is damaged in the store: {error}") from error


def _measurement(row: Any, what: str) -> Measurement | None:
    if row.metrics is None:
        return None
    return Measurement(
        load(row.metrics, what), row.measured_seconds, tuple(load(row.curve, what)), load(row.notes, what)
    )


def unpack_row(row: Any) -> Row:
    """The light form of a row that has ROW_COLUMNS, in their order. Raises StoreError when a column is damaged."""
    id_, status, stage, of, source, reuses, reason, decisions, parents, proposer, amount, unit, *rest = row
    seconds, metrics, hit, origin, keys, measured_seconds = rest
    what = f"trial {id_}"
    try:
        known = load(metrics, what) if metrics is not None else {}
        for name, value in known.items():
            if not math.isfinite(value):
                raise ValueError(f"metric {name!r} is {value!r}")
        for text, ends in ((decisions, "{}"), (keys, "{}"), (parents, "[]")):  # they are read when they are asked for
            if text[0] + text[-1] != ends:
                raise ValueError(f"{text[:60]!r} is cut off")
        return Row(
            id_,
            Status(status),
            intern(stage),
            of,
            intern(source),
            reuses,
            reason,
            intern(proposer),
            _budget(amount, unit),
            seconds,
            {intern(name): value for name, value in known.items()},
            intern(hit),
            intern(origin),
            measured_seconds or 0.0,
            decisions,
            keys,
            parents,
        )
    except StoreError as error:
        raise StoreError(
            f"{what} is damaged in the store: {error}" if what not in str(error) else str(error)
        ) from error
    except (NASError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise StoreError(f"{what} is damaged in the store: {error}") from error


def pack_graph(graph: Graph, written: Container[str] = ()) -> dict[str, str]:
    """Digest → JSON text of the graph and of every graph nested in it, those in `written` left out.

    A text is that of `Graph.to_dict`, save that a nested graph stands as `{"graph": DIGEST}`: a cell that is repeated
    in a network, and over a search, is written once.
    """
    bodies: dict[str, str] = {}
    _pack_into(graph, written, bodies)
    return bodies


def _pack_into(graph: Graph, written: Container[str], bodies: dict[str, str]) -> None:
    if graph.digest in written or graph.digest in bodies:
        return
    nodes: list[dict[str, Any]] = []
    for node in graph.nodes:
        if isinstance(node.op, Graph):
            _pack_into(node.op, written, bodies)
        op = node.op if isinstance(node.op, str) else {"graph": node.op.digest}
        nodes.append({"name": node.name, "op": op, "attributes": dict(node.attributes), "inputs": node.inputs})
    bodies[graph.digest] = dump({"inputs": graph.inputs, "nodes": nodes, "outputs": dict(graph.outputs)}, "graph")


def nested_in(body: str) -> list[str]:
    """Digests of the graphs that a graph's text refers to. Raises StoreError when the text is no graph."""
    try:
        return [node["op"]["graph"] for node in load(body, "graph")["nodes"] if not isinstance(node["op"], str)]
    except (KeyError, TypeError) as error:
        raise StoreError(f"a graph is damaged in the store: {body[:60]!r} ({type(error).__name__}: {error})") from error


def unpack_graph(digest: str, bodies: Mapping[str, str], known: MutableMapping[str, Graph]) -> Graph:
    """The graph of a digest, made from `bodies` and from what is `known`; what is made becomes known.

    Raises: StoreError when a text is missing or no graph.
    """
    graph = known.get(digest)
    if graph is not None:
        return graph
    if digest not in bodies:
        raise StoreError(f"graph {digest} is missing in the store, which is damaged")
    data = load(bodies[digest], f"graph {digest}")
    try:
        nodes = tuple(
            Node(
                row["name"],
                row["op"] if isinstance(row["op"], str) else unpack_graph(row["op"]["graph"], bodies, known),
                FrozenDict(row["attributes"]),
                tuple(row["inputs"]),
            )
            for row in data["nodes"]
        )
        graph = Graph(tuple(data["inputs"]), nodes, tuple(data["outputs"].items()))
    except (GraphError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"graph {digest} is damaged in the store ({type(error).__name__}: {error})") from error
    known[digest] = graph
    return graph
