"""Rank correlation and gaps with bootstrap intervals, and the benchmark's tables as markdown.

Letters: A architectures, S seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Found = dict[str, Any]
RESAMPLES = 2000


def tau(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall's τ-b of two rows of numbers, (A,) each; 0 where one of them is constant.

    >>> tau(np.array([1, 2, 3]), np.array([1, 3, 2]))
    0.3333333333333333
    """
    return float(_tau(_signs(first), _signs(second)))


def _signs(values: np.ndarray) -> np.ndarray:
    return np.sign(values[..., :, None] - values[..., None, :])  # (…, A, A)


def _tau(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """τ-b from signs of differences, (…, A, A); pairs that are one architecture drawn twice count as ties."""
    scale = np.sqrt(np.abs(first).sum((-2, -1)) * np.abs(second).sum((-2, -1)))
    return np.where(scale > 0, (first * second).sum((-2, -1)) / np.maximum(scale, 1.0), 0.0)


def resamples(count: int) -> np.ndarray:
    """Indices of `RESAMPLES` draws of architectures with replacement, (RESAMPLES, A); the same for all rankers."""
    return np.random.default_rng(0).integers(0, count, (RESAMPLES, count))


def interval(values: np.ndarray) -> list[float]:
    """The middle 95 %."""
    return [round(float(value), 3) for value in np.percentile(values, (2.5, 97.5))]


def taus(scores: np.ndarray, truth: np.ndarray) -> tuple[list[float], np.ndarray]:
    """τ to the truth of each seed's scores, (S, A); and the mean over seeds in each resample, (RESAMPLES,)."""
    index = resamples(len(truth))
    true = _signs(truth[index])  # (RESAMPLES, A, A)
    drawn = np.mean([_tau(_signs(row[index]), true) for row in scores], axis=0)
    return [tau(row, truth) for row in scores], drawn


def judge(scores: np.ndarray, truth: np.ndarray, percent: bool = True) -> Found:
    """How well scores, (S, A), rank and, where they are `percent` of accuracy, foretell the truth, (A,)."""
    each, drawn = taus(scores, truth)
    found: Found = {
        "tau": round(float(np.mean(each)), 3),
        "tau_interval": interval(drawn),
        "tau_of_each_seed": [round(value, 3) for value in each],
    }
    if percent:
        gaps = np.abs(scores - truth).mean(0)  # (A,)
        found |= {
            "gap": round(float(gaps.mean()), 2),
            "gap_interval": interval(gaps[resamples(len(gaps))].mean(1)),
            "mean_accuracy": round(float(scores.mean()), 2),
            "spread_of_accuracy": round(float(scores.std(1).mean()), 2),
        }
    return found


def against(scores: np.ndarray, other: np.ndarray, truth: np.ndarray) -> Found:
    """How much more τ some scores have than others, with the interval of the paired difference.

    Where there are more seeds of the one than of the other, the first ones are compared.
    """
    count = min(len(scores), len(other))
    (first, drawn), (second, beside) = taus(scores[:count], truth), taus(other[:count], truth)
    return {"tau": round(float(np.mean(first) - np.mean(second)), 3), "interval": interval(drawn - beside)}


def ceiling(truth: np.ndarray) -> Found:
    """τ between the seeds of the ground truth, (S, A): what a ranker that is as good as a training reaches."""
    pairs = [(a, b) for a in range(len(truth)) for b in range(a + 1, len(truth))]
    index = resamples(truth.shape[1])
    drawn = np.mean([_tau(_signs(truth[a][index]), _signs(truth[b][index])) for a, b in pairs], axis=0)
    return {
        "tau": round(float(np.mean([tau(truth[a], truth[b]) for a, b in pairs])), 3),
        "tau_interval": interval(drawn),
        "gap_between_seeds": round(float(np.mean([np.abs(truth[a] - truth[b]).mean() for a, b in pairs])), 2),
        "mean_accuracy": round(float(truth.mean()), 2),
        "lowest": round(float(truth.mean(0).min()), 2),
        "highest": round(float(truth.mean(0).max()), 2),
    }


def _more(row: Found, name: str) -> str:
    found = row.get(name)
    return "{:+.3f} ({:+.2f} … {:+.2f})".format(found["tau"], *found["interval"]) if found else ""


COLUMNS: Mapping[str, Callable[[Found], str]] = {
    "τ": lambda row: f"{row['tau']:.3f}",
    "95 %": lambda row: "{:.2f} … {:.2f}".format(*row["tau_interval"]),
    "τ by seed": lambda row: ", ".join(f"{value:.2f}" for value in row.get("tau_of_each_seed", [])),
    "τ more than elastic": lambda row: _more(row, "more_than_elastic"),
    "τ more than its control": lambda row: _more(row, "more_than_control"),
    "gap": lambda row: f"{row['gap']:.1f}" if "gap" in row else "",
    "gap 95 %": lambda row: "{:.1f} … {:.1f}".format(*row["gap_interval"]) if "gap_interval" in row else "",
    "mean accuracy": lambda row: f"{row['mean_accuracy']:.1f}" if "mean_accuracy" in row else "",
    "steps": lambda row: str(row.get("steps", "")),
    "seconds": lambda row: f"{row['training_seconds']:.0f}" if "training_seconds" in row else "",
    "notes": lambda row: row.get("notes", ""),
}


def table(rows: Mapping[str, Found]) -> str:
    """Rows by name as markdown; columns without a word in them are left out."""
    cells = {name: [show(row) for show in COLUMNS.values()] for name, row in rows.items()}
    kept = [place for place in range(len(COLUMNS)) if any(row[place] for row in cells.values())]
    head = [list(COLUMNS)[place] for place in kept]
    lines = [["", *head], ["---"] * (1 + len(head))]
    lines += [[name, *(row[place] for place in kept)] for name, row in cells.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
