"""Which decisions matter, on functions whose answers are known; what a front agrees on, against counting by hand."""

from __future__ import annotations

import json
from math import comb
from typing import Any

import numpy as np
import pytest

from nas.core.records import Objective
from results.analysis import decisions as room
from results.analysis.agreement import agreement, at_least
from results.analysis.choices import KINDS, RARE, Choices
from results.analysis.decisions import decisions_of
from results.analysis.importance import MODELLED, importance
from results.front import Front
from tests.results.analysis.samples import rows_of
from tests.results.samples import ACCURACY, LATENCY, PARAMS

Found = dict[str, dict[str, float]]


def drawn(
    number: int, choices: int, options: int = 3, seed: int = 0
) -> tuple[np.ndarray[Any, Any], list[dict[str, int]]]:
    codes = np.random.default_rng(seed).integers(0, options, (number, choices))
    return codes, [{f"c{j}": int(x) for j, x in enumerate(row)} for row in codes]


def shares(decided: list[dict[str, Any]], values: Any, **others: Any) -> tuple[Found, float, str]:
    rows = rows_of(decided, values)
    (goal,) = decisions_of(rows, Front(rows, [ACCURACY]))["goals"]
    return {row["address"]: row for row in goal["rows"]}, goal["explained"], goal["text"]


def test_shares_of_an_additive_function_are_those_of_its_variance() -> None:
    codes, decided = drawn(900, 6)
    parts = [3.0 * (codes[:, 0] == 1), 2.0 * (codes[:, 1] == 2), 1.0 * (codes[:, 2] == 0)]  # 9 : 4 : 1
    found, explained, text = shares(decided, sum(parts))
    assert explained > 0.97
    assert "The intervals of 3 of 6 decisions lie above 0." in text
    for address, share in (("c0", 9 / 14), ("c1", 4 / 14), ("c2", 1 / 14)):
        assert found[address]["mean"] == pytest.approx(share, abs=0.05)
        assert found[address]["low"] < share + 0.01
        assert found[address]["high"] > share - 0.01
    assert list(found)[:3] == ["c0", "c1", "c2"]


def test_noise_belongs_to_no_decision_and_intervals_of_the_irrelevant_reach_0() -> None:
    inside = []
    for seed in range(3):
        codes, decided = drawn(300, 9, seed=seed)
        noise = np.random.default_rng(seed).normal(0, np.sqrt(2 / 9), len(codes))  # as much variance as c0 makes
        values = (codes[:, 0] == 1) + noise
        found = importance(Choices.of(decided), values, [str(i) for i in range(len(codes))])
        assert found.explained == pytest.approx(0.4, abs=0.15)
        assert found.low[0] > 0.2
        assert found.high[0] < 0.8
        inside += list((found.low[1:] <= 0) & (found.high[1:] >= 0))
    assert np.mean(inside) >= 0.85  # 95 % of 24 are expected


def test_an_interaction_belongs_to_both_and_adds_up_to_more_than_all() -> None:
    codes, decided = drawn(800, 9, options=2)
    found, explained, _ = shares(decided, (codes[:, 0] != codes[:, 1]).astype(float))
    assert explained > 0.9
    # neither does anything alone: redrawing either loses all, half of the squared error of 2 var is var
    assert found["c0"]["mean"] == pytest.approx(1, abs=0.15)
    assert found["c1"]["mean"] == pytest.approx(1, abs=0.15)
    assert all(abs(found[other]["mean"]) < 0.05 for other in ("c2", "c3", "c4") if other in found)


def test_a_conditional_decision_counts_where_it_is_there() -> None:
    rng = np.random.default_rng(0)
    conv, kernel, width = rng.integers(0, 2, 900), rng.integers(0, 2, 900), rng.integers(0, 300, 900)
    decided: list[dict[str, Any]] = [
        {"op": "conv", "conv/kernel": 3 + 2 * int(k), "width": int(w)} if c else {"op": "pool", "width": int(w)}
        for c, k, w in zip(conv, kernel, width, strict=True)
    ]
    found, explained, _ = shares(decided, 4.0 * conv + 2.0 * conv * kernel)
    # op: with probability 1/2 it changes, by 4 or by 6: (16 + 36) / 2 / 4; kernel: 4 / 2 / 2 where conv, half of them
    # variance: values 0, 4, 6 with 1/2, 1/4, 1/4: 13 - 2.5² = 6.75
    assert explained > 0.97
    assert found["op"]["mean"] == pytest.approx(6.5 / 6.75, abs=0.08)
    assert found["conv/kernel"]["mean"] == pytest.approx(0.5 / 6.75, abs=0.03)
    assert found["conv/kernel"]["low"] > 0


