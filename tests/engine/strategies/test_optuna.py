from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from nas.core.errors import RecipeError
from nas.core.language import one_of, op, optional, repeat, seq, some_of
from nas.core.records import Budget, Constraint, Measurement, Objective, Status, Trial
from nas.core.space import Space, image
from nas.engine.strategies.optuna import Optuna, distributions
from nas.testing import small_space

ACCURACY = Objective("val_accuracy", "max")
LOSS = Objective("val_loss", "min")
SIZE = Constraint("params", "<=", 1000)


def _many_paths(at_least: int, at_most: int) -> Space:
    paths = some_of(
        *(op("conv", width=8, kernel=1, dilation=1).named(f"p{i}") for i in range(6)),
        at_least=at_least,
        at_most=at_most,
    )
    return Space(seq(op("conv", width=8), paths, op("head")), image(3, 8, 8), 2)


def test_choices_as_distributions():
    part = seq(
        op("conv", width=one_of(8, 16, 24), kernel=one_of(1, 3, 5, 11)),
        op("conv", width=8, act=one_of("relu", "silu"), dilation=one_of(1, 2, 10**9)).named("second"),
        repeat(op("conv", width=8), times=one_of(1, 2, 3)).named("more"),
        optional(op("avg_pool", kernel=3)).named("pool"),
        some_of(op("conv", width=8, kernel=1), op("conv", width=8, kernel=3), at_least=1).named("few"),
        op("head"),
    )
    assert distributions(Space(part, image(3, 8, 8), 2)) == {
        "conv/width": IntDistribution(8, 24, step=8),
        "conv/kernel": CategoricalDistribution((1, 3, 5, 11)),
        "second/act": CategoricalDistribution(("relu", "silu")),
        "second/dilation": CategoricalDistribution((1, 2, 10**9)),
        "more/times": IntDistribution(1, 3, step=1),
        "pool/used": CategoricalDistribution((True, False)),
        "few/paths": CategoricalDistribution(("conv_kernel1", "conv_kernel3", "conv_kernel1+conv_kernel3")),
    }
    many = distributions(_many_paths(1, 6))
    assert many == {f"paths/paths=p{i}": CategoricalDistribution((False, True)) for i in range(6)}


@pytest.mark.parametrize(("at_least", "at_most"), [(1, 2), (3, 3), (4, 6)])
def test_subsets_drawn_as_booleans_are_repaired(at_least: int, at_most: int):
    space = _many_paths(at_least, at_most)
    assert len(space.choices()[0].options) > 16
    strategy = Optuna(space=space, objectives=(ACCURACY,), sampler="RandomSampler")
    sizes = {len(strategy.ask().decisions["paths/paths"]) for _ in range(15)}  # type: ignore[union-attr,arg-type]
    assert sizes <= set(range(at_least, at_most + 1))


def _told(status: Status, metrics: dict[str, float]) -> optuna.trial.FrozenTrial:
    strategy = Optuna(space=small_space(), objectives=(ACCURACY, LOSS), constraints=(SIZE,))
    candidate = strategy.ask()
    assert candidate is not None
    strategy.tell(Trial(0, candidate, status, Budget(1), Measurement(metrics) if metrics else None))
    return strategy._study.trials[0]


def test_a_complete_trial_reaches_optuna_as_losses():
    found = _told(Status.COMPLETE, {"val_accuracy": 90.0, "val_loss": 0.5, "params": 750})
    assert (found.state, found.values, found.constraints) == (
        TrialState.COMPLETE,
        [-90.0, 0.5],
        {"params <= 1000": -0.25},
    )


@pytest.mark.parametrize(
    ("status", "metrics", "state", "constraints"),
    [
        (Status.INFEASIBLE, {"params": 1500.0}, TrialState.PRUNED, {"params <= 1000": 0.5, "feasible": 1.0}),
        (Status.INFEASIBLE, {}, TrialState.PRUNED, {"feasible": 1.0}),
        (
            Status.INFEASIBLE,
            {"val_accuracy": 90.0, "val_loss": 0.5, "params": 2000.0},
            TrialState.COMPLETE,
            {"params <= 1000": 1.0},
        ),
        (Status.PRUNED, {"val_accuracy": 50.0}, TrialState.PRUNED, {}),
        (Status.FAILED, {}, TrialState.FAIL, {}),
    ],
)
def test_other_trials_reach_optuna(status: Status, metrics: Any, state: TrialState, constraints: dict[str, float]):
    found = _told(status, metrics)
    assert (found.state, found.constraints) == (state, constraints)


