"""What is known of a graph before anything is built: shapes, parameters, MACs, memory, and whether a path exists.

Pure Python and memoised by value, so a repeated cell is worked out once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from nas.core.errors import GraphError, ShapeError, nearest
from nas.core.graph import Graph, Node
from nas.core.operations import find
from nas.core.parts import Part, Piece, World, short_name
from nas.core.table import Layer, Shape, whole
from nas.core.values import FrozenDict

MEMO = 100_000
"""Most graphs and operations whose costs are remembered."""


@dataclass(frozen=True)
class InputSpec:
    """What a network takes under one name: a shape without batch, and the kind of numbers.

    Raises: ShapeError for a shape, a kind of numbers or a vocabulary that no input has.
    """

    shape: Shape
    dtype: str = "float32"
    vocabulary: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.shape, tuple) or not self.shape or not all(whole(side, 1) for side in self.shape):
            raise ShapeError(
                f"input of shape {self.shape!r}; expected a tuple of whole numbers above 0, without the batch, "
                "such as (3, 32, 32)"
            )
        if self.dtype not in ("float32", "int64"):
            raise ShapeError(f"input of dtype {self.dtype!r}; {nearest(self.dtype, ('float32', 'int64'))}")
        if self.vocabulary is not None and not whole(self.vocabulary, 1):
            raise ShapeError(f"input with vocabulary={self.vocabulary!r}; expected a whole number above 0, or None")


@dataclass(frozen=True)
class Cost:
    """Counts for one input. activations: numbers that training keeps, the sum of all layers' outputs."""

    outputs: tuple[Shape, ...]
    params: int
    macs: int
    activations: int


@dataclass(frozen=True)
class Profile:
    """What a graph costs, for one input of the given shapes.

    macs: multiply-adds of convolutions, linear layers and attention, as torch's own counter has them.
    """

    outputs: Mapping[str, Shape]
    params: int
    macs: int
    activations: int
    graph: Graph
    inputs: Mapping[str, InputSpec]

    def train_memory_bytes(self, batch: int) -> int:
        """An estimate of training memory in float32: weights, gradients, two optimizer moments, kept activations."""
        return 4 * (4 * self.params + batch * self.activations)

    @property
    def shapes(self) -> dict[str, Shape]:
        """Address of every node → shape of its (first) output."""
        found: dict[str, Shape] = {}
        _collect(self.graph, tuple(spec.shape for spec in self.inputs.values()), "", found)
        return found


def profile(graph: Graph, inputs: Mapping[str, InputSpec]) -> Profile:
    """Shapes and costs of a graph. Raises ShapeError naming the node's address and what does not fit."""
    missing = [name for name in graph.inputs if name not in inputs]
    if missing:
        raise GraphError(f"the graph takes {list(graph.inputs)}, but {missing} have no shape; given: {list(inputs)}")
    own = {name: inputs[name] for name in graph.inputs}
    cost = graph_cost(graph, tuple(spec.shape for spec in own.values()))
    outputs = dict(zip(graph.output_names, cost.outputs, strict=True))
    return Profile(outputs, cost.params, cost.macs, cost.activations, graph, own)


@lru_cache(maxsize=MEMO)
def graph_cost(graph: Graph, shapes: tuple[Shape, ...]) -> Cost:
    """The cost of a graph on operands of these shapes."""
    params = macs = activations = 0
    place: dict[str, Shape] = dict(zip(graph.inputs, shapes, strict=True))
    for node in graph.nodes:
        cost = _node_cost(node, tuple(place[ref] for ref in node.inputs))
        params += cost.params
        macs += cost.macs
        activations += cost.activations
        _place(place, node, cost.outputs)
    return Cost(tuple(place[ref] for _, ref in graph.outputs), params, macs, activations)


def _place(place: dict[str, Shape], node: Node, outputs: tuple[Shape, ...]) -> None:
    place[node.name] = outputs[0]
    if isinstance(node.op, Graph):
        place.update({f"{node.name}:{name}": shape for name, shape in zip(node.op.output_names, outputs, strict=True)})


def _node_cost(node: Node, shapes: tuple[Shape, ...]) -> Cost:
    try:
        if isinstance(node.op, Graph):
            return graph_cost(node.op, shapes)
        made = expand(node.op, node.attributes, shapes)
        if isinstance(made, Graph):
            return graph_cost(made, shapes)
    except ShapeError as error:
        raise ShapeError(_within(node.name, str(error))) from None
    return Cost((made.shape,), made.params, made.macs, prod(made.shape))


def _within(name: str, message: str) -> str:
    """An error's message with one more name in front of its address."""
    at, arrow, rest = message.partition(" → ")
    return f"{name}/{at} → {rest}" if arrow else f"{name} → {message}"


@lru_cache(maxsize=MEMO)
def expand(op: str, attributes: FrozenDict, shapes: tuple[Shape, ...]) -> Layer | Graph:
    """What an operation is for operands of these shapes: a layer, or a graph of other operations.

    Raises: ShapeError; GraphError for an unknown operation or attribute.
    """
    operation = find(op)
    operation.check(attributes, op)
    made = operation.apply(shapes, attributes)
    return assembled(made) if isinstance(made, Part) else made


def assembled(part: Part) -> Graph:
    """The graph of a part in which nothing is open."""
    try:
        piece = part.assemble("", World({}))
    except KeyError as error:
        raise GraphError(f"a block's part leaves {error} open; give it a value") from None
    return as_graph(piece)


def as_graph(piece: Piece | None) -> Graph:
    """A piece as a graph of its own."""
    piece = piece or Piece("identity", FrozenDict())
    if isinstance(piece.op, Graph):
        return piece.op
    name = short_name(piece.op)
    return Graph(("x",), (Node(name, piece.op, piece.attributes, ("x",)),), (("y", name),))


def _collect(graph: Graph, shapes: tuple[Shape, ...], prefix: str, found: dict[str, Shape]) -> None:
    place: dict[str, Shape] = dict(zip(graph.inputs, shapes, strict=True))
    for node in graph.nodes:
        operands = tuple(place[ref] for ref in node.inputs)
        cost = _node_cost(node, operands)
        found[prefix + node.name] = cost.outputs[0]
        if isinstance(node.op, Graph):
            _collect(node.op, operands, f"{prefix}{node.name}/", found)
        _place(place, node, cost.outputs)


def disconnected(graph: Graph) -> str | None:
    """Why an output hears nothing of any input (every way to it crosses a `zero`), or None where all are connected."""
    heard = _heard(graph, tuple(True for _ in graph.inputs))
    deaf = [name for name, hears in zip(graph.output_names, heard, strict=True) if not hears]
    if not deaf:
        return None
    return f"no path from the input to output {', '.join(map(repr, deaf))}: every way there crosses a zero"


@lru_cache(maxsize=MEMO)
def _heard(graph: Graph, operands: tuple[bool, ...]) -> tuple[bool, ...]:
    """Which outputs depend on an operand that is not constant."""
    place: dict[str, bool] = dict(zip(graph.inputs, operands, strict=True))
    for node in graph.nodes:
        given = tuple(place[ref] for ref in node.inputs)
        if isinstance(node.op, Graph):
            inner = _heard(node.op, given)
            place[node.name] = inner[0]
            place.update({f"{node.name}:{name}": h for name, h in zip(node.op.output_names, inner, strict=True)})
        else:
            place[node.name] = any(given) and not find(node.op).silent
    return tuple(place[ref] for _, ref in graph.outputs)
