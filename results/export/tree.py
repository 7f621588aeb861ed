"""A graph as the tree of blocks that its source is written from: nested blocks stay blocks, identities are gone.

Module names are those of `nas.core.lower`, so what is written loads the weights of what `nas.core.build` builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from nas.core.errors import ExportError, ShapeError
from nas.core.graph import Graph, Node
from nas.core.lower import identifier, lower
from nas.core.profile import InputSpec, expand
from nas.core.table import Call, Layer, Shape


class Ref(NamedTuple):
    """A value inside a block: output `output` of item `item`, or, with item -1, the block's input `output`."""

    item: int
    output: int = 0


@dataclass(frozen=True)
class Item:
    """One step of a block. `path` is the full dotted path, `name` its last part.

    what: the torch call, or the nested block. shapes: one per output.
    """

    name: str
    path: str
    what: Call | Block
    operands: tuple[Ref, ...]
    shapes: tuple[Shape, ...]

    @property
    def is_module(self) -> bool:
        """Whether a submodule of this name exists; else it is a function of its operands."""
        return isinstance(self.what, Block) or self.what.is_module


@dataclass(frozen=True, eq=False)
class Block:
    """A nested graph, or an operation made of others.

    title: the operation's name, or the node's own name. operation: the operation's name, None for a nested graph.
    owner: the nearest operation around a nested graph, '' where there is none.
    inputs: the names inside of those operands that are used. outputs: (name, value) of what is worked out inside.
    fused: whether layers in it were made one, so that it is no longer what the operation's description says.
    """

    title: str
    path: str
    operation: str | None
    owner: str
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    items: tuple[Item, ...]
    outputs: tuple[tuple[str, Ref], ...]
    fused: bool = False

    @property
    def output_shapes(self) -> tuple[Shape, ...]:
        return tuple(self.shape_of(ref) for _, ref in self.outputs)

    def shape_of(self, ref: Ref) -> Shape:
        """The shape of a value inside."""
        return self.input_shapes[ref.output] if ref.item < 0 else self.items[ref.item].shapes[ref.output]

    @property
    def is_plain(self) -> bool:
        """Whether it is a chain of torch's layers, so that its layers say all there is to say."""
        return self.is_chain and all(isinstance(item.what, Call) and item.what.target != "user" for item in self.items)

    @property
    def is_chain(self) -> bool:
        """Whether it is its submodules one after another, as `nn.Sequential` runs them."""
        last = Ref(-1)
        for place, item in enumerate(self.items):
            if not item.is_module or item.operands != (last,) or len(item.shapes) != 1:
                return False
            last = Ref(place)
        return bool(self.items) and len(self.inputs) == 1 and [ref for _, ref in self.outputs] == [last]


def tree_of(graph: Graph, inputs: Mapping[str, InputSpec]) -> Block:
    """The whole network as one block. Its outputs are all outputs of the graph, inputs that are passed on included.

    Raises: ShapeError; ExportError when the names would differ from those of the built module.
    """
    lowered = lower(graph, inputs)
    names = lowered.inputs
    shapes = tuple(inputs[name].shape for name in graph.inputs)
    filling = _Filling("", set(names), "")
    outputs = filling.fill(graph, tuple((Ref(-1, place), shape) for place, shape in enumerate(shapes)))
    refs = tuple((name, outputs[name][0]) for name in graph.output_names)
    block = Block("network", "", None, "", names, shapes, tuple(filling.items), refs)
    mine = [(item.path, item.shapes[0]) for item in leaves(block) if item.is_module]
    theirs = [(step.path, step.shape) for step in lowered.steps if step.call.is_module]
    if mine != theirs:
        odd = next((pair for pair in zip(mine, theirs, strict=False) if pair[0] != pair[1]), (len(mine), len(theirs)))
        raise ExportError(f"the source would name its layers unlike the built module: {odd[0]} and {odd[1]}")
    return block


def leaves(block: Block) -> list[Item]:
    """All torch calls in a block, in order."""
    found: list[Item] = []
    for item in block.items:
        found.extend(leaves(item.what) if isinstance(item.what, Block) else [item])
    return found


_Value = tuple[Ref, Shape]


