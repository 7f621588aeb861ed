"""From a graph to what is drawn: boxes, nodes and edges, still without a place.

A drawing is shallower than its graph: nested graphs that only group (one node; a chain that is a branch among others; a
chain that is the one nested graph of a nested chain) are drawn in line, without a box of their own; and, when asked
for, equal nodes that follow one another become one with a count.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from nas.core.graph import Graph, Node, split
from results.drawing import labels


@dataclass(eq=False)
class Item:
    """Something with a place: a leaf, a box with a scene in it, an input or output, or a bend of a long edge.

    kind: a family of `labels.FAMILIES`, 'other', 'box', 'input', 'output' or 'bend'.
    address: within the scene. tooltip: what follows the address there. likeness: equal for what may become one.
    x, y: the middle of its top edge, in px within its scene. entries, exits: x of its ports relative to that.
    top, bottom: y of the band of its layer, which may be taller.
    """

    kind: str
    title: str = ""
    details: list[str] = field(default_factory=list)
    address: str = ""
    tooltip: str = ""
    count: int = 1
    inner: Scene | None = None
    likeness: str = ""
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    top: float = 0.0
    bottom: float = 0.0
    entries: list[float] = field(default_factory=lambda: [0.0])
    exits: list[float] = field(default_factory=lambda: [0.0])


@dataclass(eq=False)
class Edge:
    """From port `start` of `source` to port `end` of `target`; `bends` lie between them, a layer each.

    turn: x of the upward way of an edge that leads to the top of the next column.
    """

    source: Item
    start: int
    target: Item
    end: int
    bends: list[Item] = field(default_factory=list)
    turn: float | None = None


@dataclass(eq=False)
class Scene:
    """One level of a drawing. `inputs` and `outputs` are items too; in a box they lie on its edge."""

    inputs: list[Item] = field(default_factory=list)
    outputs: list[Item] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    layers: list[list[Item]] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


Port = tuple[Item, int]


def is_chain(graph: Graph) -> bool:
    """Whether the nodes follow one another, from the only input to the only output."""
    last = graph.inputs[0] if len(graph.inputs) == 1 else None
    for node in graph.nodes:
        if last is None or node.inputs != (last,):
            return False
        last = node.name
    return len(graph.outputs) == 1 and graph.outputs[0][1] == last


def make_scene(graph: Graph, *, collapse: bool) -> Scene:
    """The scene of a graph. Boxes with equal graphs in them share one scene."""
    return _make(graph, collapse, nested=False, made={})


def _make(graph: Graph, collapse: bool, *, nested: bool, made: dict[str, Scene]) -> Scene:
    scene = Scene()
    place: dict[str, Port] = {}
    for name in graph.inputs:
        item = Item("input", title=name)
        scene.inputs.append(item)
        place[name] = (item, 0)
    outputs = _fill(scene, graph, place, "", _Manner(collapse, nested, made))
    for name, port in outputs.items():
        item = Item("output", title=name)
        scene.outputs.append(item)
        scene.edges.append(Edge(*port, item, 0))
    if collapse:
        _collapse(scene)
    return scene


@dataclass(frozen=True)
class _Manner:
    """How scenes are made. nested: this one is the inside of a box. made: digest → scene of a nested graph."""

    collapse: bool
    nested: bool
    made: dict[str, Scene]


def _fill(scene: Scene, graph: Graph, place: dict[str, Port], prefix: str, manner: _Manner) -> dict[str, Port]:
    """Put the nodes of `graph` into the scene; return where each of its outputs comes from."""
    place = dict(place)
    branches = not is_chain(graph)
    wraps = (manner.nested or prefix != "") and sum(isinstance(node.op, Graph) for node in graph.nodes) == 1
    for node in graph.nodes:
        operands = [place[ref] for ref in node.inputs]
        address = f"{prefix}{node.name}"
        if isinstance(node.op, Graph):
            if is_chain(node.op) and (len(node.op.nodes) <= 1 or branches or wraps):
                inner = dict(zip(node.op.inputs, operands, strict=True))
                found = list(_fill(scene, node.op, inner, f"{address}/", manner).items())
            else:
                item = _box(node, address, manner)
                scene.items.append(item)
                scene.edges += [Edge(*port, item, end) for end, port in enumerate(operands)]
                found = [(name, (item, place)) for place, name in enumerate(node.op.output_names)]
            for name, port in found:
                place[f"{node.name}:{name}"] = port
            place[node.name] = found[0][1]
        else:
            item = _leaf(node, address)
            scene.items.append(item)
            scene.edges += [Edge(*port, item, 0) for port in operands]
            place[node.name] = (item, 0)
    return {name: place[ref if ":" in ref else split(ref)[0]] for name, ref in graph.outputs}


def _box(node: Node, address: str, manner: _Manner) -> Item:
    assert isinstance(node.op, Graph)
    digest = node.op.digest
    if digest not in manner.made:
        manner.made[digest] = _make(node.op, manner.collapse, nested=True, made=manner.made)
    return Item(
        "box",
        title=labels.shorten(node.name.replace("_", " "), 40),
        address=address,
        inner=manner.made[digest],
        likeness=f"{digest}{node.attributes.text}",
    )


def _leaf(node: Node, address: str) -> Item:
    op = str(node.op)
    kind = labels.family(op)
    return Item(
        kind,
        title=labels.title(node),
        details=labels.details(node),
        address=address,
        tooltip=labels.everything(node),
        likeness=f"{op}{node.attributes.text}",
    )


def _collapse(scene: Scene) -> None:
    """Make one item of each run of equal items that follow one another and that nothing else comes between."""
    into: dict[Item, list[Edge]] = defaultdict(list)
    out: dict[Item, list[Edge]] = defaultdict(list)
    for edge in scene.edges:
        into[edge.target].append(edge)
        out[edge.source].append(edge)
    gone: set[Item] = set()
    for first in scene.items:
        if first in gone:
            continue
        last = first
        while len(out[last]) == 1:
            follower = out[last][0].target
            if not follower.likeness or follower.likeness != first.likeness or len(into[follower]) != 1:
                break
            gone.add(follower)
            first.count += 1
            first.title = _both(first.title, follower.title)
            last = follower
        if last is not first:
            scene.edges = [edge for edge in scene.edges if edge.source not in gone or edge.source is last]
            scene.edges = [edge for edge in scene.edges if edge.target not in gone]
            for edge in out[last]:
                edge.source = first
            out[first] = out[last]
    scene.items = [item for item in scene.items if item not in gone]


def _both(a: str, b: str) -> str:
    """What the titles of two equal items share: `cell1` and `cell2` are `cell`."""
    bare = a.rstrip("0123456789 ")
    return bare if bare and bare == b.rstrip("0123456789 ") and a != b else a
