"""Espalier: neural architecture search. Declare a space once, search it, take the network home.

    nas/cli/  nas/recipe.py  nas/plan.py  nas/running.py  nas/loading.py     the roof: commands, recipes, parts by name
        │
    nas/engine/       search_spaces/     evaluators/       results/          four siblings that do not import each other
    controller,       the concrete       what a            store, front,
    strategies,       spaces             candidate         report, export
    executors                            is worth
        │
    nas/core/                                                                the ground: graphs, the space language,
                                                                             operations, costs, build, keys, records
    nas/testing/      contract suites for parts of one's own

Imports only go down. What this module exports is imported when it is first used, so that `import nas` takes no time.

    import nas
    run = nas.search(space="cnn", data="digits", evaluator={"name": "train", "epochs": 4},
                     objectives={"val_accuracy": "max", "params": "min"}, budget={"trials": 20})
    run.front
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.core.build import build
    from nas.core.errors import NASError
    from nas.core.graph import Graph
    from nas.core.keys import graph_key
    from nas.core.language import (
        compute,
        dag,
        one_of,
        op,
        optional,
        parallel,
        recursive,
        repeat,
        seq,
        some_of,
        tie,
    )
    from nas.core.probe import ProbeError, functional_key
    from nas.core.profile import InputSpec, profile
    from nas.core.records import Budget, Candidate, Constraint, Decisions, Measurement, Metric, Objective, Status, Trial
    from nas.core.registry import register
    from nas.core.seeds import derive, generator
    from nas.core.space import Space, features, image, tokens
    from nas.loading import load
    from nas.measuring import evaluate
    from nas.running import open, resume, search  # noqa: A004
    from results.compare import compare

_HOMES = {
    "nas.core.build": ("build",),
    "nas.core.errors": ("NASError",),
    "nas.core.graph": ("Graph",),
    "nas.core.keys": ("graph_key",),
    "nas.core.language": (
        "compute", "dag", "one_of", "op", "optional", "parallel", "recursive", "repeat", "seq", "some_of", "tie",
    ),
    "nas.core.probe": ("ProbeError", "functional_key"),
    "nas.core.profile": ("InputSpec", "profile"),
    "nas.core.records": (
        "Budget", "Candidate", "Constraint", "Decisions", "Measurement", "Metric", "Objective", "Status", "Trial",
    ),
    "nas.core.registry": ("register",),
    "nas.core.seeds": ("derive", "generator"),
    "nas.core.space": ("Space", "features", "image", "tokens"),
    "nas.loading": ("load",),
    "nas.measuring": ("evaluate",),
    "nas.running": ("open", "resume", "search"),
    "results.compare": ("compare",),
}  # fmt: skip
_PLACES = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Budget", "Candidate", "Constraint", "Decisions", "Graph", "InputSpec", "Measurement", "Metric", "NASError",
    "Objective", "ProbeError", "Space", "Status", "Trial", "__version__", "build", "compare", "compute", "dag",
    "derive", "evaluate", "features", "functional_key", "generator", "graph_key", "image", "load", "one_of", "op",
    "open", "optional", "parallel", "profile", "recursive", "register", "repeat", "resume", "search", "seq",
    "some_of", "tie", "tokens",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("espalier-nas")
    if name not in _PLACES:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
