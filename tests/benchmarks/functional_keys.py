"""What a functional key costs: beside a training step, and beside an epoch of training.

    python tests/benchmarks/functional_keys.py

One core, one run, CPU time, nothing asserted. `new`: a candidate never seen before, its costs and parts not yet known;
`again`: the same with all that known, but no key remembered (the best of three). Prints JSON; medians over candidates.
"""

from __future__ import annotations

import gc
import json
import platform
import random
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from evaluators.train import Train
from nas.core.build import build
from nas.core.graph import Graph
from nas.core.probe import STANDARD, functional_key
from nas.core.probe.key import _graph_key
from nas.core.profile import InputSpec
from nas.core.records import Budget, Candidate
from nas.core.space import image
from search_spaces.cnn import cnn
from search_spaces.nas_bench_201 import nas_bench_201

CANDIDATES = 24

Inputs = dict[str, InputSpec]


def milliseconds(function: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    began = clock()
    function()
    return 1e3 * (clock() - began)


def key(graph: Graph, inputs: Inputs) -> object:
    """The key, worked out again."""
    return _graph_key.__wrapped__(graph, tuple(inputs.items()), STANDARD)


def costs(graphs: Sequence[Graph], inputs: Inputs) -> dict[str, float]:
    new = [milliseconds(lambda g=graph: key(g, inputs)) for graph in graphs]  # type: ignore[misc]
    again = [min(milliseconds(lambda g=graph: key(g, inputs)) for _ in range(3)) for graph in graphs]  # type: ignore[misc]
    return {
        "new, ms": statistics.median(new),
        "again, ms": statistics.median(again),
        "again, slowest, ms": max(again),
        "remembered, us": remembered(graphs[0], inputs),
    }


def remembered(graph: Graph, inputs: Inputs) -> float:
    """Microseconds of a key that is known."""
    functional_key(graph, inputs)
    return min(milliseconds(lambda: [functional_key(graph, inputs) for _ in range(1_000)]) for _ in range(3))


def training_step(graph: Graph, inputs: Inputs, batch: int = 64) -> float:
    """A step of training of the network itself in float32, the best of three, ms."""
    network = build(graph, inputs)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    (spec,) = inputs.values()
    x, y = torch.randn(batch, *spec.shape), torch.randint(0, 10, (batch,))

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()

    return min(milliseconds(step) for _ in range(4))


def epoch(candidate: Candidate, evaluator: Train) -> float:
    return milliseconds(lambda: evaluator.evaluate(candidate, Budget(1), 0))


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    cells_of = nas_bench_201()
    drawn = [cells_of[n].graph["stage1"].op["cell1"].op for n in random.Random(0).sample(range(15625), 60)]  # type: ignore[union-attr]
    cells = [cell for cell in drawn if any(node.op == "nb201_conv" for node in cell)]
    inputs: Inputs = {cells[0].inputs[0]: image(16, 32, 32)}
    key(cells[0], inputs)  # torch's own first steps
    gc.disable()
    found: dict[str, Any] = {"a cell of NAS-Bench-201 at 16×32×32": costs(cells, inputs)}
    for channels, side, name in ((1, 8, "digits, 1×8×8"), (3, 32, "3×32×32")):
        space = cnn(image(channels, side, side))
        candidates = [space.sample(random.Random(number)) for number in range(CANDIDATES)]
        row = found[f"a candidate of cnn, {name}"] = costs([c.graph for c in candidates], space.inputs)
        steps = [training_step(candidate.graph, space.inputs) for candidate in candidates]
        row["a training step of 64 images in float32, ms"] = statistics.median(steps)
        row["key (again) over a training step"] = row["again, ms"] / statistics.median(steps)
        if side == 8:
            evaluator = Train("digits", epochs=1, device="cpu")
            epochs = [epoch(candidate, evaluator) for candidate in candidates[:8]]
            row["an epoch on digits with its validation, ms"] = statistics.median(epochs)
            row["key (new) over an epoch"] = row["new, ms"] / statistics.median(epochs)
    rounded = {name: {what: float(f"{value:.4g}") for what, value in row.items()} for name, row in found.items()}
    print(json.dumps({"torch": torch.__version__, "python": platform.python_version(), **rounded}, indent=1,
                     ensure_ascii=False))  # fmt: skip


if __name__ == "__main__":
    main()
