"""Boosted trees over tables of small codes, several fits at once.

Importing a library's takes longer than all else that a report does, and these fits are small. Here those of all folds
grow side by side, so that a level of all their trees is one product of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROUNDS, RATE, DEPTH = 100, 0.1, 4
"""Trees of a fit, the part of a tree's values that is taken, and questions on the way to a leaf."""

DRAWN = 0.6
"""Which part of its trials a tree is grown from, drawn anew for each."""

KEPT = 2
"""How many times as many trees are kept as those by which the trials that they were not grown from are told best: what
these say alone stops too early."""

TRIED = 10
"""How many more trees are grown to see whether they help."""

LEAST, SHRINK = 4, 2.0
"""Fewest trials on each side of a question, and how many trials with value 0 a leaf is thought to have besides."""

INNER = 2**DEPTH - 1
"""Questions of a tree."""

Floats = NDArray[np.float64]
Codes = NDArray[np.int16]
Parts = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Boosted:
    """F fits of R trees, each of INNER questions of the form 'is the code of this decision this one?'.

    start: (F,), the mean of what each was fitted to. decisions, codes: (F, R, INNER), of the question at each node,
    breadth first; a node without one has code -1, which no trial has. leaves: (F, R, INNER + 1).
    """

    start: Floats
    decisions: NDArray[np.intp]
    codes: Codes
    leaves: Floats

    def predict(self, fit: int, rows: Codes) -> Floats:
        """What one of the fits says of trials, (n, D) → (n,)."""
        trees = np.arange(self.decisions.shape[1])
        node = np.zeros((len(rows), len(trees)), dtype=np.intp)
        for _ in range(DEPTH):
            has = np.take_along_axis(rows, self.decisions[fit][trees, node], axis=1)  # (n, R)
            node = 2 * node + 1 + (has == self.codes[fit][trees, node])
        return np.asarray(self.start[fit] + self.leaves[fit][trees, node - INNER].sum(axis=1))


def boost(codes: Codes, values: Floats, parts: Parts, asked: Parts, seed: int = 0) -> Boosted:
    """Fit the values of trials by their codes, F times.

    codes: (N, D). values: (N,). parts: (F, N), the trials that each is fitted to, at least one. asked: (F, D), the
    decisions that its questions may be about.

    A tree grows level by level: each node asks what lowers the squared error most, if anything does with LEAST trials
    on either side. Trees are kept as far as those help that are told by trials they were not grown from (KEPT).

    References: Friedman 2001, Greedy function approximation: a gradient boosting machine. Friedman 2002, Stochastic
    gradient boosting (each tree from a part of the trials, the others say how many are enough). Chen and Guestrin
    2016, XGBoost (shrunken leaves).
    Differs: a question parts one code from all others.
    """
    rng = np.random.default_rng(seed)
    (fits, number), size = parts.shape, codes.max(axis=0, initial=0).astype(int) + 1
    used = np.flatnonzero(asked.any(axis=0))
    decision = np.repeat(used, size[used])  # P columns: a decision and a code each
    code = np.concatenate([np.arange(size[place]) for place in used]).astype(np.int16)
    hot = (codes[:, decision] == code).astype(np.float32)  # (N, P)
    barred = ~asked[:, decision]  # (F, P)
    start = (parts * values).sum(axis=1) / parts.sum(axis=1)
    rest = (values - start[:, None]).astype(np.float32)  # (F, N)
    decisions, told = (np.zeros((fits, ROUNDS, INNER), dtype=kind) for kind in (np.intp, np.int16))
    leaves, helped = np.zeros((fits, ROUNDS, INNER + 1)), np.zeros((fits, ROUNDS))
    fit, trial = np.arange(fits)[:, None], np.arange(number)
    for tree in range(ROUNDS):
        weight = (parts & (rng.random(parts.shape) < DRAWN)).astype(np.float32)
        both = np.stack([weight * rest, weight])  # (2, F, N): sums and counts
        node = np.zeros((fits, number), dtype=np.intp)  # counted within its level
        for level in range(DEPTH):
            at = node[:, None] == np.arange(2**level)[:, None]  # (F, nodes, N)
            inside = both[:, :, None] * at
            whole, yes = inside.sum(axis=-1)[..., None], inside @ hot  # (2, F, nodes, 1 and P)
            gain = _score(*yes) + _score(*(whole - yes)) - _score(*whole)
            gain[(yes[1] < LEAST) | (whole[1] - yes[1] < LEAST) | barred[:, None]] = 0.0
            best = gain.argmax(axis=-1)  # (F, nodes)
            parted = np.take_along_axis(gain, best[..., None], axis=-1)[..., 0] > 0
            places = slice(2**level - 1, 2 ** (level + 1) - 1)
            decisions[:, tree, places] = decision[best]
            told[:, tree, places] = np.where(parted, code[best], -1)
            node = 2 * node + (parted[fit, node] & (hot[trial, best[fit, node]] > 0))
        place = (fit * (INNER + 1) + node).ravel()
        sums, counts = (np.bincount(place, each.ravel(), leaves[:, tree].size) for each in both)
        leaves[:, tree] = RATE * (sums / (counts + SHRINK)).reshape(fits, -1)
        step = leaves[fit, tree, node].astype(np.float32)
        helped[:, tree] = ((2 * rest - step) * step * (parts & (weight == 0))).sum(axis=1)
        rest -= step
        enough = KEPT * helped[:, : tree + 1].cumsum(axis=1).argmax(axis=1) + KEPT  # trees, of each fit
        if tree > enough.max() + TRIED:
            break
    leaves[np.arange(ROUNDS) >= enough[:, None]] = 0.0
    last = int(enough.max())
    return Boosted(start, decisions[:, :last], told[:, :last], leaves[:, :last])


def _score(sums: NDArray[np.float32], counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """By how much a leaf of these lowers the squared error."""
    return np.asarray(sums**2 / (counts + SHRINK))
