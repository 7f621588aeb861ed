"""From labels as people keep them to class numbers 0 … K-1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nas.core.errors import DataError


def encode(
    given: Mapping[str, np.ndarray], names: Sequence[str] | None, where: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...], str]:
    """Class numbers of one label set over all parts of the data.

    Args:
        given: split → labels: (N,) or (N, 1) whole numbers, booleans or texts, or (N, K) one-hot.
        names: names of the classes 0 … K-1, if known.

    Returns: split → (N,) int64; names of the classes; how they were read.
    Raises: DataError for labels that are no classes, for a single class, and for a class of the validation or test part
        that the training part lacks.
    """
    flat = {split: _flat(labels, f"{where}, {split} part") for split, labels in given.items()}
    kinds = {labels.dtype.kind == "U" for labels in flat.values()}
    if len(kinds) > 1:
        raise DataError(f"{where}: texts in one part and numbers in another; use one kind of labels")
    found = np.unique(np.concatenate(list(flat.values())))
    text = found.dtype.kind == "U"
    if len(found) < 2:
        raise DataError(f"{where}: a single class, {found.tolist()}; classification needs at least two")
    if names is not None and not text and found[0] >= 0 and found[-1] < len(names):
        codes, classes, how = flat, tuple(str(name) for name in names), f"class numbers with {len(names)} names"
    else:
        if names is not None and not text:
            raise DataError(
                f"{where}: labels from {found[0]} to {found[-1]}, but {len(names)} class names; "
                f"expected labels 0 to {len(names) - 1}"
            )
        codes = {split: np.searchsorted(found, labels) for split, labels in flat.items()}
        classes = tuple(str(label) for label in found.tolist())
        plain = not text and found[0] == 0 and found[-1] == len(found) - 1
        how = "class numbers" if plain else f"{'texts' if text else 'numbers'}, numbered in sorted order"
    known = set(np.unique(codes["train"]).tolist())
    for split, part in codes.items():
        unseen = sorted(set(np.unique(part).tolist()) - known)
        if unseen:
            raise DataError(
                f"{where}: class {classes[unseen[0]]!r} occurs in the {split} part but never in the training part"
            )
    return {split: part.astype(np.int64) for split, part in codes.items()}, classes, how


def _flat(labels: np.ndarray, where: str) -> np.ndarray:
    """(N,) int64 or text."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "biuf" and labels.shape[1] > 1:
        if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
            raise DataError(f"{where}: labels of shape {labels.shape} that are not one-hot; expected one class each")
        return np.asarray(labels.argmax(axis=1), np.int64)
    if labels.ndim != 1:
        raise DataError(f"{where}: labels of shape {labels.shape}; expected one class for each example, (N,)")
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "utf-8")
    if labels.dtype.kind in "biuU":
        return labels if labels.dtype.kind == "U" else labels.astype(np.int64)
    if labels.dtype.kind == "f":
        wrong = np.flatnonzero(~(np.isfinite(labels) & (labels == np.rint(labels))))
        if len(wrong) == 0:
            return labels.astype(np.int64)
        raise DataError(
            f"{where}: label {int(wrong[0])} is {labels[wrong[0]]!s}, not a whole number; classes are whole numbers or "
            "texts (fitting real numbers, regression, is not offered)"
        )
    raise DataError(f"{where}: labels of type {labels.dtype}; expected whole numbers or texts")
