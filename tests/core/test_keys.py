"""`graph_key` against brute-force isomorphism: equal exactly when two graphs are one labelled DAG up to numbering.

The graphs here hold no operation that a rewrite of `nas.core.simplify` touches, so the numbering is tested alone.
"""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from itertools import combinations, permutations

import networkx
import pytest
from networkx.algorithms.isomorphism import DiGraphMatcher
from torch import Tensor, nn

from nas.core.graph import Graph, Node
from nas.core.keys import evaluation_key, graph_key
from nas.core.language import op, parallel, seq
from nas.core.profile import assembled
from nas.core.records import Budget
from nas.core.simplify import simplify
from nas.core.values import FrozenDict, canonical
from tests.core.processes import in_fresh_processes


class Two(nn.Module):
    """Two operands whose order counts, and a weight, so that no rewrite merges two of it."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(Tensor([scale]))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.weight * a - b


class Gather(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(Tensor([1.0]))

    def forward(self, *operands: Tensor) -> Tensor:
        return self.weight * sum(operands)


TWO, GATHER = f"{__name__}:Two", f"{__name__}:Gather"
COMMUTING = ("mean",)


def node(name: str, op: str, *inputs: str, **attributes: object) -> Node:
    return Node(name, op, FrozenDict(attributes), inputs)


def random_graph(rng: random.Random, count: int) -> Graph:
    """`count` nodes of a small alphabet; all ends meet, in order, in one last node."""
    refs, nodes = ["x"], []
    for place in range(count):
        kind = rng.choice(["conv1", "conv1", "conv3", "two", "mean"])
        name = f"n{place}"
        if kind == "two":
            nodes.append(node(name, TWO, rng.choice(refs), rng.choice(refs)))
        elif kind == "mean" and len(refs) > 1:
            nodes.append(node(name, "mean", *rng.sample(refs, 2)))
        else:
            nodes.append(node(name, "conv2d", rng.choice(refs), kernel=3 if kind == "conv3" else 1))
        refs.append(name)
    used = {ref for n in nodes for ref in n.inputs}
    ends = [n.name for n in nodes if n.name not in used]
    return Graph(("x",), (*nodes, node("end", GATHER, *ends)), (("y", "end"),))


def shuffled(graph: Graph, rng: random.Random) -> Graph:
    """The same graph renamed, in another topological order, with commuting operands in another order."""
    names = dict(zip((n.name for n in graph.nodes), (f"m{i}" for i in rng.sample(range(99), len(graph))), strict=True))
    left, known, nodes = list(graph.nodes), set(graph.inputs), []
    while left:
        chosen = rng.choice([n for n in left if set(n.inputs) <= known])
        left.remove(chosen)
        known.add(chosen.name)
        inputs = [names.get(ref, ref) for ref in chosen.inputs]
        if chosen.op in COMMUTING:
            rng.shuffle(inputs)
        nodes.append(Node(names[chosen.name], chosen.op, chosen.attributes, tuple(inputs)))
    return Graph(graph.inputs, tuple(nodes), tuple((name, names.get(ref, ref)) for name, ref in graph.outputs))


def labelled(graph: Graph) -> networkx.DiGraph:
    """Nodes with labels; each operand is a node of its own that carries its place where order counts."""
    result = networkx.DiGraph()
    for name in graph.inputs:
        result.add_node(name, label=f"input {graph.inputs.index(name)}")
    for n in graph.nodes:
        result.add_node(n.name, label=canonical([str(n.op), dict(n.attributes)]))
        for place, ref in enumerate(n.inputs):
            edge = (n.name, place)
            result.add_node(edge, label="operand" if n.op in COMMUTING else f"operand {place}")
            result.add_edge(ref, edge)
            result.add_edge(edge, n.name)
    for name, ref in graph.outputs:
        result.add_node(("out", name), label=f"output {name}")
        result.add_edge(ref, ("out", name))
    return result


def isomorphic(a: Graph, b: Graph) -> bool:
    return bool(
        DiGraphMatcher(labelled(a), labelled(b), node_match=lambda u, v: u["label"] == v["label"]).is_isomorphic()
    )


def profile_of(graph: Graph) -> str:
    return canonical(sorted(Counter(d["label"] for _, d in labelled(graph).nodes(data=True)).items()))


def test_keys_are_equal_exactly_for_isomorphic_graphs() -> None:
    rng = random.Random(0)
    groups: dict[str, list[Graph]] = defaultdict(list)
    for _ in range(700):
        graph = random_graph(rng, rng.choice([2, 3, 4, 4, 5]))
        assert len(simplify(graph)) == len(graph), "no rewrite is meant to apply here"
        groups[profile_of(graph)].append(graph)
    compared, equal = 0, 0
    for graphs in groups.values():
        for a, b in list(combinations(graphs, 2))[:60]:
            same = isomorphic(a, b)
            assert (graph_key(a) == graph_key(b)) == same, f"{a!r}\n{b!r}"
            compared += 1
            equal += same
    assert compared > 1000
    assert 100 < equal < compared - 100  # both answers occur


def test_keys_of_unlike_graphs_differ() -> None:
    """Graphs with different numbers of labels are no isomorphic ones; no need to ask networkx."""
    rng = random.Random(1)
    keys: dict[str, str] = {}
    for _ in range(600):
        graph = random_graph(rng, rng.choice([2, 3, 4, 5]))
        assert keys.setdefault(graph_key(graph), profile_of(graph)) == profile_of(graph)
    assert len(keys) > 250


def test_renaming_renumbering_and_commuting_operands_keep_the_key() -> None:
    rng = random.Random(2)
    for _ in range(200):
        graph = random_graph(rng, rng.choice([3, 5, 8, 12]))
        assert graph_key(shuffled(graph, rng)) == graph_key(graph)


def test_one_change_changes_the_key() -> None:
    rng = random.Random(3)
    for _ in range(150):
        graph = random_graph(rng, rng.choice([3, 5, 8]))
        place = rng.randrange(len(graph.nodes))
        old = graph.nodes[place]
        if old.op == "conv2d":
            new = Node(old.name, old.op, FrozenDict({"kernel": 5}), old.inputs)
        elif old.op == TWO:
            new = Node(old.name, old.op, old.attributes, old.inputs[::-1])
        else:
            continue
        changed = Graph(graph.inputs, (*graph.nodes[:place], new, *graph.nodes[place + 1 :]), graph.outputs)
        assert (graph_key(changed) == graph_key(graph)) == isomorphic(changed, graph)


# ---- the traps -------------------------------------------------------------------------------------------------------


def test_twins_and_sharing_stay_apart() -> None:
    """Trap 2: a1 + c(a1) shares one node, a1 + c(a2) holds two with weights of their own."""
    a1, a2 = node("a1", "conv2d", "x", kernel=3), node("a2", "conv2d", "x", kernel=3)
    shared = Graph(("x",), (a1, node("c", "conv2d", "a1"), node("s", "add", "a1", "c")), (("y", "s"),))
    apart = Graph(("x",), (a1, a2, node("c", "conv2d", "a2"), node("s", "add", "a1", "c")), (("y", "s"),))
    mirrored = Graph(("x",), (a1, a2, node("c", "conv2d", "a1"), node("s", "add", "c", "a2")), (("y", "s"),))
    assert graph_key(shared) != graph_key(apart)
    assert graph_key(apart) == graph_key(mirrored)


def test_arrows_in_and_arrows_out_stay_apart() -> None:
    """Trap 1: networkx's Weisfeiler-Lehman hash gives two arrows out of a node and two into it one digest."""
    out = Graph(("x",), (node("h", "conv2d", "x"), node("l", TWO, "h", "x"), node("r", TWO, "h", "x"),
                         node("e", GATHER, "l", "r")), (("y", "e"),))  # fmt: skip
    into = Graph(("x",), (node("l", "conv2d", "x"), node("r", TWO, "x", "x"), node("h", TWO, "l", "r"),
                          node("e", GATHER, "h", "x")), (("y", "e"),))  # fmt: skip
    assert graph_key(out) != graph_key(into)


