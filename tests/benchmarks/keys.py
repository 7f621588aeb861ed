"""What exact keys cost, beside networkx's Weisfeiler-Lehman hash in the same run, and how many there are.

    python tests/benchmarks/keys.py            # the whole table of NAS-Bench-101: about fifteen minutes
    python tests/benchmarks/keys.py --rows 20000

One core, processor time, nothing asserted. Every graph is keyed once, so nothing is remembered but what networks share.
Keys and hashes take turns, batch by batch, so that a busy machine slows both. networkx's hash is not exact; it is here
for scale only, once on the cell alone and once on the whole network without nesting. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import networkx

from nas.core.graph import Graph
from nas.core.keys import graph_key
from nas.core.profile import as_graph
from search_spaces.nas_bench_101 import nas_bench_101
from search_spaces.nas_bench_201 import nas_bench_201

DATA = Path(os.environ.get("ESPALIER_DATA") or Path(__file__).parents[3] / "shared" / "data")
BATCH = 1000
HASHED = 10
"""Graphs of a batch that networkx hashes: a share is enough, as it is slow."""


def weisfeiler_lehman(graph: Graph) -> str:
    drawn = networkx.DiGraph(graph.to_networkx())
    for _, row in drawn.nodes(data=True):
        row["label"] = str(row["op"])
    return str(networkx.weisfeiler_lehman_graph_hash(drawn, node_attr="label"))


def cell_of(graph: Graph) -> Graph:
    stack = graph["stage1" if "stage1" in {node.name for node in graph} else "stack1"].op
    assert isinstance(stack, Graph)
    inner = stack.nodes[0].op
    return inner if isinstance(inner, Graph) else as_graph(inner)


class Clock:
    """Seconds and number of things, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.things: dict[str, int] = defaultdict(int)

    def time(self, name: str, function: Callable[[Any], Any], things: Sequence[Any]) -> list[Any]:
        began = time.process_time()
        made = [function(thing) for thing in things]
        self.seconds[name] += time.process_time() - began
        self.things[name] += len(things)
        return made

    def rate(self, name: str) -> float:
        return round(self.things[name] / self.seconds[name], 1)


def measured(graphs: Iterable[Graph], clock: Clock) -> dict[str, Any]:
    """What is known once all graphs are keyed, in batches."""
    keys: set[str] = set()
    left = iter(graphs)
    while batch := list(islice(left, BATCH)):
        keys.update(clock.time("key", graph_key, batch))
        clock.time("again", graph_key, batch)
        some = batch[:HASHED]
        clock.time("cell", weisfeiler_lehman, [cell_of(graph) for graph in some])
        clock.time("network", weisfeiler_lehman, [graph.flatten() for graph in some])
    return {
        "networks": clock.things["key"],
        "different keys": len(keys),
        "graph_key, seconds for all": round(clock.seconds["key"], 1),
        "graph_key, per second": clock.rate("key"),
        "graph_key of a graph known already, microseconds": round(1e6 / clock.rate("again"), 2),
        "networkx WL hash of the cell alone, per second": clock.rate("cell"),
        "networkx WL hash of the whole network, per second": clock.rate("network"),
        "graph_key of a network, times as fast as networkx on its cell": round(
            clock.rate("key") / clock.rate("cell"), 2
        ),
        "and as networkx on the network": round(clock.rate("key") / clock.rate("network"), 2),
    }


def rows_of_101(count: int, clock: Clock) -> Iterator[Graph]:
    import pandas as pd

    rows = pd.read_parquet(DATA / "nas_bench_101.parquet")
    rows = rows if count == 0 else rows.sample(count, random_state=1)
    space = nas_bench_101()
    texts = [f"{n}:{a}:{o}" for n, a, o in zip(rows.n_vertices, rows.adjacency, rows.ops, strict=True)]
    for start in range(0, len(texts), BATCH):
        yield from clock.time("parse", lambda text: space.parse(text).graph, texts[start : start + BATCH])


def main() -> None:
    warnings.simplefilter("ignore")  # networkx's hashes changed between versions
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=0, help="rows of NAS-Bench-101 to draw; 0 for all 423,624")
    asked = parser.parse_args()
    space = nas_bench_201()
    drawn = (space[number].graph for number in random.Random(0).sample(range(15_625), 15_625))
    found: dict[str, Any] = {"NAS-Bench-201": measured(drawn, Clock())}
    if (DATA / "nas_bench_101.parquet").is_file():
        clock = Clock()
        found["NAS-Bench-101"] = measured(rows_of_101(asked.rows, clock), clock)
        both = (clock.seconds["parse"] + clock.seconds["key"]) / clock.things["key"]
        found["NAS-Bench-101"]["from a row's text to its key, per second"] = round(1 / both, 1)
    print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
