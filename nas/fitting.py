"""Whether a space can be searched: it fits the data, it has a network, and one that keeps the bounds on known costs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nas.core.errors import RecipeError
from nas.core.graph import Graph
from nas.core.profile import profile
from nas.core.records import Candidate, Constraint
from nas.core.roles import Evaluator
from nas.core.space import Space
from nas.engine.feasibility import Cost
from nas.fields import inputs_spec
from nas.loading import PartSpec

if TYPE_CHECKING:
    from evaluators.data import Data

LOOK_AT = 1000
"""How many candidates are looked at for a valid one."""
TRY = 200
"""How many valid candidates are looked at for one that keeps the constraints."""


def space_for(spec: PartSpec, data: Data | None) -> Space:
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


def try_out(
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
    if data is not None and is_training(evaluator):
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


def is_training(evaluator: Any) -> bool:
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
