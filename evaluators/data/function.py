"""Source `function`: whatever a function of the user's own returns: torch datasets, arrays, or parts of these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.data.dataset import Data, Examples
from evaluators.data.images import from_pil
from evaluators.data.npz import SPLIT_NAMES
from evaluators.data.source import Found, check_text, said
from evaluators.paths import find
from nas.core.errors import DataError, NASError, nearest
from nas.core.imports import load_object
from nas.core.registry import register

LIMIT = 5_000_000
"""More examples than this are taken for a stream without end."""


@register("data", "function")
@dataclass(frozen=True)
class Function:
    """`package.module:function` or `path/file.py:function`, called with `arguments`.

    It returns a torch dataset of (x, label) or (x, {output: label}); or (train, test), (train, validation, test), or a
    mapping with these names; or arrays (x, labels) in place of a dataset; or a `Found`, or `Data`. An x is a number
    array or tensor, (C, H, W), (H, W) or (F,), or a Pillow image.
    """

    call: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_text(self.call, "data, call", "package.module:function or path/file.py:function")
        if not isinstance(self.arguments, Mapping) or not all(isinstance(name, str) for name in self.arguments):
            raise DataError(f"data, arguments: {self.arguments!r}; expected name: value, as in {{size: 32}}")
        place, colon, name = self.call.rpartition(":")
        if colon and place.endswith(".py"):
            object.__setattr__(self, "call", f"{find(place, 'data')}:{name}")
        object.__setattr__(self, "arguments", dict(self.arguments))

    def read(self) -> Found | Data:
        """What the function returned, as arrays. Raises DataError when the function fails or returns something else."""
        try:
            function = load_object(self.call)
            made = function(**self.arguments)
            made = made.read() if hasattr(made, "read") else made
            return made if isinstance(made, Found | Data) else found_in(made, _short(self.call))
        except NASError:
            raise
        except (Exception, SystemExit) as error:  # a function that exits must not end the search without a word
            raise DataError(f"{self.call} failed: {said(error)}; mend it") from error


def found_in(made: Any, where: str, class_names: Iterable[str] | None = None) -> Found:
    """Arrays of a dataset, a tuple or mapping of datasets. Raises DataError for anything else."""
    parts = {split: _examples(part, f"{where}, {split} part") for split, part in _parts(made, where).items()}
    x = parts["train"].x
    kind = "image" if x.ndim == 4 else "features"
    known = class_names or getattr(next(iter(_parts(made, where).values())), "classes", None)
    outputs = parts["train"].labels
    names = [str(name) for name in known] if known is not None and len(outputs) == 1 else None
    how = tuple(f"{split}: {len(part):,} of {part.x.shape[1:]} {part.x.dtype}" for split, part in parts.items())
    return Found(parts, kind, dict.fromkeys(outputs, names), how)


def _parts(made: Any, where: str) -> dict[str, Any]:
    """Split → dataset or (x, labels)."""
    if isinstance(made, Mapping):
        unknown = [name for name in made if str(name).lower() not in SPLIT_NAMES]
        if unknown:
            raise DataError(f"{where}: a part called {unknown[0]!r}; {nearest(unknown[0], SPLIT_NAMES)}")
        parts = {SPLIT_NAMES[str(name).lower()]: part for name, part in made.items()}
        if "train" not in parts:
            raise DataError(f"{where}: parts {sorted(parts)}; expected 'train' among them")
        return {split: parts[split] for split in ("train", "validation", "test") if split in parts}
    if isinstance(made, tuple) and not _is_arrays(made):
        if len(made) in (2, 3):
            return dict(
                zip(("train", "test") if len(made) == 2 else ("train", "validation", "test"), made, strict=True)
            )
        raise DataError(f"{where}: {len(made)} things; expected (train, test) or (train, validation, test)")
    return {"train": made}


def _is_arrays(part: Any) -> bool:
    """Whether a tuple is (x, labels)."""
    return isinstance(part, tuple) and len(part) == 2 and hasattr(part[0], "shape") and hasattr(part[0], "dtype")


def _examples(part: Any, where: str) -> Examples:
    if _is_arrays(part):
        x, labels = part
    elif hasattr(part, "tensors") and len(part.tensors) == 2:  # a TensorDataset
        x, labels = part.tensors
    else:
        x, labels = _collect(part, where)
    shaped = _shape(_array(x, where), where)
    rows = labels if isinstance(labels, Mapping) else {"labels": labels}
    return Examples(shaped, {str(name): _array(codes, f"{where}, {name}") for name, codes in rows.items()})


def _collect(dataset: Any, where: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Go once through a dataset."""
    if not hasattr(dataset, "__getitem__") and not hasattr(dataset, "__iter__"):
        raise DataError(f"{where}: a {type(dataset).__name__}; expected a torch dataset, or arrays (x, labels)")
    xs: list[np.ndarray] = []
    labels: dict[str, list[Any]] = {}
    for k, row in enumerate(_rows(dataset, where)):
        if k == LIMIT:
            raise DataError(f"{where}: no end after {LIMIT:,} examples; give a dataset with a length")
        if not isinstance(row, tuple | list) or len(row) != 2:
            raise DataError(f"{where}: example {k} is a {type(row).__name__}; expected (x, label)")
        x = _array(row[0], f"{where}, example {k}")
        if xs and x.shape != xs[0].shape:
            raise DataError(
                f"{where}: example {k} has shape {x.shape}, example 0 {xs[0].shape}; bring them to one size"
            )
        xs.append(x)
        for name, label in (row[1] if isinstance(row[1], Mapping) else {"labels": row[1]}).items():
            labels.setdefault(str(name), []).append(_label(label, f"{where}, example {k}"))
    if not xs:
        raise DataError(f"{where}: no examples")
    return np.stack(xs), {name: _array(codes, f"{where}, {name}") for name, codes in labels.items()}


