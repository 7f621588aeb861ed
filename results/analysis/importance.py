"""How much of a metric's variance a decision takes part in, among the trials of a search, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from results.analysis.choices import Choices, Codes

FOLDS = 5
"""Parts, each of which is kept from a model once."""

MODELLED = 48
"""Most decisions that a model is given: those by which most of the variance goes one at a time."""

BOOSTED = 160
"""From so many trials on the model is boosted; of fewer a forest learns more."""

DRAWS = 5_000
"""How many redrawn trials a fold predicts at most, over all decisions and repetitions."""

REPEATS = 8
"""How often a decision is drawn anew at most."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Importance:
    """Of D decisions for one metric, as shares of its variance.

    explained: what the model explains on trials it was not fitted to, 1 being all; below 0 it is worse than the mean.
    mean, low, high: (D,), with an interval of 95 %.
    """

    explained: float
    mean: Floats
    low: Floats
    high: Floats


def importance(choices: Choices, values: Floats, groups: Sequence[str], seed: int = 0) -> Importance:
    """The total effect of each decision: the share of the variance that is lost when it alone is drawn anew.

    A boosted model of the decisions (of few trials, a random forest) is fitted to all trials but those of one fold; on
    these its error is compared with its error after one decision was drawn anew (`Choices.redrawn`). Half the growth of
    the mean squared error, divided by the variance, is the decision's total effect: its own share and that of all
    interactions that it takes part in. So shares add up to more than 1 where decisions interact. What the model does
    not explain belongs to no decision. A decision that is not always there counts where it is.

    Values are means over the folds; intervals are Student's with the variance corrected for the overlap of what the
    models were fitted to. They may reach below 0: then the decision may not matter at all.

    values: (N,), not all equal. groups: trials with the same text are in the same fold, as equal networks must be.

    References: Breiman 2001, Random forests, section 10 (growth of the error). Jansen 1999, Analysis of variance
    designs for model output (half of it is the total effect). Hutter, Hoos and Leyton-Brown 2014, An efficient approach
    for assessing hyperparameter importance (shares of variance by a model of decisions). Ke et al. 2017, LightGBM (the
    boosting). Nadeau and Bengio 2003, Inference for the generalization error (the interval). Differs: errors are those
    on trials that were kept from the model, so that a decision without effect comes out as 0 on average and not above;
    decisions are drawn from the trials of the search, not evenly from the space.
    """
    from sklearn.model_selection import GroupKFold
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    number, size = choices.codes.shape
    names = rng.permutation(np.unique(np.asarray(groups)))
    folds = min(FOLDS, len(names))
    shares, lost, variance = np.zeros((folds, size)), 0.0, float(values.var())
    parts = GroupKFold(folds).split(choices.codes, groups=groups)
    with threadpool_limits(1):  # small tables: threads cost more than they save
        for fold, (fit, kept) in enumerate(parts):
            used = screened(choices, fit, values)
            model = _model(len(fit), len(used), seed)
            model.fit(choices.codes[np.ix_(fit, used)], values[fit])
            rows, truth = choices.codes[kept], values[kept]
            repeats = max(1, min(REPEATS, DRAWS // (len(kept) * len(used))))
            new = [choices.redrawn(place, rows, rng)[:, used] for place in used for _ in range(repeats)]
            wrong = (model.predict(np.concatenate([rows[:, used], *new])).reshape(-1, len(kept)) - truth) ** 2
            error = float(wrong[0].mean())
            lost += error * len(kept)
            shares[fold, used] = (wrong[1:].reshape(len(used), -1).mean(axis=1) - error) / 2 / variance
    mean = shares.mean(axis=0)
    reach = _student(folds - 1) * sqrt(1 / folds + 1 / (folds - 1)) * shares.std(axis=0, ddof=1)
    return Importance(1 - lost / number / variance, mean, mean - reach, mean + reach)


def _model(number: int, size: int, seed: int) -> Any:
    """The model for so many trials and decisions, to be fitted."""
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

    if number < BOOSTED:
        return RandomForestRegressor(50, min_samples_leaf=2, max_features=0.5, random_state=seed)
    return HistGradientBoostingRegressor(
        max_iter=60,
        learning_rate=0.15,
        max_leaf_nodes=8,
        min_samples_leaf=10,
        l2_regularization=2.0,
        categorical_features=list(range(size)),
        early_stopping=False,
        random_state=seed,
    )


def screened(choices: Choices, rows: NDArray[np.int_], values: Floats) -> NDArray[np.int_]:
    """Places of at most MODELLED decisions, those that explain most of these trials' variance one at a time."""
    size = choices.codes.shape[1]
    if size <= MODELLED:
        return np.arange(size)
    centred = values[rows] - values[rows].mean()
    whole = float((centred**2).sum()) or 1.0
    explained = np.zeros(size)
    for place in range(size):
        codes: Codes = choices.codes[rows, place]
        number = np.bincount(codes)
        sums = np.bincount(codes, weights=centred)
        have = number > 0
        between = float((sums[have] ** 2 / number[have]).sum())
        free = have.sum() - 1  # what so many categories explain of mere noise is taken off
        explained[place] = (between - free * (whole - between) / max(len(rows) - free - 1, 1)) / whole
    return np.sort(np.argsort(-explained, kind="stable")[:MODELLED])


def _student(free: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, free))
