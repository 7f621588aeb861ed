"""From image files and arrays of pixels to (N, C, H, W)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nas.core.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

LIMIT_BYTES = 4 * 2**30
"""More pixels than this are refused: they would not fit into memory beside the networks."""


def parse_size(size: object, where: str) -> tuple[int, int] | None:
    """`32` or `[32, 48]` (rows, columns) as (H, W). Raises DataError for anything else; None stays None."""
    if size is None:
        return None
    pair = (size, size) if isinstance(size, int) else size
    if (
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in pair)
    ):
        return int(pair[0]), int(pair[1])
    raise DataError(f"{where}: size {size!r}; expected a number of pixels, or [rows, columns]")


def channels_first(array: np.ndarray, layout: str, where: str) -> tuple[np.ndarray, str]:
    """Pixels as (N, C, H, W), and how they were read.

    Args:
        array: (N, H, W) grey, (N, H, W, C) or (N, C, H, W).
        layout: 'hw', 'hwc', 'chw', or 'auto': four axes are told apart by the channel axis being the smallest.

    Raises: DataError when the layout does not fit, or when 'auto' cannot tell.
    """
    axes = {"hw": 3, "hwc": 4, "chw": 4}
    if layout != "auto" and layout not in axes:
        raise DataError(f"{where}: layout {layout!r}; legal: 'auto', 'hw', 'hwc', 'chw'")
    if layout != "auto" and array.ndim != axes[layout]:
        raise DataError(f"{where}: layout {layout!r} needs {axes[layout]} axes with the examples; found {array.shape}")
    if array.ndim == 3:
        return array[:, None], "grey images, rows x columns"
    if array.ndim != 4:
        raise DataError(f"{where}: shape {array.shape} is no stack of images; expected (N, H, W) or with channels")
    if layout == "auto":
        _, first, _, last = array.shape
        if first < min(array.shape[2:]):
            layout = "chw"
        elif last < min(array.shape[1:3]):
            layout = "hwc"
        else:
            raise DataError(
                f"{where}: shape {array.shape} could be channels first or last; say which with layout: chw or hwc"
            )
    if layout == "hwc":
        return np.ascontiguousarray(array.transpose(0, 3, 1, 2)), "images, channels last"
    return array, "images, channels first"


def decode(
    images: Iterable[tuple[str, bytes | Path]], size: tuple[int, int] | None, where: str
) -> tuple[np.ndarray, str]:
    """Decode image files into one array.

    Args:
        images: what to call an image in an error, and its bytes or its file.
        size: (H, W) to which each is scaled and cropped around its centre, keeping proportions; None: as they are,
            which must then be one size.

    Returns: (N, C, H, W) uint8, C is 1 when all are grey and 3 otherwise; and how they were read.
    Raises: DataError naming an image that cannot be read, and for images of different sizes without `size`.
    """
    pairs = list(images)
    if pairs and isinstance(pairs[0][1], Path):
        with ThreadPoolExecutor() as pool:  # reading, decoding and scaling leave Python's lock
            arrays = list(pool.map(lambda pair: _decode_one(pair[0], pair[1], size, where), pairs))
    else:  # tiny images, already read: threads would only get in each other's way
        arrays = [_decode_one(name, source, size, where) for name, source in pairs]
    sizes = sorted({array.shape[:2] for array in arrays})
    if len(sizes) > 1:
        raise DataError(
            f"{where}: images of {len(sizes)} sizes, from {sizes[0][0]}x{sizes[0][1]} to {sizes[-1][0]}x{sizes[-1][1]} "
            "(rows x columns); give a size to bring them to, as in size: 32"
        )
    colour = any(array.shape[2] == 3 for array in arrays)
    grey = sum(array.shape[2] == 1 for array in arrays)
    stack = np.empty((len(arrays), 3 if colour else 1, *sizes[0]), np.uint8)
    for place, array in zip(stack, arrays, strict=True):
        place[:] = array.transpose(2, 0, 1)  # a grey image fills all three channels
    how = "colour images" if colour else "grey images"
    if colour and grey:
        how += f" ({grey} grey ones among them repeated over the channels)"
    return stack, how


def check_memory(count: int, size: tuple[int, int], where: str) -> None:
    """Refuse, before decoding, more pixels than fit. Raises DataError."""
    total = count * 3 * size[0] * size[1]
    if total > LIMIT_BYTES:
        raise DataError(
            f"{where}: {count:,} images of {size[0]}x{size[1]} need {total / 2**30:.1f} GiB; at most "
            f"{LIMIT_BYTES / 2**30:.0f} GiB are held in memory; give a smaller size, as in size: 64"
        )


def header_sizes(files: Sequence[Path], where: str) -> list[tuple[int, int]]:
    """(H, W) of each image file, upright, without decoding it. Raises DataError naming a file that is no image."""
    from PIL import Image

    def look(file: Path) -> tuple[int, int]:
        try:
            with Image.open(file) as image:
                turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # orientation: rows and columns exchanged
                return (image.width, image.height) if turned else (image.height, image.width)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise _unreadable(str(file), where, error) from error

    with ThreadPoolExecutor() as pool:
        return list(pool.map(look, files))


def from_pil(image: Image, size: tuple[int, int] | None) -> np.ndarray:
    """A Pillow image of any mode, upright, as (H, W, 1) or (H, W, 3) uint8. Transparent parts become white."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":  # 16 and 32 bits: `convert` would clip instead of scaling
        deep = np.asarray(image, dtype=np.float64)
        span = 65535.0 if image.mode.startswith("I;16") or deep.max(initial=0) > 255 else 255.0
        image = Image.fromarray(np.clip(np.rint(deep * (255.0 / span)), 0, 255).astype(np.uint8))
    elif image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        mode = "L" if image.mode in ("LA", "La") else "RGB"
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        image = ground.convert(mode)
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode != "L":
        image = image.convert("RGB")
    if size is not None and (image.height, image.width) != size:
        image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BILINEAR)
    array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


def _decode_one(name: str, source: bytes | Path, size: tuple[int, int] | None, where: str) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return from_pil(image, size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(name, where, error) from error


def _unreadable(name: str, where: str, error: Exception) -> DataError:
    return DataError(f"{where}: {name} cannot be read as an image ({error}); mend or remove it")
