"""Any space of the language can be trained as a supernet: with every kind of weights, on every kind of data."""

import random

import numpy as np
import pytest

import nas
from evaluators.data import Data, Examples, Found, Preparation, prepare
from evaluators.supernet.evaluator import SupernetEvaluator
from nas.core.language import dag, one_of, op, repeat, seq, some_of
from nas.core.records import Budget
from nas.core.space import Space, tokens
from tests.evaluators.supernet.spaces import blobs

WEIGHTS = [
    "elastic",
    "separate",
    {"name": "mixture", "experts": 2, "routing": "neuron"},
    {"name": "balanced", "sets": 2},
]


def of(x: np.ndarray, labels: dict[str, np.ndarray], kind: str) -> Data:
    preparation = Preparation(validation=30, test=30)
    return prepare(Found({"train": Examples(x, labels)}, kind), "made", preparation)


def wide_blobs() -> Data:
    return blobs(side=8)


def words() -> Data:
    x = np.random.default_rng(0).integers(0, 9, (180, 5))
    return of(x, {"labels": (x == 3).any(1).astype(int)}, "tokens")


def table() -> Data:
    x = np.random.default_rng(0).normal(size=(180, 6)).astype(np.float32)
    return of(x, {"labels": (x[:, 0] > 0).astype(int)}, "features")


def two_tasks() -> Data:
    x = np.random.default_rng(0).normal(size=(180, 1, 6, 6)).astype(np.float32)
    return of(x, {"sign": (x.mean((1, 2, 3)) > 0).astype(int), "top": (x[:, 0, 0].argmax(1) % 3)}, "image")


def benchmark(name: str, **fields) -> Space:
    data = blobs(side=8)
    return nas.load("space", {"name": name, **fields}, inputs=data.inputs, classes=data.classes)


def branched() -> Space:
    nodes = {
        "trunk": (op("conv", width=one_of(4, 8)), "x"),
        "more": (op("conv", kernel=one_of(1, 3)), "trunk"),
        "a": (op("head", classes=2), one_of("trunk", "more")),
        "b": (op("head", classes=3), "more"),
    }
    part = dag(nodes, inputs=("x",), outputs={"sign": "a", "top": "b"})
    return Space(part, next(iter(two_tasks().inputs.values())), {"sign": 2, "top": 3})


def text() -> Space:
    block = op("transformer", heads=one_of(1, 2), ratio=one_of(1, 2), dropout=0.1)
    return Space(seq(op("tokens", width=one_of(4, 8)), repeat(block, times=one_of(1, 2)), op("head")), tokens(5, 9), 2)


def dense() -> Space:
    wide = some_of(op("linear", width=4), op("linear", width=8), at_least=1, merge="concat")
    return Space(seq(wide, op("relu"), op("linear", width=2)), next(iter(table().inputs.values())), 2)


CASES = {
    "recursive": (lambda: benchmark("tree", depth=2, stages=1, width=4), wide_blobs),
    "tied cells with zeros": (lambda: benchmark("nas_bench_201", width=4, cells=1), wide_blobs),
    "multi-path": (lambda: benchmark("cnn", widths=[4, 8], depths=[1, 2], stages=1), wide_blobs),
    "several outputs": (branched, two_tasks),
    "tokens": (text, words),
    "features": (dense, table),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_every_kind_of_space_is_trained_and_measured(case, weights, tmp_path):
    space, data = (make() for make in CASES[case])
    training = {"name": "sandwich", "random": 1, "distill": True} if weights == "elastic" else "uniform"
    found = SupernetEvaluator(
        data,
        space=space,
        weights=weights,
        training=training,
        statistics="shadow",
        epochs=1,
        batch_size=60,
        device="cpu",
    )
    found.prepare(tmp_path, 0)
    names = {metric.name for metric in found.metrics()}
    rng, measured = random.Random(0), 0
    while measured < 3:
        candidate = space.sample(rng)
        if space.trouble(candidate) is None:
            metrics = found.evaluate(candidate, Budget(1), 0).metrics
            assert set(metrics) <= names
            assert np.isfinite(list(metrics.values())).all()
            measured += 1
