"""Every sampler of Optuna as a strategy: ask and tell map onto Optuna's ask and tell."""

from __future__ import annotations

import random
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from nas.core.errors import RecipeError, nearest
from nas.core.records import Candidate, Constraint, Objective, Status, Trial, losses
from nas.core.registry import register
from nas.core.seeds import derive, generator
from nas.core.subsets import Subsets
from nas.core.values import Value
from nas.core.walk import Choice
from nas.engine.checks import MOST
from nas.engine.faults import one_line, shown

if TYPE_CHECKING:
    import optuna

FEW = 16
"""Most subsets that are shown to Optuna as one categorical; more become one boolean per label."""
GRID = 1_000_000
"""Largest grid that Optuna's GridSampler, which lists all of it, is given."""


@register("strategy", "optuna")
@dataclass
class Optuna:
    """A sampler of Optuna over the decisions of a space.

    sampler: the name of a class in `optuna.samplers`. options: its arguments; where one is a sampler itself it is a
        mapping `{sampler: …, options: {…}}`, where it is a crossover or mutation of NSGA-II its class name.

    Only active choices are suggested, in the order of deciding. A choice among many subsets is one boolean per label,
    and a draw with too few or too many labels is repaired by adding or dropping some at random. Infeasible trials
    reach Optuna with their violations as constraints, as PRUNED where the objectives were not measured. Grid and
    brute-force samplers end when they are through.

    Reference: Akiba et al. 2019, Optuna, arXiv:1907.10902.
    """

    space: Any
    objectives: Sequence[Objective]
    constraints: Sequence[Constraint] = ()
    seed: int = 0
    sampler: str = "TPESampler"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._try()
        self._study = self._new_study()
        self._through = False
        self._size = self.space.size()
        self._asked: deque[optuna.Trial] = deque()
        self._seen: set[str] = set()

    def ask(self) -> Candidate | None:
        """What the sampler suggests; None when it is through, or all was proposed."""
        if self._through or len(self._seen) >= self._size:
            return None
        trial = self._study.ask()
        candidate: Candidate = self.space.decide(lambda choice: self._suggest(trial, choice))
        self._asked.append(trial)
        self._seen.add(candidate.decisions.key)
        return candidate.made_by(f"optuna {self.sampler}")

    def tell(self, trial: Trial) -> None:
        """Values and constraints of an ended trial."""
        from optuna.trial import TrialState

        asked = self._asked.popleft()
        for constraint in self.constraints:
            if constraint.name in trial.metrics:
                asked.set_constraint(str(constraint), _slack(constraint, trial.metrics))
        measured = all(objective.name in trial.metrics for objective in self.objectives)
        if trial.complete or (trial.status is Status.INFEASIBLE and measured):
            self._study.tell(asked, losses(trial, self.objectives))
        elif trial.status is Status.FAILED:
            self._study.tell(asked, state=TrialState.FAIL)
        else:
            if trial.status is Status.INFEASIBLE:
                asked.set_constraint("feasible", 1.0)
            self._study.tell(asked, state=TrialState.PRUNED)

    def _stop(self) -> None:
        self._through = True

    def _try(self) -> None:
        """Refuse a sampler that cannot do this search (several objectives, a missing package) before it begins."""
        study = self._new_study()
        try:
            for _ in range(2):
                trial = study.ask()
                self.space.decide(lambda choice, trial=trial: self._suggest(trial, choice))
                study.tell(trial, [0.0] * len(self.objectives))
        except RecipeError:
            raise
        except Exception as error:  # whatever Optuna makes of options it was given
            with_options = f" with the options {dict(self.options)}" if self.options else ""
            raise RecipeError(
                f"strategy optuna: {self.sampler} cannot do this search{with_options}: {one_line(error)}"
            ) from error

    def _new_study(self) -> optuna.Study:
        import optuna

        sampler = _sampler(self.sampler, self.options, derive(self.seed, "optuna") % 2**32, self.space)
        study = optuna.create_study(sampler=sampler, directions=["minimize"] * len(self.objectives))
        # Samplers that are through call `study.stop()`, which Optuna allows inside its own loop only.
        study.stop = self._stop  # type: ignore[method-assign]
        return study

    def _suggest(self, trial: optuna.Trial, choice: Choice) -> Value:
        import optuna

        drawn: dict[str, Any] = {}
        for name, distribution in _distributions(choice).items():
            if isinstance(distribution, optuna.distributions.IntDistribution):
                drawn[name] = trial.suggest_int(name, distribution.low, distribution.high, step=distribution.step)
            else:
                assert isinstance(distribution, optuna.distributions.CategoricalDistribution)
                drawn[name] = trial.suggest_categorical(name, distribution.choices)
        if _as_booleans(choice):
            return _subset(choice, drawn, generator(self.seed, "optuna repair", trial.number, choice.address))
        return _option(choice, drawn[choice.address])


