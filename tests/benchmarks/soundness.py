"""Are keys sound? Merges that are wrong, merges that are missed and why, measured on NAS-Bench-201, -101 and -Macro.

    python -m tests.benchmarks.soundness --json tests/benchmarks/soundness.json      (one core, about 15 minutes)
    python -m tests.benchmarks.soundness --whole-101                                 (and all 423,624 keys, 3 more)

The judges (`tests/core/judge.py`, `judge_101.py`) share no code with the keys: they run cells in float64 and pair
weights by trying. A class of keys that holds two behaviours is a false merge; a behaviour that has two keys is a false
split. Wrong keys are judged too, so that it can be seen that the judge finds what is wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import warnings
from collections import Counter
from collections.abc import Hashable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import torch

from nas.core import keys, simplify
from nas.core.build import build
from nas.core.graph import Graph
from nas.core.keys import graph_key
from nas.core.probe import ProbeError, functional_key
from nas.core.space import Space, image
from search_spaces.nas_bench_201 import nas_bench_201
from tests.benchmarks.judging import BEGAN, DATA, Classes, Found, after_a_step, judged, members, say
from tests.core import judge, judge_101
from tests.core.judge import BEYOND, CONFLATED, EDGES, EXACT, Cell, spelling

# ---- classes of cells against behaviours -----------------------------------------------------------------------------


def carried(classes: Classes, pairing: Mapping[Cell, Mapping[int, Any]]) -> Found:
    """Every merged cell against the first of its class: the weights carried over, outputs, gradients and one step."""
    worst, compared = 0.0, 0
    for cells in members(classes).values():
        first = cells[0]
        edge_of = {slot: edge for edge, slot in pairing[first].items()}
        for cell in cells[1:]:
            if set(edge_of) == set(pairing[cell].values()):
                difference = judge.transported(first, cell, {edge_of[s]: edge for edge, s in pairing[cell].items()})
            else:
                difference = float("inf")
            worst, compared = max(worst, difference), compared + 1
    return {"merged cells compared with the first of their class": compared, "largest difference": worst}


# ---- keys that are known to be wrong ---------------------------------------------------------------------------------


def weisfeiler_lehman(cell: Cell) -> str:
    """networkx's hash of the cell as a directed graph with operations on its edges, as other tools key it."""
    drawn = networkx.DiGraph()
    drawn.add_nodes_from(range(4))
    for digit, edge in zip(cell, EDGES, strict=True):
        if digit != judge.NONE:
            drawn.add_edge(*edge, op=judge.OPERATIONS[digit])
    return str(networkx.weisfeiler_lehman_graph_hash(drawn, edge_attr="op"))


def merkle(space: Space) -> dict[Cell, Hashable]:
    """A digest of what each node of the simplified cell is and what it hears, from the bottom up: trap 2."""
    found: dict[Cell, Hashable] = {}
    for cell in judge.cells():
        rows = simplify.flat(cell_graph(space, cell))
        told: list[Any] = [f"input {place}" for place in range(len(rows.inputs))]
        for row in rows.rows:
            heard = [told[number] for number in row.operands]
            told.append((row.kind.label, *(sorted(heard, key=repr) if row.kind.commutes else heard)))
        found[cell] = repr([told[number] for _, number in rows.outputs])
    return found


