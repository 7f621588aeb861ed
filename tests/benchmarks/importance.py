"""How often the intervals of the importance of decisions cover the truth, on a function whose shares are known.

    python -m tests.benchmarks.importance [--seeds 20] [--json FILE]

400 trials of nine independent decisions with three options each. Three decisions take part in the value, at 9 : 4 : 1,
and noise takes as much as all of them; six do not. Importance is asked for in a share of the whole variance.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from results.analysis.choices import Choices
from results.analysis.importance import importance

TRIALS, DECISIONS, WEIGHTS = 400, 9, (3.0, 2.0, 1.0)


def covered(seed: int) -> tuple[list[bool], list[bool], float]:
    """Of the relevant decisions, whether the interval holds their share; of the others, whether it holds 0."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, (TRIALS, DECISIONS))
    parts = [weight * (codes[:, place] == place) for place, weight in enumerate(WEIGHTS)]
    signal = np.sum(parts, axis=0)
    values = signal + rng.normal(0, signal.std(), TRIALS)
    decided = [{f"c{place}": int(code) for place, code in enumerate(row)} for row in codes]
    found = importance(Choices.of(decided), values, [str(number) for number in range(TRIALS)], seed)
    true = np.array([weight**2 for weight in WEIGHTS]) / sum(weight**2 for weight in WEIGHTS) / 2
    inside = [bool(found.low[i] <= share <= found.high[i]) for i, share in enumerate(true)]
    return inside, [bool(found.low[i] <= 0 <= found.high[i]) for i in range(3, DECISIONS)], found.explained


def main() -> None:
    """Print the shares of intervals that hold the truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = [covered(seed) for seed in range(options.seeds)]
    relevant, irrelevant = (np.array([result[part] for result in results], dtype=float) for part in (0, 1))
    found = {
        "seeds": options.seeds,
        "relevant_covered": [round(float(share), 2) for share in relevant.mean(axis=0)],
        "irrelevant_cover_0": round(float(irrelevant.mean()), 3),
        "explained": round(float(np.mean([result[2] for result in results])), 3),
    }
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
