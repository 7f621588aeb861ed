"""A recipe made ready: its parts made and checked together, everything wrong with it said at once, before any work.

What is looked at: names and fields of all parts; metrics of objectives and constraints; whether the space fits the
data; whether the space has a network at all, and one that keeps the constraints that cost nothing to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas.caching import Decided, check_cache, decide
from nas.core.errors import NASError, RecipeError
from nas.core.records import Budget, Constraint, Objective
from nas.core.roles import Evaluator, Executor, Strategy
from nas.core.space import Space
from nas.engine.checks import check_executor
from nas.engine.feasibility import Cost
from nas.engine.finalists import Again, check_start
from nas.fitting import space_for, try_out
from nas.judging import bench_of, check_answers, check_metric, costs_beside, machine_memory, metrics_of
from nas.loading import PartSpec, find_part
from nas.recipe import PARTS, Recipe, Source

if TYPE_CHECKING:
    from evaluators.data import Data


@dataclass(frozen=True)
class Plan:
    """A search, ready to run. Used once: its strategy keeps what it was told.

    evaluator: as the recipe has it, with cost metrics beside it. cost: of a candidate, before it is evaluated.
    cache: which measurements are used again.
    warnings: what is allowed but looks like a mistake.
    """

    recipe: Recipe
    specs: Mapping[str, PartSpec]
    space: Space
    data: Data | None
    evaluator: Evaluator
    strategy: Strategy
    executor: Executor
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    budget: Budget
    cost: Cost
    cache: Decided
    warnings: tuple[str, ...] = ()

    @property
    def trials(self) -> int:
        """How many trials to ask for at most."""
        return self.recipe.budget.trials or 10**9

    @property
    def finalists(self) -> Again | None:
        """How many are evaluated again, for how long, and from where."""
        wanted = self.recipe.finalists
        return Again(wanted.top, wanted.budget, wanted.start) if wanted is not None else None

    def memory_bytes(self) -> int | None:
        """The memory that training may take on this machine; None where the system does not say."""
        return machine_memory(getattr(self.evaluator, "device", "auto"))

    def resolved(self) -> dict[str, Any]:
        """The recipe with every default in it, as YAML takes it."""
        given = self.recipe.model_dump(exclude_none=True)
        given["name"] = self.recipe.title
        given["cache"] = self.cache.spec()
        for kind in PARTS:
            if kind in self.specs:
                given[kind] = self.specs[kind].spec()
        if self.data is not None and self.data.spec is not None:
            given["data"] = {key: value for key, value in self.data.spec.items() if value is not None}
        return {key: given[key] for key in Recipe.model_fields if key in given}


class _Problems:
    """Collects what is wrong, each with the place of its key."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[NASError] = []

    @contextmanager
    def under(self, *path: str) -> Iterator[None]:
        """Keep what is raised inside, with the place of the key at `path` in front."""
        try:
            yield
        except NASError as error:
            at = self.source.at(path)
            self.found.append(type(error)(f"{at}{error}"))
            self.found[-1].__cause__ = error.__cause__ or error

    def settle(self) -> None:
        """Raise what was found: the error itself, or one RecipeError with a line for each."""
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            raise RecipeError("\n".join(str(error) for error in self.found)) from self.found[0]


def make_plan(recipe: Recipe, source: Source | None = None) -> Plan:
    """All parts of a recipe, made and checked. Raises NASError; RecipeError with a line each for several mistakes."""
    problems = _Problems(source or Source())
    specs: dict[str, PartSpec] = {}
    made: dict[str, Any] = {}
    for kind in PARTS:
        if getattr(recipe, kind) is not None or kind != "data":
            with problems.under(kind):
                specs[kind] = find_part(kind, getattr(recipe, kind), base=problems.source.base)
    with problems.under("constraints"):
        made["constraints"] = recipe.bounds()
    with problems.under("costs"):
        made["bench"] = bench_of(recipe.costs)
    for kind in ("data", "executor"):
        if kind in specs:
            with problems.under(kind):
                made[kind] = specs[kind].make()
    with problems.under("data"):
        _need_data(recipe, specs)
    if len(problems.found) and ("data" not in made or not {"space", "evaluator"} <= set(specs)):
        problems.settle()
    with problems.under("space"):
        made["space"] = space_for(specs["space"], made.get("data"))
    if "space" not in made:
        problems.settle()
    with problems.under("evaluator"):
        evaluator = specs["evaluator"].make(space=made["space"], data=made.get("data"))
        check_answers(evaluator, specs["evaluator"])
        if "executor" in made:
            check_executor(made["executor"], evaluator)
        made["evaluator"] = evaluator
    if "evaluator" not in made:
        problems.settle()
    known = metrics_of(made["evaluator"])
    for key in ("objectives", "constraints"):
        for name in getattr(recipe, key):
            with problems.under(key, name):
                check_metric(key, name, known, specs["evaluator"])
    problems.settle()
    if recipe.finalists is not None:
        with problems.under("finalists", "start"):
            check_start(recipe.finalists.start, made["evaluator"])
    objectives = recipe.goals({metric.name: metric.unit for metric in known.values()})
    with problems.under("strategy"):
        made["strategy"] = specs["strategy"].make(
            space=made["space"], objectives=objectives, constraints=made["constraints"], seed=recipe.seed
        )
    evaluator, cost, free = costs_beside(made["evaluator"], made["space"], recipe, made["bench"], made["constraints"])
    warnings = [_odd(objective) for objective in objectives if known[objective.name].direction != objective.direction]
    cache = decide(recipe.cache, evaluator, objectives, made["constraints"], free)
    with problems.under("cache"):
        check_cache(cache.at)
    warnings += [cache.warning] if cache.warning else []
    with problems.under("space"):
        bounds = [constraint for constraint in made["constraints"] if constraint.name in free]
        warnings += try_out(made["space"], specs["space"], bounds, cost, made.get("data"), evaluator)
    problems.settle()
    budget = getattr(evaluator, "default_budget", None) or Budget(1)
    return Plan(
        recipe, specs, made["space"], made.get("data"), evaluator, made["strategy"], made["executor"], objectives,
        made["constraints"], budget, cost, cache, tuple(warnings),
    )  # fmt: skip


def _need_data(recipe: Recipe, specs: Mapping[str, PartSpec]) -> None:
    for kind in ("evaluator", "space"):
        if recipe.data is None and kind in specs and specs[kind].requires("data"):
            raise RecipeError(
                f"the key 'data' is missing, which {specs[kind].title} needs; expected 'digits', a file.npz, a folder "
                "of class folders, or package.module:function"
            )


def _odd(objective: Objective) -> str:
    return f"objectives: {objective.name} is to be {objective.direction}, against what is usually wanted of it"
