"""Who searches: the controller's loop, strategies that propose, executors that evaluate.

    Controller ── asks and tells ──▶ strategies    random, evolution, nsga2, optuna
        │
        └─────── submits jobs ─────▶ executors     local, ray

Importing this package registers its strategies and executors; it does not import torch, Optuna or Ray.
"""

import nas.engine.executors
import nas.engine.strategies  # noqa: F401
