"""Sound simplification: rewrites of a graph that keep its function for all weights, and keep all weights that matter.

Every rewrite is an entry of `RULES`, whose proof obligation is a test: same outputs in float64 with the weights carried
over. A node keeps the address it had in the flattened graph, so weights find their way.

What no rule here may do: merge two nodes, however equal they look; sharing is not repeating. (Two equal nodes without
weights are one function, which `nas.core.probe` finds; here they stay two, as in the benchmarks' own counts of cells.)
Only zeros of one value are one: they hold nothing but its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

from nas.core.errors import NASError
from nas.core.graph import Graph, Node
from nas.core.operations import find
from nas.core.profile import expand, graph_cost
from nas.core.table import Shape
from nas.core.values import EMPTY, FrozenDict, canonical, thaw


@dataclass(frozen=True, eq=False)
class Kind:
    """What the rules need to know of an operation with its attributes. Two kinds are the same when `label` is."""

    op: str
    attributes: FrozenDict
    label: str
    commutes: bool
    silent: bool
    keeps_zero: bool
    idempotent: bool
    passes_one: bool
    """One operand goes through as it is: an identity, or a merge."""
    flattens: bool
    """A merge of merges is one merge: add(add(a, b), c) = add(a, b, c), and so mul, max, concat. Not mean."""
    same_shape: bool
    """The output has the shape of the (first) operand, whatever that is."""

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that may apply to it."""
        return tuple(rule for rule, concerns in RULES.items() if concerns(self))

    @cached_property
    def numbered(self) -> Mapping[int, Kind]:
        """What the rules see of it, with a number for a label. Kinds of which they see the same have the same ones."""
        seen = (self.commutes, self.silent, self.keeps_zero, self.idempotent, self.passes_one, self.flattens)
        return _numbered(self.op, *seen, self.same_shape)


class _Numbered(dict[int, Kind]):
    """Kinds made as they are asked for."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def __missing__(self, label: int) -> Kind:
        self[label] = replace(self.kind, label=str(label))
        return self[label]


@lru_cache(maxsize=10_000)
def _numbered(op: str, *seen: bool) -> _Numbered:
    return _Numbered(Kind(op, EMPTY, "", *seen))


@lru_cache(maxsize=100_000)
def kind_of(op: str, attributes: FrozenDict) -> Kind:
    """The kind of an operation; defaults are filled in, so spelling them out changes nothing."""
    operation = find(op)
    complete = {name: thaw(value) for name, value in operation.complete(attributes).items()}
    fits = complete.get("fit") is not None  # a merge that fits shapes may hold projections
    return Kind(
        op,
        attributes,
        canonical([op, complete, operation.source] if operation.source else [op, complete]),
        commutes=operation.commutes and not fits,
        silent=operation.silent,
        keeps_zero=operation.keeps_zero and not fits,
        idempotent=operation.idempotent,
        passes_one=op in ("identity", "add", "mean", "max", "mul", "concat"),
        flattens=op in ("add", "mul", "max", "concat") and not fits,
        same_shape=not fits
        and op != "concat"
        and all(_keeps_shape(op, attributes, shape, operation.arity[0]) for shape in _PROBES),
    )


_PROBES: tuple[Shape, ...] = ((24, 28, 36), (48, 44, 20))
"""Two images that no rule of shapes maps to themselves by accident."""


def _keeps_shape(op: str, attributes: FrozenDict, shape: Shape, operands: int) -> bool:
    """Whether a probe's shape is kept; False where the operation does not take such images."""
    try:
        made = expand(op, attributes, (shape,) * operands)
        found = graph_cost(made, (shape,) * operands).outputs[0] if isinstance(made, Graph) else made.shape
    except NASError:
        return False
    return found == shape


class Row(NamedTuple):
    """One node of a flat graph: its address, its kind, and its operands as numbers (inputs first, then rows)."""

    address: str
    kind: Kind
    operands: tuple[int, ...]


@dataclass(frozen=True)
class Flat:
    """A graph without nesting. Numbers below `len(inputs)` are inputs, then rows in topological order."""

    inputs: tuple[str, ...]
    rows: tuple[Row, ...]
    outputs: tuple[tuple[str, int], ...]

    def graph(self) -> Graph:
        """The same as a `Graph`."""
        names = [*self.inputs, *(row.address for row in self.rows)]
        nodes = tuple(
            Node(row.address, row.kind.op, row.kind.attributes, tuple(names[number] for number in row.operands))
            for row in self.rows
        )
        return Graph(self.inputs, nodes, tuple((name, names[number]) for name, number in self.outputs))


