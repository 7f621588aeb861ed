"""What is never paid for twice: classes by graph and by function, several evaluations, forgetting, a shared cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from nas.core.errors import RecipeError, StoreError
from nas.core.language import one_of, op, optional, seq
from nas.core.records import Budget, Candidate, Constraint, Known, Measurement, Metric, Objective, Status, Trial
from nas.core.seeds import derive, generator
from nas.core.space import Space, features, image
from nas.engine.reuse import Reuse
from nas.engine.strategies.evolution import Evolution
from nas.engine.strategies.nsga2 import NSGA2
from nas.engine.strategies.random import Random
from nas.testing.memory import MemoryCache, MemoryStore
from tests.engine.helpers import ACCURACY, PARAMS, SPACE, Listed, Shuffled, controller, summary

CANDIDATES = list(SPACE.enumerate())

ACTIVATIONS = Space(
    seq(
        first=op("conv2d", width=4, kernel=3),
        act=one_of(sigmoid=op("sigmoid"), relu=op("relu"), tanh=op("tanh")),
        dead=one_of(none=op("identity"), relu=op("relu"), relu6=op("relu6")),
        second=op("conv2d", width=4, kernel=1),
        last=one_of(tanh=op("tanh"), relu=op("relu")),
        head=op("head"),
    ),
    image(3, 8, 8),
    classes=4,
)
"""18 networks. After a sigmoid neither relu nor relu6 does anything, which no rewrite knows; relu twice is one relu."""

LINEAR = Space(seq(optional(op("linear", width=8)), op("linear", width=3)), features(6))
"""One linear layer, or two that compute the same with more parameters."""


@dataclass
class Noisy:
    """A number that its seed makes, and a time that is the graph's own."""

    seeds: list[int] = field(default_factory=list)
    of: str = "function"
    fails: Callable[[int], bool] = field(default=lambda count: False)

    def evaluate(self, candidate: Candidate, budget: Budget, seed: int) -> Measurement:
        self.seeds.append(seed)
        if self.fails(len(self.seeds)):
            raise RuntimeError("no luck")
        noise = generator(seed, "noise", candidate.graph.digest).random()
        return Measurement({"val_accuracy": noise, "own_ms": float(len(candidate.graph))}, 2.0)

    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("val_accuracy", "max", of=self.of), Metric("own_ms", "min"))

    def fingerprint(self) -> str:
        return f"noisy {self.of}"


@dataclass
class ByFunction(Noisy):
    """A number that depends on what the network computes, and on nothing else."""

    def evaluate(self, candidate: Candidate, budget: Budget, seed: int) -> Measurement:
        self.seeds.append(seed)
        taken = dict(candidate.decisions)
        if taken["act/op"] == "sigmoid":
            taken["dead/op"] = "none"
        if taken["act/op"] == "relu" and taken["dead/op"] == "none":
            taken["dead/op"] = "relu"
        if taken["act/op"] == "tanh" and taken["dead/op"] == "relu6":
            taken["dead/op"] = "relu"
        return Measurement({"val_accuracy": generator(7, "value", str(sorted(taken.items()))).random()})


def costs_in(space: Space) -> Callable[[Candidate], dict[str, float]]:
    from nas.core.profile import profile

    def cost(candidate: Candidate) -> dict[str, float]:
        found = profile(candidate.graph, space.inputs)
        return {"params": found.params, "macs": found.macs}

    return cost


def searched(space: Space = SPACE, **fields: Any) -> Any:
    """A plan that has run."""
    given: dict[str, Any] = {"space": space, "cost": costs_in(space), "objectives": (ACCURACY,), "evaluator": Noisy()}
    plan = controller(**(given | fields))
    plan.outcome = plan.run()
    return plan


def told_of(trial: Trial) -> float:
    return float(trial.metrics["val_accuracy"])


