from __future__ import annotations

import math
import random

import pytest

from nas.engine.pareto import Cloud, by_front, crowding, ranks


def _ranks_by_definition(points: list[tuple[float, ...]]) -> list[int]:
    found = [-1] * len(points)
    rank = 0
    while -1 in found:
        left = [i for i in range(len(points)) if found[i] == -1]
        front = [
            i
            for i in left
            if not any(
                points[j] != points[i] and all(a <= b for a, b in zip(points[j], points[i], strict=True)) for j in left
            )
        ]
        for i in front:
            found[i] = rank
        rank += 1
    return found


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_ranks_are_those_of_the_definition(objectives: int, count: int):
    for seed in range(20):
        rng = random.Random(seed)
        points = [tuple(float(rng.randrange(6)) for _ in range(objectives)) for _ in range(count)]  # with ties
        assert ranks(points) == _ranks_by_definition(points)


def test_crowding_by_hand():
    points = [(0.0, 4.0), (1.0, 2.0), (4.0, 0.0)]
    assert crowding(points) == [math.inf, (4 - 0) / 4 + (4 - 0) / 4, math.inf]
    assert crowding([(0.0, 1.0), (1.0, 1.0), (4.0, 1.0)]) == [math.inf, 1.0, math.inf]
    assert crowding([(1.0, 1.0)] * 3) == [0.0] * 3
    assert crowding([]) == []


def test_by_front_goes_by_the_first_objective():
    assert by_front([(3.0, 1.0), (1.0, 3.0), (4.0, 4.0), (1.0, 4.0), (2.0, 2.0)]) == [1, 4, 0, 3, 2]


def test_the_crowding_of_points_at_both_ends_of_what_a_float_holds() -> None:
    points = [(-1.5e308, 1.5e308), (0.0, 0.0), (1.5e308, -1.5e308)]
    assert crowding(points) == crowding([(-1.0, 1.0), (0.0, 0.0), (1.0, -1.0)]) == [math.inf, 2.0, math.inf]


@pytest.mark.parametrize("axes", [1, 2, 4])
def test_a_cloud_says_what_is_better_equal_and_worse_by_definition(axes: int) -> None:
    rng = random.Random(axes)
    cloud, points = Cloud(), []
    for _ in range(300):
        point = tuple(float(rng.randrange(5)) for _ in range(axes))
        pairs = [all(a <= b for a, b in zip(other, point, strict=True)) for other in points]
        worse = [all(a >= b for a, b in zip(other, point, strict=True)) for other in points]
        wanted = (
            [place for place, other in enumerate(points) if pairs[place] and other != point],
            [place for place, other in enumerate(points) if other == point],
            [place for place, other in enumerate(points) if worse[place] and other != point],
        )
        assert cloud.beside(point) == wanted
        cloud.add(point)
        points.append(point)
        if rng.randrange(10) == 0:
            stay = [place for place in range(len(points)) if rng.randrange(3)]
            cloud.keep(stay)
            points = [points[place] for place in stay]
        assert len(cloud) == len(points)
