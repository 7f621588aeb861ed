"""Sources `torchvision` and `huggingface`: data sets by their public names, where those libraries are installed."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from evaluators.data.function import found_in
from evaluators.data.images import from_pil, parse_size
from evaluators.data.npz import IMAGE_NAMES, LABEL_NAMES, SPLIT_NAMES
from evaluators.data.source import Found, check_text
from nas.core.errors import DataError, nearest
from nas.core.registry import register


@register("data", "torchvision")
@dataclass(frozen=True)
class TorchVision:
    """A classification data set of torchvision, as in `torchvision:CIFAR10`.

    dataset: the name of its class.
    root: the folder it is kept in. download: fetch it when it is not there.
    size: what to bring images of different sizes to.
    """

    dataset: str
    root: str = "data"
    download: bool = True
    size: int | None = None

    def __post_init__(self) -> None:
        check_text(self.dataset, "data, dataset", "the name of a data set, as in torchvision:CIFAR10")
        check_text(self.root, "data, root", "a folder")
        if not isinstance(self.download, bool):
            raise DataError(f"data, download: {self.download!r}; expected true or false")
        object.__setattr__(self, "root", str(Path(self.root).expanduser().absolute()))
        parse_size(self.size, self.dataset)

    def read(self) -> Found:
        """Training and test part. Raises DataError when torchvision or the name is missing, or loading fails."""
        datasets = _library("torchvision.datasets", "torchvision", f"torchvision:{self.dataset}")
        known = {name for name in datasets.__all__ if inspect.isclass(getattr(datasets, name, None))}
        if self.dataset not in known:
            raise DataError(f"torchvision has no data set {self.dataset!r}; {nearest(self.dataset, known)}")
        kind = getattr(datasets, self.dataset)
        legal = inspect.signature(kind).parameters
        size = parse_size(self.size, self.dataset)
        fixed: dict[str, Any] = {"root": self.root, "download": self.download}
        if size is not None:
            fixed["transform"] = lambda image: from_pil(image, size).transpose(2, 0, 1)
        given = {name: value for name, value in fixed.items() if name in legal}
        if "train" in legal:
            ways: dict[str, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}
        elif "split" in legal:
            ways = {"train": {"split": "train"}, "test": {"split": "test"}}
        else:
            ways = {"train": {}}
        try:
            return found_in({split: kind(**given, **way) for split, way in ways.items()}, self.dataset)
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"torchvision:{self.dataset} could not be loaded: {error}") from error


@register("data", "huggingface")
@dataclass(frozen=True)
class HuggingFace:
    """A data set of the Hugging Face hub or of a folder, as in `huggingface:mnist`.

    dataset: what `datasets.load_dataset` takes. config: the name of one of its configurations.
    image, label: the columns; None: recognised.
    size: what to bring images of different sizes to.
    """

    dataset: str
    config: str | None = None
    image: str | None = None
    label: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        check_text(self.dataset, "data, dataset", "the name of a data set, as in huggingface:mnist")
        for name in ("config", "image", "label"):
            check_text(getattr(self, name), f"data, {name}", "a name", optional=True)
        parse_size(self.size, self.dataset)

    def read(self) -> Found:
        """Every part the data set has. Raises DataError when the library, the data set or a column is missing."""
        library = _library("datasets", "datasets", f"huggingface:{self.dataset}")
        try:
            loaded = library.load_dataset(self.dataset, self.config)
        except Exception as error:  # the library raises many kinds, none of a common base
            raise DataError(f"huggingface:{self.dataset} could not be loaded: {error}") from error
        return read_table(loaded, self.image, self.label, parse_size(self.size, self.dataset), self.dataset)


def read_table(
    loaded: Mapping[str, Any], image: str | None, label: str | None, size: tuple[int, int] | None, where: str
) -> Found:
    """Parts of a `datasets.DatasetDict`: rows with an image (or numbers) and a label column."""
    parts = {SPLIT_NAMES[name]: part for name, part in loaded.items() if name in SPLIT_NAMES}
    if "train" not in parts:
        raise DataError(f"{where}: parts {sorted(loaded)}; expected 'train' among them")
    columns = list(parts["train"].column_names)
    x_name = _column(image, columns, ("img", *IMAGE_NAMES), "image", where)
    y_name = _column(label, columns, ("fine_label", *LABEL_NAMES), "label", where)
    names = getattr(parts["train"].features[y_name], "names", None)
    made = {}
    for split, part in parts.items():
        labels = np.asarray(part[y_name])
        if labels.dtype.kind in "iu" and (labels < 0).all():
            continue  # the hub's way to keep the labels of a test part secret
        xs = [_pixels(x, size) for x in part[x_name]]
        if len({x.shape for x in xs}) > 1:
            raise DataError(f"{where}: images of different sizes or channels; give a size, as in size: 32")
        made[split] = (np.stack(xs), labels)
    return found_in(made, where, names)


def _pixels(x: Any, size: tuple[int, int] | None) -> np.ndarray:
    return from_pil(x, size).transpose(2, 0, 1) if hasattr(x, "getexif") else np.asarray(x)


def _column(asked: str | None, columns: list[str], usual: tuple[str, ...], what: str, where: str) -> str:
    found = asked if asked is not None else next((name for name in usual if name in columns), None)
    if found is None or found not in columns:
        raise DataError(f"{where}: no {what} column {found!r}; {nearest(found or what, columns)}; say {what}: COLUMN")
    return found


def _library(module: str, package: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(f"{what} needs the package {package}: pip install {package} ({error})") from error
    except (RuntimeError, OSError) as error:  # its compiled parts were made for another torch
        raise DataError(
            f"{what}: the package {package} does not work here ({error}); install the one that fits your torch"
        ) from error
