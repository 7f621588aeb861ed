"""What candidates are judged by: the metrics that a trial has, and costs that are computed or measured beside them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nas.core.errors import NASError, RecipeError, nearest
from nas.core.profile import profile
from nas.core.records import Budget, Candidate, Constraint, Metric
from nas.core.roles import Evaluator
from nas.core.space import Space
from nas.engine.checks import check_evaluator
from nas.engine.faults import one_line
from nas.engine.feasibility import Cost
from nas.loading import PartSpec
from nas.recipe import Recipe

if TYPE_CHECKING:
    from evaluators.bench import Bench


def check_metric(key: str, name: str, known: Mapping[str, Metric], spec: PartSpec) -> None:
    """Refuse a metric of the test part, and one that no trial has. Raises RecipeError."""
    if name.startswith("test_"):
        twin = name.replace("test_", "val_", 1)
        hint = f"; use {twin!r}" if twin in known else ""
        raise RecipeError(
            f"{key}: {name!r} would let the search follow the test part, whose numbers would then prove nothing{hint}; "
            "finalists are measured on the test part at the end"
        )
    if name not in known:
        legal = [metric for metric in known if not metric.startswith("test_")]
        raise RecipeError(f"{key}: {spec.title} reports no {name!r}; {nearest(name, legal)}")


def check_answers(evaluator: Evaluator, spec: PartSpec) -> None:
    """Ask an evaluator what it says of itself, before anything is written. Raises RecipeError for wrong answers."""
    check_evaluator(evaluator)
    try:
        metrics, fingerprint = list(evaluator.metrics()), evaluator.fingerprint()
    except NASError:
        raise
    except Exception as error:
        raise RecipeError(f"{spec.title}: metrics() or fingerprint() failed: {one_line(error)}") from error
    wrong = [metric for metric in metrics if not isinstance(metric, Metric)]
    if wrong:
        raise RecipeError(
            f"{spec.title}: metrics() gives {wrong[0]!r}; expected nas.Metric, as in [Metric('score', 'max')]"
        )
    if not isinstance(fingerprint, str) or not fingerprint:
        raise RecipeError(f"{spec.title}: fingerprint() gives {fingerprint!r}; expected a text that is not empty")
    budget = getattr(evaluator, "default_budget", None)
    if budget is not None and not isinstance(budget, Budget):
        raise RecipeError(f"{spec.title}: default_budget is {budget!r}; expected a nas.Budget, as in Budget(8)")


def metrics_of(evaluator: Evaluator) -> dict[str, Metric]:
    """Every metric that a trial may have: the evaluator's own, and the costs that are known of any network."""
    from evaluators.costs import COSTS
    from evaluators.metrics import USUAL

    return {**{name: USUAL[name] for name in COSTS}, **{metric.name: metric for metric in evaluator.metrics()}}


def bench_of(fields: Mapping[str, Any]) -> Bench:
    """How costs are measured. Raises RecipeError for an unknown field."""
    from evaluators.bench import Bench

    spec = PartSpec("costs", "", Bench, fields)
    spec.check()
    bench: Bench = spec.make()
    return bench


def costs_beside(
    evaluator: Evaluator, space: Space, recipe: Recipe, bench: Bench, bounds: Sequence[Constraint]
) -> tuple[Evaluator, Cost, tuple[str, ...]]:
    """The evaluator with the measured costs that the recipe wants, the computed costs as a function, and their names.

    An evaluator that answers in this process (a table) knows costs of its own: what it reports is not computed.
    """
    from evaluators.costs import COMPUTED, MEASURED, with_costs

    own = {metric.name for metric in evaluator.metrics()} if getattr(evaluator, "in_process", False) else set()
    free = tuple(name for name in COMPUTED if name not in own)
    batch = getattr(evaluator, "batch_size", bench.train_batch)
    wanted = [name for name in (*recipe.objectives, *recipe.constraints) if name in MEASURED]

    def cost(candidate: Candidate) -> Mapping[str, float]:
        known = profile(candidate.graph, space.inputs)
        costs = {"params": known.params, "macs": known.macs, "train_memory_bytes": known.train_memory_bytes(batch)}
        return {name: costs[name] for name in free}

    return with_costs(evaluator, wanted, space.inputs, bench, bounds), cost, free


def machine_memory(device: str) -> int | None:
    """Bytes of the GPU that training would run on, else of this machine."""
    from evaluators.devices import resolve

    try:
        if resolve(device).startswith("cuda"):
            import torch

            return int(torch.cuda.get_device_properties(0).total_memory)
    except NASError:
        return None  # the evaluation itself says that the device is not there
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None