def rings(pairs: list[tuple[int, int]]) -> Graph:
    """A convolution per corner and one per side of rings: all corners have two sides, so all look alike from nearby."""
    nodes = [node(f"a{i}", "conv2d", "x") for i in range(len(pairs))]
    nodes += [node(f"e{i}", "mean", f"a{u}", f"a{v}") for i, (u, v) in enumerate(pairs)]
    nodes += [node(f"c{i}", "conv2d", f"e{i}") for i in range(len(pairs))]
    return Graph(("x",), (*nodes, node("y", "mean", *(f"c{i}" for i in range(len(pairs))))), (("y", "y"),))


def test_corners_that_look_alike_and_are_not() -> None:
    """A ring of three and one of four: which corner is tried first must not matter."""
    both = rings([(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 6), (6, 3)])
    rng = random.Random(4)
    assert {graph_key(shuffled(both, rng)) for _ in range(20)} == {graph_key(both)}


def test_regular_graphs_that_refinement_alone_cannot_tell_apart() -> None:
    """Two rings of three and one ring of six."""
    triangles = rings([(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)])
    others = rings([(0, 4), (4, 2), (2, 0), (3, 1), (1, 5), (5, 3)])
    hexagon = rings([(i, (i + 1) % 6) for i in range(6)])
    assert graph_key(triangles) == graph_key(others)
    assert graph_key(triangles) != graph_key(hexagon)
    assert isomorphic(triangles, others)
    assert not isomorphic(triangles, hexagon)