@pytest.mark.parametrize(
    ("sampler", "options"),
    [
        ("NSGAIISampler", {"population_size": 4, "crossover": "UniformCrossover"}),
        ("PartialFixedSampler", {"fixed_params": {"rest/times": 2}, "base_sampler": {"sampler": "RandomSampler"}}),
        ("QMCSampler", {"independent_sampler": {"sampler": "TPESampler", "options": {"n_startup_trials": 2}}}),
        ("TPESampler", {"multivariate": True, "group": True, "n_startup_trials": 3}),
    ],
)
def test_options_may_be_parts_of_optuna(sampler: str, options: dict[str, Any]):
    proposed = []
    for _ in range(2):
        strategy = Optuna(space=small_space(), objectives=(ACCURACY,), sampler=sampler, options=options, seed=2)
        found = []
        for number in range(12):
            candidate = strategy.ask()
            assert candidate is not None
            found.append(candidate.decisions)
            trial = Trial(number, candidate, Status.COMPLETE, Budget(1), Measurement({"val_accuracy": number % 5}))
            strategy.tell(trial)
        proposed.append(found)
    assert proposed[0] == proposed[1]
    if sampler == "PartialFixedSampler":
        assert {decisions["rest/times"] for decisions in proposed[0]} == {2}


def test_the_gaussian_process_sampler_works():
    strategy = Optuna(
        space=small_space(),
        objectives=(ACCURACY,),
        constraints=(SIZE,),
        sampler="GPSampler",
        options={"n_startup_trials": 4},
    )
    for number in range(12):
        candidate = strategy.ask()
        assert candidate is not None
        metrics = {"val_accuracy": float(number % 5), "params": 900.0}
        strategy.tell(Trial(number, candidate, Status.COMPLETE, Budget(1), Measurement(metrics)))


def test_a_package_that_is_missing_is_named():
    try:
        import cmaes  # noqa: F401
    except ImportError:
        with pytest.raises(RecipeError, match="cmaes"):
            Optuna(space=small_space(), objectives=(ACCURACY,), sampler="CmaEsSampler")
    else:
        with pytest.raises(RecipeError, match="multi-objective"):
            Optuna(space=small_space(), objectives=(ACCURACY, LOSS), sampler="CmaEsSampler")


@pytest.mark.parametrize(
    ("sampler", "options", "said"),
    [
        ("TPE", {}, "did you mean 'TPESampler'"),
        (["TPE"], {}, r"sampler is \['TPE'\], a list; expected the name"),
        ("TPESampler", [1], r"options is \[1\], a list; expected a mapping"),
        (
            "TPESampler",
            {"n_startup_trials": "ten"},
            "option 'n_startup_trials' of TPESampler is 'ten', a str; expected int",
        ),
        ("TPESampler", {"n_startup_trials": 10**12}, "option 'n_startup_trials' .* expected at most 100,000"),
        ("TPESampler", {"gamma": 5}, "option 'gamma' of TPESampler is 5, an int; expected .*Callable"),
        ("NSGAIISampler", {"population_size": "x"}, "option 'population_size' of NSGAIISampler is 'x'"),
        ("NSGAIISampler", {"mutation_prob": 3}, r"NSGAIISampler with the options \{'mutation_prob': 3\}: ValueError"),
        ("NSGAIISampler", {"crossover": 3}, "option 'crossover' of NSGAIISampler is 3, an int"),
    ],
)
def test_wrong_options_are_refused_by_name(sampler: Any, options: Any, said: str):
    with pytest.raises(RecipeError, match=said):
        Optuna(space=small_space(), objectives=(ACCURACY,), sampler=sampler, options=options)


@pytest.mark.parametrize(
    ("sampler", "options"),
    [
        ("TPESampler", {"gamma": lambda count: 2, "multivariate": True, "n_startup_trials": 3, "n_ei_candidates": 8}),
        ("NSGAIISampler", {"crossover": "UniformCrossover", "mutation_prob": None, "population_size": 4}),
        ("PartialFixedSampler", {"fixed_params": {}, "base_sampler": {"sampler": "RandomSampler"}}),
    ],
)
@pytest.mark.filterwarnings("ignore:`gamma` has been deprecated:FutureWarning")
def test_right_options_pass(sampler: str, options: dict[str, Any]):
    assert Optuna(space=small_space(), objectives=(ACCURACY,), sampler=sampler, options=options).ask() is not None
