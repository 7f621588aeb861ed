"""Source `folder`: image files in folders that are named after their classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluators.data.dataset import Examples
from evaluators.data.images import check_memory, decode, header_sizes, parse_size
from evaluators.data.npz import SPLIT_NAMES
from evaluators.data.source import Found
from evaluators.paths import find
from nas.core.errors import DataError
from nas.core.registry import register

SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
)
DEFAULT_SIDE = 64
"""Images of different sizes are brought to squares of at most this side when the recipe does not say."""


@register("data", "folder")
@dataclass(frozen=True)
class Folder:
    """`path/CLASS/**/image.png`, or `path/train/CLASS/…` beside `val` and `test`.

    path: the folder.
    size: pixels, or [rows, columns], that every image is scaled to, then cropped around its centre. None: images of one
        size stay as they are; others become squares of the median shorter side, at most 64 pixels.

    Files that are no images by their ending are left aside and counted; an image that cannot be read is an error.
    """

    path: str
    size: int | Sequence[int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", str(find(self.path, "data")))
        parse_size(self.size, "data")

    def read(self) -> Found:
        """The images. Raises DataError naming an empty class, or a file that cannot be read."""
        root = Path(self.path)
        if not root.is_dir():
            raise DataError(f"{root}: is no folder; expected a folder of class folders")
        places = self._places(root)
        classes = sorted({child.name for place in places.values() for child in _folders(place)})
        files = {split: _files(place) for split, place in places.items()}
        every = [file for rows in files.values() for file, _ in rows]
        size, how = self._size(every, root.name)
        parts = {}
        for split, rows in files.items():
            stack, note = decode(((str(file.relative_to(root)), file) for file, _ in rows), size, root.name)
            codes = np.array([classes.index(label) for _, label in rows], np.int64)
            parts[split] = (stack, codes, note)
        colour = max(stack.shape[1] for stack, _, _ in parts.values())
        notes = [f"{split}: {len(codes):,} {note}" for split, (_, codes, note) in parts.items()]
        aside = sum(1 for place in places.values() for file in place.rglob("*") if file.is_file()) - len(every)
        notes += [how, *([f"{aside} files that are no images left aside"] if aside else [])]
        examples = {
            split: Examples(np.repeat(stack, colour, axis=1) if stack.shape[1] < colour else stack, {"labels": codes})
            for split, (stack, codes, _) in parts.items()
        }
        return Found(examples, "image", {"labels": classes}, tuple(notes))

    def _places(self, root: Path) -> dict[str, Path]:
        """Split → folder of class folders."""
        named = {
            SPLIT_NAMES[child.name.lower()]: child for child in _folders(root) if child.name.lower() in SPLIT_NAMES
        }
        if "train" not in named:
            return {"train": root}
        return {split: named[split] for split in ("train", "validation", "test") if split in named}

    def _size(self, files: list[Path], where: str) -> tuple[tuple[int, int] | None, str]:
        asked = parse_size(self.size, where)
        if asked is not None:
            check_memory(len(files), asked, where)
            return asked, f"scaled to {asked[0]}x{asked[1]} and cropped around the centre"
        sizes = header_sizes(files, where)
        if len(set(sizes)) == 1:
            check_memory(len(files), sizes[0], where)
            return None, f"all of {sizes[0][0]}x{sizes[0][1]}"
        side = min(DEFAULT_SIDE, int(np.median([min(size) for size in sizes])))
        check_memory(len(files), (side, side), where)
        return (side, side), f"of {len(set(sizes))} sizes, scaled to {side}x{side} (choose with size) and cropped"


def _folders(place: Path) -> list[Path]:
    """The folders in a folder, sorted. Raises DataError for one that may not be read."""
    try:
        return sorted(child for child in place.iterdir() if child.is_dir() and not child.name.startswith((".", "__")))
    except OSError as error:
        raise DataError(f"{place}: cannot be read ({error.strerror}); expected a folder that you may read") from error


def _files(place: Path) -> list[tuple[Path, str]]:
    """(image file, class), sorted. Raises DataError when there are no classes, or one without images."""
    rows = []
    folders = _folders(place)
    if not folders:
        raise DataError(
            f"{place}: holds no folders; expected one folder of images for each class, as in {place}/cat/1.png"
        )
    for folder in folders:
        _folders(folder)  # one that may not be read is no class without images
        found = sorted(
            file for file in folder.rglob("*")
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
        )  # fmt: skip
        if not found:
            raise DataError(f"{folder}: a class without images (files ending in {', '.join(sorted(SUFFIXES))})")
        rows += [(file, folder.name) for file in found]
    return rows
