"""From what a source found to `Data`: checked, with class numbers, in three parts, with the statistics to normalise."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from evaluators.data.dataset import Data, Examples
from evaluators.data.labels import encode
from evaluators.data.source import Found
from evaluators.data.splits import check_share, stratified
from nas.core.errors import DataError

SHARE = 0.2
"""Of the examples, set apart for a part that neither the source nor the recipe gives."""


@dataclass(frozen=True)
class Preparation:
    """What a recipe may say about any data.

    test: the share held out for finalists (a fraction, or a number of examples), where the source has no test part.
    validation: the share of what then remains on which the search compares networks, where the source has no such part.
    limit: use at most this many examples for training and validation together; 0: all.
    seed: of the parts. The same seed gives the same parts in every run and process.
    normalise: subtract the training part's mean and divide by its deviation, per channel or feature.
    """

    validation: float | int | None = None
    test: float | int | None = None
    limit: int = 0
    seed: int = 0
    normalise: bool = True

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, check_share(getattr(self, name), f"data, {name}"))
        for name, what in (("limit", "a number of examples, or 0 for all"), ("seed", "a whole number of at least 0")):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise DataError(f"data, {name}: {value!r}; expected {what}")
        if not isinstance(self.normalise, bool):
            raise DataError(f"data, normalise: {self.normalise!r}; expected true or false")


def prepare(found: Found, name: str, preparation: Preparation) -> Data:
    """Complete data. Parts that are missing are set apart by class (by the first label set, where there are several).

    Raises: DataError for arrays that are no labelled examples (see `_check`, `encode`, `stratified`), and for a share
        given for a part that the source has.
    """
    for split, examples in found.parts.items():
        _check(examples, found.kind, f"{name}, {split} part")
    shapes = {split: examples.x.shape[1:] for split, examples in found.parts.items()}
    for (a, left), (b, right) in pairwise(shapes.items()):
        if left != right:
            raise DataError(f"{name}: examples of shape {left} in the {a} part and {right} in the {b} part")
    how = list(found.how)
    codes: dict[str, dict[str, np.ndarray]] = {split: {} for split in found.parts}
    class_names: dict[str, tuple[str, ...]] = {}
    for output in found.parts["train"].labels:
        where = f"{name}, {output}"
        given = {split: examples.labels[output] for split, examples in found.parts.items()}
        encoded, class_names[output], read = encode(given, found.class_names.get(output), where)
        how.append(f"{output}: {read}")
        for split, part in encoded.items():
            codes[split][output] = part
    parts = {split: Examples(examples.x, codes[split]) for split, examples in found.parts.items()}
    how += _complete(parts, preparation, name)
    mean, std = _statistics(parts["train"].x, found.kind) if preparation.normalise else ((), ())
    vocabulary = 1 + max(int(part.x.max()) for part in parts.values()) if found.kind == "tokens" else None
    three = (parts["train"], parts["validation"], parts["test"])
    return Data(name, found.kind, *three, class_names, mean, std, vocabulary, tuple(how))


def _complete(parts: dict[str, Examples], preparation: Preparation, name: str) -> list[str]:
    """Fill in the parts that are missing, in place; say what was done."""
    how = []
    for split, share in (("test", preparation.test), ("validation", preparation.validation)):
        if split in parts:
            if share is not None:
                raise DataError(f"{name}: {split}: {share} given, but the source has a {split} part; leave it out")
            how.append(f"{split} part as given")
            continue
        if split == "validation":
            how += _limit(parts, preparation, name)
        chosen = SHARE if share is None else share
        pool = parts["train"]
        stay, apart = stratified(next(iter(pool.labels.values())), chosen, preparation.seed, split, name)
        parts["train"], parts[split] = pool.take(stay), pool.take(apart)
        how.append(f"{split} part: {chosen:g}{' of the examples' if chosen < 1 else ' examples'} set apart by class")
    if "validation part as given" in how:
        how += _limit(parts, preparation, name)
    return how


def _limit(parts: dict[str, Examples], preparation: Preparation, name: str) -> list[str]:
    pool = parts["train"]
    if not preparation.limit or preparation.limit >= len(pool):
        return []
    _, keep = stratified(next(iter(pool.labels.values())), preparation.limit, preparation.seed, "limit", name)
    parts["train"] = pool.take(keep)
    return [f"limited to {preparation.limit:,} of {len(pool):,} examples"]


def _check(examples: Examples, kind: str, where: str) -> None:
    """Raises DataError: no examples, counts that differ, an empty axis, numbers that are not finite."""
    x = examples.x
    for output, labels in examples.labels.items():
        if len(labels) != len(x):
            raise DataError(f"{where}: {len(x):,} examples but {len(labels):,} labels ({output}); expected as many")
    if 0 in x.shape:
        raise DataError(f"{where}: nothing in it, shape {x.shape}")
    if kind == "tokens" and int(x.min()) < 0:
        raise DataError(f"{where}: a token is {int(x.min())}; tokens count from 0")
    if x.dtype.kind == "f":
        for start in range(0, len(x), 4096):
            bad = np.argwhere(~np.isfinite(x[start : start + 4096]))
            if len(bad):
                place = (int(bad[0][0]) + start, *map(int, bad[0][1:]))
                raise DataError(f"{where}: example {place[0]} holds {x[place]} at {place[1:]}; mend or remove it")


def _statistics(x: np.ndarray, kind: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation per channel or feature; a constant one has deviation 1, so that it becomes 0."""
    if kind == "tokens":
        return (), ()
    axes = (0, 2, 3) if kind == "image" else (0,)
    count = x.size // x.shape[1]
    pieces = range(0, len(x), 4096)  # a float64 copy of everything would be eight times the memory
    mean = sum(x[i : i + 4096].sum(axis=axes, dtype=np.float64) for i in pieces) / count
    wide = mean[:, None, None] if kind == "image" else mean
    square: Any = sum(((x[i : i + 4096].astype(np.float64) - wide) ** 2).sum(axis=axes) for i in pieces)
    std = np.sqrt(square / count)
    std[std < 1e-7 * np.maximum(1.0, np.abs(mean))] = 1.0
    return tuple(mean.tolist()), tuple(std.tolist())
