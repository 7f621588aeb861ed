"""Hypothesis strategies that all tests share: values, spaces over the whole language, decisions, graphs.

Every operation used here keeps the shape of an image with `WIDTH` channels, so any nesting of parts is a network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from nas.core.graph import Graph, Node
from nas.core.language import compute, dag, one_of, op, optional, parallel, recursive, repeat, seq, some_of, tie
from nas.core.parts import Optional, Part
from nas.core.records import Candidate
from nas.core.space import Space, image
from nas.core.values import FrozenDict

WIDTH = 4
IMAGE = image(WIDTH, 5, 5)

Draw = Callable[[st.SearchStrategy[Any]], Any]

names = st.text("abcdefghij_-.0123456789", min_size=1, max_size=6)
"""Names that a graph takes."""

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)

values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
"""Everything that an attribute may be."""


# ---- spaces ----------------------------------------------------------------------------------------------------------


def computed(edges: tuple[str, ...] = (), kernel: int = 1) -> Part:
    """What `compute` calls in random spaces: one operation per edge, then a convolution."""
    return seq(*(op(edge) for edge in edges), op("conv", width=WIDTH, kernel=kernel))


class _Parts:
    """Draws parts. Ties are drawn once per space, so that one name always stands for one part."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.count = 0
        self.kernels = tie("all_kernels", one_of(1, 3))
        self.times = tie("all_times", one_of(2, 1))
        self.tied = tie("all_cells", self.part(1, ties=False))

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def leaf(self) -> Part:
        kind = self.pick("conv", "identity", "relu", "max_pool", "zero")
        if kind == "conv":
            return op("conv", width=WIDTH, kernel=self.pick(one_of(1, 3), self.kernels, 3))
        if kind == "max_pool":
            return op("max_pool", kernel=self.pick(3, one_of(1, 3, 5)))
        return op(kind)

    def merge(self) -> Any:
        return self.pick("add", "mean", "max", "mul", one_of("add", "max"), tie("all_merges", one_of("add", "mul")))

    def part(self, depth: int, ties: bool = True) -> Part:
        if depth == 0:
            return self.leaf()
        kinds = ["seq", "parallel", "one_of", "some_of", "optional", "repeat", "dag", "recursive", "compute"]
        kind = self.pick(*kinds, *(["tie"] if ties else []), *(["leaf"] if depth == 1 else []))
        part = getattr(self, f"_{kind}")(lambda: self.part(depth - 1, ties))
        if self.pick(False, False, True):
            self.count += 1
            part = part.named(f"own{self.count}")
        return part

    def _leaf(self, inner: Callable[[], Part]) -> Part:
        return self.leaf()

    def _tie(self, inner: Callable[[], Part]) -> Part:
        return self.tied

    def _seq(self, inner: Callable[[], Part]) -> Part:
        return seq(*(inner() for _ in range(self.pick(1, 2, 3))))

    def _parallel(self, inner: Callable[[], Part]) -> Part:
        return parallel(*(inner() for _ in range(self.pick(1, 2))), merge=self.merge())

    def _one_of(self, inner: Callable[[], Part]) -> Part:
        return one_of(*(inner() for _ in range(self.pick(1, 2, 3))))

    def _some_of(self, inner: Callable[[], Part]) -> Part:
        count = self.pick(1, 2, 3)
        least = self.draw(st.integers(1, count))
        most = self.draw(st.integers(least, count))
        return some_of(*(inner() for _ in range(count)), at_least=least, at_most=most, merge=self.merge())

    def _optional(self, inner: Callable[[], Part]) -> Part:
        part = inner()
        return optional(seq(part) if isinstance(part, Optional) else part)

    def _repeat(self, inner: Callable[[], Part]) -> Part:
        return repeat(inner(), times=self.pick(0, 1, 2, one_of(1, 2), one_of(2, 0), self.times))

    def _recursive(self, inner: Callable[[], Part]) -> Part:
        leaf, depth = inner(), self.pick(1, 2)
        self.count += 1
        shape = self.pick("chain", "pair", "optional", "some")
        bodies: dict[str, Callable[[Part], Part]] = {
            "chain": lambda again: one_of(leaf, chain=seq(op("relu"), again)),
            "pair": lambda again: one_of(leaf, pair=parallel(again, again)),
            "optional": lambda again: seq(op("relu"), rest=optional(again)),
            "some": lambda again: some_of(stop=op("relu"), more=again),
        }
        return recursive(f"tree{self.count}", bodies[shape], depth=depth)

    def _compute(self, inner: Callable[[], Part]) -> Part:
        return compute(
            computed,
            edges=self.pick(("relu",), some_of("relu", "identity", at_least=0)),
            kernel=self.pick(1, one_of(1, 3), self.kernels),
        )

    def _dag(self, inner: Callable[[], Part]) -> Part:
        nodes: dict[str, tuple[Any, ...]] = {}
        known = ["input"]
        for place in range(self.pick(1, 2)):
            sources = self.pick(
                known[-1],
                list(known),
                one_of(*known),
                some_of(*known),
                some_of(*known, at_least=0),
                [optional(name) for name in known],
                tie(f"all_sources{len(known)}", one_of(*known)),
            )
            nodes[f"node{place}"] = (inner(), sources, self.merge())
            known.append(f"node{place}")
        return dag(nodes)