def raw_of(trial: Trial) -> float:
    assert trial.measurement is not None
    return float(trial.measurement.notes.get("own", trial.metrics)["val_accuracy"])


# ---- several evaluations, and forgetting -----------------------------------------------------------------------------


@pytest.mark.parametrize("lookahead", [1, 4])
@pytest.mark.parametrize("aggregate", [1, 2, 3])
def test_misses_partial_and_full_hits_add_up_and_the_mean_is_the_mean(aggregate: int, lookahead: int):
    order = [0, 1, 0, 0, 1, 0, 2, 0, 0, 1, 1, 0]
    plan = searched(
        strategy=Listed([CANDIDATES[n] for n in order]),
        reuse=Reuse(aggregate=aggregate),
        executor=Shuffled(3, lookahead=lookahead),
    )
    trials = plan.store.trials()
    for which in set(order):
        own = [trial for trial, n in zip(trials, order, strict=True) if n == which]
        paid = [trial for trial in own if trial.source == "evaluated"]
        assert len(paid) == min(len(own), aggregate)
        misses, partial, full = paid[:1], paid[1:], own[len(paid) :]
        assert len(misses) + len(partial) + len(full) == order.count(which)
        for count, trial in enumerate(paid, 1):
            assert told_of(trial) == pytest.approx(math.fsum(raw_of(t) for t in paid[:count]) / count)
            assert trial.measurement.notes.get("evaluations", 1) == count
            assert trial.hit == ""
        for trial in full:
            assert (trial.source, trial.hit, trial.reuses) == ("cache", "decisions", paid[-1].id)
            assert told_of(trial) == pytest.approx(told_of(paid[-1]))
        assert len({raw_of(trial) for trial in paid}) == len(paid), "each evaluation has a seed of its own"
    seeds = [derive(0, "evaluate"), *(derive(0, "evaluate", number) for number in range(1, aggregate))]
    assert set(plan.evaluator.seeds) == set(seeds)


@pytest.mark.parametrize("aggregate", [1, 2])
def test_what_is_always_forgotten_is_paid_for_again(aggregate: int):
    plan = searched(strategy=Listed([CANDIDATES[0]] * 7), reuse=Reuse(aggregate=aggregate, forget=1.0))
    sources = [trial.source for trial in plan.store.trials()]
    cycle = ["evaluated"] * aggregate + ["cache"]
    assert sources == (cycle * 7)[:7]  # a full hit is always followed by a miss
    assert len(set(plan.evaluator.seeds)) == sources.count("evaluated")


def test_a_share_is_forgotten_in_the_same_places_whatever_the_order_of_ends():
    found = []
    for seed in range(3):
        plan = searched(
            strategy=NSGA2(space=SPACE, objectives=(ACCURACY, PARAMS), seed=3, population=6, tries=0),
            objectives=(ACCURACY, PARAMS),
            reuse=Reuse(aggregate=2, forget=0.5),
            executor=Shuffled(seed),
            trials=120,
        )
        found.append(summary(plan.store.trials()))
    assert found[0] == found[1] == found[2]
    assert len(set(plan.evaluator.seeds)) > 2, "nothing was forgotten"


def test_an_attempt_that_broke_is_no_evaluation():
    evaluator = Noisy(fails=lambda count: count in (1, 3))
    plan = searched(
        evaluator=evaluator,
        strategy=Listed([CANDIDATES[0]] * 6),
        reuse=Reuse(aggregate=2),
        executor=Shuffled(lookahead=4),
    )
    trials = plan.store.trials()
    assert [t.status.value for t in trials] == ["failed", "complete", "failed", "complete", "complete", "complete"]
    assert [t.source for t in trials] == ["evaluated"] * 4 + ["cache"] * 2
    first, second = derive(0, "evaluate"), derive(0, "evaluate", 1)
    assert evaluator.seeds == [first, first, second, second]


