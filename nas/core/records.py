"""What a search writes down: decisions, candidates, measurements, trials, objectives and constraints.

Frozen values, standard library only. Metrics stay raw here; `losses` is the one place that turns them into numbers to
minimise.
"""

from __future__ import annotations

import enum
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from nas.core.errors import EvaluationError, RecipeError
from nas.core.graph import Graph
from nas.core.values import FrozenDict, digest


class Decisions(FrozenDict):
    """Address of a choice → the option taken. Inactive choices are not in it. Equal decisions, equal network."""

    __slots__ = ()

    @property
    def key(self) -> str:
        """A digest of the decisions alone, the cheapest identity of a candidate."""
        return "d1:" + digest(self.text)


@dataclass(frozen=True)
class Candidate:
    """A network that was proposed. Equality is that of the decisions.

    parents: ids of the trials it was made from. proposer: the strategy's name.
    """

    decisions: Decisions
    graph: Graph = field(compare=False, repr=False)
    parents: tuple[int, ...] = field(default=(), compare=False)
    proposer: str = field(default="", compare=False)

    def made_by(self, proposer: str, *parents: int) -> Candidate:
        """The same candidate with its origin written on it."""
        return replace(self, proposer=proposer, parents=parents)


@dataclass(frozen=True)
class Budget:
    """How much an evaluation may spend: `amount` of `unit` ('epochs', 'steps' or 'seconds')."""

    amount: float
    unit: str = "epochs"

    def __post_init__(self) -> None:
        if self.unit not in ("epochs", "steps", "seconds"):
            raise RecipeError(f"budget unit {self.unit!r}; legal: 'epochs', 'steps', 'seconds'")
        if not (math.isfinite(self.amount) and self.amount > 0):
            raise RecipeError(f"budget of {self.amount!r} {self.unit}; expected a finite number above 0")

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit[:-1] if self.amount == 1 else self.unit}"


@dataclass(frozen=True)
class Metric:
    """What an evaluator reports under one name: a unit ('%', 'ms', 'bytes', '' for a count) and what is better.

    of: what it belongs to. 'function': networks that compute the same function have it in common, as an accuracy;
        'graph': it depends on how the function is computed, as a latency, or nobody has said that it does not.
    """

    name: str
    direction: str
    unit: str = ""
    description: str = ""
    of: str = "graph"

    def __post_init__(self) -> None:
        if self.of not in ("function", "graph"):
            raise RecipeError(f"metric {self.name!r}: of {self.of!r}; legal: 'function', 'graph'")
        if self.direction not in ("max", "min"):
            raise RecipeError(f"objective {self.name!r}: direction {self.direction!r}; legal: 'max', 'min'")


class Objective(Metric):
    """A metric that the search tries to make large ('max') or small ('min')."""

    def loss(self, metrics: Mapping[str, float]) -> float:
        """The metric as a number to minimise."""
        value = metrics[self.name]
        return -value if self.direction == "max" else value


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Constraint:
    """A bound on a metric: `Constraint.parse("params", "<= 1e6")`. A candidate that breaks it is INFEASIBLE."""

    name: str
    relation: str
    bound: float

    @staticmethod
    def parse(name: str, text: object) -> Constraint:
        """Read `"<= 2.0"`. Raises RecipeError naming metric and text."""
        match = re.fullmatch(r"\s*(<=|>=|<|>)\s*([-+0-9.eE_]+)\s*", text) if isinstance(text, str) else None
        try:
            if match is None:
                raise ValueError
            bound = float(match[2])
            if not math.isfinite(bound):
                raise ValueError
        except ValueError:
            raise RecipeError(
                f"constraint {name!r}: {text!r} is no bound; expected a relation and a number, as in '<= 2.0'"
            ) from None
        return Constraint(name, match[1], bound)

    def holds(self, metrics: Mapping[str, float]) -> bool:
        return _COMPARE[self.relation](metrics[self.name], self.bound)

    def violation(self, metrics: Mapping[str, float]) -> float:
        """0.0 when it holds, else the distance to the bound relative to the bound's size: comparable across metrics."""
        if self.holds(metrics):
            return 0.0
        return max(abs(metrics[self.name] - self.bound) / max(abs(self.bound), 1e-12), 1e-12)

    def __str__(self) -> str:
        return f"{self.name} {self.relation} {self.bound:g}"