def _rows(dataset: Any, where: str) -> Iterator[Any]:
    """The rows of a dataset, one by one. Raises DataError naming the row at which the user's code breaks."""
    k = 0
    try:
        stream = any(kind.__name__ == "IterableDataset" for kind in type(dataset).__mro__)  # its [k] is not for use
        counted = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__") and not stream
        rows = (dataset[k] for k in range(len(dataset))) if counted else islice(iter(dataset), LIMIT + 1)
        for row in rows:
            yield row
            k += 1
    except NASError:
        raise
    except (Exception, SystemExit) as error:
        raise DataError(f"{where}: example {k} failed: {said(error)}; mend or leave out that example") from error


def _label(label: Any, where: str) -> Any:
    try:
        return label.item() if hasattr(label, "item") else label
    except (RuntimeError, ValueError):
        raise DataError(f"{where}: a label of shape {tuple(label.shape)}; expected one class number or text") from None


def _array(thing: Any, where: str) -> np.ndarray:
    """A tensor, a Pillow image (channels first) or anything array-like as an array. Raises DataError."""
    try:
        if hasattr(thing, "detach"):
            wide = thing.float() if str(thing.dtype) == "torch.bfloat16" else thing  # NumPy has no such type
            return np.asarray(wide.detach().cpu())
        if hasattr(thing, "getexif"):
            return from_pil(thing, None).transpose(2, 0, 1)
        return np.asarray(thing)
    except (OSError, RuntimeError, SyntaxError, TypeError, ValueError) as error:
        kind = getattr(thing, "dtype", type(thing).__name__)
        raise DataError(
            f"{where}: {kind} cannot be read as numbers ({error}); expected an array or an image"
        ) from error


def _shape(x: np.ndarray, where: str) -> np.ndarray:
    """(N, C, H, W) or (N, F), uint8 or float32."""
    if x.dtype.kind not in "biuf" or x.ndim not in (2, 3, 4):
        raise DataError(
            f"{where}: examples of shape {x.shape[1:]} and type {x.dtype}; expected numbers, (C, H, W), (H, W) or (F,)"
        )
    if x.ndim == 3:
        x = x[:, None]
    return x if x.dtype == np.uint8 and x.ndim == 4 else x.astype(np.float32)


def _short(call: str) -> str:
    place, _, name = call.rpartition(":")
    return f"{Path(place).name}:{name}"
