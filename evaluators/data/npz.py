"""Source `npz`: arrays in one NumPy file, under the names that people give them.

Keys are read without regard to case: `images` and `labels`; `x` and `y`; `train_images`, `x_train`, `X_test`,
`val_labels`, …; several label sets as `labels_a`, `labels_b`, or said outright with `labels: [a, b]`. Image files kept
as bytes: `KEY_jpeg` holds all files one after another, `KEY_offsets` where each begins, and the end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluators.data.dataset import Examples
from evaluators.data.images import channels_first, decode, parse_size
from evaluators.data.source import Found, check_text
from evaluators.paths import find
from nas.core.errors import DataError, nearest
from nas.core.registry import register

SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
IMAGE_NAMES = ("images", "image", "x", "data", "inputs", "features", "samples", "arr_0")
LABEL_NAMES = ("labels", "label", "y", "targets", "target", "classes", "arr_1")
NAME_NAMES = ("class_names", "label_names", "names", "classes")
KINDS = ("auto", "image", "features", "tokens")
LAYOUTS = ("auto", "hw", "hwc", "chw")
_FILES = re.compile(r"(.+)_(jpeg|jpg|png|webp)")


@dataclass(frozen=True)
class Npz:
    """Arrays of one `.npz` file; nothing is unpickled.

    path: the file.
    images: the key of the examples, without the part's name (`images` for `train_images`); None: recognised.
    labels: the key of the labels, several keys (one output each), or output name → key; None: recognised.
    kind: 'auto': two axes with the examples are a feature table, three or four are images. 'tokens' for sequences.
    layout: 'hw', 'hwc', 'chw' or 'auto'.
    size: what to bring image files of different sizes to; arrays of pixels stay as they are.
    """

    path: str
    images: str | None = None
    labels: str | Sequence[str] | Mapping[str, str] | None = None
    kind: str = "auto"
    layout: str = "auto"
    size: int | Sequence[int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", str(find(self.path, "data")))
        for name, legal in (("kind", KINDS), ("layout", LAYOUTS)):
            if getattr(self, name) not in legal:
                raise DataError(f"data, {name}: {getattr(self, name)!r}; {nearest(getattr(self, name), legal)}")
        check_text(self.images, "data, images", "the key of an array, as in images: x_all", optional=True)
        _check_labels(self.labels)
        parse_size(self.size, "data")

    def read(self) -> Found:
        """The arrays. Raises DataError for a damaged file, or naming the keys that were looked for and found."""
        where = Path(self.path).name
        keys = _Keys(_read(Path(self.path), parse_size(self.size, where)), where)
        x = keys.examples(self.images)
        labels = keys.labels(self.labels, {split: len(array) for split, array in x.items()}, set(keys.used))
        how, parts, kind = [], {}, self.kind
        for split, array in x.items():
            kind, array_read, note = _read_as(array, self.kind, self.layout, f"{where}, {keys.used_for[split]}")
            parts[split] = Examples(array_read, labels[split])
            how.append(f"{keys.used_for[split]} {array.shape} {array.dtype}: {keys.notes.get(split) or note}")
        return Found(parts, kind, {name: keys.class_names(name) for name in labels["train"]}, tuple(how))


def _read(path: Path, size: tuple[int, int] | None) -> dict[str, np.ndarray]:
    """Every array of a file, image files decoded under the name of their key."""
    where = path.name
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                raise DataError(f"{where}: a single array; expected an .npz file with examples and labels (np.savez)")
            held = {key: loaded[key] for key in loaded.files}
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{where}: cannot be read ({error.strerror or error}); expected an .npz file") from error
    except Exception as error:  # a file that is damaged, or none, raises errors of many kinds
        raise DataError(
            f"{where}: cannot be read as an .npz file ({_why(path, error)}); write it again with np.savez"
        ) from error
    arrays = {key: array for key, array in held.items() if isinstance(array, np.ndarray)}
    if held and not arrays:
        files = ", ".join(list(held)[:5])
        raise DataError(f"{where}: a zip file without NumPy arrays, it holds {files}; write it again with np.savez")
    for key in list(arrays):
        match = _FILES.fullmatch(key)
        if match and f"{match[1]}_offsets" in arrays:
            stack = _decode(arrays.pop(key), arrays.pop(f"{match[1]}_offsets"), size, f"{where}, {key}")
            arrays[f"{match[1]}_images" if match[1].lower() in SPLIT_NAMES else match[1]] = stack
    return arrays


def _why(path: Path, error: Exception) -> str:
    """What is wrong with a file that NumPy could not read."""
    with path.open("rb") as file:
        start = file.read(6)
    if not start.startswith((b"PK", b"\x93NUMPY")):
        return "it is empty" if not start else "it is not a zip file, as .npz files are"
    if "allow_pickle" in str(error):
        return "it holds Python objects, which are not loaded"
    return str(error) or type(error).__name__


def _check_labels(labels: object) -> None:
    """Raises DataError for what names no arrays."""
    several = list(labels.values()) if isinstance(labels, Mapping) else labels
    if labels is None or (isinstance(labels, str) and labels):
        return
    if isinstance(several, list | tuple) and several and all(isinstance(key, str) and key for key in several):
        twice = [key for key in several if several.count(key) > 1]
        if twice and not isinstance(labels, Mapping):
            raise DataError(f"data, labels: {twice[0]!r} stands twice in {labels!r}; leave one out")
        return
    raise DataError(
        f"data, labels: {labels!r}; expected the key of an array, as in labels: y, several keys, as in labels: [a, b], "
        "or output: key"
    )


def _decode(stream: np.ndarray, offsets: np.ndarray, size: tuple[int, int] | None, where: str) -> np.ndarray:
    if (
        stream.dtype != np.uint8
        or offsets.ndim != 1
        or offsets.dtype.kind not in "iu"
        or len(offsets) < 2
        or int(offsets[0]) != 0
        or int(offsets[-1]) != len(stream)
        or (np.diff(offsets.astype(np.int64)) <= 0).any()
    ):
        raise DataError(f"{where}: offsets that do not cut {len(stream):,} bytes into image files; expected ascending "
                        "numbers from 0 to the number of bytes")  # fmt: skip
    data = stream.tobytes()
    bounds = offsets.tolist()
    files = ((f"image {k}", data[bounds[k] : bounds[k + 1]]) for k in range(len(bounds) - 1))
    return decode(files, size, where)[0]


def _read_as(array: np.ndarray, kind: str, layout: str, where: str) -> tuple[str, np.ndarray, str]:
    """The kind of examples, the array as `Found` wants it, and how it was read."""
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where}: examples of type {array.dtype}; expected numbers")
    if kind == "auto":
        kind = "features" if array.ndim == 2 else "image"
    if kind == "tokens":
        if array.ndim != 2 or array.dtype.kind not in "iu":
            raise DataError(f"{where}: {array.dtype} of shape {array.shape}; token sequences are whole numbers, (N, L)")
        return kind, array.astype(np.int64), "token sequences"
    if kind == "features":
        if array.ndim != 2:
            raise DataError(f"{where}: shape {array.shape}; a feature table is (N, F)")
        return kind, _real(array), f"a table of {array.shape[1]} features"
    images, note = channels_first(array, layout, where)
    return kind, images if images.dtype == np.uint8 else _real(images), note


def _real(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what does not fit becomes infinite and is refused with its place
        return array.astype(np.float32)


class _Keys:
    """The arrays of a file, found by their roles."""

    def __init__(self, arrays: dict[str, np.ndarray], where: str) -> None:
        self.arrays = arrays
        self.where = where
        self.by_split: dict[str, dict[str, str]] = {}
        """Split → what is left of a key without the split's name, in small letters → the key."""
        self.used: list[str] = []
        self.used_for: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        for key in arrays:
            split, rest = _split(key)
            self.by_split.setdefault(split, {})[rest] = key
        if "train" not in self.by_split:
            self.by_split["train"] = {}
        for rest, key in self.by_split.pop("", {}).items():  # keys without a part's name belong to all of it
            self.by_split["train"].setdefault(rest, key)

    def examples(self, asked: str | None) -> dict[str, np.ndarray]:
        """Split → examples, for the splits that have them."""
        if asked is not None:
            names: tuple[str, ...] = (asked.lower(),)
        else:
            names = IMAGE_NAMES
        found = {}
        for split, keys in self.by_split.items():
            key = next((keys[name] for name in names if name in keys and self.arrays[keys[name]].ndim >= 2), None)
            if key is None and asked is None and split == "train":
                large = [k for k in keys.values() if self.arrays[k].ndim >= 2 and self.arrays[k].dtype.kind in "biuf"]
                key = large[0] if len(large) == 1 else None
            if key is not None:
                found[split] = self.arrays[key]
                self.used.append(key)
                self.used_for[split] = key
        if "train" not in found:
            looked = repr(asked) if asked else ", ".join(IMAGE_NAMES[:5]) + " (or train_…, …_train)"
            raise DataError(f"{self.where}: no examples under {looked}; found {self._shown()}; "
                            "say which with images: KEY")  # fmt: skip
        return {split: found[split] for split in ("train", "validation", "test") if split in found}

    def labels(
        self, asked: str | Sequence[str] | Mapping[str, str] | None, counts: Mapping[str, int], taken: set[str]
    ) -> dict[str, dict[str, np.ndarray]]:
        """Split → output name → labels."""
        if asked is None:
            wanted = self._recognised(counts["train"], taken)
        elif isinstance(asked, str):
            wanted = {"labels": asked.lower()}
        elif isinstance(asked, Mapping):
            wanted = {str(name): str(key).lower() for name, key in asked.items()}
        else:
            wanted = {str(key): str(key).lower() for key in asked}
        result: dict[str, dict[str, np.ndarray]] = {}
        for split in counts:
            keys = self.by_split[split]
            missing = [rest for rest in wanted.values() if rest not in keys]
            if missing:
                raise DataError(f"{self.where}: no labels {missing[0]!r} for the {split} part; found {self._shown()}; "
                                "say which with labels: KEY")  # fmt: skip
            result[split] = {name: self.arrays[keys[rest]] for name, rest in wanted.items()}
        return result

    def _recognised(self, count: int, taken: set[str]) -> dict[str, str]:
        keys = {rest: key for rest, key in self.by_split["train"].items() if key not in taken}
        for name in LABEL_NAMES:
            if name in keys and len(self.arrays[keys[name]].shape) >= 1:
                return {"labels": name}
        several = {}
        for rest in keys:
            match = re.fullmatch(r"(?:labels?|y|targets?)_(.+)|(.+)_(?:labels?|y|targets?)", rest)
            if match:
                several[match[1] or match[2]] = rest
        if several:
            return several if len(several) > 1 else {"labels": next(iter(several.values()))}
        fits = [
            rest for rest, key in keys.items()
            if self.arrays[key].ndim == 1 and len(self.arrays[key]) == count and self.arrays[key].dtype.kind in "biuUS"
        ]  # fmt: skip
        if len(fits) == 1:
            return {"labels": fits[0]}
        if fits:
            raise DataError(f"{self.where}: which are the labels: {', '.join(fits)}? Say labels: {fits[0]}, or for a "
                            f"network with several outputs labels: [{', '.join(fits)}]")  # fmt: skip
        raise DataError(f"{self.where}: no labels under {', '.join(LABEL_NAMES[:5])} (or train_…, …_train); found "
                        f"{self._shown()}; say which with labels: KEY")  # fmt: skip

    def class_names(self, output: str) -> Sequence[str] | None:
        """The names of the classes of one label set, if the file has them."""
        plain = {key.lower(): array for key, array in self.arrays.items() if array.ndim == 1}
        for name in (f"{output.lower()}_names", f"class_names_{output.lower()}", *NAME_NAMES):
            if name in plain and plain[name].dtype.kind in "US":
                texts = plain[name]
                return [str(text) for text in (np.char.decode(texts) if texts.dtype.kind == "S" else texts)]
        return None

    def _shown(self) -> str:
        return ", ".join(f"{key} {array.shape} {array.dtype}" for key, array in self.arrays.items()) or "no arrays"


def _split(key: str) -> tuple[str, str]:
    """A key as (split or '', rest), in small letters.

    >>> _split("X_train"), _split("test_images"), _split("ytest"), _split("latest")
    (('train', 'x'), ('test', 'images'), ('test', 'y'), ('', 'latest'))
    """
    low = key.lower()
    for name, split in sorted(SPLIT_NAMES.items(), key=lambda pair: -len(pair[0])):
        for rest in (low.removeprefix(f"{name}_"), low.removesuffix(f"_{name}")):
            if rest != low and rest:
                return split, rest
        for rest in (low.removeprefix(name), low.removesuffix(name)):
            if rest != low and rest in ("x", "y"):
                return split, rest
    return "", low


register("data", "npz")(Npz)