@pytest.mark.parametrize("count", [1, 6, 15])
def test_resume_replays_means_and_forgetting(count: int):
    def plan(store: MemoryStore, executor: Shuffled) -> Any:
        return controller(
            strategy=NSGA2(space=SPACE, objectives=(ACCURACY, PARAMS), population=6, tries=0),
            evaluator=Noisy(),
            store=store,
            executor=executor,
            reuse=Reuse(aggregate=2, forget=0.4),
            trials=60,
        )

    class Killed(BaseException):
        pass

    whole = plan(MemoryStore(), Shuffled())
    whole.run()
    store, executor = MemoryStore(), Shuffled(5)

    def before(job: Any) -> None:
        if len(executor.evaluated) == count:
            raise Killed

    executor.before = before
    with pytest.raises(Killed):
        plan(store, executor).run()
    again = plan(store, Shuffled(8))
    again.run()
    assert summary(store.trials()) == summary(whole.store.trials())


def test_a_bound_that_was_broken_is_not_measured_again():
    plan = searched(
        strategy=Listed([CANDIDATES[0]] * 3),
        constraints=(Constraint("own_ms", "<", 0.5),),
        reuse=Reuse(aggregate=3),
    )
    assert [(t.status, t.source) for t in plan.store.trials()] == [
        (Status.INFEASIBLE, "evaluated"),
        (Status.INFEASIBLE, "cache"),
        (Status.INFEASIBLE, "cache"),
    ]


@pytest.mark.parametrize(("fields", "said"), [({"aggregate": 0}, "aggregate is 0"), ({"forget": 1.5}, "forget is 1.5")])
def test_wrong_policies_are_refused(fields: dict[str, Any], said: str):
    with pytest.raises(RecipeError, match=said):
        Reuse(**fields)


def test_functional_reuse_needs_the_space():
    with pytest.raises(RecipeError, match="reuse by function needs the space"):
        controller(reuse=Reuse(functional=True))


# ---- by function -----------------------------------------------------------------------------------------------------


def test_every_network_once_is_evaluated_once_per_function():
    plan = searched(
        ACTIVATIONS, strategy=Listed([*ACTIVATIONS.enumerate()] * 2), reuse=Reuse(functional=True), trials=36
    )
    trials = plan.store.trials()
    # for each last layer: sigmoid with any; relu; relu and relu6; tanh; tanh with either, as it never reaches 6
    assert plan.outcome.complete == 36
    graphs = {trial.keys["graph"] for trial in trials}
    functions = {trial.keys["functional"] for trial in trials}
    evaluated = [trial for trial in trials if trial.source == "evaluated"]
    assert len(functions) == len(evaluated) == 10
    assert len(graphs) == 16
    assert len({trial.keys["functional"] for trial in evaluated}) == len(evaluated)
    hits = {kind: sum(trial.hit == kind for trial in trials) for kind in ("decisions", "graph", "functional")}
    assert hits == {"decisions": 18, "graph": 2, "functional": 6}


@pytest.mark.parametrize("name", ["evolution", "nsga2"])
def test_the_trajectory_is_the_same_with_and_without_the_cache(name: str):
    objectives: tuple[Objective, ...] = (ACCURACY,) if name == "evolution" else (ACCURACY, PARAMS)

    def run(reuse: Reuse | None) -> Any:
        kind: Any = Evolution if name == "evolution" else NSGA2
        extra = {"sample": 3} if name == "evolution" else {}
        strategy = kind(space=ACTIVATIONS, objectives=objectives, seed=1, population=6, tries=0, **extra)
        return searched(
            ACTIVATIONS, objectives=objectives, strategy=strategy, evaluator=ByFunction(), reuse=reuse, trials=70
        )

    without, exact, functional = run(None), run(Reuse()), run(Reuse(functional=True))
    runs = [
        [(t.id, t.candidate.decisions.text, t.status, told_of(t), t.metrics["params"]) for t in plan.store.trials()]
        for plan in (without, exact, functional)
    ]
    assert runs[0] == runs[1] == runs[2]
    spent = [len(plan.evaluator.seeds) for plan in (without, exact, functional)]
    assert spent[0] == 70 > spent[1] > spent[2]
    assert without.outcome.cached == 0
    assert functional.outcome.cached == 70 - spent[2]