def _plain_number(value: Any) -> Any:
    """A number of numpy or torch as Python's own; anything else as it is."""
    if isinstance(value, bool | int | float) or not callable(getattr(value, "item", None)):
        return value
    try:
        return value.item()
    except (TypeError, ValueError, RuntimeError):  # more than one number
        return value


def _finite(value: int | float) -> bool:
    """Whether a float holds it: whole numbers may be larger than that."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _brief(value: object) -> str:
    """A value for a message, which may be a whole number of a thousand digits."""
    if isinstance(value, int) and value.bit_length() > 1024:
        return f"a whole number of {value.bit_length()} bits"
    return repr(value)


@dataclass(frozen=True)
class Measurement:
    """What an evaluation found.

    metrics: finite numbers by name; the unit is in the name or in the evaluator's `metrics`.
    seconds: wall time of the evaluation.
    curve: one mapping per report (`{"epoch": 1, "val_accuracy": …}`), in order.
    notes: circumstances: device, batch size, versions.

    Raises: EvaluationError when a metric is not finite.
    """

    metrics: Mapping[str, float]
    seconds: float = 0.0
    curve: tuple[Mapping[str, float], ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plain = {name: _plain_number(value) for name, value in self.metrics.items()}
        for name, value in plain.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
                raise EvaluationError(f"metric {name!r} is {_brief(value)}; a measurement holds finite numbers only")
        seconds = _plain_number(self.seconds)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not _finite(seconds):
            raise EvaluationError(
                f"the second field of a measurement is its seconds, a finite number; got {_brief(seconds)}"
            )
        object.__setattr__(self, "seconds", float(seconds))
        object.__setattr__(self, "metrics", MappingProxyType(plain))
        object.__setattr__(self, "curve", tuple(self.curve))

    def __reduce__(self) -> tuple[Any, ...]:
        return Measurement, (dict(self.metrics), self.seconds, self.curve, dict(self.notes))


class Status(enum.StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    """Stopped early on purpose; its measurement is of the smaller budget."""
    INFEASIBLE = "infeasible"
    """It breaks a constraint or cannot be a network: a fact about the candidate."""
    FAILED = "failed"
    """The evaluation broke: a fact about the attempt."""


@dataclass(frozen=True)
class Trial:
    """One ended proposal.

    id: counts from 0 in the order of asking.
    stage: 'search', or 'finalist' for a retraining of the trial `of`.
    source: 'evaluated', or 'cache' when the measurement is that of trial `reuses`, a trial of the run `origin` where
        that is not '' (a folder or a name).
    hit: the cheapest kind of key by which a trial from the cache was known: 'decisions', 'graph' or 'functional'; ''
        when it was evaluated.
    reason: why it is INFEASIBLE or FAILED, one line; `traceback`: the whole story of a failure.
    keys: kind of key → key: 'decisions', 'graph', 'functional' and 'evaluation', as far as they were worked out;
        'unkeyed' is the reason why there is no functional one.
    """

    id: int
    candidate: Candidate
    status: Status
    budget: Budget
    measurement: Measurement | None = None
    stage: str = "search"
    of: int | None = None
    source: str = "evaluated"
    reuses: int | None = None
    reason: str = ""
    traceback: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    hit: str = ""
    origin: str = ""

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics, empty when nothing was measured."""
        return self.measurement.metrics if self.measurement is not None else MappingProxyType({})

    @property
    def complete(self) -> bool:
        return self.status is Status.COMPLETE


@dataclass(frozen=True)
class Known:
    """A measurement that was paid for, as a cache keeps it.

    keys: those of the trial, 'evaluation' (by graph) among them, and 'function', the evaluation key by function, where
        there is one.
    measurement: as the evaluator gave it. seconds: wall time of the trial.
    trial, run: which one it was of; '' for the run that asks.
    """

    keys: Mapping[str, str]
    status: Status
    reason: str
    measurement: Measurement
    trial: int
    run: str = ""
    seconds: float = 0.0


KEYING = "keying_seconds"
"""The fact of a run that says how long keys took: kind of key → seconds, over all sessions."""


def losses(trial: Trial, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """The objectives of a complete trial as numbers to minimise, in the order of `objectives`."""
    return tuple(objective.loss(trial.metrics) for objective in objectives)
