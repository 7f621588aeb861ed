"""A judge of NAS-Bench-101 cells: numbers by which two cells are proved different, worked out without the keys.

All weights of one kind are made equal (tied), and equal over channels, so that every vertex carries one map instead of
many. If two cells were one behaviour under some transport of weights, whichever convolution goes to whichever, they
would agree under such weights too. So cells that differ here differ. Cells that agree are looked at again with one
convolution at a time (then two) given other weights: the collection of what comes out, over all choices of the
convolution, again does not depend on the transport.

A batch of cells is `edges`, (R, 7, 7) bool, vertex 0 the input and 6 the output, and `kinds`, (R, 7), 0 conv 3×3,
1 conv 1×1, 2 max pool. Letters: R cells, N images, S side.

Reference: Ying et al. 2019, arXiv:1902.09635. Differs: vertices need no channels here, so none are cropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Numbers: TypeAlias = np.ndarray[Any, Any]
N, LAST = 3, 6
SMALL, LARGE = 5, 11
"""Sides of the maps. On small ones a pool of a pool of a pool is soon the same everywhere, so doubts get large ones."""
CHUNK = 10_000
SLOTS = (*range(1, 6), *range(11, 17))
"""The places of convolutions: 1 to 5 of that vertex, 10 + v the projection of the input into vertex v."""


def batch(rows: Iterable[tuple[int, int, str]]) -> tuple[Tensor, Tensor]:
    """`edges` and `kinds` of rows (vertices, adjacency, operations) as the table has them."""
    listed = list(rows)
    edges = torch.zeros(len(listed), 7, 7, dtype=torch.bool)
    kinds = torch.full((len(listed), 7), 2)
    for place, (count, adjacency, ops) in enumerate(listed):
        at = [*range(count - 1), LAST]
        for j in range(count):
            for i in range(j):
                if adjacency >> (i + j * (j - 1) // 2) & 1:
                    edges[place, at[i], at[j]] = True
        for vertex, digit in enumerate(ops, 1):
            kinds[place, vertex] = int(digit)
    return edges, kinds


def _noise(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


_IMAGES = {side: _noise(2, N, side, side, seed=1) for side in (SMALL, LARGE)}
_KERNELS = _noise(2, 9, seed=2)
_PROJECTORS = {side: _noise(N * side * side, 2, seed=3) * (0.6 / side) for side in (SMALL, LARGE)}
_MIX = torch.tensor([1.0, -0.7], dtype=torch.float64)
_PROJECTIONS = torch.tensor([[1.0, 0.5], [-0.7, 1.3]], dtype=torch.float64)


def _norm_relu(x: Tensor, other: Tensor) -> Tensor:
    """Batch norm of each cell's map over images and pixels, and ReLU; another offset where `other`. (R, N, S, S)."""
    mean, var = x.mean((1, 2, 3), keepdim=True), x.var((1, 2, 3), keepdim=True, correction=0)
    offset = torch.where(other, 1.1, 0.6).to(x)[:, None, None, None]
    return F.relu((x - mean) / (var + 1e-5).sqrt() + offset)


def _looks(edges: Tensor, kinds: Tensor, others: Sequence[int], side: int) -> Tensor:
    """Two numbers per cell, (R, 2); the convolutions in the slots `others` have other weights."""
    rows, image, projector = len(edges), _IMAGES[side], _PROJECTORS[side]
    other = {slot: torch.full((rows,), slot in others) for slot in SLOTS}
    link = edges.double()[:, :, :, None, None, None]  # (R, 7, 7, 1, 1, 1)

    def projected(vertex: int) -> Tensor:
        wide = torch.einsum("c,cnhw->nhw", _PROJECTIONS[int(10 + vertex in others)], image)
        return _norm_relu(wide.expand(rows, N, side, side), other[10 + vertex]) * link[:, 0, vertex]

    values: list[Tensor] = [torch.zeros(rows, N, side, side, dtype=torch.float64)]
    for vertex in range(1, LAST):
        x = projected(vertex)
        for start in range(1, vertex):
            x = x + values[start] * link[:, start, vertex]
        flat = x.reshape(rows * N, 1, side, side)
        kernel = _KERNELS[int(vertex in others)].reshape(1, 1, 3, 3)
        wide = _norm_relu(F.conv2d(flat, kernel, padding=1).reshape(x.shape), other[vertex])
        thin = _norm_relu(x * _MIX[int(vertex in others)], other[vertex])
        pooled = F.max_pool2d(flat, 3, 1, 1).reshape(x.shape)
        kind = kinds[:, vertex, None, None, None]
        values.append(torch.where(kind == 0, wide, torch.where(kind == 1, thin, pooled)))
    short = projected(LAST)
    seen = torch.cos((short.reshape(rows, -1) @ projector) + 0.3)
    for vertex in range(1, LAST):  # a concat, whose order the next layer's weights can undo: a sum over its parts
        part = torch.cos(3 * ((values[vertex] + short).reshape(rows, -1) @ projector))
        seen = seen + (part + 2.0) * link[:, vertex, LAST, 0, 0]
    return seen