def test_a_functional_hit_has_its_own_computed_costs_and_no_measured_ones_of_another_graph():
    two, one = LINEAR.enumerate()
    if costs_in(LINEAR)(one)["params"] > costs_in(LINEAR)(two)["params"]:
        one, two = two, one
    plan = searched(LINEAR, strategy=Listed([two, one, one, two]), reuse=Reuse(functional=True))
    first, twin, again, back = plan.store.trials()
    assert [t.hit for t in (first, twin, again, back)] == ["", "functional", "decisions", "decisions"]
    assert {t.reuses for t in (twin, again, back)} == {0}
    assert told_of(twin) == told_of(first)
    assert first.metrics["params"] == 6 * 8 + 8 + 8 * 3 + 3
    assert twin.metrics["params"] == again.metrics["params"] == 6 * 3 + 3
    assert "own_ms" in first.metrics
    assert "own_ms" not in twin.metrics
    assert "own_ms" not in again.metrics
    assert dict(back.metrics) == dict(first.metrics)


def test_a_goal_of_the_graph_keeps_functional_keys_out():
    goal = Objective("own_ms", "min")
    plan = searched(LINEAR, strategy=Listed([*LINEAR.enumerate()]), objectives=(goal,), reuse=Reuse(functional=True))
    assert [t.source for t in plan.store.trials()] == ["evaluated"] * 2
    assert all("functional" not in t.keys and "unkeyed" not in t.keys for t in plan.store.trials())
    of_graph = searched(
        LINEAR, strategy=Listed([*LINEAR.enumerate()]), evaluator=Noisy(of="graph"), reuse=Reuse(functional=True)
    )
    assert [t.source for t in of_graph.store.trials()] == ["evaluated"] * 2


def test_the_bounds_of_a_twin_are_its_own():
    candidates = sorted(LINEAR.enumerate(), key=lambda c: costs_in(LINEAR)(c)["params"])
    plan = searched(
        LINEAR,
        strategy=Listed(candidates),
        constraints=(Constraint("params", "<=", 50),),
        reuse=Reuse(functional=True),
    )
    assert [t.status for t in plan.store.trials()] == [Status.COMPLETE, Status.INFEASIBLE]


def test_finalists_are_functions_of_their_own():
    plan = searched(
        ACTIVATIONS,
        strategy=Random(space=ACTIVATIONS, objectives=(ACCURACY,), unique=False),
        evaluator=ByFunction(),
        reuse=Reuse(functional=True),
        finalists=(10, Budget(5)),
        trials=60,
    )
    final = plan.store.trials("finalist")
    search = {trial.id: trial for trial in plan.store.trials("search")}
    functions = [search[trial.of].keys["functional"] for trial in final]
    assert len(functions) == len(set(functions)) >= 8


# ---- what has no functional key --------------------------------------------------------------------------------------


class Draws(torch.nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight + torch.randn(())


class Nothing(Draws):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight / 0.0 * 0.0


class Raises(Draws):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype == torch.float64:
            raise KeyError("the user's own")
        return x * self.weight


def _unkeyed(part: Any) -> Space:
    extra = one_of(a=op("identity"), b=op("relu"))
    return Space(seq(one_of(part), extra, op("flatten"), op("relu")), image(2, 4, 4))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (seq(op("conv2d", width=2), op("dropout")), "draws random numbers"),
        (op(Draws, channels=1), "draws random numbers"),
        (op(Nothing, channels=1), "NaN"),
        (op(Raises, channels=1), "KeyError"),
        (op("max_pool"), "no weights"),
    ],
)
def test_what_cannot_be_probed_says_why_and_is_never_merged_by_function(part: Any, said: str):
    space = _unkeyed(part)
    candidates = [*space.enumerate()] * 2
    plan = searched(space, strategy=Listed(candidates), reuse=Reuse(functional=True))
    trials = plan.store.trials()
    assert plan.outcome.complete == len(trials) == 4, [t.reason for t in trials]
    for trial in trials:
        assert said in trial.keys["unkeyed"]
        assert "functional" not in trial.keys
    assert {t.hit for t in trials} <= {"", "decisions", "graph"}
    assert len({t.keys["graph"] for t in trials}) == sum(t.source == "evaluated" for t in trials)


