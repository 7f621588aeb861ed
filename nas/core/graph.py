"""The one noun: `Graph`, a decided network as a frozen value.

A graph is a DAG of nodes in topological order, with named inputs and named outputs. A node's operation is the name of
an entry of the operation table, or another graph (nesting). The order of a node's inputs is data. Names are part of the
value (they are the user's words, shown in reports and exports); `nas.core.keys` has identities that ignore them.

A reference is a string: the name of a graph input or of a node; `"node:output"` picks one output of a nested graph that
has several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nas.core.errors import GraphError
from nas.core.values import FrozenDict, canonical, digest, thaw

if TYPE_CHECKING:
    import networkx

RESERVED = ("/", ":", " ")
"""Characters that no name may hold: they join addresses and references."""


@lru_cache(maxsize=100_000)
def _can_stand(name: str) -> bool:
    return bool(name) and not any(char in name for char in RESERVED)


def check_name(name: object, where: str) -> str:
    """`name`, if it can stand in an address. Raises GraphError."""
    if not isinstance(name, str) or not _can_stand(name):
        raise GraphError(f"{where}: {name!r} is no name; use a non-empty text without '/', ':' or spaces")
    return name


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a graph: an operation (a name in the table, or a nested graph), its attributes, its operands."""

    name: str
    op: str | Graph
    attributes: FrozenDict = field(default_factory=FrozenDict)
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name, "node")
        if not isinstance(self.attributes, FrozenDict):
            object.__setattr__(self, "attributes", FrozenDict(self.attributes))
        object.__setattr__(self, "inputs", tuple(self.inputs))

    @property
    def title(self) -> str:
        """What a person calls the operation: `conv`, or `graph` for a nested one."""
        return self.op if isinstance(self.op, str) else "graph"