def distributions(space: Any) -> dict[str, optuna.distributions.BaseDistribution]:
    """The decisions of a space as Optuna distributions, those of inactive choices among them.

    Whole numbers at equal distances are an IntDistribution, everything else is categorical. A choice among many
    subsets is one boolean per label, at 'ADDRESS=LABEL'.
    """
    return {name: found for choice in space.choices() for name, found in _distributions(choice).items()}


def _distributions(choice: Choice) -> dict[str, optuna.distributions.BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if _as_booleans(choice):
        return {name: CategoricalDistribution((False, True)) for name in _label_names(choice)}
    steps = _steps(choice.options)
    if steps is not None:
        return {choice.address: IntDistribution(steps.start, steps[-1], step=steps.step)}
    return {choice.address: CategoricalDistribution(_texts(choice))}


def _as_booleans(choice: Choice) -> bool:
    return isinstance(choice.options, Subsets) and len(choice.options) > FEW


def _label_names(choice: Choice) -> dict[str, str]:
    """Name of the boolean of each label → label."""
    assert isinstance(choice.options, Subsets)
    return {f"{choice.address}={label}": label for label in choice.options.labels}


def _steps(options: Sequence[Value]) -> range | None:
    """Options as a range, where they are whole numbers that rise by equal steps."""
    if isinstance(options, Subsets) or len(options) < 2 or not all(type(option) is int for option in options):
        return None
    first, second, last = options[0], options[1], options[-1]
    assert isinstance(first, int)
    assert isinstance(second, int)
    assert isinstance(last, int)
    if second <= first:
        return None
    steps = range(first, last + 1, second - first)
    return steps if len(steps) == len(options) and all(map(steps.__contains__, options)) else None


def _texts(choice: Choice) -> tuple[Any, ...]:
    """Options as Optuna's categories: themselves where it can hold them apart, else texts."""
    options = tuple(choice.options)
    plain = all(isinstance(option, bool | int | float | str) for option in options)
    if plain and len({repr(option) for option in options}) == len(set(options)):  # 1, 1.0 and True are equal
        return options
    return tuple("+".join(map(str, option)) if isinstance(option, tuple) else repr(option) for option in options)


def _option(choice: Choice, drawn: Any) -> Value:
    if _steps(choice.options) is not None:
        return int(drawn)
    return choice.options[_texts(choice).index(drawn)]


def _subset(choice: Choice, drawn: Mapping[str, bool], rng: random.Random) -> Value:
    """The labels that were drawn, with some added or dropped where they are too few or too many."""
    options = choice.options
    assert isinstance(options, Subsets)
    taken = [label for name, label in _label_names(choice).items() if drawn[name]]
    left = [label for label in options.labels if label not in taken]
    taken += rng.sample(left, max(0, options.at_least - len(taken)))
    taken = rng.sample(taken, min(len(taken), options.at_most))
    return tuple(label for label in options.labels if label in taken)


def _slack(constraint: Constraint, metrics: Mapping[str, float]) -> float:
    """Above 0 when the constraint is broken, as Optuna has it; relative to the bound."""
    violation = constraint.violation(metrics)
    if violation:
        return violation
    return -abs(metrics[constraint.name] - constraint.bound) / max(abs(constraint.bound), 1e-12)


def _sampler(name: str, options: Mapping[str, Any], seed: int, space: Any) -> optuna.samplers.BaseSampler:
    """A sampler by the name of its class. Raises RecipeError for an unknown name or argument."""
    import inspect

    import optuna

    known: dict[str, Any] = {
        key: value
        for key in optuna.samplers.__all__
        if inspect.isclass(value := getattr(optuna.samplers, key)) and not inspect.isabstract(value)
    }
    if not isinstance(name, str):
        raise RecipeError(f"strategy optuna: sampler is {shown(name)}; expected the name of a class in optuna.samplers")
    if name not in known:
        close = f"{name}Sampler"  # TPE is too far from TPESampler for the eye that looks for slips
        raise RecipeError(f"strategy optuna: sampler {name!r}; {nearest(close if close in known else name, known)}")
    if not isinstance(options, Mapping):
        raise RecipeError(f"strategy optuna: options is {shown(options)}; expected a mapping from names to values")
    arguments = set(inspect.signature(known[name]).parameters)
    given = {key: _value(value, seed, space) for key, value in options.items()}
    for key in given:
        if key not in arguments:
            raise RecipeError(f"strategy optuna: {name} has no option {key!r}; {nearest(key, arguments)}")
        _check_type(name, known[name], key, given[key])
    if "seed" in arguments:
        given.setdefault("seed", seed)
    if name == "GridSampler":
        given.setdefault("search_space", _grid(space))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # choosing it by name is consent
            sampler: optuna.samplers.BaseSampler = known[name](**given)
            return sampler
    except Exception as error:  # whatever Optuna makes of options it was given
        raise RecipeError(f"strategy optuna: {name} with the options {dict(options)}: {one_line(error)}") from error


def _check_type(name: str, kind: type, key: str, value: Any) -> None:
    """Raises RecipeError naming the option when its value is of another type than the sampler's own signature says."""
    import inspect

    from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

    annotation = inspect.signature(kind).parameters[key].annotation
    if annotation is inspect.Parameter.empty:
        return
    try:
        hint = annotation
        if isinstance(annotation, str):  # Optuna imports some names for type checkers only
            names = {"Callable": Callable, "Sequence": Sequence, **vars(inspect.getmodule(kind))}
            hint = eval(annotation, names)
        adapter: TypeAdapter[Any] = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except (NameError, AttributeError, TypeError, PydanticUserError):  # a type that is known to type checkers only
        return
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError:
        raise RecipeError(
            f"strategy optuna: option {key!r} of {name} is {shown(value)}; expected {inspect.formatannotation(hint)}"
        ) from None
    if isinstance(value, int) and value > MOST and key != "seed":
        raise RecipeError(f"strategy optuna: option {key!r} of {name} is {value!r}; expected at most {MOST:,}")


def _value(value: Any, seed: int, space: Any) -> Any:
    import optuna

    if isinstance(value, Mapping) and "sampler" in value:
        return _sampler(str(value["sampler"]), value.get("options", {}), seed, space)
    if isinstance(value, str) and value in optuna.samplers.nsgaii.__all__:
        return getattr(optuna.samplers.nsgaii, value)()
    return value


def _grid(space: Any) -> dict[str, list[Any]]:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    grid: dict[str, list[Any]] = {}
    for name, found in distributions(space).items():
        if isinstance(found, IntDistribution):
            grid[name] = list(range(found.low, found.high + 1, found.step))
        else:
            assert isinstance(found, CategoricalDistribution)
            grid[name] = list(found.choices)
    count = prod(len(values) for values in grid.values())
    if count > GRID:
        raise RecipeError(
            f"strategy optuna: GridSampler would list {count} points, more than {GRID}; use BruteForceSampler, which "
            "walks active choices only, or another sampler"
        )
    return grid
