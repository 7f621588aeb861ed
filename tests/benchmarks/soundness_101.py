"""NAS-Bench-101 before its judge: pairs with one key, numberings, and cells that are one function under two keys."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import networkx
import numpy as np
import pandas as pd
import torch
from networkx.algorithms.isomorphism import DiGraphMatcher

from nas.core.build import build
from nas.core.graph import Graph
from nas.core.keys import graph_key
from nas.core.lower import identifier
from nas.core.probe import functional_key
from nas.core.space import Space, image
from search_spaces.nas_bench_101 import nas_bench_101
from tests.benchmarks.accuracies import spread_101
from tests.benchmarks.judging import DATA, Found, after_a_step, say
from tests.core import judge_101
from tests.core.judge_101 import Numbers


def nas_bench_101_soundness(whole: bool, drawn: int) -> Found:
    table = pd.read_parquet(DATA / "nas_bench_101.parquet")
    rows = list(zip(table.n_vertices.tolist(), table.adjacency.tolist(), table.ops.tolist(), strict=True))
    space = nas_bench_101()
    edges, kinds = judge_101.batch(rows)
    tied, *_, labels = judge_101.refined(edges, kinds, say)
    counts = np.bincount(labels)
    doubtful = np.flatnonzero(counts[labels] > 1)
    groups = [np.flatnonzero(labels == label).tolist() for label in dict.fromkeys(labels[doubtful].tolist())]
    say(f"101: {len(counts)} cells or groups proved different")
    memory: dict[int, str] = {}

    def key(row: int) -> str:
        if row not in memory:
            memory[row] = graph_key(space.parse("{}:{}:{}".format(*rows[row])).graph)
        return memory[row]

    dice = random.Random(0)
    pairs = [tuple(dice.sample(range(len(rows)), 2)) for _ in range(drawn)]
    equal_keys = [pair for pair in pairs if key(pair[0]) == key(pair[1])]
    near = [dice.sample(group, 2) for group in groups]
    misses = near_misses(tied, labels, dice)
    dice.shuffle(misses)
    misses = misses[:5000]
    equal_misses = [pair for pair in misses if key(pair[0]) == key(pair[1])]
    say("101: pairs judged")
    return {
        "cells": len(rows),
        "proved different from all others": int((counts == 1).sum()),
        "groups of cells that no look told apart": len(groups),
        "cells in such groups": len(doubtful),
        "pairs drawn": {
            "pairs": len(pairs),
            "with one key": len(equal_keys),
            "with one key, proved different": sum(labels[a] != labels[b] for a, b in equal_keys),
            "with different keys, proved different": sum(labels[a] != labels[b] for a, b in pairs if key(a) != key(b)),
        },
        "near misses: equal where all weights are tied, proved different": {
            "pairs": len(misses),
            "with one key": len(equal_misses),
            "some of them, as functions": told_as_one(rows, misses[:100]),
        },
        "one pair of each such group": {"pairs": len(near), "with one key": sum(key(a) == key(b) for a, b in near)},
        "some of those pairs, as functions": told_as_one(rows, dice.sample(near, min(100, len(near)))),
        **({"keys of the whole table": len({key(row) for row in range(len(rows))})} if whole else {}),
        "renumbered": renumbered(space, rows, labels, dice),
        "accuracies inside those groups": spread_101(table, groups, dice),
    }


def near_misses(tied: Numbers, labels: Numbers, dice: random.Random) -> list[list[int]]:
    """A pair of each class of tied weights that holds cells proved different: twins beside sharing, mostly."""
    order = np.lexsort((labels, tied))
    starts = np.flatnonzero(np.diff(tied[order], prepend=-1))
    found = []
    for rows in np.split(order, starts[1:]):
        one = int(rows[dice.randrange(len(rows))])
        others = rows[labels[rows] != labels[one]]
        if len(others):
            found.append([one, int(others[dice.randrange(len(others))])])
    return found


def told_as_one(rows: Sequence[tuple[int, int, str]], pairs: Sequence[Sequence[int]]) -> Found:
    """Pairs of cells that no look told apart: functional keys, and outputs after the weights were carried over.

    At 12 channels, which up to four vertices share without a remainder. Equal pools are made one here, by hand, and
    networkx pairs the rest.
    """
    space = nas_bench_101(image(3, 8, 8), width=12, cells=1)
    one_key, carried_over, worst = 0, 0, 0.0
    for pair in pairs:
        graphs = [space.parse("{}:{}:{}".format(*rows[row])).graph for row in pair]
        one_key += functional_key(graphs[0], space.inputs) == functional_key(graphs[1], space.inputs)
        drawn = [_one_pool_each(graph) for graph in graphs]
        matcher = DiGraphMatcher(*drawn, node_match=lambda u, v: u["label"] == v["label"])
        if matcher.is_isomorphic():
            names = {str(b): str(a) for a, b in matcher.mapping.items()}
            worst, carried_over = max(worst, _difference(space, graphs, names)), carried_over + 1
    return {
        "pairs": len(pairs), "with one functional key": one_key, "weights carried over": carried_over,
        "largest difference": worst,
    }  # fmt: skip


def _one_pool_each(graph: Graph) -> networkx.DiGraph:
    """A network as nodes and operands, equal nodes without weights made one."""
    drawn, place = networkx.DiGraph(), {name: name for name in graph.inputs}
    drawn.add_nodes_from(graph.inputs, label="input")
    known: dict[str, str] = {}
    for node in graph.flatten():
        heard = [place[ref] for ref in node.inputs]
        text = repr((node.op, node.attributes, sorted(heard) if node.op == "add" else heard))
        if node.op in ("max_pool", "add", "concat", "crop") and text in known:
            place[node.name] = known[text]
            continue
        place[node.name] = known[text] = node.name
        drawn.add_node(node.name, label=repr((node.op, node.attributes)))
        for number, source in enumerate(heard):
            operand = f"{node.name} {number}"
            drawn.add_node(operand, label="operand" if node.op == "add" else f"operand {number}")
            drawn.add_edges_from([(source, operand), (operand, node.name)])
    return drawn


def _difference(space: Space, graphs: Sequence[Graph], names: Mapping[str, str]) -> float:
    """Outputs of two networks in both modes and after a step. names: node of the second → node of the first."""
    first, second = (build(graph.flatten(), space.inputs, seed).double() for seed, graph in enumerate(graphs))
    paths = {identifier(theirs): identifier(ours) for theirs, ours in names.items()}
    held, wanted = first.state_dict(), second.state_dict()
    for name, tensor in wanted.items():
        head, _, rest = name.partition(".")
        tensor.copy_(held[f"{paths[head]}.{rest}"])
    dice = torch.Generator().manual_seed(0)
    return after_a_step(first, second, torch.randn(4, 3, 8, 8, dtype=torch.float64, generator=dice))


def renumbered(space: Space, rows: Sequence[tuple[int, int, str]], labels: Any, dice: random.Random) -> Found:
    """Random numberings of cells: is the key kept, and does the judge take them for one?"""
    same_key = same_graph = 0
    originals, others = [], []
    for row in dice.sample(range(len(rows)), 1000):
        count, bits, ops = rows[row]
        wiring = [(i, j) for j in range(count) for i in range(j) if bits >> (i + j * (j - 1) // 2) & 1]
        order = _any_order(wiring, count, dice)
        place = {vertex: number for number, vertex in enumerate(order)}
        moved = sum(1 << (place[i] + place[j] * (place[j] - 1) // 2) for i, j in wiring)
        other = (count, moved, "".join(ops[vertex - 1] for vertex in order[1:-1]))
        originals.append(rows[row])
        others.append(other)
        one, two = (space.parse("{}:{}:{}".format(*spelled)).graph for spelled in (rows[row], other))
        same_key += graph_key(one) == graph_key(two)
        same_graph += one == two
    seen, again = (judge_101.looks(*judge_101.batch(some), 1) for some in (originals, others))
    changed = sum(a != b for a, b in zip(originals, others, strict=True))
    return {
        "cells": len(originals), "spelled otherwise": changed, "with the same key": same_key,
        "with the same graph": same_graph, "largest difference to the judge": float(np.abs(seen - again).max()),
    }  # fmt: skip


def _any_order(edges: Iterable[tuple[int, int]], count: int, dice: random.Random) -> list[int]:
    """A random order of vertices in which all edges point forward, the input first and the output last."""
    before = {vertex: {i for i, j in edges if j == vertex} for vertex in range(count)}
    order = [0]
    while len(order) < count:
        ready = [v for v in range(count) if v not in order and before[v] <= set(order)]
        order.append(dice.choice([v for v in ready if v != count - 1] or ready))
    return order