def simplify(graph: Graph) -> Graph:
    """The simplified graph, flat. Addresses of nodes are joined by dots, as in `Graph.flatten`."""
    return flat(graph).graph()


@lru_cache(maxsize=1_000)
def flat(graph: Graph) -> Flat:
    """The simplified graph as rows."""
    number = {name: place for place, name in enumerate(graph.inputs)}
    maker = _Maker(graph.inputs)
    for node in graph.nodes:
        operands = tuple([number[ref] for ref in node.inputs])
        if isinstance(node.op, Graph):
            outputs = maker.include(flat(node.op), operands, f"{node.name}.")
            number[node.name] = outputs[0]
            number.update((f"{node.name}:{name}", n) for (name, _), n in zip(node.op.outputs, outputs, strict=True))
        else:
            number[node.name] = maker.make(node.name, kind_of(node.op, node.attributes), operands)
    return maker.finish(tuple([(name, number[ref]) for name, ref in graph.outputs]))


def flattened(
    inputs: tuple[str, ...],
    kinds: Sequence[Kind],
    operands: Sequence[tuple[int, ...]],
    outputs: tuple[tuple[str, int], ...],
) -> Flat:
    """The same for nodes without names, none of them nested: their kinds, and their operands as numbers."""
    maker, numbers = _Maker(inputs), list(range(len(inputs)))
    for kind, sources in zip(kinds, operands, strict=True):
        numbers.append(maker.make("", kind, tuple([numbers[n] for n in sources])))
    return maker.finish(tuple([(name, numbers[n]) for name, n in outputs]))


class _Maker:
    """Rows made one by one; each new row is offered to every rule until none applies."""

    def __init__(self, inputs: tuple[str, ...]) -> None:
        self.inputs = inputs
        self.rows: list[Row] = []
        self.zeros: dict[tuple[str, tuple[int, ...]], int] = {}
        self.silent: set[int] = set()
        self.scope = len(inputs)
        self.sources: dict[int, list[int]] = {}

    def row(self, number: int) -> Row | None:
        """The row with a number; None for an input."""
        return self.rows[number - len(self.inputs)] if number >= len(self.inputs) else None

    def make(self, address: str, kind: Kind, operands: tuple[int, ...]) -> int:
        """The number of a node's value: of a new row, or of the value that a rule says it equals."""
        while kind.rules:
            found: Found = None
            for rule in kind.rules:
                found = rule(self, kind, operands)
                if found is not None:
                    break
            if found is None:
                break
            if isinstance(found, int):
                return found
            kind, operands = found
        number = len(self.inputs) + len(self.rows)
        if kind.silent:
            known = self.zeros.setdefault((kind.label, operands), number)
            if known < number:
                return known
            self.silent.add(number)
        self.rows.append(Row(address, kind, operands))
        return number

    def shape_source(self, number: int) -> int:
        """The value from which this one has its shape, as far back as all operands agree on it."""
        known = self.sources.setdefault(self.scope, [])  # of the numbers from the scope on
        for here in range(self.scope + len(known), number + 1):
            row = self.rows[here - len(self.inputs)]
            alike = (row.operands if row.kind.commutes else row.operands[:1]) if row.kind.same_shape else (here,)
            found = {known[n - self.scope] if self.scope <= n < here else n for n in alike}
            known.append(found.pop() if len(found) == 1 else here)
        return known[number - self.scope] if number >= self.scope else number

    def include(self, inner: Flat, operands: Sequence[int], prefix: str) -> tuple[int, ...]:
        """Take over the rows of a nested graph; return the numbers of its outputs."""
        numbers = list(operands)
        outer, self.scope = self.scope, len(self.inputs) + len(self.rows)
        for row in inner.rows:
            numbers.append(self.make(prefix + row.address, row.kind, tuple(numbers[n] for n in row.operands)))
        self.scope = outer
        return tuple(numbers[number] for _, number in inner.outputs)

    def finish(self, outputs: tuple[tuple[str, int], ...]) -> Flat:
        """The rows that reach an output, renumbered, with merges flattened into the merge that alone uses them."""
        first = len(self.inputs)
        uses = [0] * (first + len(self.rows))
        users: list[Kind | None] = [None] * len(uses)
        for _, number in outputs:
            uses[number] += 1
        for place in range(len(self.rows) - 1, -1, -1):
            if uses[first + place]:
                for number in self.rows[place].operands:
                    uses[number] += 1
                    users[number] = self.rows[place].kind
        held: dict[int, tuple[int, ...]] = {}  # a merge that its only user takes in, as its operands
        renumbered = list(range(first)) + [-1] * len(self.rows)
        rows: list[Row] = []
        for number, row in enumerate(self.rows, first):
            if not uses[number]:
                continue
            operands, kind = row.operands, row.kind
            if kind.flattens:
                operands = tuple([n for operand in operands for n in held.get(operand, (operand,))])
                user = users[number]
                if uses[number] == 1 and user is not None and user.label == kind.label:
                    held[number] = operands
                    continue
                if kind.op == "max":
                    operands = tuple(dict.fromkeys(operands))
            renumbered[number] = first + len(rows)
            rows.append(Row(row.address, kind, tuple([renumbered[n] for n in operands])))
        return Flat(self.inputs, tuple(rows), tuple((name, renumbered[number]) for name, number in outputs))


