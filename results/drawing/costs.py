"""What parts of a network give and cost, as `nas.core.profile` works it out: for tooltips, and as a table of layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.core.graph import Graph, Node
from nas.core.profile import Cost, InputSpec, graph_cost, profile
from nas.core.table import Shape
from results.drawing import labels

FOLDED = 2
"""Equal blocks in a row from which on `layers_of` folds them."""


def cost_of(node: Node, shapes: Sequence[Shape]) -> Cost:
    """The cost of one node on operands of these shapes: that of a graph in which it is alone."""
    names = tuple(f"operand{place}" for place in range(len(shapes)))
    found = node.op.output_names if isinstance(node.op, Graph) else ()
    outputs = [(name, f"{node.name}:{name}") for name in found] if len(found) > 1 else [("y", node.name)]
    alone = Node(node.name, node.op, node.attributes, names)
    return graph_cost(Graph(names, (alone,), tuple(outputs)), tuple(shapes))


def told(cost: Cost) -> str:
    """`output 16×32×32 · 2,304 parameters · 2,359,296 multiply-adds`; counts of 0 say nothing."""
    counts = {"parameters": cost.params, "multiply-adds": cost.macs}
    shapes = " and ".join(labels.times(shape) for shape in cost.outputs)
    return " · ".join([f"output {shapes}", *(f"{count:,} {what}" for what, count in counts.items() if count)])


@dataclass(frozen=True)
class _Way:
    """Where a walk is. place: the address as it is shown, with its slash. copies: how many networks it stands for."""

    place: str
    copies: int


def layers_of(
    graph: Graph, inputs: Mapping[str, InputSpec], *, fold: bool = False, most: int | None = None
) -> list[dict[str, Any]]:
    """The layers that compute something, in order, as rows of a table.

    A row has `place` (the address, such as 'stage1/block2/conv'), `what` (operation and attributes), `shape` (of the
    output, as text), `params` and `macs` (multiply-adds for one input). Their sums are those of the network. A layer is
    a node of the graph; a block of the operation table is one.

    fold: equal blocks that follow one another are told once, as 'stage1/cell1–5/conv'; `count` then says how many
        layers a row stands for, and `params` and `macs` are those of all of them.
    most: rows to give at most; the last one then tells of the rest together.

    Raises: ShapeError when the graph does not fit `inputs`.
    """
    profile(graph, inputs)  # refuses, by address, what does not fit
    shapes = {name: inputs[name].shape for name in graph.inputs}
    rows = list(_rows(graph, shapes, _Way("", 1), fold=fold))
    if most is not None and len(rows) > most:
        rest = rows[most - 1 :]
        sums = {name: sum(row[name] for row in rest) for name in ("params", "macs", *(["count"] if fold else []))}
        what = f"{len(rest):,} more rows, together"
        rows[most - 1 :] = [{"place": "…", "what": what, "shape": rest[-1]["shape"], **sums}]
    return rows


def _rows(graph: Graph, shapes: Mapping[str, Shape], way: _Way, *, fold: bool) -> Iterator[dict[str, Any]]:
    place = dict(shapes)
    nodes = list(graph.nodes)
    while nodes:
        node = nodes.pop(0)
        operands = [place[ref] for ref in node.inputs]
        cost = cost_of(node, operands)
        if isinstance(node.op, Graph):
            run = [node]
            while fold and nodes and _follows(run[-1], nodes[0], operands, cost):
                run.append(nodes.pop(0))
            if len(run) < FOLDED:
                nodes[:0], run = run[1:], run[:1]
            name = node.name if len(run) == 1 else span([each.name for each in run])
            inner = dict(zip(node.op.inputs, operands, strict=True))
            yield from _rows(node.op, inner, _Way(f"{way.place}{name}/", way.copies * len(run)), fold=fold)
            node = run[-1]
            for output, shape in zip(run[-1].op.output_names, cost.outputs, strict=True):  # type: ignore[union-attr]
                place[f"{node.name}:{output}"] = shape
        elif cost.params or cost.macs or labels.family(str(node.op)) != "pass":
            yield {
                "place": f"{way.place}{node.name}",
                "what": " · ".join([labels.title(node), *labels.details(node)]),
                "shape": labels.times(cost.outputs[0]),
                "params": cost.params * way.copies,
                "macs": cost.macs * way.copies,
                **({"count": way.copies} if fold else {}),
            }
        place[node.name] = cost.outputs[0]


def _follows(node: Node, other: Node, operands: Sequence[Shape], cost: Cost) -> bool:
    """Whether `other` is the same block once more, on what `node` gives."""
    same = other.op == node.op and other.attributes == node.attributes and other.inputs == (node.name,)
    return same and len(operands) == 1 and cost.outputs == tuple(operands)


def span(names: Sequence[str]) -> str:
    """Several names in short.

    >>> span(["block2", "block3", "block4"]), span(["a", "b"]), span(["a"])
    ('block2–4', 'a, b', 'a')
    """
    bare = {name.rstrip("0123456789") for name in names}
    numbers = [name[len(name.rstrip("0123456789")) :] for name in names]
    if len(names) > 1 and len(bare) == 1 and "" not in numbers:
        counted = [int(number) for number in numbers]
        if counted == list(range(counted[0], counted[0] + len(names))) and numbers == [str(n) for n in counted]:
            return f"{names[0]}–{counted[-1]}"
    return ", ".join(names)
