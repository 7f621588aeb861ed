"""Small spaces and data that these tests share: 6×6 images of one channel, three classes."""

import numpy as np

from evaluators.data import Data, Examples, Found, Preparation, prepare
from evaluators.supernet.evaluator import SupernetEvaluator
from nas.core.language import one_of, op, repeat, seq, some_of
from nas.core.space import Space, image

IMAGE = image(1, 6, 6)


def blobs(examples: int = 240, seed: int = 0, side: int = 6) -> Data:
    """Images whose class is where they are bright: easy, and learned within seconds."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, examples)
    x = rng.normal(0, 2.0, (examples, 1, side, side)).astype(np.float32)
    for row in range(examples):
        place = 2 * labels[row]
        x[row, 0, place : place + 2] += 1.5
    found = Found({"train": Examples(x, {"labels": labels})}, "image")
    return prepare(found, "blobs", Preparation(validation=60, test=60))


def plain_space() -> Space:
    """Widths and kernels only: 8 networks."""
    return Space(
        seq(
            first=op("conv", kernel=one_of(1, 3), width=one_of(4, 8)),
            second=op("conv", kernel=3, width=one_of(4, 8)),
            head=op("head"),
        ),
        IMAGE,
        3,
    )


def rich_space() -> Space:
    """Operations, paths, repeats and widths."""
    return Space(
        seq(
            first=op("conv", width=8),
            block=one_of(
                conv=op("conv", kernel=one_of(1, 3)),
                separable=op("separable", kernel=3),
                paths=some_of(op("conv", kernel=1), op("conv", kernel=3), op("max_pool"), at_least=1),
            ),
            rest=repeat(op("conv", kernel=one_of(1, 3)), times=one_of(1, 2)),
            last=op("conv", width=one_of(4, 8, 16)),
            head=op("head"),
        ),
        IMAGE,
        3,
    )


def evaluator(space: Space | None = None, data: Data | None = None, **fields) -> SupernetEvaluator:
    """A supernet on the CPU, one epoch of batches of 30."""
    given = {"epochs": 1, "batch_size": 30, "device": "cpu", **fields}
    return SupernetEvaluator(data or blobs(), space=space or plain_space(), **given)
