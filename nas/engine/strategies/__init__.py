"""Strategies: each proposes by `ask`, learns by `tell`, and registers itself by its name."""

import nas.engine.strategies.evolution
import nas.engine.strategies.nsga2
import nas.engine.strategies.optuna
import nas.engine.strategies.random  # noqa: F401