@st.composite
def parts(draw: Draw, depth: int = 2) -> Part:
    """Parts that nest every word of the language in every other, `depth` levels deep."""
    return _Parts(draw).part(depth)


@st.composite
def spaces(draw: Draw, depth: int = 2, largest: int = 300) -> Space:
    """Spaces of at most `largest` networks."""
    part = draw(parts(depth))
    space = Space(part if draw(st.booleans()) else seq(part, end=op("relu")), IMAGE)
    assume(space.size() <= largest)
    return space


@st.composite
def candidates(draw: Draw, depth: int = 2) -> tuple[Space, Candidate]:
    """A space of any size and one of its candidates."""
    space = Space(draw(parts(depth)), IMAGE)
    return space, space.sample(draw(st.randoms(use_true_random=False)))


# ---- graphs ----------------------------------------------------------------------------------------------------------


@st.composite
def graphs(draw: Draw, largest: int = 6, nested: bool = True, several: bool = True) -> Graph:
    """Graphs of shape-keeping operations: unary, merging, and nested ones with one or two outputs."""
    inputs = ("x", "z")[: draw(st.integers(1, 2))] if several else ("x",)
    refs = list(inputs)
    nodes: list[Node] = []
    for place in range(draw(st.integers(1, largest))):
        kind = draw(st.sampled_from(["conv", "relu", "max_pool", "identity", "zero", "add", "mul", "concat", "graph"]))
        one = st.sampled_from(refs)
        name = f"n{place}"
        if kind == "graph" and nested:
            inner = draw(graphs(largest=3, nested=False, several=several))
            nodes.append(Node(name, inner, FrozenDict(), tuple(draw(one) for _ in inner.inputs)))
            many = len(inner.outputs) > 1
            refs += [f"{name}:{output}" for output in inner.output_names] if many else [name]
            continue
        if kind in ("add", "mul"):
            node = Node(name, kind, FrozenDict(), tuple(draw(st.lists(one, min_size=1, max_size=3))))
        elif kind == "concat":  # doubles the width; a convolution brings it back
            nodes.append(Node(f"{name}wide", "concat", FrozenDict(), (draw(one), draw(one))))
            node = Node(name, "conv", FrozenDict({"width": WIDTH, "kernel": 1}), (f"{name}wide",))
        elif kind == "conv":
            kernel = draw(st.sampled_from([1, 3]))
            node = Node(name, "conv", FrozenDict({"width": WIDTH, "kernel": kernel}), (draw(one),))
        else:
            node = Node(name, kind if kind != "graph" else "relu", FrozenDict(), (draw(one),))
        nodes.append(node)
        refs.append(name)
    outputs = [("y", refs[-1])]
    if several and draw(st.booleans()):
        outputs.append(("second", draw(st.sampled_from(refs))))
    return Graph(inputs, tuple(nodes), tuple(outputs))


def specs(graph: Graph) -> dict[str, Any]:
    """Input specs for a graph of `graphs`."""
    return dict.fromkeys(graph.inputs, IMAGE)