@dataclass
class _Filling:
    """A block while its items are collected.

    taken: all paths so far, shared by the whole network. owner: the nearest operation around.
    """

    path: str
    taken: set[str]
    owner: str
    items: list[Item] = field(default_factory=list)

    def fill(self, graph: Graph, operands: tuple[_Value, ...]) -> dict[str, _Value]:
        """Add the nodes of a graph; output name → value."""
        place: dict[str, _Value] = dict(zip(graph.inputs, operands, strict=True))
        for node in graph.nodes:
            outputs = self._node(node, tuple(place[ref] for ref in node.inputs))
            place[node.name] = next(iter(outputs.values()))
            place.update({f"{node.name}:{name}": value for name, value in outputs.items()})
        return {name: place[ref] for name, ref in graph.outputs}

    def _node(self, node: Node, given: tuple[_Value, ...]) -> dict[str, _Value]:
        path = self._free(identifier(node.name))
        if isinstance(node.op, Graph):
            made: Layer | Graph = node.op
        else:
            try:
                made = expand(node.op, node.attributes, tuple(shape for _, shape in given))
            except ShapeError as error:
                raise ShapeError(f"{path} → {error}") from None
        if isinstance(made, Layer):
            return {"y": self._layer(made, path, given)}
        inner = _Filling(path, self.taken, node.op if isinstance(node.op, str) else self.owner)
        outputs = inner.fill(made, tuple((Ref(-1, place), shape) for place, (_, shape) in enumerate(given)))
        if any(item.is_module for item in inner.items):
            return self._block(node, made, inner, given, outputs)
        return self._splice(path, inner, given, outputs)

    def _free(self, name: str) -> str:
        path = f"{self.path}.{name}" if self.path else name
        while path in self.taken:
            path += "_"
        self.taken.add(path)
        return path

    def _layer(self, layer: Layer, path: str, given: tuple[_Value, ...]) -> _Value:
        if layer.call.target == "nn.Identity" or (layer.call.operands == "fold" and len(given) == 1):
            return given[0][0], layer.shape
        operands = tuple(ref for ref, _ in given)
        self.items.append(Item(path.rpartition(".")[2], path, layer.call, operands, (layer.shape,)))
        return Ref(len(self.items) - 1), layer.shape

    def _block(
        self, node: Node, made: Graph, inner: _Filling, given: tuple[_Value, ...], outputs: dict[str, _Value]
    ) -> dict[str, _Value]:
        """Add a nested block, with the operands that it uses and the outputs that it works out."""
        used = sorted({ref.output for item in inner.items for ref in item.operands if ref.item < 0})
        number = {old: new for new, old in enumerate(used)}
        items = tuple(
            Item(item.name, item.path, item.what, tuple(_renumbered(ref, number) for ref in item.operands), item.shapes)
            for item in inner.items
        )
        made_inside: dict[Ref, str] = {}
        for name, (ref, _) in outputs.items():
            if ref.item >= 0:
                made_inside.setdefault(ref, name)
        block = Block(
            title=node.op if isinstance(node.op, str) else node.name,
            path=inner.path,
            operation=node.op if isinstance(node.op, str) else None,
            owner=self.owner,
            inputs=tuple(identifier(made.inputs[old]) for old in used),
            input_shapes=tuple(given[old][1] for old in used),
            items=items,
            outputs=tuple((identifier(name), ref) for ref, name in made_inside.items()),
        )
        operands = tuple(given[old][0] for old in used)
        self.items.append(Item(inner.path.rpartition(".")[2], inner.path, block, operands, block.output_shapes))
        own = {ref: Ref(len(self.items) - 1, place) for place, ref in enumerate(made_inside)}
        return {
            name: (own[ref] if ref.item >= 0 else given[ref.output][0], shape) for name, (ref, shape) in outputs.items()
        }

    def _splice(
        self, path: str, inner: _Filling, given: tuple[_Value, ...], outputs: dict[str, _Value]
    ) -> dict[str, _Value]:
        """Add the functions of a block that holds no module: a submodule without layers would only be noise."""
        first = len(self.items)
        name = path.rpartition(".")[2]
        last = {ref.item for ref, _ in outputs.values()}

        def outer(ref: Ref) -> Ref:
            return given[ref.output][0] if ref.item < 0 else Ref(ref.item + first, ref.output)

        for place, item in enumerate(inner.items):
            hint = name if place in last and len(last) == 1 else f"{name}_{item.name}"
            operands = tuple(outer(ref) for ref in item.operands)
            self.items.append(Item(hint, item.path, item.what, operands, item.shapes))
        return {output: (outer(ref), shape) for output, (ref, shape) in outputs.items()}


def _renumbered(ref: Ref, number: Mapping[int, int]) -> Ref:
    return Ref(-1, number[ref.output]) if ref.item < 0 else ref
