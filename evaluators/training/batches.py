"""Batches without a loader: the whole part lies on the device as tensors, and a batch is a slice of a permutation.

For data that fit into memory this leaves a loader's processes, copies and start-up out; augmentation works on whole
batches. All randomness of an epoch is drawn at its start, on the CPU, so a GPU sees the same order and is never waited
for.

Letters: N examples of the part, B of a batch.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from evaluators.data import Data
from evaluators.training.augment import Augmentation

READY_BYTES = 256 * 2**20
"""A part whose normalised form is at most this large is normalised once; a larger one batch by batch."""


class Batches:
    """One part of the data on a device.

    x is what a network sees: float32, normalised; tokens as they are. y: output name → (B,) int64.
    """

    def __init__(self, data: Data, split: str, device: str, channels_last: bool = False) -> None:
        self.device = device
        self._x, self._y = data.tensors(split, device)
        self._normalise = data.normaliser(device)
        self._channels_last = channels_last and self._x.dim() == 4
        self._ready = self._x.numel() * 4 <= READY_BYTES
        if self._ready:
            self._x = self._form(self._normalise(self._x))

    def __len__(self) -> int:
        return len(self._x)

    def between(self, start: int, stop: int) -> Batches:
        """The examples from number `start` to before `stop`, as a part of their own, without a copy."""
        view = copy.copy(self)
        view._x, view._y = self._x[start:stop], {name: y[start:stop] for name, y in self._y.items()}
        return view

    def in_order(self, size: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """All examples once, in order, in batches of `size`."""
        for start in range(0, len(self), size):
            yield self._seen(self._x[start : start + size]), {k: y[start : start + size] for k, y in self._y.items()}

    def some(self, index: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The examples with these numbers, (B,) int64."""
        index = index.to(self.device)
        return self._seen(self._x[index]), {name: y[index] for name, y in self._y.items()}

    def epoch(
        self, size: int, rng: torch.Generator, augment: Augmentation
    ) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """All examples once, in an order of `rng`, in `steps(size)` batches whose sizes differ by at most one.

        So no batch is left with a single example, which batch norm could not take.
        """
        count = len(self)
        order = torch.randperm(count, generator=rng).to(self.device)
        changes = augment.draw(count, self._x.shape[1:], rng, self.device)
        for start, stop in self._bounds(size):
            x, y = self.some(order[start:stop])
            yield augment.apply(x, changes, start, stop), y

    def steps(self, size: int) -> int:
        """How many batches an epoch has."""
        return -(-len(self) // size)

    def _bounds(self, size: int) -> Iterator[tuple[int, int]]:
        steps, count = self.steps(size), len(self)
        for step in range(steps):
            yield step * count // steps, (step + 1) * count // steps

    def _seen(self, x: Tensor) -> Tensor:
        return x if self._ready else self._form(self._normalise(x))

    def _form(self, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=torch.channels_last) if self._channels_last else x
