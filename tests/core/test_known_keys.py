"""Exact keys on whole benchmarks: how many classes there are, and that the tables agree inside each class."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import permutations, product

import pytest

from nas.core.graph import Graph, Node
from nas.core.keys import graph_key
from nas.core.profile import profile
from nas.core.space import Space
from search_spaces.nas_bench_101 import MOST_EDGES, VERTICES, nas_bench_101
from search_spaces.nas_bench_201 import nas_bench_201
from search_spaces.nas_bench_macro import nas_bench_macro


@pytest.mark.data
def test_macro_networks_of_one_key_have_one_accuracy_in_the_table(real):
    """3,969 classes, and the authors' accuracies are identical inside every one: identities may stand anywhere."""
    import pandas as pd

    table = pd.read_parquet(real("nas_bench_macro_cifar10.parquet")).set_index("arch")["test_acc_mean"]
    space, classes = nas_bench_macro(), defaultdict(set)
    for candidate in space.enumerate():
        classes[graph_key(candidate.graph)].add(float(table[space.spell(candidate.graph)]))
    assert len(classes) == 3969
    assert all(len(accuracies) == 1 for accuracies in classes.values())


@pytest.mark.slow
def test_cells_of_nas_bench_201():
    """6,040 exact classes, between 4,930 (sums flattened, twins conflated) and 6,466 (skips and zeros folded).

    More than the sums-flattened count since twins stay two nodes, and since a convolution of zeros is not zeros: its
    batch norm has a bias. Fewer than the published one since sums of sums are one sum.
    """
    space = nas_bench_201()
    assert len({graph_key(candidate.graph) for candidate in space.enumerate()}) == 6040


# ---- NAS-Bench-101 ---------------------------------------------------------------------------------------------------