@torch.no_grad()
def looks(edges: Tensor, kinds: Tensor, depth: int = 0, side: int = SMALL) -> Numbers:
    """Numbers that differ only where behaviours do, (R, 2). depth: how many convolutions at a time are set apart."""
    found = []
    for start in range(0, len(edges), CHUNK):
        here, kind = edges[start : start + CHUNK], kinds[start : start + CHUNK]
        if not depth:
            found.append(_looks(here, kind, (), side))
            continue
        total = torch.zeros(len(here), 2, dtype=torch.float64)
        for slots in combinations(SLOTS, depth):
            there = torch.stack([_holds(here, kind, slot) for slot in slots]).all(0)
            told = _looks(here, kind, slots, side)
            mixed = torch.stack([torch.cos(5 * told[:, 0] + 3 * told[:, 1]), torch.sin(4 * told[:, 0] - told[:, 1])], 1)
            total += (mixed + 2.0) * there[:, None]
        found.append(total)
    return torch.cat(found).numpy()


def _holds(edges: Tensor, kinds: Tensor, slot: int) -> Tensor:
    """Which cells have a convolution in a slot, (R,) bool."""
    if slot > 10:
        return edges[:, 0, slot - 10]
    return (kinds[:, slot] != 2) & (edges[:, slot].any(1))


def classes(numbers: Numbers, tolerance: float = 1e-9) -> Numbers:
    """Equal whole numbers for rows whose numbers all agree within the tolerance, (R,)."""
    labels = np.zeros(len(numbers), dtype=np.int64)
    for column in numbers.T:
        order = np.argsort(column, kind="stable")
        steps = np.diff(column[order], prepend=column[order[:1]]) > tolerance
        label = np.empty(len(numbers), dtype=np.int64)
        label[order] = np.cumsum(steps)
        labels = np.unique(np.stack([labels, label]), axis=1, return_inverse=True)[1].reshape(-1)
    return labels


def behaviours(edges: Tensor, kinds: Tensor, told: Callable[[str], object] = lambda text: None) -> Numbers:
    """A class per cell, (R,): cells of different classes are proved different; cells of one class are not."""
    return refined(edges, kinds, told)[-1]


def refined(edges: Tensor, kinds: Tensor, told: Callable[[str], object] = lambda text: None) -> list[Numbers]:
    """The classes, each (R,), that looks tell apart, coarsest first: with no convolution set apart, with one, with two,
    and with one on larger maps."""
    found = [classes(looks(edges, kinds))]
    for depth, side in ((1, SMALL), (2, SMALL), (1, LARGE)):
        labels = found[-1]
        counts = np.bincount(labels)
        doubtful = np.flatnonzero(counts[labels] > 1)
        told(f"{len(counts)} classes, {len(doubtful)} cells share one; now {depth} set apart, maps of side {side}")
        finer = np.zeros(len(labels), dtype=np.int64)
        if len(doubtful):
            finer[doubtful] = 1 + classes(looks(edges[doubtful], kinds[doubtful], depth, side))
        found.append(np.unique(np.stack([labels, finer]), axis=1, return_inverse=True)[1].reshape(-1))
    return found
