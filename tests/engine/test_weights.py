"""Which files of trials stay: those that may still be wanted, by definition, in whatever order trials end."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from nas.engine.pareto import by_front
from nas.engine.weights import Weights


def filled(weights: Weights, trial_id: int) -> None:
    folder = weights.folder(trial_id)
    for name in ("weights.safetensors", "checkpoint.safetensors"):
        (folder / name).write_text("")


@pytest.mark.parametrize("finalists", [1, 2, 4])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_what_fewer_networks_dominate_than_there_are_finalists_stays(tmp_path: Path, finalists: int, axes: int):
    rng = random.Random(f"{finalists} {axes}")
    points = [tuple(float(rng.randrange(6)) for _ in range(axes)) for _ in range(40)]
    networks = [f"n{rng.randrange(30)}" for _ in points]
    points = [points[networks.index(name)] for name in networks]  # one network has one point

    def beaten(place: int) -> int:
        mine = points[place]
        return len({
            networks[k] for k, p in enumerate(points) if p != mine and all(a <= b for a, b in zip(p, mine, strict=True))
        })  # fmt: skip

    wanted = {place for place in range(len(points)) if beaten(place) < finalists}
    for attempt in range(3):
        weights = Weights(tmp_path / str(attempt), "front", finalists)
        for place in rng.sample(range(len(points)), len(points)):
            filled(weights, place)
            weights.measured(place, points[place], networks[place])
        there = {int(folder.name) for folder in (tmp_path / str(attempt) / "trials").iterdir()}
        assert there == wanted
        assert {place for place in range(len(points)) if weights.checkpoint(place)} == wanted
    unique = [networks.index(name) for name in dict.fromkeys(networks)]
    best = [unique[place] for place in by_front([points[place] for place in unique])[:finalists]]
    assert set(best) <= wanted, "a finalist's checkpoint is gone"
    assert len(wanted) < len(points)


def test_everything_stays_where_all_is_kept(tmp_path: Path):
    weights = Weights(tmp_path, "all")
    for place in range(3):
        filled(weights, place)
        weights.measured(place, (float(place),))
    assert all(weights.checkpoint(place) for place in range(3))


def test_other_files_of_a_trial_are_left_alone(tmp_path: Path):
    weights = Weights(tmp_path, "front")
    filled(weights, 0)
    (weights.folder(0) / "own.txt").write_text("")
    weights.useless(0)
    assert [file.name for file in weights.folder(0).iterdir()] == ["own.txt"]
    assert weights.checkpoint(0) is None
