"""Spread of accuracies inside classes of keys, beside what it should be compared with. Tables only, no networks."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nas.core.keys import graph_key
from search_spaces.nas_bench_macro import nas_bench_macro
from tests.benchmarks.judging import DATA, Classes, Found, within
from tests.core import judge
from tests.core.judge import CONFLATED, EDGES, spelling


def spread_201(exact: Classes, truth: Classes) -> Found:
    """Inside exact keys; between the keys of one behaviour; inside wrong classes; and over all cells."""
    table = pd.read_parquet(DATA / "nas_bench_201_cifar10.parquet")
    digits = [tuple(row) for row in table[[f"op_{i}_{j}" for i, j in EDGES]].to_numpy().tolist()]
    conflated = {cell: spelling(cell, CONFLATED) for cell in judge.cells()}
    found: Found = {}
    for column in ("val_acc_ep12", "test_acc_ep12", "val_acc_ep200", "test_acc_ep200"):
        values = table[column].to_numpy(dtype=float)
        good = values > (85.0 if column.endswith("200") else 60.0)
        kept = [cell for cell, is_good in zip(digits, good, strict=True) if is_good]
        one_each: dict[Hashable, list[float]] = defaultdict(list)
        for cell, value in zip(kept, values[good], strict=True):
            one_each[truth[cell], exact[cell]].append(value)
        wrong: dict[Hashable, list[float]] = defaultdict(list)
        for cell, value in zip(kept, values[good], strict=True):
            wrong[conflated[cell], truth[cell]].append(value)
        mixed = Counter(name for name, _ in wrong)
        false = [name for name in wrong if mixed[name[0]] > 1]
        found[column] = {
            "cells that learned": len(kept),
            "inside exact keys": within(values[good], [exact[cell] for cell in kept]),
            "between keys of one behaviour, first of each": within(
                [group[0] for group in one_each.values()], [name for name, _ in one_each]),
            "between behaviours of falsely merged classes (4,930), first of each": within(
                [wrong[name][0] for name in false], [name for name, _ in false]),
            "standard deviation over all": round(float(np.std(values[good], ddof=1)), 3),
        }  # fmt: skip
    params: dict[Hashable, set[int]] = defaultdict(set)
    for cell, count in zip(digits, table["params"], strict=True):
        params[exact[cell]].add(int(count))
    found["keys whose cells differ in parameters, by convolutions that nothing hears"] = sum(
        len(counts) > 1 for counts in params.values()
    )
    return found


def spread_macro() -> Found:
    """NAS-Bench-Macro: its three runs are per cell, and its cells of one key have one accuracy."""
    table = pd.read_parquet(DATA / "nas_bench_macro_cifar10.parquet")
    space = nas_bench_macro()
    exact = [graph_key(space.parse(arch).graph) for arch in table["arch"]]
    runs = table[[f"test_acc_seed{seed}" for seed in range(3)]].to_numpy()
    return {
        "keys": len(set(exact)),
        "inside exact keys": within(table["test_acc_mean"], exact),
        "from seed to seed": {"pooled": round(float(np.sqrt(runs.var(axis=1, ddof=1).mean())), 3),
                              "median": round(float(np.median(runs.std(axis=1, ddof=1))), 3)},
    }  # fmt: skip


def spread_101(table: Any, groups: Sequence[Sequence[int]], dice: random.Random) -> Found:
    """Test accuracy (mean of three runs) inside groups that no look told apart, beside random pairs."""
    accuracy, params = table["test_acc"].to_numpy(), table["params"].to_numpy()
    names = [(place, int(params[row])) for place, group in enumerate(groups) for row in group]
    rows = [row for group in groups for row in group]
    good = [place for place, row in enumerate(rows) if accuracy[row] > 85]
    shuffled = [rows[place] for place in good]
    dice.shuffle(shuffled)
    return {
        "groups of one parameter count": within([accuracy[rows[p]] for p in good], [names[p] for p in good]),
        "random pairs": within(accuracy[shuffled], [place // 2 for place in range(len(shuffled))]),
    }