def test_what_says_that_a_choice_is_there_is_found_in_the_table() -> None:
    rng = np.random.default_rng(1)
    decided = []
    for _ in range(200):
        each: dict[str, Any] = {"times": int(rng.integers(1, 4)), "noise": int(rng.integers(0, 5))}
        for block in range(each["times"]):
            each[f"block{block}/op"] = ["conv", "pool"][rng.integers(0, 2)]
            if each[f"block{block}/op"] == "conv":
                each[f"block{block}/conv/kernel"] = int(rng.integers(1, 4))
        decided.append(each)
    table = Choices.of(decided)
    named = {
        address: table.addresses[parent[0]] if parent else None
        for address, parent in zip(table.addresses, table.parents, strict=True)
    }
    assert named["block2/op"] == "times"
    assert named["block1/conv/kernel"] == "block1/op"
    assert named["times"] is named["noise"] is named["block0/op"] is None
    below = {table.addresses[place] for place in table.below[table.addresses.index("times")]}
    assert below == {f"block{b}/{rest}" for b in (1, 2) for rest in ("op", "conv/kernel")}
    place = table.addresses.index("times")
    new = table.redrawn(place, table.codes, rng)
    assert (new[:, place] != table.codes[:, place]).any()
    times = np.array([table.options[place][code - 1] for code in new[:, place]])
    for block in (1, 2):
        op, kernel = (table.addresses.index(f"block{block}/{rest}") for rest in ("op", "conv/kernel"))
        assert ((new[:, op] > 0) == (times > block)).all()
        conv = table.options[op].index("conv") + 1
        assert ((new[:, kernel] > 0) == (new[:, op] == conv)).all()
    assert (new[:, table.addresses.index("noise")] == table.codes[:, table.addresses.index("noise")]).all()


def test_where_nothing_can_be_said_nothing_is_said() -> None:
    _, decided = drawn(200, 4)
    rng = np.random.default_rng(3)
    found, explained, text = shares(decided, rng.normal(size=200))
    assert found == {}
    assert explained < room.WEAK
    assert "Nothing can be said about val_accuracy: a model explains 0 % of the variance" in text
    same, none, text = shares(decided, np.full(200, 93.0))
    assert (same, none) == ({}, None)
    assert text == "Nothing decides val_accuracy: all 200 networks have the same, 93.00 %."
    few, none, text = shares(decided[:3], [1, 2, 3])
    assert (few, none) == ({}, None)
    assert text == "Nothing can be said about val_accuracy: 3 networks are complete, 30 are needed."
    alike, none, text = shares([{"a": 1}] * 40, np.arange(40))
    assert (alike, none) == ({}, None)
    assert text.endswith("all networks were decided alike.")
    empty = decisions_of([], Front([], [ACCURACY]))
    assert empty["agreed"] == []
    assert "0 networks are complete" in empty["goals"][0]["text"]


def test_equal_networks_are_never_on_both_sides() -> None:
    _, decided = drawn(12, 3)
    many = [decided[i % 12] for i in range(240)]  # twelve networks, each twenty times
    _, _, text = shares(many, [i % 12 for i in range(240)])
    assert "different" in text


def test_many_decisions_and_many_options_are_bounded() -> None:
    codes, decided = drawn(300, MODELLED + 30, seed=5)
    values = 2.0 * (codes[:, 70] == 1) + 1.0 * (codes[:, 5] == 2)
    found, explained, _ = shares(decided, values)
    assert explained > 0.9
    assert list(found)[:2] == ["c70", "c5"]
    assert len(found) <= room.SHOWN
    wide = Choices.of([{"a": i % (KINDS + 40)} for i in range(1000)])
    assert len(wide.options[0]) == KINDS + 1
    assert wide.options[0][-1] == RARE
    assert wide.codes.max() == KINDS + 1