Found = int | tuple[Kind, tuple[int, ...]] | None
"""A rule's answer: the value it is, what it is instead, or None where the rule does not apply."""

Rule = Callable[[_Maker, Kind, tuple[int, ...]], Found]


def pass_one(maker: _Maker, kind: Kind, operands: tuple[int, ...]) -> Found:
    """identity(x) = x, and a merge of one operand is that operand."""
    return operands[0] if len(operands) == 1 else None


def repeat_idempotent(maker: _Maker, kind: Kind, operands: tuple[int, ...]) -> Found:
    """relu(relu(x)) = relu(x)."""
    row = maker.row(operands[0])
    return operands[0] if row is not None and row.kind.label == kind.label else None


def dedupe_max(maker: _Maker, kind: Kind, operands: tuple[int, ...]) -> Found:
    """max(a, a, b) = max(a, b)."""
    left = tuple(dict.fromkeys(operands))
    return (kind, left) if len(left) < len(operands) else None


def drop_zero_terms(maker: _Maker, kind: Kind, operands: tuple[int, ...]) -> Found:
    """add(x, 0) = x, as long as one operand is left."""
    left = tuple([number for number in operands if number not in maker.silent])
    if not left:
        return _one_zero(operands)
    return (kind, left) if len(left) < len(operands) else None


def absorb_zero_factor(maker: _Maker, kind: Kind, operands: tuple[int, ...]) -> Found:
    """mul(x, 0) = 0."""
    zeros = tuple([number for number in operands if number in maker.silent])
    found = _one_zero(zeros)
    return found if found is not None or not 0 < len(zeros) < len(operands) else (kind, zeros)


def pass_zero(maker: _Maker, kind: Kind, operands: tuple[int, ...]) -> Found:
    """f(0) = 0 where f maps zeros to zeros and keeps the shape, so it is the same zeros."""
    return _one_zero(operands) if maker.silent.issuperset(operands) else None


def zero_of_source(maker: _Maker, kind: Kind, operands: tuple[int, ...]) -> Found:
    """zero(f(x)) = zero(x) where f keeps the shape: zeros know only the shape, so what made it need not live.

    It stops at the inputs of a nested graph: otherwise a zero in the last cell would hang on the first one.
    """
    source = maker.shape_source(operands[0])
    return (kind, (source,)) if source != operands[0] else None


def _one_zero(zeros: tuple[int, ...]) -> int | None:
    """Which zero a merge of zeros is. Zeros whose shapes come from different values may not be told apart by order."""
    return zeros[0] if len(set(zeros)) == 1 else None


RULES: dict[Rule, Callable[[Kind], bool]] = {
    pass_one: lambda kind: kind.passes_one,
    repeat_idempotent: lambda kind: kind.idempotent,
    zero_of_source: lambda kind: kind.silent,
    pass_zero: lambda kind: kind.keeps_zero and kind.same_shape,
    drop_zero_terms: lambda kind: kind.op == "add" and kind.commutes,
    absorb_zero_factor: lambda kind: kind.op == "mul" and kind.commutes,
    dedupe_max: lambda kind: kind.op == "max" and kind.commutes,
}
"""The rewrites of one node, and the kinds that each concerns. Dead nodes, nesting, merges of merges, and equal zeros
fall away in `_Maker`."""
