"""What the soundness benchmarks share: where tables lie, how classes are judged, and spreads of accuracies."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tests.core import judge
from tests.core.judge import Cell

DATA = Path(os.environ.get("ESPALIER_DATA") or Path(__file__).parents[3] / "shared" / "data")
BEGAN = time.perf_counter()
Found = dict[str, Any]
Classes = Mapping[Cell, Hashable]


def say(text: str) -> None:
    print(f"{time.perf_counter() - BEGAN:7.1f} s  {text}", file=sys.stderr, flush=True)


def judged(classes: Classes, truth: Classes) -> Found:
    """How classes of cells differ from behaviours. Pairs are of cells; `too many` and `missing` count merges."""
    inside: dict[Hashable, Counter[Hashable]] = defaultdict(Counter)
    for cell, name in classes.items():
        inside[name][truth[cell]] += 1
    both = sum(len(counts) for counts in inside.values())
    wrong = [counts for counts in inside.values() if len(counts) > 1]
    pairs = sum(comb(sum(c.values()), 2) for c in inside.values())
    true = sum(comb(count, 2) for c in inside.values() for count in c.values())
    return {
        "classes": len(inside),
        "classes that hold several behaviours": len(wrong),
        "merges too many": both - len(inside),
        "merges missing": both - len({truth[cell] for cell in classes}),
        "merged pairs": pairs,
        "falsely merged pairs": pairs - true,
    }


def members(classes: Classes) -> dict[Hashable, list[Cell]]:
    found: dict[Hashable, list[Cell]] = defaultdict(list)
    for cell, name in classes.items():
        found[name].append(cell)
    return found


def after_a_step(first: torch.nn.Module, second: torch.nn.Module, x: torch.Tensor) -> float:
    """The largest difference of outputs in both modes, before and after a step of gradient descent."""
    labels = torch.arange(len(x)) % 10
    told: list[list[torch.Tensor]] = []
    for network in (first, second):
        seen = [network.eval()(x).detach(), network.train()(x)]
        F.cross_entropy(seen[1], labels).backward()
        with torch.no_grad():
            for weight in network.parameters():
                if weight.grad is not None:
                    weight.sub_(weight.grad, alpha=0.05)
            told.append([*seen, network.train()(x), network.eval()(x)])
    return max(judge.relative(a, b) for a, b in zip(*told, strict=True))


def within(values: Any, classes: Sequence[Hashable]) -> Found:
    """Pooled standard deviation inside classes of two or more, and the median over classes, in percent points."""
    groups: dict[Hashable, list[float]] = defaultdict(list)
    for value, name in zip(values, classes, strict=True):
        if value == value:
            groups[name].append(float(value))
    several = [np.array(group) for group in groups.values() if len(group) > 1]
    freedom = sum(len(group) - 1 for group in several)
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in several)
    each = [float(group.std(ddof=1)) for group in several]
    return {
        "classes": len(several), "pooled": round((squares / max(freedom, 1)) ** 0.5, 3),
        "median": round(float(np.median(each)), 3) if each else None,
    }  # fmt: skip
