"""Which candidate trains which set of weights: learned from validation accuracies, with equal shares.

Letters: C candidates (or those that stand for all), M sets, R rows of the table.

Reference: Javan Roshtkhari et al. 2023, Balanced Mixture of SuperNets, arXiv:2306.11982. Differs: p(m|c) is the joint
divided by its row; networks are proposed by the training rule, not evenly by candidate; in spaces that are too large
for a row per candidate, a row belongs to an option, a candidate's score is the mean over its decisions, and shares are
equal over a fixed sample. Epochs are not multiplied by the number of sets: say so in the recipe where they should be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from nas.core.records import Candidate
from nas.core.seeds import derive, generator
from nas.core.space import Space
from nas.core.supernet.extremes import drawn

ENUMERABLE = 2048
"""Spaces of at most so many candidates have a row of the table for each."""
SAMPLE = 256
"""Candidates that stand for a larger space when shares are balanced."""
CLOSE = 1e-4
"""Largest divergence of the shares of the sets from equal ones, in nats."""
ROUNDS = 10_000
"""Most rounds of balancing."""
BETA = 0.9
"""How much of the old accuracy is kept when a new one is seen."""


def temperature(progress: float, sets: int) -> float:
    """From 1 at the start of training to 1 / (100 M) at its end, linearly.

    >>> temperature(0.0, 4), round(temperature(1.0, 4), 6)
    (1.0, 0.0025)
    """
    return 1.0 + min(1.0, progress) * (1.0 / (100 * sets) - 1.0)


def balance(scores: Tensor, warmth: float, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Conditionals p(m|c), (C, M), for which all sets have equal shares; and the (M,) logits that make it so.

    The joint is p(m|c) / C, of the form D1 · exp(scores / warmth) · D2: rows and columns are scaled in turn, rows last,
    until the divergence of the shares from equal ones is below `CLOSE`.

    Args:
        scores: (C, M) float64. warmth: the temperature. start: logits to begin with.
    """
    logits, sets = scores / warmth, scores.shape[1]
    column = torch.zeros(sets, dtype=scores.dtype) if start is None else start.clone()
    for _ in range(ROUNDS):
        joint = torch.log_softmax(logits + column, dim=1) - math.log(len(scores))
        shares = torch.logsumexp(joint, dim=0)  # (M,), log
        if (shares.exp() * (shares + math.log(sets))).sum() < CLOSE:
            break
        column = column - shares - math.log(sets)
    return torch.softmax(logits + column, dim=1), column - column.mean()


class Assignment:
    """Candidates → sets of weights. What it knows is in `state`; draws come from `nas.core.seeds`.

    learned: False for the control, a fixed random assignment with equal shares that learns nothing. beta: how much of
    an old accuracy is kept. New entries count as accuracy 1, so that each is tried.
    """

    def __init__(self, space: Space, sets: int, seed: int, learned: bool = True, beta: float = BETA) -> None:
        self.space, self.sets, self.seed, self.learned, self.beta = space, sets, seed, learned, beta
        self.whole = space.size() <= ENUMERABLE
        self.rows: dict[str, int] = {}
        standing: list[Candidate] = []
        if self.whole:
            valid = [candidate for candidate in space.enumerate() if space.trouble(candidate) is None]
            self.rows = {candidate.decisions.text: row for row, candidate in enumerate(valid)}
        elif learned:
            standing = [drawn(space, partial(generator, seed, "standing", number)) for number in range(SAMPLE)]
        count = len(self.rows) if self.whole else len(space.encoding())
        self.table = torch.ones(count, sets, dtype=torch.float64)
        self.visits = torch.zeros(count, sets, dtype=torch.int64)
        self.column = torch.zeros(sets, dtype=torch.float64)
        self._last: Tensor | None = None
        self._standing = torch.zeros(len(standing), count, dtype=torch.float64)  # (C, R)
        for number, candidate in enumerate(standing):
            rows = self._rows(candidate)
            self._standing[number, rows] = 1.0 / len(rows)
        self._fixed = list(range(len(self.rows)))
        generator(seed, "fixed sets").shuffle(self._fixed)

    def _rows(self, candidate: Candidate) -> list[int]:
        """The rows of the table whose mean is a candidate's score."""
        if self.whole:
            return [self.rows[candidate.decisions.text]]
        return [row for row, there in enumerate(self.space.encode(candidate)) if there]

    def probabilities(self, candidate: Candidate, progress: float) -> Tensor:
        """p(m|c), (M,), at `progress` in [0, 1] of the training."""
        if not self.learned:
            place = self._fixed_place(candidate)
            return torch.nn.functional.one_hot(torch.tensor(place), self.sets).double()
        warmth = temperature(progress, self.sets)
        self.column = self._balanced(warmth)
        score = self.table[self._rows(candidate)].mean(0)
        return torch.softmax((score + self.column) / warmth, dim=0)

    def _balanced(self, warmth: float) -> Tensor:
        """What is added to each set's scores so that shares are equal, (M,), from what it was before."""
        scores = self.table if self.whole else self._standing @ self.table
        return balance(scores, warmth, self.column / warmth)[1] * warmth

    def _fixed_place(self, candidate: Candidate) -> int:
        if self.whole:
            return self._fixed[self.rows[candidate.decisions.text]] % self.sets
        return derive(self.seed, "fixed sets", candidate.decisions.text) % self.sets

    def draw(self, candidate: Candidate, step: int, number: int, progress: float) -> int:
        """The set that a candidate trains in a step."""
        chances = self.probabilities(candidate, progress).tolist()
        (found,) = generator(self.seed, "set", step, number).choices(range(self.sets), weights=chances)
        return found

    def best(self, candidate: Candidate) -> int:
        """The set with which a candidate is evaluated once training has ended."""
        if not self.learned:
            return self._fixed_place(candidate)
        if self._last is None:
            self._last = self._balanced(temperature(1.0, self.sets))
        return int((self.table[self._rows(candidate)].mean(0) + self._last).argmax())

    def learn(self, candidate: Candidate, which: int, accuracy: float) -> None:
        """Note the accuracy, in [0, 1], of a candidate with a set of weights on validation examples."""
        for row in self._rows(candidate):
            self.table[row, which] = self.beta * self.table[row, which] + (1 - self.beta) * accuracy
            self.visits[row, which] += 1
        self._last = None

    @property
    def state(self) -> dict[str, Tensor]:
        """What a checkpoint holds."""
        return {"table": self.table, "visits": self.visits, "column": self.column}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up the state of a checkpoint."""
        self.table, self.visits, self.column = (state[name].clone() for name in ("table", "visits", "column"))
        self._last = None
