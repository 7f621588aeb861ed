"""Bars of importance: on one scale, with what is too small left out and said."""

from __future__ import annotations

import pytest

from results.report.shares import with_bars


def test_bars_lie_on_the_scale_of_the_widest() -> None:
    rows = [
        {"address": "a", "mean": 0.4, "low": 0.3, "high": 0.5},
        {"address": "b", "mean": 0.1, "low": -0.1, "high": 0.2},
        {"address": "c", "mean": 0.001, "low": -0.1, "high": 0.1},
    ]
    said = with_bars({"goals": [{"name": "x", "rows": rows, "text": ""}], "agreed": [], "text": ""})
    first, second = said["goals"][0]["rows"]
    assert (first["mean_share"], first["low_share"], first["interval_share"]) == pytest.approx((80, 60, 40))
    assert (second["mean_share"], second["low_share"], second["interval_share"]) == pytest.approx((20, 0, 40))
    assert (first["text"], second["low_text"]) == ("40\u00a0%", "-10\u00a0%")
    assert said["goals"][0]["less"]


def test_nothing_to_draw() -> None:
    (goal,) = with_bars({"goals": [{"rows": [], "text": "explains 3 %"}], "agreed": [], "text": ""})["goals"]
    assert goal == {"rows": [], "less": False, "text": "explains 3\u00a0%"}
