"""Every registered strategy, with its default fields, keeps the contract."""

from __future__ import annotations

from typing import Any

import pytest

import nas.engine.strategies
from nas.core.registry import get, names
from nas.testing import StrategyContract


@pytest.mark.parametrize("name", names("strategy"))
class TestRegistered(StrategyContract):
    @pytest.fixture(autouse=True)
    def _take(self, name: str) -> None:
        self.name = name

    def make(self, **injected: Any) -> Any:
        return get("strategy", self.name)(**injected)


def test_the_built_in_strategies_are_among_them():
    assert nas.engine.strategies
    assert {"random", "evolution", "nsga2", "optuna"} <= set(names("strategy"))
