"""A recipe made ready: its parts made and checked together, everything wrong with it said at once, before any work.

What is looked at: names and fields of all parts; metrics of objectives and constraints; whether the space fits the
data; whether the space has a network at all, and one that keeps the constraints that cost nothing to know.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas.caching import Decided, check_cache, decide
from nas.core.errors import NASError, RecipeError, nearest
from nas.core.graph import Graph
from nas.core.profile import profile
from nas.core.records import Budget, Candidate, Constraint, Metric, Objective
from nas.core.roles import Evaluator, Executor, Strategy
from nas.core.space import Space
from nas.engine.checks import check_evaluator, check_executor
from nas.engine.faults import one_line
from nas.engine.finalists import Again, check_start
from nas.fields import inputs_spec
from nas.loading import PartSpec, find_part
from nas.recipe import PARTS, Recipe, Source

if TYPE_CHECKING:
    from evaluators.costs import Bench
    from evaluators.data import Data

Cost = Callable[[Candidate], Mapping[str, float]]

LOOK_AT = 1000
"""How many candidates are looked at for a valid one."""
TRY = 200
"""How many valid candidates are looked at for one that keeps the constraints."""


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
        made["bench"] = _bench(recipe.costs)
    for kind in ("data", "executor"):
        if kind in specs:
            with problems.under(kind):
                made[kind] = specs[kind].make()
    with problems.under("data"):
        _need_data(recipe, specs)
    if len(problems.found) and ("data" not in made or not {"space", "evaluator"} <= set(specs)):
        problems.settle()
    with problems.under("space"):
        made["space"] = _space(specs["space"], made.get("data"))
    if "space" not in made:
        problems.settle()
    with problems.under("evaluator"):
        evaluator = specs["evaluator"].make(space=made["space"], data=made.get("data"))
        _check_evaluator(evaluator, specs["evaluator"])
        if "executor" in made:
            check_executor(made["executor"], evaluator)
        made["evaluator"] = evaluator
    if "evaluator" not in made:
        problems.settle()
    known = _known(made["evaluator"])
    for key in ("objectives", "constraints"):
        for name in getattr(recipe, key):
            with problems.under(key, name):
                _check_metric(key, name, known, specs["evaluator"])
    problems.settle()
    if recipe.finalists is not None:
        with problems.under("finalists", "start"):
            check_start(recipe.finalists.start, made["evaluator"])
    objectives = recipe.goals({metric.name: metric.unit for metric in known.values()})
    with problems.under("strategy"):
        made["strategy"] = specs["strategy"].make(
            space=made["space"], objectives=objectives, constraints=made["constraints"], seed=recipe.seed
        )
    evaluator, cost, free = _with_costs(made["evaluator"], made["space"], recipe, made["bench"], made["constraints"])
    warnings = [_odd(objective) for objective in objectives if known[objective.name].direction != objective.direction]
    cache = decide(recipe.cache, evaluator, objectives, made["constraints"], free)
    with problems.under("cache"):
        check_cache(cache.at)
    warnings += [cache.warning] if cache.warning else []
    with problems.under("space"):
        bounds = [constraint for constraint in made["constraints"] if constraint.name in free]
        warnings += _probe(made["space"], specs["space"], bounds, cost, made.get("data"), evaluator)
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


# ---- space and data --------------------------------------------------------------------------------------------------


def _space(spec: PartSpec, data: Data | None) -> Space:
    """The space, shaped for the data where it asks for that. Raises RecipeError when it does not fit the data."""
    given = {"inputs": data.inputs, "classes": data.classes} if data is not None else {}
    space: Space = spec.make(**given)
    if data is None:
        return space
    mine, theirs = list(space.inputs.values()), list(data.inputs.values())
    same = [(a.shape, a.dtype) for a in mine] == [(b.shape, b.dtype) for b in theirs]
    if not same or any((a.vocabulary or 0) < (b.vocabulary or 0) for a, b in zip(mine, theirs, strict=True)):
        raise RecipeError(
            f"{spec.title} takes inputs of {inputs_spec(space.inputs)}, the data {data.name!r} gives "
            f"{inputs_spec(data.inputs)}; {_way_out(spec, 'inputs', 'other data')}"
        )
    wanted = dict(data.classes) if isinstance(data.classes, Mapping) else data.classes
    have = dict(space.classes) if isinstance(space.classes, Mapping) else space.classes
    if have is not None and have != wanted:
        raise RecipeError(
            f"{spec.title} is for {have} classes, the data {data.name!r} has {wanted}; "
            f"{_way_out(spec, 'classes', 'other data')}"
        )
    return space


def _way_out(spec: PartSpec, name: str, other: str) -> str:
    if name in spec.fields:
        return f"leave {name!r} out: it then follows the data"
    if spec.factory is not None and not spec.asks_for(name):
        return f"let the space's function take an argument {name!r}, which the data then fill, or give {other}"
    return f"make the space for these data, or give {other}"


def _probe(
    space: Space,
    spec: PartSpec,
    constraints: list[Constraint],
    cost: Cost,
    data: Data | None,
    evaluator: Evaluator,
) -> list[str]:
    """Look for a valid network, and for one that keeps the constraints on costs; return warnings.

    Raises: RecipeError when there is none among those looked at, saying how many these were and why not.
    """
    whole = space.size() <= LOOK_AT
    valid: list[Candidate] = []
    reasons: Counter[str] = Counter()
    for candidate in _some(space):
        reason = space.trouble(candidate)
        if reason is None:
            valid.append(candidate)
        else:
            reasons[reason] += 1
        if (len(valid) >= (TRY if constraints else 1) and not whole) or (valid and not constraints):
            break
    if not valid:
        reason, count = reasons.most_common(1)[0]
        looked = f"none of its {sum(reasons.values())} candidates" if whole else f"none of {LOOK_AT} drawn candidates"
        raise RecipeError(f"{spec.title}: {looked} is a network that can be built; most often ({count}×): {reason}")
    if data is not None and spec_is_training(evaluator):
        _check_outputs(valid[0].graph, space, data, spec)
    costs = [cost(candidate) for candidate in valid] if constraints else []
    for constraint in constraints:
        values = sorted(found[constraint.name] for found in costs)
        if any(constraint.holds(found) for found in costs):
            continue
        looked = f"all {len(valid)} networks of the space" if whole else f"{len(valid)} networks drawn from the space"
        message = (
            f"constraints: {constraint} is kept by none of {looked}, whose {constraint.name} is {values[0]:g} to "
            f"{values[-1]:g}"
        )
        impossible = constraint.relation in ("<", "<=") and constraint.bound <= 0  # these costs are counts
        if whole or impossible:
            raise RecipeError(f"{message}; loosen it, or change the space")
        return [f"{message}; the search may find nothing"]
    if constraints and not any(all(c.holds(found) for c in constraints) for found in costs):
        return [f"constraints: none of {len(valid)} networks looked at keeps all of {', '.join(map(str, constraints))}"]
    return []


def _some(space: Space) -> Iterator[Candidate]:
    """All candidates of a small space; of a large one a fixed sample."""
    if space.size() <= LOOK_AT:
        yield from space.enumerate()
        return
    rng = random.Random(0)
    for _ in range(LOOK_AT):
        yield space.sample(rng)


def spec_is_training(evaluator: Any) -> bool:
    """Whether networks are trained on labels, so that their outputs must be classes."""
    from evaluators.train import Train

    inner = evaluator
    while not isinstance(inner, Train) and hasattr(inner, "evaluator"):
        inner = inner.evaluator
    return isinstance(inner, Train)


def _check_outputs(graph: Graph, space: Space, data: Data, spec: PartSpec) -> None:
    """Refuse networks whose outputs are not one row of logits per label set of the data."""
    outputs = profile(graph, space.inputs).outputs
    classes = data.classes if isinstance(data.classes, Mapping) else dict.fromkeys(outputs, data.classes)
    if len(data.tasks) != len(outputs) or (len(outputs) > 1 and set(outputs) != set(data.tasks)):
        raise RecipeError(
            f"{spec.title} has the outputs {sorted(outputs)}, the data {data.name!r} the label sets {list(data.tasks)}"
            "; give the outputs the names of the label sets"
        )
    for name, shape in outputs.items():
        if tuple(shape) != (classes[name],):
            raise RecipeError(
                f"{spec.title}: output {name!r} has shape {tuple(shape)}, the data {data.name!r} has {classes[name]} "
                "classes there; end the space with op('head')"
            )


# ---- metrics and costs -----------------------------------------------------------------------------------------------


def _check_metric(key: str, name: str, known: Mapping[str, Metric], spec: PartSpec) -> None:
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


def _check_evaluator(evaluator: Evaluator, spec: PartSpec) -> None:
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


def _known(evaluator: Evaluator) -> dict[str, Metric]:
    """Every metric that a trial may have: the evaluator's own, and the costs that are known of any network."""
    from evaluators.costs import COSTS
    from evaluators.metrics import USUAL

    return {**{name: USUAL[name] for name in COSTS}, **{metric.name: metric for metric in evaluator.metrics()}}


def _bench(fields: Mapping[str, Any]) -> Bench:
    """How costs are measured. Raises RecipeError for an unknown field."""
    from evaluators.costs import Bench

    spec = PartSpec("costs", "", Bench, fields)
    spec.check()
    bench: Bench = spec.make()
    return bench


def _with_costs(
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
