"""From a graph to what is drawn: boxes, nodes and edges, still without a place.

A drawing is shallower than its graph: nested graphs that only group (one node; a chain that is a branch among others; a
chain that is the one nested graph of a nested chain) are drawn in line, without a box of their own; and, when asked
for, equal nodes that follow one another become one with a count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from nas.core.graph import Graph, Node, split
from nas.core.profile import Cost, InputSpec, profile
from nas.core.table import Shape
from results.drawing import labels
from results.drawing.costs import cost_of, told


@dataclass(eq=False)
class Item:
    """Something with a place: a leaf, a box with a scene in it, an input or output, or a bend of a long edge.

    kind: a family of `labels.FAMILIES`, 'other', 'box', 'choice', 'input', 'output' or 'bend'.
    address: within the scene. tooltip: what follows the address there. likeness: equal for what may become one.
    count: how many it stands for, which is written on it. copies: how many there can be in its place.
    open: it may be there or not.
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
    copies: int = 1
    open: bool = False

    @property
    def small(self) -> bool:
        """A merge or something that passes on, with nothing else to say: drawn round and low."""
        return self.kind in ("merge", "pass") and not self.details

    @property
    def behind(self) -> int:
        """How many rims are drawn behind it, because it stands for several."""
        return min(max(self.count, self.copies) - 1, 2)

    @property
    def ports(self) -> tuple[int, int]:
        """How many inputs and outputs of its own it has; nodes, and boxes that lines end at, have one."""
        inner = self.inner or Scene()
        return max(len(inner.inputs), 1), max(len(inner.outputs), 1)

    def say(self, text: str, *lines: str) -> Item:
        """Write one more thing on it, and these lines in its tooltip."""
        if self.inner is None:
            self.details += [text] if text else []
        else:
            self.title = " · ".join(filter(None, [self.title, text]))
        self.tooltip = "\n".join(filter(None, [self.tooltip, *lines]))
        return self


@dataclass(eq=False)
class Edge:
    """From port `start` of `source` to port `end` of `target`; `bends` lie between them, a layer each.

    turn: x of the upward way of an edge that leads to the top of the next column. open: it may be there or not.
    """

    source: Item
    start: int
    target: Item
    end: int
    bends: list[Item] = field(default_factory=list)
    turn: float | None = None
    open: bool = False


@dataclass(eq=False)
class Scene:
    """One level of a drawing. `inputs` and `outputs` are items too; in a box they lie on its edge.

    A scene without inputs and outputs, in a box, has items side by side that nothing connects: lines end at the box.
    """

    inputs: list[Item] = field(default_factory=list)
    outputs: list[Item] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    layers: list[list[Item]] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


Port = tuple[Item, int, Shape | None]
"""An item, which of its outputs, and the shape there if it is known."""


def is_chain(graph: Graph) -> bool:
    """Whether the nodes follow one another, from the only input to the only output."""
    last = graph.inputs[0] if len(graph.inputs) == 1 else None
    for node in graph.nodes:
        if last is None or node.inputs != (last,):
            return False
        last = node.name
    return len(graph.outputs) == 1 and graph.outputs[0][1] == last


def make_scene(graph: Graph, *, collapse: bool, inputs: Mapping[str, InputSpec] | None = None) -> Scene:
    """The scene of a graph. Boxes with equal graphs in them share one scene.

    inputs: with these, nodes that change the shape say so, and tooltips tell shapes and costs. Raises
        ShapeError when the graph does not fit them.
    """
    if inputs is not None:
        profile(graph, inputs)  # refuses, by address, what does not fit
    own = [inputs[name].shape for name in graph.inputs] if inputs is not None else [None] * len(graph.inputs)
    return _make(graph, own, _Manner(collapse, {}), nested=False)


@dataclass(frozen=True)
class _Manner:
    """How scenes are made. made: scenes of nested graphs, to be shared."""

    collapse: bool
    made: dict[tuple[str, tuple[Shape | None, ...]], Scene]


@dataclass(frozen=True)
class _Level:
    """Where `_fill` is: `prefix` is the address of what was drawn in line since the scene began."""

    scene: Scene
    manner: _Manner
    prefix: str
    nested: bool


