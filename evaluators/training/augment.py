"""Simple augmentation of whole batches of images on the device. It works on normalised pixels; what is outside is 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Changes = dict[str, Tensor]
"""What was drawn for each example of an epoch, (N, …) on the device."""


@dataclass(frozen=True)
class Augmentation:
    """shift: up to an eighth of a side (at least one pixel) in each direction. flip: left and right exchanged for half
    of the images. cutout: a square of half the shorter side at a random centre is set to 0.

    Reference: cutout: DeVries & Taylor 2017, arXiv:1708.04552.
    """

    shift: bool = False
    flip: bool = False
    cutout: bool = False

    @staticmethod
    def parse(name: str) -> Augmentation:
        """'none', or names joined by '_' as in 'flip_shift'."""
        words = set(name.split("_")) - {"none"}
        return Augmentation(**dict.fromkeys(words, True))

    def draw(self, count: int, shape: Sequence[int], rng: torch.Generator, device: str) -> Changes:
        """All randomness of one epoch, for `count` images of `shape` (C, H, W)."""
        changes: Changes = {}
        if self.shift:
            rows, columns = (max(1, side // 8) for side in shape[1:])
            changes["rows"] = torch.randint(2 * rows + 1, (count,), generator=rng) - rows
            changes["columns"] = torch.randint(2 * columns + 1, (count,), generator=rng) - columns
        if self.flip:
            changes["flip"] = torch.randint(2, (count,), generator=rng).bool()
        if self.cutout:
            changes["row"] = torch.randint(shape[1], (count,), generator=rng)
            changes["column"] = torch.randint(shape[2], (count,), generator=rng)
        return {name: values.to(device) for name, values in changes.items()}

    def apply(self, x: Tensor, changes: Changes, start: int, stop: int) -> Tensor:
        """The images `start` … `stop` of the epoch, (B, C, H, W), changed."""
        if not changes:
            return x
        part = {name: values[start:stop] for name, values in changes.items()}
        if "rows" in part or "flip" in part:
            x = _move(x, part)
        if "row" in part:
            x = _cut(x, part["row"], part["column"])
        return x


def _move(x: Tensor, part: Changes) -> Tensor:
    """Shift and flip in one gather: each pixel says from where it comes."""
    batch, _, height, width = x.shape
    rows = torch.arange(height, device=x.device).expand(batch, height)  # (B, H)
    columns = torch.arange(width, device=x.device).expand(batch, width)  # (B, W)
    if "flip" in part:
        columns = torch.where(part["flip"][:, None], width - 1 - columns, columns)
    if "rows" in part:
        rows = rows + part["rows"][:, None]
        columns = columns + part["columns"][:, None]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    place = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]  # (B, H, W)
    flat = x.flatten(2)  # (B, C, H * W)
    moved = flat.gather(2, place.flatten(1)[:, None].expand(-1, x.shape[1], -1)).view(x.shape)
    moved = moved * inside[:, None]
    return moved.contiguous(memory_format=torch.channels_last) if _is_channels_last(x) else moved


def _cut(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    height, width = x.shape[2:]
    half = max(1, min(height, width) // 4)
    rows = (torch.arange(height, device=x.device) - row[:, None]).abs() < half  # (B, H)
    columns = (torch.arange(width, device=x.device) - column[:, None]).abs() < half  # (B, W)
    return x * ~(rows[:, :, None] & columns[:, None, :])[:, None]


def _is_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
