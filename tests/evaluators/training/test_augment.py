"""Augmentation against what a loop over pixels gives."""

import pytest
import torch

from evaluators.data import load
from evaluators.training.augment import Augmentation
from evaluators.training.batches import Batches


def by_hand(image: torch.Tensor, changes: dict[str, int]) -> torch.Tensor:
    """One image, pixel by pixel."""
    _, height, width = image.shape
    out = torch.zeros_like(image)
    for r in range(height):
        for c in range(width):
            row, column = r + changes.get("rows", 0), c
            if changes.get("flip"):
                column = width - 1 - column
            column += changes.get("columns", 0)
            if 0 <= row < height and 0 <= column < width:
                out[:, r, c] = image[:, row, column]
            if "row" in changes:
                half = max(1, min(height, width) // 4)
                if abs(r - changes["row"]) < half and abs(c - changes["column"]) < half:
                    out[:, r, c] = 0
    return out


@pytest.mark.parametrize("name", ["shift", "flip", "cutout", "flip_shift", "shift_cutout", "flip_shift_cutout"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_batches_equal_pixel_by_pixel(name, channels_last):
    x = torch.rand(20, 3, 9, 7)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    augment = Augmentation.parse(name)
    changes = augment.draw(50, x.shape[1:], torch.Generator().manual_seed(1), "cpu")
    seen = augment.apply(x, changes, 30, 50)
    for k in range(20):
        assert torch.equal(seen[k], by_hand(x[k], {key: int(values[30 + k]) for key, values in changes.items()}))
    assert seen.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert len({tuple(int(v[k]) for v in changes.values()) for k in range(50)}) > 1


def test_none_changes_nothing():
    x = torch.rand(4, 1, 8, 8)
    augment = Augmentation.parse("none")
    assert augment.apply(x, augment.draw(4, (1, 8, 8), torch.Generator(), "cpu"), 0, 4) is x


@pytest.mark.parametrize("ready", [True, False])
def test_an_epoch_has_each_example_once_in_even_batches(ready, monkeypatch):
    if not ready:
        monkeypatch.setattr("evaluators.training.batches.READY_BYTES", 0)
    data = load("digits")
    part = Batches(data, "train", "cpu", channels_last=True)
    order = list(part.in_order(100))
    everything = torch.cat([x for x, _ in order])
    assert torch.equal(everything, data.normaliser()(data.tensors("train")[0]))
    rng = torch.Generator().manual_seed(0)
    epochs = [list(part.epoch(81, rng, Augmentation())) for _ in range(2)]
    assert [len(x) for x, _ in epochs[0]] == [76, 77, 77, 76, 77, 77, 76, 77, 77, 76, 77, 77, 76, 77, 77]
    assert part.steps(81) == 15
    first, second = (torch.cat([x for x, _ in epoch]) for epoch in epochs)
    assert not torch.equal(first, second)
    rows = [*zip(everything.flatten(1).tolist(), torch.cat([y["labels"] for _, y in order]).tolist(), strict=True)]
    for epoch in epochs:
        x, labels = (torch.cat(parts) for parts in zip(*[(x, y["labels"]) for x, y in epoch], strict=True))
        assert sorted(zip(x.flatten(1).tolist(), labels.tolist(), strict=True)) == sorted(rows)
