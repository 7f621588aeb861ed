"""What keys cost: exact keys per second beside networkx's Weisfeiler-Lehman hash, functional keys in milliseconds.

    python tests/benchmarks/keys.py

One core, one run, nothing asserted. networkx's hash is not exact; it is here for scale only. Prints JSON.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import networkx
import torch

from nas.core import keys, probe
from nas.core.graph import Graph
from nas.core.keys import graph_key
from nas.core.space import image
from search_spaces.cnn import cnn
from search_spaces.nas_bench_101 import nas_bench_101
from search_spaces.nas_bench_201 import nas_bench_201

DATA = Path(os.environ.get("ESPALIER_DATA") or Path(__file__).parents[3] / "shared" / "data")
CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"


def per_second(function: Callable[[Any], object], things: Sequence[Any]) -> float:
    began = time.process_time()
    for thing in things:
        function(thing)
    return round(len(things) / (time.process_time() - began), 1)


def milliseconds(function: Callable[[], object], times: int) -> float:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        function()
        found.append(1e3 * (time.perf_counter() - began))
    return round(statistics.median(found), 3)


def weisfeiler_lehman(graph: Graph) -> str:
    drawn = networkx.DiGraph(graph.to_networkx())
    for _, row in drawn.nodes(data=True):
        row["label"] = str(row["op"])
    return str(networkx.weisfeiler_lehman_graph_hash(drawn, node_attr="label"))


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    space = nas_bench_201()
    graphs = [space[number].graph for number in random.Random(0).sample(range(15625), 3000)]
    cells = [graph["stage1"].op["cell1"].op for graph in graphs]  # type: ignore[union-attr]
    found["graph_key, networks of NAS-Bench-201, per second"] = per_second(graph_key, graphs)
    found["networkx WL hash, their cells only, per second"] = per_second(weisfeiler_lehman, cells[:500])
    found["graph_key, memoised, microseconds"] = round(1e6 / per_second(graph_key, graphs), 2)
    table = DATA / "nas_bench_101.parquet"
    if table.is_file():
        import pandas as pd

        rows = pd.read_parquet(table).sample(1500, random_state=1)
        wide = nas_bench_101()
        spelled = [wide.parse(f"{r.n_vertices}:{r.adjacency}:{r.ops}").graph for r in rows.itertuples()]
        keys.segments.cache_clear()
        found["graph_key, networks of NAS-Bench-101, per second"] = per_second(graph_key, spelled)
    raw = probe._graph_key.__wrapped__
    cell = space.parse(CELL).graph["stage1"].op["cell1"].op  # type: ignore[union-attr]
    inputs = ((cell.inputs[0], image(16, 32, 32)),)
    found["functional_key, a cell of NAS-Bench-201, ms"] = milliseconds(partial(raw, cell, inputs, probe.STANDARD), 15)
    for side in (8, 32):
        small = cnn(image(3, side, side))
        drawn = [small.sample(random.Random(number)).graph for number in range(12)]
        given = tuple(small.inputs.items())
        each = [milliseconds(partial(raw, graph, given, probe.STANDARD), 1) for graph in drawn]
        found[f"functional_key, candidates of cnn at {side}×{side}, ms"] = round(statistics.median(each), 3)
    print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
