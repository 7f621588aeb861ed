"""What the supernet benchmarks train: spaces, data, and how large each form is.

`small` is for two cores, `full` for a GPU. Numbers of the two are never mixed.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.data import Data, load
from nas.core.language import one_of, op, repeat, seq, some_of
from nas.core.parts import Part
from nas.core.records import Candidate
from nas.core.seeds import generator
from nas.core.space import Space
from nas.core.supernet.extremes import drawn
from search_spaces.resnet_pooling import resnet_pooling
from tests.benchmarks.judging import DATA

HERE = Path(__file__).parent
TRUTH = HERE / "supernet_truth.csv"
PUBLISHED = HERE / "supernet_pooling_published.csv"


@dataclass(frozen=True)
class Form:
    """Sizes of one form of the benchmark.

    train, validation: images. epochs: of a training from scratch; `longer` times as many of a supernet. networks,
    seeds: of the ground truth. supernets: seeds of each supernet. pooling_…: the same for the pooling networks.
    """

    train: int
    validation: int
    epochs: int
    longer: int
    networks: int
    seeds: int
    supernets: int
    pooling_train: int
    pooling_validation: int
    pooling_epochs: int
    pooling_widths: tuple[int, ...]
    pooling_side: int


FORMS = {
    "small": Form(4000, 2000, 4, 3, 30, 2, 2, 4000, 1000, 8, (8, 16, 32), 16),
    "full": Form(40000, 10000, 12, 6, 100, 3, 3, 12500, 12500, 100, (16, 32, 64), 32),
}


def paths() -> Part:
    """Convolutions side by side, summed, then one batch norm and an activation: MixPath's block, arXiv:2001.05887."""
    convolutions = {f"k{kernel}": op("conv2d", kernel=kernel, bias=False) for kernel in (1, 3, 5)}
    return seq(paths=some_of(**convolutions, at_least=1), norm=op("batch_norm"), act=op("relu"))


def multi_path(data: Data) -> Space:
    """7,056 networks of open widths, kernel, depth and paths; all halve the image three times."""
    body = seq(
        stem=op("stem", width=8, stride=2),
        enter=op("conv", width=one_of(4, 8, 12), kernel=one_of(3, 5)),
        first=paths(),
        down=op("downsample", width=one_of(8, 16, 24)),
        second=repeat(paths(), times=one_of(1, 2)),
        head=op("head"),
    )
    return Space(body, data.inputs, data.classes)


def paths_alone(data: Data) -> Space:
    """2,401 networks in which nothing but the paths of four blocks is open, as MixPath has it."""
    body = seq(
        stem=op("stem", width=8, stride=2),
        enter=op("conv", width=8),
        first=paths(),
        down=op("downsample", width=16),
        second=repeat(paths(), times=3),
        head=op("head"),
    )
    return Space(body, data.inputs, data.classes)


def pooling(data: Data, form: Form) -> Space:
    """The 36 places of poolings in ResNet-20, of the form's widths."""
    return resnet_pooling(data.inputs, data.classes, widths=form.pooling_widths)


def data_of(name: str, form: Form) -> Data:
    """Fashion-MNIST (for 'paths' too), the five classes of CIFAR-10, or these at the pooling networks' size."""
    if name in ("fashion", "paths"):
        spec: dict[str, Any] = {"path": str(DATA / "fashion_mnist.npz")}
    elif name == "cifar5":
        spec = {"path": str(DATA / "cifar10_five_classes_jpeg.npz")}
    else:
        spec = {"name": "function", "call": f"{__name__}:shrunk", "arguments": {"side": form.pooling_side}}
        return load(spec | {"limit": form.pooling_train + form.pooling_validation,
                            "validation": form.pooling_validation})  # fmt: skip
    # of the five classes there are 25,000 images
    train = min(form.train, (25000 if name == "cifar5" else 60000) - form.validation)
    return load(spec | {"limit": train + form.validation, "validation": form.validation})


def shrunk(side: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The five classes of CIFAR-10 with `side` pixels to a side, each the mean of a square."""
    data = load({"path": str(DATA / "cifar10_five_classes_jpeg.npz"), "validation": 1000})
    parts = {}
    for name in ("train", "test"):
        x, y = data.part(name).x, data.part(name).labels["labels"]
        squares = x.reshape(len(x), 3, side, 32 // side, side, 32 // side)  # (N, C, side, k, side, k)
        parts[name] = (squares.mean((3, 5)).round().astype(np.uint8), y)
    return parts


def space_of(name: str, form: Form) -> Space:
    """The space that is searched on this data."""
    data = data_of(name, form)
    if name == "pooling":
        return pooling(data, form)
    return paths_alone(data) if name == "paths" else multi_path(data)


def networks(name: str, form: Form) -> list[Candidate]:
    """The networks whose ranks are asked for: all 36 of the poolings, else random ones, even over numbers of paths."""
    space = space_of(name, form)
    if name == "pooling":
        return [space.parse(arch) for arch in published()]
    found: dict[str, Candidate] = {}
    number = 0
    while len(found) < form.networks:
        candidate = drawn(space, partial(generator, 0, "truth", number))
        found.setdefault(candidate.decisions.text, candidate)
        number += 1
    return list(found.values())


def published() -> Mapping[str, float]:
    """'[4,3,3]' → test accuracy in percent, the mean of three trainings, as arXiv:2306.11982 published it."""
    with PUBLISHED.open() as file:
        return {row["arch"]: float(row["test_accuracy"]) for row in csv.DictReader(file)}