def test_three_goals_are_looked_at_in_their_order_and_it_is_plain() -> None:
    codes, decided = drawn(400, 4)
    decided = [{**each, "c0": ["x", each["c0"]]} for each in decided]  # type: ignore[dict-item]
    rows = rows_of(decided, codes[:, 0], 10 + codes[:, 1], codes[:, 2] + 0.5 * codes[:, 3])
    found = decisions_of(rows, Front(rows, [ACCURACY, PARAMS, LATENCY]))
    assert [goal["name"] for goal in found["goals"]] == ["val_accuracy", "params", "latency_ms"]
    assert [goal["rows"][0]["address"] for goal in found["goals"]] == ["c0", "c1", "c2"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_what_came_from_the_cache_by_the_same_decisions_counts_once() -> None:
    codes, decided = drawn(29, 3)
    rows = rows_of(decided, codes[:, 0])
    again = rows_of(decided, codes[:, 0], hit="decisions")
    text = decisions_of([*rows, *again], Front(rows, [ACCURACY]))["goals"][0]["text"]
    assert "29 networks are complete, 30 are needed" in text


# ---- what the front agrees on ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "n", "K", "N"), [(2, 2, 2, 4), (3, 5, 10, 40), (0, 3, 2, 9), (5, 5, 5, 5), (4, 6, 20, 25)]
)
def test_the_chance_is_that_of_counting_all_draws(k: int, n: int, K: int, N: int) -> None:  # noqa: N803
    ways = sum(comb(K, i) * comb(N - K, n - i) for i in range(k, min(n, K) + 1) if n - i <= N - K)
    assert at_least(k, n, K, N) == pytest.approx(ways / comb(N, n))


def test_agreement_is_more_than_what_the_search_did_anyway() -> None:
    rng = np.random.default_rng(0)
    every = [{"op": ["conv", "pool"][i % 2], "usual": "a" if i % 11 else "b", "noise": int(rng.integers(3))}
             for i in range(200)]  # fmt: skip
    front = [each for each in every if each["op"] == "conv"][:12]
    (found,) = agreement(front, every)
    assert (found.address, found.option, found.having, found.number) == ("op", "conv", 12, 12)
    assert (found.all_having, found.all_number) == (100, 200)
    # 'usual' is shared by nearly all of the front too, but so it is by nearly all networks
    assert sum(each["usual"] == "a" for each in front) >= 0.8 * len(front)


def test_agreement_counts_where_the_choice_is_there() -> None:
    every: list[dict[str, Any]] = [{"op": "pool"} if i % 2 else {"op": "conv", "k": i % 8} for i in range(200)]
    front = [{"op": "conv", "k": 4}] * 9 + [{"op": "pool"}] * 3
    found = {each.address: each for each in agreement(front, [*every, *front])}
    assert (found["k"].having, found["k"].number, found["k"].all_having, found["k"].all_number) == (9, 9, 34, 109)


def test_two_networks_or_a_front_like_all_agree_on_nothing() -> None:
    every = [{"a": i % 10, "b": i % 7} for i in range(500)]
    assert agreement([every[0], every[0]], every) == ()
    assert agreement(every[:40], every) == ()
    assert agreement([], every) == ()


def test_agreed_values_are_told_beside_their_share_of_all() -> None:
    # the accurate ones are those with a = 1; params go against it along c
    rng = np.random.default_rng(2)
    decided = [
        {"a": int(a), "c": int(c)} for a, c in zip(rng.integers(0, 4, 300), rng.integers(0, 40, 300), strict=True)
    ]
    accuracy = [50 * (each["a"] == 1) + each["c"] for each in decided]
    rows = rows_of(decided, accuracy, [each["c"] for each in decided])
    front = Front(rows, [ACCURACY, PARAMS])
    (found,) = decisions_of(rows, front)["agreed"]
    share = np.mean([each["a"] == 1 for each in decided])
    assert (found["address"], found["option"], found["front"]) == ("a", 1, pytest.approx(1, abs=0.2))
    assert found["all"] == pytest.approx(share)
    assert "networks of the front that have this choice" in found["text"]


def test_the_share_of_all_is_that_of_all_however_long_the_front_is() -> None:
    # 6,000 networks, of which 600 are on the front; half of all have a = 1, and all of the front
    decided = [{"a": int(i % 2 == 0), "n": i} for i in range(6000)]
    on_front = [i % 10 == 0 for i in range(6000)]
    rows = rows_of(decided, [90.0 if front else 50.0 for front in on_front])
    (found,) = decisions_of(rows, Front(rows, [ACCURACY]))["agreed"]
    assert (found["address"], found["front"]) == ("a", 1.0)
    assert found["all"] == pytest.approx(0.5, abs=0.04)


def test_where_the_first_goal_is_to_be_small_nothing_changes() -> None:
    codes, decided = drawn(400, 4)
    rows = rows_of(decided, codes[:, 2])
    (goal,) = decisions_of(rows, Front(rows, [Objective("val_accuracy", "min")]))["goals"]
    assert goal["rows"][0]["address"] == "c2"