def test_what_is_too_large_to_probe_goes_by_its_graph(monkeypatch: pytest.MonkeyPatch):
    from nas.core import probe

    def refuses(graph: Any, inputs: Any) -> str:
        raise probe.ProbeError("a probe of 9e+12 multiply-adds is too large; the limit is 2e+09 " + "x" * 500)

    monkeypatch.setattr(probe, "functional_key", refuses)
    plan = searched(LINEAR, strategy=Listed([*LINEAR.enumerate()] * 2), reuse=Reuse(functional=True))
    trials = plan.store.trials()
    assert [t.source for t in trials] == ["evaluated", "evaluated", "cache", "cache"]
    assert all(t.keys["unkeyed"].startswith("a probe of 9e+12") and len(t.keys["unkeyed"]) <= 200 for t in trials)


def test_a_network_that_cannot_be_built_is_infeasible_and_the_search_goes_on():
    space = Space(seq(one_of(a=op("conv2d", width=4, kernel=9, padding=0), b=op("conv2d", width=4)), op("head")),
                  image(2, 4, 4), classes=2)  # fmt: skip
    plan = searched(space, strategy=Listed([*space.enumerate()]), reuse=Reuse(functional=True))
    assert [t.status for t in plan.store.trials()] == [Status.INFEASIBLE, Status.COMPLETE]
    assert "functional" not in plan.store.trials()[0].keys


# ---- other runs ------------------------------------------------------------------------------------------------------


def test_a_second_run_takes_what_the_first_has_paid_for(tmp_path: Any):
    cache = MemoryCache()
    fields: dict[str, Any] = {"cache": cache, "reuse": Reuse(functional=True), "evaluator": Noisy()}
    first = searched(ACTIVATIONS, strategy=Listed([*ACTIVATIONS.enumerate()]), folder=tmp_path, **fields)
    assert len(cache.held) == 10
    assert all("params" not in known.measurement.metrics for known in cache.held), "costs are each run's own"
    store = MemoryStore()
    again = {**fields, "evaluator": Noisy(), "store": store, "trials": 40}
    second = searched(ACTIVATIONS, strategy=Listed([*ACTIVATIONS.enumerate()]), **again)
    assert second.evaluator.seeds == []
    for one, other in zip(first.store.trials(), store.trials(), strict=True):
        assert (other.source, other.status) == ("cache", Status.COMPLETE)
        assert told_of(one) == told_of(other)
        assert one.metrics["params"] == other.metrics["params"]
        assert other.origin == str(tmp_path)
        assert other.reuses == (one.id if one.source == "evaluated" else one.reuses)
    replayed = searched(ACTIVATIONS, strategy=Listed([*ACTIVATIONS.enumerate()]), **{**again, "cache": None})
    assert summary(replayed.store.trials()) == summary(store.trials())


def test_another_seed_or_evaluator_shares_nothing():
    cache = MemoryCache()
    for count, fields in enumerate(({}, {"seed": 1}, {"evaluator": Noisy(of="graph")}, {"budget": Budget(2)}), 1):
        plan = searched(strategy=Listed(CANDIDATES[:3]), cache=cache, **({"evaluator": Noisy()} | fields))
        assert plan.outcome.cached == 0
        assert len(cache.held) == 3 * count


