"""What counts as a repetition: classes by graph and by function, their visits, and children that must change."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from nas.core.errors import RecipeError
from nas.core.keys import graph_key
from nas.core.language import one_of, op, optional, seq
from nas.core.probe import ProbeError, functional_key
from nas.core.records import Budget, Candidate, Constraint, Measurement, Objective, Status, Trial
from nas.core.seeds import derive
from nas.core.space import Space, image
from nas.engine.controller import Controller
from nas.engine.executors.local import Local
from nas.engine.identity import Identity
from nas.engine.strategies.breeding import Breeding
from nas.engine.strategies.evolution import Evolution
from nas.engine.strategies.nsga2 import NSGA2
from nas.engine.strategies.ordering import Member
from nas.engine.strategies.proposed import KINDS, Proposed
from nas.engine.strategies.random import Random
from nas.testing import Agreement, MemoryStore
from search_spaces.nas_bench_201 import nas_bench_201
from search_spaces.nas_bench_macro import nas_bench_macro

ACCURACY = Objective("val_accuracy", "max")
BOTH = (ACCURACY, Objective("params", "min"))
MACRO, CELLS = nas_bench_macro(), nas_bench_201()


def _layer() -> Any:
    return one_of(conv=op("conv", width=4), skip=op("identity"))


TWINS = Space(seq(stem=op("conv", width=4), a=_layer(), b=_layer(), c=_layer(), head=op("head")), image(3, 4, 4), 2)
"""8 networks in 4 classes: by how many of three layers are there (1, 3, 3 and 1)."""

POOLED = Space(
    seq(op("conv2d", width=4, kernel=1, dilation=one_of(1, 2)), optional(op("dropout")), op("head")), image(3, 4, 4), 2
)
"""4 networks: the dilation of a 1×1 convolution changes nothing, and what drops out has no functional key."""


def told(strategy: Any, trials: int) -> list[Candidate]:
    """Proposals of a search in which one objective is drawn and the other is the number of layers that are there."""
    found: list[Candidate] = []
    while len(found) < trials and (candidate := strategy.ask()) is not None:
        metrics = {"val_accuracy": derive(0, graph_key(candidate.graph)) / 2**63, "params": float(len(found) % 7)}
        strategy.tell(Trial(len(found), candidate, Status.COMPLETE, Budget(1), Measurement(metrics)))
        found.append(candidate)
    return found


def classes(found: list[Candidate]) -> Counter[str]:
    return Counter(graph_key(candidate.graph) for candidate in found)


# ---- classes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [MACRO, CELLS], ids=["nas_bench_macro", "nas_bench_201"])
@pytest.mark.parametrize("kind", [Random, Evolution, NSGA2])
def test_no_network_is_proposed_twice_under_another_spelling(kind: Any, space: Space):
    plain = told(kind(space=space, objectives=BOTH, seed=2), 300)
    assert len({c.decisions for c in plain}) == 300 > len(classes(plain))
    found = told(kind(space=space, objectives=BOTH, seed=2, repeats_by="graph"), 300)
    assert len(classes(found)) == len(found) == 300


@pytest.mark.parametrize("kind", [Random, Evolution, NSGA2])
@pytest.mark.parametrize("visits", [1, 2, 3])
def test_a_class_is_visited_as_often_as_it_may_be_and_then_it_ends(kind: Any, visits: int):
    fields = {"population": 4} if kind is NSGA2 else {"population": 4, "sample": 2} if kind is Evolution else {}
    strategy = kind(space=TWINS, objectives=BOTH, seed=1, repeats_by="graph", visits=visits, **fields)
    found = told(strategy, 2000)
    if kind is Random:
        assert sorted(classes(found).values()) == [visits] * 4
    else:  # which accept a repetition now and then, and so may be through with a class later
        assert len(classes(found)) == 4
        assert min(classes(found).values()) >= visits
    assert len(found) < 2000
    assert strategy.ask() is None is strategy.ask()


def test_random_lists_what_is_left_by_decisions_as_often_as_it_may_be_visited():
    found = told(Random(space=TWINS, visits=2), 100)
    assert sorted(Counter(c.decisions for c in found).values()) == [2] * 8


def test_random_finds_each_of_the_3969_networks_of_nas_bench_macro_once():
    strategy = Random(space=MACRO, repeats_by="graph")
    found = told(strategy, 7000)
    assert len(found) == len(classes(found)) == 3969
    assert strategy.ask() is None


def test_where_nothing_new_is_found_a_repetition_is_accepted():
    """A space too large to be known as exhausted, in which one mutation seldom leaves a class."""
    same = {f"skip{i}": one_of(op("identity").named("a"), op("identity").named("b")) for i in range(40)}
    space = Space(seq(stem=op("conv", width=one_of(4, 8)), **same, head=op("head")), image(3, 4, 4), 2)
    for kind in (Random, Evolution, NSGA2):
        found = told(kind(space=space, objectives=BOTH, repeats_by="graph"), 60)
        assert len(found) == 60
        assert len(classes(found)) == 2


def test_any_number_of_visits_is_what_no_tries_are():
    for name in ("decisions", "graph"):
        free = NSGA2(space=CELLS, objectives=BOTH, visits=None, repeats_by=name, population=6)
        assert free._breeding.proposed.exhausted is False
        found = told(free, 200)
        assert len({c.decisions for c in found}) < 200
    unseen = told(NSGA2(space=CELLS, objectives=BOTH, tries=0, population=6), 200)
    free = told(NSGA2(space=CELLS, objectives=BOTH, visits=None, population=6), 200)
    assert [c.decisions for c in free] == [c.decisions for c in unseen]


def test_one_of_a_class_lives_in_nsga2():
    strategy = NSGA2(space=TWINS, objectives=BOTH, population=4, repeats_by="graph", visits=None)
    told(strategy, 60)
    assert sorted(classes([entry.candidate for _, entry in strategy._members]).values()) == [1] * 4


# ---- function --------------------------------------------------------------------------------------------------------


def test_by_function_fewer_are_new_and_one_without_a_key_goes_by_its_graph():
    by_graph = told(Random(space=POOLED, repeats_by="graph"), 10)
    by_function = told(Random(space=POOLED, repeats_by="functional"), 10)
    assert len(by_graph) == 4
    drops = [c for c in by_function if "dropout" in str(c.graph)]
    assert len(drops) == 2
    assert len(by_function) == 3
    for candidate in drops:
        with pytest.raises(ProbeError):
            functional_key(candidate, POOLED.inputs)
        assert KINDS["functional"](Identity(POOLED.inputs), candidate) == graph_key(candidate.graph)


# ---- mutating until the function changes -----------------------------------------------------------------------------


def _children(parents: int, space: Space = CELLS, **fields: Any) -> list[tuple[Candidate, list[Candidate]]]:
    """Children with their parents, of parents drawn at random."""
    given = {"crossover": 0.0, "mutations": 1, "tries": 30, "repeats_by": "graph", **fields}
    breeding = Breeding("test", space, 0, **given)
    pool = [Member(n, space.sample(random.Random(n)), ()) for n in range(parents)]
    made = [breeding.child(random.Random(n), lambda rng: rng.choice(pool)) for n in range(parents)]
    return [(child, [pool[n].candidate for n in child.parents]) for child in made]


@pytest.mark.parametrize("fields", [{}, {"crossover": 1.0}, {"crossover": 1.0, "mutations": 0}], ids=str)
def test_children_differ_from_their_parents(fields: dict[str, Any]):
    def same(family: list[tuple[Candidate, list[Candidate]]]) -> int:
        return sum(graph_key(child.graph) in {graph_key(p.graph) for p in parents} for child, parents in family)

    assert same(_children(200, **fields)) >= 10
    changed = _children(200, **fields, until_changed=True)
    assert same(changed) == 0
    assert {len(parents) for _, parents in changed} == ({2} if fields else {1})


def test_children_that_change_at_once_are_those_of_before():
    before, after = _children(200), _children(200, until_changed=True)
    kept = [(a, b) for (a, parents), (b, _) in zip(before, after, strict=True) if a == b]
    new = [
        parents[0]
        for (a, parents), (b, _) in zip(before, after, strict=True)
        if a != b and graph_key(a.graph) != graph_key(parents[0].graph)
    ]
    assert len(kept) > 100
    assert new == []


def test_a_child_that_cannot_change_is_accepted():
    space = Space(
        seq(a=one_of(op("identity").named("x"), op("identity").named("y")), head=op("head")), image(3, 4, 4), 2
    )
    assert len(_children(5, space, until_changed=True)) == 5


# ---- the same again --------------------------------------------------------------------------------------------------

POLICIES: tuple[tuple[Any, dict[str, Any]], ...] = (
    (Random, {"repeats_by": "graph"}),
    (Evolution, {"repeats_by": "graph", "until_changed": True, "population": 12, "sample": 4}),
    (NSGA2, {"repeats_by": "graph", "visits": 2, "until_changed": True, "population": 8}),
    (NSGA2, {"repeats_by": "functional", "visits": None, "until_changed": True, "population": 8}),
)


def _run(kind: Any, fields: dict[str, Any], trials: int, store: MemoryStore) -> list[str]:
    space = TWINS if fields["repeats_by"] == "functional" else CELLS
    Controller(
        strategy=kind(space=space, objectives=(ACCURACY,), seed=5, **fields),
        evaluator=Agreement({choice.address: choice.options[0] for choice in space.choices()}),
        store=store,
        executor=Local(lookahead=3),
        objectives=(ACCURACY,),
        constraints=(Constraint("val_accuracy", ">=", 5.0),),
        budget=Budget(1),
        trials=trials,
    ).run()
    return [trial.candidate.decisions.text + repr(trial.candidate.parents) for trial in store.trials()]


@pytest.mark.parametrize(("kind", "fields"), POLICIES)
def test_a_resumed_search_proposes_what_the_whole_one_does(kind: Any, fields: dict[str, Any]):
    whole = _run(kind, fields, 80, MemoryStore())
    store = MemoryStore()
    first = _run(kind, fields, 33, store)
    assert first == whole[:33]
    assert _run(kind, fields, 80, store) == whole
    assert len(whole) == 80


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Random, Evolution, NSGA2])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"repeats_by": "graphs"}, r"repeats_by is 'graphs'; did you mean 'graph'\?"),
        ({"visits": 0}, "visits is 0; expected a whole number of at least 1"),
        ({"visits": True}, "visits is True"),
        ({"visits": 10**9}, "visits is 1000000000; expected at most 100,000"),
    ],
)
def test_wrong_fields_are_refused(kind: Any, fields: dict[str, Any], said: str):
    with pytest.raises(RecipeError, match=rf"^strategy {kind.__name__.lower()}: {said}"):
        kind(space=TWINS, objectives=BOTH, **fields)


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        (
            Random,
            {"unique": False, "repeats_by": "graph"},
            "repeats_by is 'graph' and visits is 1, but unique is false",
        ),
        (Evolution, {"tries": 0, "visits": 2}, "visits is 2, but tries is 0"),
        (NSGA2, {"tries": 0, "repeats_by": "functional"}, "repeats_by is 'functional' and visits is 1, but tries is 0"),
        (NSGA2, {"tries": 0, "until_changed": True}, "until_changed is True, but tries is 0"),
    ],
)
def test_policies_without_tries_are_refused(kind: Any, fields: dict[str, Any], said: str):
    with pytest.raises(RecipeError, match=said):
        kind(space=TWINS, objectives=BOTH, **fields)


def test_counting_by_hand():
    """Two of three candidates are one class that may be visited twice; a look alone is no visit."""
    a, b, c = (
        TWINS.decide({"a/op": x, "b/op": y, "c/op": "skip"})
        for x, y in (("conv", "skip"), ("skip", "conv"), ("skip", "skip"))
    )
    proposed = Proposed("test", TWINS, 3, "graph", 2)
    assert not any(one in proposed for one in (a, b, c))
    proposed.add(a)
    assert a not in proposed
    proposed.add(b)
    assert a in proposed
    assert b in proposed
    assert c not in proposed
    assert not proposed.exhausted
    given = iter([a, b, c])
    assert proposed.draw(lambda: next(given)) == c
    given = iter([a, b, a])
    assert proposed.draw(lambda: next(given)) == a