@dataclass(frozen=True, eq=False)
class Graph:
    """A decided network.

    inputs: names of the inputs, in order.
    nodes: in topological order; a node refers only to inputs and to nodes before it.
    outputs: output name → reference, in order.

    Raises: GraphError when a name is used twice, a reference leads nowhere or forward, or there is no output.
    """

    inputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        outputs: Any = self.outputs
        pairs = outputs.items() if isinstance(outputs, Mapping) else outputs
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "nodes", tuple(self.nodes))
        object.__setattr__(self, "outputs", tuple((name, ref) for name, ref in pairs))
        self._check()
        object.__setattr__(self, "_digest", None)
        object.__setattr__(self, "_hash", None)

    def _check(self) -> None:
        known: dict[str, Node | None] = {}
        for name in self.inputs:
            check_name(name, "graph input")
            _new(known, name, None)
        for node in self.nodes:
            for ref in node.inputs:
                _resolve(known, ref, f"node {node.name!r}")
            if isinstance(node.op, Graph) and len(node.inputs) != len(node.op.inputs):
                raise GraphError(
                    f"node {node.name!r}: {len(node.inputs)} operands for a nested graph with {len(node.op.inputs)} "
                    f"inputs {list(node.op.inputs)}"
                )
            _new(known, node.name, node)
        if not self.outputs:
            raise GraphError("a graph needs at least one output")
        seen: set[str] = set()
        for name, ref in self.outputs:
            check_name(name, "graph output")
            if name in seen:
                raise GraphError(f"output {name!r} is given twice; output names must differ")
            seen.add(name)
            _resolve(known, ref, f"output {name!r}")

    # ---- looking -------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.outputs)

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Node]]:
        """Every node at every depth with its address, a nested graph's node before the nodes inside it."""
        for node in self.nodes:
            address = f"{prefix}{node.name}"
            yield address, node
            if isinstance(node.op, Graph):
                yield from node.op.walk(f"{address}/")

    # ---- identity ------------------------------------------------------------------------------------------------

    @property
    def digest(self) -> str:
        """A digest of this very value, names and order included; the same in every process. Not a `graph_key`."""
        known: str | None = self._digest  # type: ignore[attr-defined]
        if known is None:
            rows = [
                [n.name, n.op if isinstance(n.op, str) else {"graph": n.op.digest}, n.attributes.text, list(n.inputs)]
                for n in self.nodes
            ]
            known = digest(canonical([list(self.inputs), rows, [list(pair) for pair in self.outputs]]))
            object.__setattr__(self, "_digest", known)
        return known

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        return self is other or (
            hash(self) == hash(other)
            and self.inputs == other.inputs
            and self.outputs == other.outputs
            and self.nodes == other.nodes
        )

    def __hash__(self) -> int:
        known: int | None = self._hash  # type: ignore[attr-defined]
        if known is None:
            known = hash((self.inputs, self.nodes, self.outputs))
            object.__setattr__(self, "_hash", known)
        return known

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self.inputs, self.nodes, self.outputs)

    # ---- other forms ---------------------------------------------------------------------------------------------

    def flatten(self) -> Graph:
        """The same network without nesting: inner nodes get addresses joined by dots, pass-through is resolved."""
        nodes: list[Node] = []
        taken: set[str] = set(self.inputs)
        outputs = _flatten_into(self, {name: name for name in self.inputs}, "", nodes, taken)
        return Graph(self.inputs, tuple(nodes), tuple((name, outputs[name]) for name in self.output_names))

    def to_dict(self) -> dict[str, Any]:
        """A form that `json.dumps` takes."""
        return {
            "inputs": list(self.inputs),
            "nodes": [
                {
                    "name": node.name,
                    "op": node.op if isinstance(node.op, str) else node.op.to_dict(),
                    "attributes": {name: thaw(value) for name, value in node.attributes.items()},
                    "inputs": list(node.inputs),
                }
                for node in self.nodes
            ],
            "outputs": dict(self.outputs),
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Graph:
        """The graph that `to_dict` wrote. Raises GraphError when a key is missing or a value does not fit."""
        try:
            nodes = tuple(
                Node(
                    row["name"],
                    row["op"] if isinstance(row["op"], str) else Graph.from_dict(row["op"]),
                    FrozenDict(row["attributes"]),
                    _listed(row["inputs"]),
                )
                for row in data["nodes"]
            )
            return Graph(_listed(data["inputs"]), nodes, tuple(data["outputs"].items()))
        except (KeyError, TypeError, AttributeError) as error:
            raise GraphError(
                f"this is no graph in JSON form ({type(error).__name__}: {error}); expected 'inputs', 'nodes' (each "
                "with 'name', 'op', 'attributes', 'inputs') and 'outputs'"
            ) from error

    def to_networkx(self) -> networkx.MultiDiGraph:
        """For analysis and drawing, not for keys: nodes carry `op`, `attributes`; edges carry `operand`, `output`.

        Inputs and outputs are nodes `input:NAME` and `output:NAME`. Nested graphs stay one node; flatten first to see
        inside.
        """
        import networkx

        result = networkx.MultiDiGraph()
        place = {name: f"input:{name}" for name in self.inputs}
        for name in self.inputs:
            result.add_node(place[name], op="input", attributes={})
        for node in self.nodes:
            place[node.name] = node.name
            result.add_node(node.name, op=node.op, attributes=dict(node.attributes))
            for operand, ref in enumerate(node.inputs):
                source, output = split(ref)
                result.add_edge(place[source], node.name, operand=operand, output=output)
        for name, ref in self.outputs:
            source, output = split(ref)
            result.add_node(f"output:{name}", op="output", attributes={})
            result.add_edge(place[source], f"output:{name}", operand=0, output=output)
        return result

    def __repr__(self) -> str:
        lines = [f"Graph({', '.join(self.inputs)})"]
        for address, node in self.walk():
            depth = address.count("/")
            given = ", ".join(f"{name}={value!r}" for name, value in node.attributes.items())
            lines.append(f"  {'  ' * depth}{node.name} = {node.title}({given}) <- {', '.join(node.inputs)}")
        lines.append("  -> " + ", ".join(f"{name}={ref}" for name, ref in self.outputs))
        return "\n".join(lines)


def split(ref: str) -> tuple[str, str | None]:
    """A reference as (name, output or None).

    >>> split("block:left"), split("block")
    (('block', 'left'), ('block', None))
    """
    name, colon, output = ref.partition(":")
    return name, (output if colon else None)


def chain(steps: Iterable[Node], name: str = "x") -> Graph:
    """A graph of one input and one output whose nodes follow each other; `inputs` of the steps are replaced."""
    nodes: list[Node] = []
    last = name
    for step in steps:
        nodes.append(Node(step.name, step.op, step.attributes, (last,)))
        last = step.name
    return Graph((name,), tuple(nodes), (("y", last),))


def _listed(data: Any) -> tuple[str, ...]:
    if not isinstance(data, list | tuple):
        raise TypeError(f"{data!r} is no list of names")
    return tuple(data)


def _new(known: dict[str, Node | None], name: str, node: Node | None) -> None:
    if name in known:
        raise GraphError(f"name {name!r} is used twice in one graph; names of inputs and nodes must differ")
    known[name] = node


def _resolve(known: Mapping[str, Node | None], ref: str, where: str) -> None:
    name, output = split(ref)
    if name not in known:
        raise GraphError(f"{where}: operand {ref!r} is not an input or an earlier node; known here: {list(known)}")
    node = known[name]
    nested = node.op if node is not None and isinstance(node.op, Graph) else None
    if output is not None and (nested is None or output not in nested.output_names):
        have = list(nested.output_names) if nested else "one output only"
        raise GraphError(f"{where}: {ref!r} names an output that {name!r} does not have ({have})")
    if output is None and nested is not None and len(nested.outputs) > 1:
        raise GraphError(f"{where}: {name!r} has the outputs {list(nested.output_names)}; write '{name}:OUTPUT'")


def _flatten_into(
    graph: Graph, place: dict[str, str], prefix: str, nodes: list[Node], taken: set[str]
) -> dict[str, str]:
    """Append the flat nodes of `graph` to `nodes`; return output name → flat reference."""

    def find(ref: str) -> str:
        name, output = split(ref)
        return place[ref] if output is not None else place[name]

    place = dict(place)
    for node in graph.nodes:
        operands = tuple(find(ref) for ref in node.inputs)
        if isinstance(node.op, Graph):
            inner = dict(zip(node.op.inputs, operands, strict=True))
            outputs = _flatten_into(node.op, inner, f"{prefix}{node.name}.", nodes, taken)
            for output, ref in outputs.items():
                place[f"{node.name}:{output}"] = ref
            place[node.name] = next(iter(outputs.values()))
        else:
            flat = f"{prefix}{node.name}"
            while flat in taken:  # `a.b` next to a nested a with b inside
                flat += "_"
            taken.add(flat)
            nodes.append(Node(flat, node.op, node.attributes, operands))
            place[node.name] = flat
    return {name: find(ref) for name, ref in graph.outputs}