def test_what_another_run_found_is_judged_by_this_runs_bounds():
    cache = MemoryCache()
    strict = searched(strategy=Listed(CANDIDATES[:4]), cache=cache, constraints=(Constraint("val_accuracy", ">", 2),))
    assert strict.outcome.infeasible == 4
    loose = searched(strategy=Listed(CANDIDATES[:4]), cache=cache)
    assert (loose.outcome.complete, loose.outcome.cached) == (4, 4)
    lacking = searched(
        strategy=Listed(CANDIDATES[:1]), cache=_Without(cache, "own_ms"), constraints=(Constraint("own_ms", ">", 0),)
    )
    assert (lacking.outcome.complete, lacking.outcome.cached) == (1, 0), "a measurement that lacks a metric is no hit"


class _Without:
    """A cache whose measurements lack a metric."""

    def __init__(self, inner: MemoryCache, name: str) -> None:
        self.inner, self.name = inner, name

    def find(self, keys: Any) -> Known | None:
        found = self.inner.find(keys)
        if found is None:
            return None
        metrics = {name: value for name, value in found.measurement.metrics.items() if name != self.name}
        return Known(found.keys, found.status, "", Measurement(metrics), found.trial, found.run)

    def add(self, known: Known) -> None:
        self.inner.add(known)

    def close(self) -> None: ...


@pytest.mark.parametrize("method", ["find", "add"])
def test_a_cache_that_breaks_is_left_aside_and_said_once(method: str):
    class Broken(MemoryCache):
        asked = 0

        def _break(self, *_: Any) -> Any:
            self.asked += 1
            raise StoreError("cache x: the disk is gone")

    cache, said = Broken(), []
    setattr(cache, method, cache._break)
    plan = searched(strategy=Listed(CANDIDATES[:5]), cache=cache, on_remark=said.append)
    assert plan.outcome.complete == 5
    assert cache.asked == 1
    assert said == ["the shared cache is left aside for the rest of this session: cache x: the disk is gone"]


def test_several_evaluations_are_shared_one_by_one():
    cache, reuse = MemoryCache(), Reuse(aggregate=3)
    first = searched(strategy=Listed([CANDIDATES[0]] * 2), cache=cache, reuse=reuse)
    second = searched(strategy=Listed([CANDIDATES[0]] * 5), cache=cache, reuse=reuse)
    a, b = (raw_of(t) for t in first.store.trials())
    own = second.store.trials()
    assert [t.source for t in own] == ["cache", "cache", "evaluated", "cache", "cache"]
    assert [bool(t.origin) for t in own] == [False] * 5  # this run has no folder, so no name
    assert [told_of(t) for t in own[:2]] == pytest.approx([a, (a + b) / 2])
    assert told_of(own[4]) == pytest.approx((a + b + raw_of(own[2])) / 3)


def test_without_reuse_every_proposal_is_evaluated():
    plan = searched(strategy=Listed([CANDIDATES[0]] * 4), reuse=None, cache=MemoryCache(), executor=Shuffled())
    trials = plan.store.trials()
    assert [t.source for t in trials] == ["evaluated"] * 4
    assert len({told_of(t) for t in trials}) == 1
    assert len({t.keys["evaluation"] for t in trials}) == 1


def test_what_keys_took_is_noted_over_all_sessions():
    store = MemoryStore()
    searched(ACTIVATIONS, strategy=Listed([*ACTIVATIONS.enumerate()][:4]), store=store, reuse=Reuse(functional=True))
    before = dict(store.facts()["keying_seconds"])
    assert set(before) == {"decisions", "graph", "functional"}
    assert all(seconds > 0 for seconds in before.values())
    searched(ACTIVATIONS, strategy=Listed([*ACTIVATIONS.enumerate()]), store=store, reuse=Reuse(functional=True))
    after = store.facts()["keying_seconds"]
    assert all(after[kind] > before[kind] for kind in before)