def _make(graph: Graph, shapes: Sequence[Shape | None], manner: _Manner, *, nested: bool) -> Scene:
    scene = Scene()
    place: dict[str, Port] = {}
    for name, shape in zip(graph.inputs, shapes, strict=True):
        title = f"{name}  {labels.times(shape)}" if shape and not nested else name
        scene.inputs.append(Item("input", title=title))
        place[name] = (scene.inputs[-1], 0, shape)
    outputs = _fill(_Level(scene, manner, "", nested), graph, place)
    for name, (item, port, _) in outputs.items():
        scene.outputs.append(Item("output", title=name))
        scene.edges.append(Edge(item, port, scene.outputs[-1], 0))
    if manner.collapse:
        _collapse(scene)
    return scene


def _fill(level: _Level, graph: Graph, place: dict[str, Port]) -> dict[str, Port]:
    """Put the nodes of `graph` into the scene; return where each of its outputs comes from."""
    place = dict(place)
    branches = not is_chain(graph)
    within = level.nested or level.prefix != ""
    wraps = within and sum(isinstance(node.op, Graph) for node in graph.nodes) == 1
    for node in graph.nodes:
        operands = [place[ref] for ref in node.inputs]
        if isinstance(node.op, Graph):
            if is_chain(node.op) and (len(node.op.nodes) <= 1 or branches or wraps):
                inner = dict(zip(node.op.inputs, operands, strict=True))
                found = _fill(replace(level, prefix=f"{level.prefix}{node.name}/"), node.op, inner)
            else:
                found = _add_box(level, node, node.op, operands)
            place.update({f"{node.name}:{name}": port for name, port in found.items()})
            place[node.name] = next(iter(found.values()))
        else:
            place[node.name] = _add_leaf(level, node, operands)
    return {name: place[ref if ":" in ref else split(ref)[0]] for name, ref in graph.outputs}


def _add_box(level: _Level, node: Node, graph: Graph, operands: Sequence[Port]) -> dict[str, Port]:
    address, made, shapes = f"{level.prefix}{node.name}", level.manner.made, tuple(port[2] for port in operands)
    likeness = (graph.digest, shapes)
    if likeness not in made:
        made[likeness] = _make(graph, shapes, level.manner, nested=True)
    cost = _cost(node, operands)
    given: Sequence[Shape | None] = cost.outputs if cost is not None else [None] * len(graph.outputs)
    item = Item(
        "box",
        title=labels.shorten(node.name.replace("_", " "), 40),
        address=address,
        tooltip=f"\n{told(cost)}" if cost is not None else "",
        inner=made[likeness],
        likeness=f"{likeness}{node.attributes.text}",
    )
    level.scene.items.append(item)
    level.scene.edges += [Edge(source, start, item, end) for end, (source, start, _) in enumerate(operands)]
    return {name: (item, port, found) for port, (name, found) in enumerate(zip(graph.output_names, given, strict=True))}


def _add_leaf(level: _Level, node: Node, operands: Sequence[Port]) -> Port:
    op, address = str(node.op), f"{level.prefix}{node.name}"
    cost = _cost(node, operands)
    shape = cost.outputs[0] if cost is not None else None
    details = labels.details(node, shape if shape not in [port[2] for port in operands] else None)
    tooltip = labels.everything(node) + (f"\n{told(cost)}" if cost is not None else "")
    item = Item(
        labels.family(op),
        title=labels.title(node),
        details=details,
        address=address,
        tooltip=tooltip,
        likeness=f"{op}{node.attributes.text}{details}",
    )
    level.scene.items.append(item)
    level.scene.edges += [Edge(source, start, item, 0) for source, start, _ in operands]
    return item, 0, shape


def _cost(node: Node, operands: Sequence[Port]) -> Cost | None:
    """What a node gives and costs, where the shapes are known."""
    shapes = [shape for _, _, shape in operands if shape is not None]
    return cost_of(node, shapes) if len(shapes) == len(operands) > 0 else None


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
        last, alone = first, first.tooltip
        while len(out[last]) == 1:
            follower = out[last][0].target
            if not follower.likeness or follower.likeness != first.likeness or len(into[follower]) != 1:
                break
            gone.add(follower)
            first.count += 1
            first.tooltip = f"{alone} (each of {first.count})"
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