def test_operand_order_and_places_of_one_source() -> None:
    def keyed(*operands: str) -> str:
        return graph_key(Graph(("x",), (node("a", "conv2d", "x"), node("t", TWO, *operands)), (("y", "t"),)))

    assert len({keyed("a", "x"), keyed("x", "a"), keyed("a", "a"), keyed("x", "x")}) == 4


def test_inputs_and_outputs_are_told_apart_by_place_and_by_name() -> None:
    body = (node("t", TWO, "u", "v"), node("w", "conv2d", "t"))
    start = Graph(("u", "v"), body, (("y", "w"),))
    assert graph_key(Graph(("v", "u"), body, (("y", "w"),))) != graph_key(start)
    renamed = Graph(("a", "b"), (node("t", TWO, "a", "b"), node("w", "conv2d", "t")), (("y", "w"),))
    assert graph_key(renamed) == graph_key(start)
    both = [Graph(("u", "v"), body, outputs) for outputs in permutations((("y", "w"), ("z", "t")))]
    assert graph_key(both[0]) == graph_key(both[1]) != graph_key(start)
    swapped = Graph(("u", "v"), body, (("y", "t"), ("z", "w")))
    assert graph_key(swapped) != graph_key(both[0])


def test_an_attribute_and_its_default_are_one_and_its_type_counts() -> None:
    def keyed(**attributes: object) -> str:
        return graph_key(Graph(("x",), (node("a", TWO, "x", "x", **attributes),), (("y", "a"),)))

    assert keyed() == keyed(scale=1.0)
    assert len({keyed(), keyed(scale=1), keyed(scale=True), keyed(scale=2.0)}) == 4


# ---- cost, processes, evaluation keys --------------------------------------------------------------------------------


def test_symmetry_does_not_cost_its_factorial() -> None:
    """Nine equal branches have 362,880 orders; trying all would take minutes."""
    branch = seq(op("conv2d"), op("tanh"), op("conv2d"))
    start = time.perf_counter()
    key = graph_key(assembled(parallel(*[branch] * 9, merge="mean")))
    assert time.perf_counter() - start < 20
    assert key != graph_key(assembled(parallel(*[branch] * 8, merge="mean")))


def test_keys_are_the_same_in_every_process() -> None:
    code = (
        "from nas.core.graph import Graph, Node\nfrom nas.core.keys import graph_key\n"
        "a, b = Node('a', 'conv', {'width': 4}, ('x',)), Node('b', 'tanh', {}, ('x',))\n"
        "print(graph_key(Graph(('x',), (a, b, Node('s', 'mean', {}, ('b', 'a'))), (('y', 's'),))))"
    )
    one, two = in_fresh_processes(code)
    a, b = node("p", "tanh", "in"), node("q", "conv", "in", width=4, kernel=3)
    assert one == two == graph_key(Graph(("in",), (a, b, node("r", "mean", "q", "p")), (("y", "r"),))) + "\n"


@pytest.mark.parametrize(
    "other",
    [
        ("g3:b", "train", Budget(3), 0, "search"),
        ("g3:a", "train2", Budget(3), 0, "search"),
        ("g3:a", "train", Budget(4), 0, "search"),
        ("g3:a", "train", Budget(3, "steps"), 0, "search"),
        ("g3:a", "train", Budget(3), 1, "search"),
        ("g3:a", "train", Budget(3), 0, "finalist"),
    ],
)
def test_every_part_of_an_evaluation_is_in_its_key(other: tuple[str, str, Budget, int, str]) -> None:
    start = evaluation_key("g3:a", "train", Budget(3), 0)
    assert start == evaluation_key("g3:a", "train", Budget(3.0), 0, "search")
    assert start.startswith("e1:")
    assert evaluation_key(*other) != start