@torch.no_grad()
def filled_by_shape(fresh: bool) -> dict[Cell, Hashable]:
    """Outputs where all convolutions of one shape hold the same weights: trap 3. fresh: norms as torch makes them."""
    bank = judge.Bank(0)
    same = {digit: bank.slots[(str(judge.size_of(digit)), 0)] for digit in (judge.CONV1, judge.CONV3)}
    if fresh:
        one, zero = torch.ones(judge.C, dtype=torch.float64), torch.zeros(judge.C, dtype=torch.float64)
        same = {digit: replace(held, gain=one, offset=zero, mean=zero, var=one) for digit, held in same.items()}
    look = torch.randn(bank.x.numel(), dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    told = []
    for cell in judge.cells():
        weights = {edge: same[cell[edge]] for edge in judge.convolutions(cell)}
        told.append(float(judge.run(cell, weights, bank.x, not fresh).reshape(-1) @ look))
    return dict(zip(judge.cells(), judge_101.classes(np.array(told)[:, None]).tolist(), strict=True))


# ---- NAS-Bench-201 ---------------------------------------------------------------------------------------------------


def cell_graph(space: Space, cell: Cell) -> Graph:
    stage = space.parse(judge.text(cell)).graph["stage1"].op
    assert isinstance(stage, Graph)
    inner = stage.nodes[0].op
    assert isinstance(inner, Graph)
    return inner


def ladder(truth: Classes) -> Found:
    """The judge's own algebra, rule after rule: how many classes, how many of them wrong."""
    steps: list[tuple[str, frozenset[str]]] = [("texts", frozenset({"many", "twins"}))]
    for rule, words in (
        ("skip", "skip(x) = x"), ("zero", "x + 0 = x, and what hears nothing or is not heard falls away"),
        ("zero_pool", "pool(0) = 0"), ("flat", "sums of sums are one sum"),
        ("one_pool", "equal pools are one"), ("linear", "the pool of a sum is the sum of the pools"),
        ("constant", "a convolution of zeros does not feel its kernel"),
        ("pool_constant", "the pool of a constant is the constant"),
    ):  # fmt: skip
        steps.append((words, steps[-1][1] | {rule}))
    found = {}
    for words, rules in steps:
        told = judged({cell: spelling(cell, rules) for cell in judge.cells()}, truth)
        found[words] = {"classes": told["classes"], "merges too many": told["merges too many"]}
    return found


def causes(classes: Classes, exact: Classes) -> Found:
    """True merges beyond exact keys by cause, one cause after the other, and how many these classes do not make."""
    found, rules, before = {}, EXACT, (0, 0)
    for rule in BEYOND:
        rules |= {rule}
        there = members({cell: spelling(cell, rules) for cell in exact}).values()
        possible = sum(len({exact[cell] for cell in cells}) - 1 for cells in there)
        missed = sum(len({classes[cell] for cell in cells}) - 1 for cells in there)
        found[rule] = {"merges": possible - before[0], "missing": missed - before[1]}
        before = possible, missed
    return found


def without_each_rule() -> Found:
    """Classes of cells under `graph_key` with one rewrite switched off, each counted in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        names = [*(rule.__name__ for rule in simplify.RULES), "flattens", "commutes"]
        return {"all": pool.submit(_keys_without, "").result()} | {
            f"without {name}": pool.submit(_keys_without, name).result() for name in names
        }


def _keys_without(name: str) -> int:
    for rule in simplify.RULES:
        if rule.__name__ == name:
            simplify.RULES[rule] = lambda kind: False
    full = simplify.kind_of
    for module in (simplify, keys) if name in ("flattens", "commutes") else ():
        module.kind_of = lambda op, attributes: replace(full(op, attributes), **{name: False})  # type: ignore[attr-defined]
    space = nas_bench_201()
    return len({graph_key(cell_graph(space, cell)) for cell in judge.cells()})


def networks(classes: Classes, pairing: Mapping[Cell, Mapping[int, Any]], count: int) -> Found:
    """Whole networks, built by Espalier, of pairs drawn from merged classes: weights carried over, before and after
    a step of gradient descent with cross-entropy."""
    space = nas_bench_201(image(3, 8, 8), width=4, cells=1)
    dice = random.Random(0)
    large = [cells for cells in members(classes).values() if len(cells) > 1]
    worst = 0.0
    for place in range(count):
        one, two = dice.sample(dice.choice(large), 2)
        at = {slot: edge for edge, slot in pairing[one].items()}
        pairs = {at[slot]: edge for edge, slot in pairing[two].items()}
        worst = max(worst, _network_difference(space, one, two, pairs, place))
    return {"pairs": count, "largest difference": worst}


def _network_difference(space: Space, one: Cell, two: Cell, pairs: Mapping[int, int], seed: int) -> float:
    dice = torch.Generator().manual_seed(seed)
    first, second = (build(space.parse(judge.text(cell)).graph, space.inputs, seed).double() for cell in (one, two))
    for network in (first, second):
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                drawn = torch.randn(tensor.shape, dtype=torch.float64, generator=dice)
                tensor.copy_(drawn.square() + 0.5 if name.endswith("running_var") else drawn * 0.5)
    names = {f"edge{a}{b}": edge for edge, (a, b) in enumerate(EDGES)}
    edges = {edge: name for name, edge in names.items()}
    held, wanted = first.state_dict(), second.state_dict()
    for name, tensor in wanted.items():
        parts = name.split(".")
        edge = next((names[part] for part in parts if part in names), None)
        source = {b: a for a, b in pairs.items()}.get(edge) if edge is not None else None
        origin = name if edge is None else None if source is None else name.replace(edges[edge], edges[source])
        if origin is not None and origin in held and held[origin].shape == tensor.shape:
            tensor.copy_(held[origin])
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64, generator=dice)
    return after_a_step(first, second, x)


def nas_bench_201_soundness(pairs: int) -> tuple[Found, dict[Cell, Hashable], dict[Cell, Hashable]]:
    space, cells = nas_bench_201(), judge.cells()
    strict = judge.behaviours(cells)
    training = judge.behaviours(cells, modes=(True,))
    truth = strict.number
    found: Found = {
        "cells": len(cells),
        "behaviours": len(set(truth.values())),
        "behaviours in training mode alone": len(set(training.number.values())),
        "smallest distance of two behaviours": strict.apart,
        "largest distance inside one": strict.within,
    }
    say(f"behaviours: {found['behaviours']}")
    exact: dict[Cell, Hashable] = {cell: graph_key(space.parse(judge.text(cell)).graph) for cell in cells}
    found["graph_key"] = judged(exact, truth) | carried(exact, strict.pairing)
    found["graph_key, whole networks of pairs drawn"] = networks(exact, strict.pairing, pairs)
    say(f"graph_key: {found['graph_key']}")
    wrong: dict[str, Classes] = {
        "Merkle digest of the simplified cell (trap 2)": merkle(space),
        "networkx Weisfeiler-Lehman hash (trap 1)": {cell: weisfeiler_lehman(cell) for cell in cells},
        "outputs as torch starts, weights filled by shape alone (trap 3: 4,540)": filled_by_shape(fresh=True),
        "outputs in training, weights filled by shape alone": filled_by_shape(fresh=False),
        "the benchmark's own text (published: 6,466)": {cell: judge.benchmark_spelling(cell) for cell in cells},
        "sums flattened, twins conflated (published: 4,930)": {cell: spelling(cell, CONFLATED) for cell in cells},
    }
    found["keys known to be wrong"] = {name: judged(classes, truth) for name, classes in wrong.items()}
    say("wrong keys judged")
    found["the judge's algebra, rule after rule"] = ladder(truth)
    found["graph_key of cells, without one rule"] = without_each_rule()
    say("rules switched off one by one")
    found["functional_key, cells of 16 channels"] = functional_soundness(space, exact, truth, training.number)
    say(f"functional_key: {found['functional_key, cells of 16 channels']}")
    return found, exact, dict(truth)


def functional_soundness(space: Space, exact: Classes, truth: Classes, training: Classes) -> Found:
    """Classes of `functional_key`, one cell of each exact key probed."""
    known: dict[Hashable, Hashable] = {}
    refused: Counter[str] = Counter()
    began = time.process_time()
    for cell, name in exact.items():
        if name not in known:
            graph = cell_graph(space, cell)
            try:
                known[name] = functional_key(graph, {graph.inputs[0]: image(16, 32, 32)})
            except ProbeError as error:
                known[name] = ("no key", name)
                refused[str(error)] += 1
    seconds = time.process_time() - began
    classes = {cell: known[name] for cell, name in exact.items()}
    keyed = {cell: name for cell, name in classes.items() if not isinstance(name, tuple)}
    return {
        **judged(classes, truth),
        "merges missing among those with a key": judged(keyed, truth)["merges missing"],
        "merges too many in training mode alone": judged(classes, training)["merges too many"],
        "exact keys without a functional key": dict(refused),
        "milliseconds each": round(1e3 * seconds / len(known), 2),
        "true causes, beyond exact keys": causes(classes, exact),
        "examples of false merges": examples(classes, truth, training),
    }


def examples(classes: Classes, truth: Classes, training: Classes, most: int = 6) -> list[Found]:
    """Classes that hold several behaviours, and whether training mode alone would tell them apart."""
    found = []
    for cells in members(classes).values():
        apart = {truth[cell]: cell for cell in cells}
        if len(apart) > 1 and len(found) < most:
            one, two = list(apart.values())[:2]
            least = judge.best_transport(one, two)[0]
            found.append({
                "cells": [judge.text(one), judge.text(two)], "least difference over all transports": least,
                "equal in training mode": training[one] == training[two],
            })  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--whole-101", action="store_true", help="a key for every cell of NAS-Bench-101")
    parser.add_argument("--pairs", type=int, default=20_000, help="random pairs of NAS-Bench-101")
    parser.add_argument("--only-101", action="store_true", help="NAS-Bench-101 alone; other figures stay in the file")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    result: Found = json.loads(asked.json.read_text()) if asked.only_101 and asked.json else {}
    tables = (DATA / "nas_bench_101.parquet").is_file()
    if not asked.only_101:
        result["nas_bench_201"], exact, truth = nas_bench_201_soundness(300)
        if tables:
            from tests.benchmarks.accuracies import spread_201, spread_macro

            result["accuracies of nas_bench_201, %"] = spread_201(exact, truth)
            result["accuracies of nas_bench_macro, %"] = spread_macro()
    if tables:
        from tests.benchmarks.soundness_101 import nas_bench_101_soundness

        result["nas_bench_101"] = nas_bench_101_soundness(asked.whole_101, asked.pairs)
    else:
        say(f"no tables in {DATA}: NAS-Bench-101 and the accuracies are left out")
    result["seconds, NAS-Bench-101 alone" if asked.only_101 else "seconds"] = round(time.perf_counter() - BEGAN)
    text = json.dumps(result, indent=1, ensure_ascii=False, default=int)  # numpy's whole numbers
    print(text)
    if asked.json:
        asked.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