class Cell:
    """A cell as anyone may number it: its edges and operations, read from a text and written back."""

    def __init__(self, edges: frozenset[tuple[int, int]], digits: str) -> None:
        self.edges, self.digits = edges, digits

    @staticmethod
    def read(text: str) -> Cell:
        count, bits, digits = text.split(":")
        pairs = ((i, j) for j in range(int(count)) for i in range(j))
        return Cell(frozenset((i, j) for i, j in pairs if int(bits) >> (i + j * (j - 1) // 2) & 1), digits)

    @property
    def text(self) -> str:
        return f"{len(self.digits) + 2}:{sum(1 << (i + j * (j - 1) // 2) for i, j in self.edges)}:{self.digits}"

    def all(self) -> Iterator[Cell]:
        """Every numbering of its inner vertices, whether or not the edges point forward."""
        last = len(self.digits) + 1
        for order in permutations(range(1, last)):
            number = {0: 0, last: last, **{vertex: place for place, vertex in enumerate(order, 1)}}
            edges = frozenset((number[i], number[j]) for i, j in self.edges)
            yield Cell(edges, "".join(self.digits[vertex - 1] for vertex in order))

    def forward(self) -> bool:
        return all(i < j for i, j in self.edges)

    def spread(self, rng: random.Random) -> dict[str, object]:
        """Decisions of the space: inner vertices anywhere among the seven, those unused dead ends or not wired."""
        last = len(self.digits) + 1
        place = [0, *sorted(rng.sample(range(1, VERTICES - 1), last - 1)), VERTICES - 1]
        edges = {(place[i], place[j]) for i, j in self.edges}
        free = [vertex for vertex in range(1, VERTICES - 1) if vertex not in place]
        edges |= {
            (rng.choice(place[:-1]), v) for v in free[: MOST_EDGES - len(edges)] if v > place[-2] and rng.random() < 0.5
        }
        kinds = ("conv3x3", "conv1x1", "maxpool3x3")
        taken = {f"cell/op{v}": rng.choice(kinds) for v in range(1, VERTICES - 1)}
        taken |= {f"cell/op{v}": kinds[int(digit)] for v, digit in zip(place[1:], self.digits, strict=False)}
        ordered = tuple(f"{i}-{j}" for j in range(1, VERTICES) for i in range(j) if (i, j) in edges)
        return {"cell/edges": ordered, **taken}


def alive(cell: Cell) -> bool:
    """Whether every inner vertex is on a way from the input to the output."""
    last = len(cell.digits) + 1
    heard, told = {0}, {last}
    for _ in range(last):
        heard |= {j for i, j in cell.edges if i in heard}
        told |= {i for i, j in cell.edges if j in told}
    return heard & told == set(range(last + 1))


def texts(real, count: int, seed: int) -> dict[str, int]:
    """Rows of the table, drawn or (count 0) all: text → parameters."""
    import pandas as pd

    rows = pd.read_parquet(real("nas_bench_101.parquet"))
    rows = rows.sample(count, random_state=seed) if count else rows
    return {f"{row.n_vertices}:{row.adjacency}:{row.ops}": int(row.params) for row in rows.itertuples()}


@pytest.fixture(scope="module")
def space() -> Space:
    return nas_bench_101()


@pytest.mark.data
def test_a_numbering_of_a_cell_never_changes_its_network(real, space):
    """The same graph, so the same key; it is the table's numbering, and so are its parameters."""
    rng, tried = random.Random(0), 0
    for text, params in texts(real, 250, 0).items():
        graph = space.parse(text).graph
        assert space.spell(graph) == text
        assert profile(graph, space.inputs).params == params
        numberings = [cell for cell in Cell.read(text).all() if cell.forward()]
        assert {cell.text for cell in numberings} == set(space.spellings(graph))
        for cell in rng.sample(numberings, min(8, len(numberings))):
            for other in (space.parse(cell.text), space.decide(cell.spread(rng))):
                assert other.graph == graph
                tried += 1
    assert tried > 1000


@pytest.mark.data
def test_a_graph_of_a_network_may_be_renamed_and_reordered(real, space):
    """`graph_key` itself: the cell's nodes in another order, under other names, sums with operands in another order."""
    rng = random.Random(1)
    for text in texts(real, 60, 1):
        graph = space.parse(text).graph
        assert graph_key(scrambled(graph, rng)) == graph_key(graph)
        assert graph_key(scrambled(graph.flatten(), rng)) == graph_key(graph)


def scrambled(graph: Graph, rng: random.Random) -> Graph:
    names = {node.name: f"n{place}" for node, place in zip(graph, rng.sample(range(999), len(graph)), strict=True)}
    left, known, nodes = list(graph.nodes), set(graph.inputs), []
    while left:
        node = rng.choice([n for n in left if known.issuperset(n.inputs)])
        left.remove(node)
        known.add(node.name)
        inputs = [names.get(ref, ref) for ref in node.inputs]
        if node.op == "add":
            rng.shuffle(inputs)
        inner = node.op if isinstance(node.op, str) else scrambled(node.op, rng)
        nodes.append(Node(names[node.name], inner, node.attributes, tuple(inputs)))
    return Graph(graph.inputs, tuple(nodes), tuple((name, names.get(ref, ref)) for name, ref in graph.outputs))


@pytest.mark.parametrize(
    ("most", "published"), [(4, 1 + 6 + 84), pytest.param(5, 1 + 6 + 84 + 2441, marks=pytest.mark.slow)]
)
def test_small_cells_have_one_key_exactly_when_they_are_isomorphic(space, most, published):
    """Every numbered cell of up to four (slow: five) vertices, against all renumberings of each."""
    classes: dict[str, set[str]] = defaultdict(set)
    cells = 0
    for count in range(2, most + 1):
        pairs = [(i, j) for j in range(count) for i in range(j)]
        for taken in product((False, True), repeat=len(pairs)):
            edges = frozenset(pair for pair, there in zip(pairs, taken, strict=True) if there)
            for digits in product("012", repeat=count - 2):
                cell = Cell(edges, "".join(digits))
                if alive(cell) and len(edges) <= MOST_EDGES:
                    cells += 1
                    name = min(f"{sorted(other.edges)} {other.digits}" for other in cell.all())
                    classes[name].add(graph_key(space.parse(cell.text).graph))
    assert cells > len(classes) == published
    assert all(len(keys) == 1 for keys in classes.values())
    assert len(set.union(*classes.values())) == len(classes)


@pytest.mark.data
def test_cells_of_nas_bench_101_are_all_different(real, space):
    """Drawn rows, and rows that differ in one pool used twice or two equal pools; the benchmark counts them as two."""
    names = [*texts(real, 800, 2), "6:25127:1022", "7:1327399:10222", "7:1104405:22200", "6:18341:2200"]
    names += ["7:1724949:02201", "7:1729045:02201", "6:29477:0201"]
    assert len({graph_key(space.parse(name).graph) for name in names}) == len(set(names))


@pytest.mark.data
@pytest.mark.slow
def test_the_whole_table_of_nas_bench_101(real, space):
    """423,624 keys; every row is its cell's first numbering and has as many parameters as the network. About 15 min."""
    rng, keys = random.Random(3), set()
    for text, params in texts(real, 0, 0).items():
        graph = space.parse(text).graph
        keys.add(graph_key(graph))
        assert space.spell(graph) == text
        assert profile(graph, space.inputs).params == params
        numberings = [cell for cell in Cell.read(text).all() if cell.forward()]
        assert space.parse(rng.choice(numberings).text).graph == graph
    assert len(keys) == 423_624
