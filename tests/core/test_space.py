"""What follows from a declaration, held against a second implementation (`tests.core.reference`) and formulas."""

from __future__ import annotations

import pickle
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import islice, pairwise, product
from math import comb
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core import walk
from nas.core.errors import GraphError, NotInSpaceError
from nas.core.language import compute, dag, one_of, op, optional, parallel, recursive, repeat, seq, some_of, tie
from nas.core.parts import Part
from nas.core.profile import InputSpec, profile
from nas.core.records import Candidate, Decisions
from nas.core.space import Space, features, image, tokens
from nas.core.subsets import Subsets
from nas.core.values import digits
from nas.core.walk import addresses
from search_spaces.cnn import cnn
from search_spaces.nas_bench_101 import nas_bench_101
from search_spaces.nas_bench_201 import nas_bench_201
from search_spaces.nas_bench_macro import nas_bench_macro
from search_spaces.tree import tree_space
from tests.core import reference
from tests.strategies import IMAGE, candidates, spaces

many = settings(max_examples=200)


def space_of(part: Part, **kwargs: Any) -> Space:
    return Space(part, IMAGE, **kwargs)


# ---- counting and listing --------------------------------------------------------------------------------------------


@many
@given(spaces())
def test_size_and_enumeration_are_those_of_a_second_implementation(space: Space) -> None:
    expected = [Decisions(taken) for taken in reference.decisions(space.part)]
    found = [candidate.decisions for candidate in space.enumerate()]
    assert len(found) == len(set(found)) == space.size()
    assert set(found) == set(expected)


@many
@given(spaces(), st.data())
def test_the_graph_is_what_the_part_means(space: Space, data: st.DataObject) -> None:
    candidate = space[data.draw(st.integers(0, space.size() - 1))]
    meant = reference.meaning(space.part, "", dict(candidate.decisions), "x")
    alone = ("identity", {}, ("x",))  # what a whole network that is left out becomes
    assert reference.expression(candidate.graph) == (alone if meant is reference.LEFT_OUT else meant)


def _added(kernel: int, edges: tuple[str, ...] = ()) -> Part:
    return seq(*(op(edge) for edge in edges), op("conv", kernel=kernel))


def _twice(name: str, inner: Part) -> Part:
    times = tie(f"times{name}", one_of(1, 2))
    return seq(repeat(inner, times=times), repeat(inner, times=times))


def _recursive(name: str, inner: Part) -> Part:
    return recursive(f"again{name}", lambda again: one_of(inner, pair=parallel(op("gelu"), again)), depth=2)


WORDS: dict[str, Callable[[str, Part], Part]] = {
    "op": lambda name, inner: seq(inner, op("conv", kernel=one_of(1, 3))),
    "seq": lambda name, inner: seq(inner, op("gelu")),
    "parallel": lambda name, inner: parallel(inner, op("gelu"), merge=one_of("add", "mul")),
    "one_of": lambda name, inner: one_of(inner, other=op("gelu")),
    "some_of": lambda name, inner: some_of(inner, op("gelu"), merge="max"),
    "optional": lambda name, inner: optional(inner),
    "repeat": lambda name, inner: repeat(inner, times=one_of(2, 0)),
    "repeat, tied": _twice,
    "tie": lambda name, inner: seq(tie(f"cell{name}", inner), op("gelu"), tie(f"cell{name}", inner)),
    "recursive": _recursive,
    "compute": lambda name, inner: seq(inner, compute(_added, kernel=one_of(1, 3), edges=some_of("relu", "elu"))),
    "dag": lambda name, inner: dag({"a": (op("gelu"), "input"), "b": (inner, some_of("input", "a"), "mean")}),
    "edge": lambda name, inner: dag({"a": (inner, optional("input")), "b": (op("add"), ["input", optional("a")])}),
}


@pytest.mark.parametrize("inner", WORDS)
@pytest.mark.parametrize("outer", WORDS)
def test_every_word_in_every_other(outer: str, inner: str) -> None:
    part = WORDS[outer]("2", WORDS[inner]("1", op("relu")))
    if outer == inner == "optional":  # whether it is there would be asked twice at one address
        with pytest.raises(GraphError, match="two choices have the address 'used'"):
            space_of(part)
        return
    space = space_of(part)
    listed = list(space.enumerate())
    assert {candidate.decisions for candidate in listed} == {Decisions(d) for d in reference.decisions(space.part)}
    assert len(listed) == space.size()
    alone = ("identity", {}, ("x",))
    for candidate in listed[:: max(1, len(listed) // 40)]:
        meant = reference.meaning(space.part, "", dict(candidate.decisions), "x")
        assert reference.expression(candidate.graph) == (alone if meant is reference.LEFT_OUT else meant)
        assert space.decide(dict(candidate.decisions)) == candidate
        assert profile(candidate.graph, space.inputs).outputs == {"y": IMAGE.shape}


@many
@given(spaces())
def test_number_i_is_the_ith_of_the_enumeration(space: Space) -> None:
    listed = list(space.enumerate())
    assert [space[i] for i in range(len(listed))] == listed
    assert [space[i].graph for i in range(len(listed))] == [candidate.graph for candidate in listed]


@given(
    st.lists(st.lists(st.integers(1, 3), max_size=2), min_size=1, max_size=4), st.data()
)  # options with 0 to 2 choices of 1 to 3 values each
def test_subsets_of_unequal_members_are_counted_and_numbered(members: list[list[int]], data: st.DataObject) -> None:
    options = [seq(op("relu"), *(op("conv", kernel=one_of(*range(1, n + 1))) for n in member)) for member in members]
    least = data.draw(st.integers(1, len(options)))
    most = data.draw(st.integers(least, len(options)))
    some = some_of(*options, at_least=least, at_most=most)
    space = space_of(seq(op("conv", kernel=one_of(1, 3)), some, op("conv", kernel=one_of(1, 3))))
    listed = list(space.enumerate())
    assert len(listed) == space.size()
    assert [space[i] for i in range(len(listed))] == listed


@given(spaces())
def test_the_last_choice_changes_first(space: Space) -> None:
    for first, second in pairwise(islice(space.enumerate(), 50)):
        pairs = list(zip(first.decisions.items(), second.decisions.items(), strict=False))
        differ = [place for place, (a, b) in enumerate(pairs) if a != b]
        kept = differ[0] if differ else min(len(first.decisions), len(second.decisions))
        for address, option in list(first.decisions.items())[kept + 1 :]:
            assert walk.place_of(space._universe[address].options, option) == len(space._universe[address].options) - 1


def test_an_index_outside_the_space_is_refused() -> None:
    space = space_of(op("conv", kernel=one_of(1, 3)))
    for index in (-1, 2):
        with pytest.raises(IndexError, match=f"candidate {index} of a space with 2"):
            space[index]


def _widths(widths: tuple[int, ...]) -> Part:
    return seq(op("relu"), *(op("conv", width=width) for width in widths))


def _told(value: object) -> Part:
    return op("relu").named(type(value).__name__)


def _tree(depth: int) -> Part:
    return recursive("tree", lambda tree: one_of(op("relu"), pair=parallel(tree, tree)), depth=depth)


def _tree_of(leaf: Part, depth: int) -> Part:
    return recursive("tree", lambda tree: one_of(leaf=leaf, pair=parallel(tree, tree)), depth=depth)


@pytest.mark.parametrize(
    ("part", "size"),
    [
        (seq(*(one_of(op("relu"), op("identity"), op("zero")) for _ in range(8))), 3**8),
        (dag({f"n{i}": (one_of(*map(op, ["relu", "gelu", "silu", "elu", "tanh"])), "input") for i in range(6)},
             outputs=[f"n{i}" for i in range(6)]), 5**6),
        (_tree(1), 1),
        (_tree(2), 1 + 1),
        (_tree(3), 1 + 2**2),
        (_tree(4), 1 + 5**2),
        (_tree_of(one_of(op("relu"), op("gelu"), op("silu")), 1), 3),
        (_tree_of(one_of(op("relu"), op("gelu"), op("silu")), 2), 3 + 3**2),
        (_tree_of(one_of(op("relu"), op("gelu"), op("silu")), 3), 3 + 12**2),
        (repeat(one_of(op("relu"), op("gelu")), times=one_of(0, 1, 2, 5)), 1 + 2 + 4 + 32),
        (repeat(tie("cell", one_of(op("relu"), op("gelu"))), times=one_of(1, 2, 5)), 3 * 2),
        (repeat(tie("cell", one_of(op("relu"), op("gelu"))), times=one_of(0, 1, 2)), 1 + 2 * 2),
        (some_of(*map(op, ["relu", "gelu", "silu", "elu"]), at_least=1), 2**4 - 1),
        (some_of(*map(op, ["relu", "gelu", "silu", "elu", "tanh"]), at_least=2, at_most=3), comb(5, 2) + comb(5, 3)),
        (compute(_widths, widths=some_of(1, 2, 3, at_least=0)), 2**3),
        (optional(op("relu")), 2),
        (seq(optional(one_of(op("relu"), op("gelu"))), one_of(op("relu"), op("gelu"))), (1 + 2) * 2),
    ],
)  # fmt: skip
def test_sizes_by_formula(part: Part, size: int) -> None:
    space = space_of(part)
    assert space.size() == size
    assert sum(1 for _ in walk.listing(space.part)) == size


def _nasnet_like(blocks: int, operations: int) -> Part:
    """A cell of NASNet's kind: each block takes two of all earlier results, with an operation on each."""
    nodes: dict[str, Any] = {}
    known = ["input"]
    for place in range(blocks):
        for side in ("left", "right"):
            layer = one_of(*(op("conv", kernel=2 * k + 1) for k in range(operations)))
            nodes[f"{side}{place}"] = (layer, one_of(*known) if len(known) > 1 else known[0])
        nodes[f"block{place}"] = (op("add"), [f"left{place}", f"right{place}"])
        known.append(f"block{place}")
    return dag(nodes)


@pytest.mark.parametrize(("blocks", "operations"), [(1, 3), (3, 5), (5, 13)])
def test_size_of_a_nasnet_like_cell(blocks: int, operations: int) -> None:
    expected = 1
    for place in range(blocks):
        expected *= ((place + 1) * operations) ** 2
    assert space_of(_nasnet_like(blocks, operations)).size() == expected


def test_sizes_beyond_64_bits_are_exact_and_can_be_numbered() -> None:
    space = space_of(seq(*(op("conv", kernel=one_of(1, 3, 5)) for _ in range(60))))
    assert space.size() == 3**60
    last = space[3**60 - 1]
    assert set(last.decisions.values()) == {5}
    assert space[3**59].decisions["conv1/kernel"] == 3


def test_a_large_set_of_paths_costs_nothing_to_hold() -> None:
    space = space_of(some_of(*(op("conv", width=i + 1) for i in range(60)), at_most=60, merge="concat"))
    (choice,) = space.choices()
    assert len(choice.options) == space.size() == 2**60 - 1
    assert space[space.size() - 1].decisions["paths"] == choice.options[-1]
    candidate = space.sample(random.Random(0))
    assert space.decide(candidate.decisions) == candidate
    assert sum(1 for _ in space.neighbours(candidate)) == 60
    assert len(space.encode(candidate)) == 60
    assert len(space.explain()[0]["options"]) == 64


# ---- deciding --------------------------------------------------------------------------------------------------------


@many
@given(candidates())
def test_deciding_by_the_decisions_gives_the_candidate_back(pair: tuple[Space, Candidate]) -> None:
    space, candidate = pair
    again = space.decide(dict(candidate.decisions))
    assert again == candidate
    assert again.graph == candidate.graph


@given(candidates())
def test_a_function_is_asked_once_for_each_active_choice_in_the_order_of_the_choices(
    pair: tuple[Space, Candidate],
) -> None:
    space, candidate = pair
    asked: list[str] = []

    def answer(choice: walk.Choice) -> Any:
        asked.append(choice.address)
        assert choice == space._universe[choice.address]
        return candidate.decisions[choice.address]

    assert space.decide(answer) == candidate
    assert asked == list(candidate.decisions)
    assert len(set(asked)) == len(asked)


@given(candidates())
def test_inactive_choices_never_appear(pair: tuple[Space, Candidate]) -> None:
    space, candidate = pair
    for row in space.explain():
        if row["address"] not in candidate.decisions:
            continue
        for need in row["needs"]:
            taken = candidate.decisions[need["address"]]
            options = [option[0] for option in need["options"]] if isinstance(taken, tuple) else need["options"]
            assert (set(taken) & set(options)) if isinstance(taken, tuple) else taken in options


small = space_of(
    seq(
        stem=op("conv", width=one_of(4, 8)),
        block=one_of(op("conv", kernel=one_of(3, 5)), op("identity")),
        paths=some_of(op("relu"), op("gelu"), at_least=1),
        rest=repeat(op("relu"), times=one_of(1, 2)),
        end=optional(op("relu")),
    )
)
FULL = {
    "stem/width": 4, "block/op": "conv", "block/conv/kernel": 5, "paths/paths": ("relu", "gelu"), "rest/times": 2,
    "end/used": False,
}  # fmt: skip


def test_decisions_as_json_writes_them_are_taken() -> None:
    assert small.decide({**FULL, "paths/paths": ["relu", "gelu"]}).decisions == Decisions(FULL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stem/width": 5}, r"'stem/width' cannot be 5; options: 4, 8"),
        ({"stem/width": True}, r"'stem/width' cannot be True"),
        ({"stem/width": 4.0}, r"'stem/width' cannot be 4.0"),
        ({"stem/width": "4"}, r"'stem/width' cannot be '4'"),
        ({"block/op": "convv"}, r"'block/op' cannot be 'convv'; options: 'conv', 'identity'"),
        ({"paths/paths": ("gelu", "relu")}, r"'paths/paths' cannot be \('gelu', 'relu'\); options: \('relu',\)"),
        ({"paths/paths": ()}, r"'paths/paths' cannot be \(\)"),
        ({"paths/paths": "relu"}, r"'paths/paths' cannot be 'relu'"),
        ({"rest/times": 3}, r"'rest/times' cannot be 3; options: 1, 2"),
        ({"end/used": 1}, r"'end/used' cannot be 1; options: True, False"),
        ({"stem/widht": 4}, r"'stem/widht' is no choice of this space; did you mean 'stem/width'"),
        ({"block/op": "identity"}, r"'block/conv/kernel' is decided \(5\), but it is not active"),
        ({"stem/width": None}, r"'stem/width' cannot be None"),
    ],
)
def test_decisions_outside_the_space_are_refused_with_address_and_value(change: dict[str, Any], message: str) -> None:
    with pytest.raises(NotInSpaceError, match=message):
        small.decide({**FULL, **change})


@pytest.mark.parametrize("address", sorted(FULL))
def test_a_missing_decision_is_named(address: str) -> None:
    left = {name: option for name, option in FULL.items() if name != address}
    with pytest.raises(NotInSpaceError, match=f"no decision for '{address}'; options: "):
        small.decide(left)


def test_a_function_that_answers_outside_the_options_is_refused() -> None:
    with pytest.raises(NotInSpaceError, match="'stem/width' cannot be 'wide'"):
        small.decide(lambda choice: "wide")


# ---- drawing ---------------------------------------------------------------------------------------------------------


def _unequal() -> Space:
    """Branches of 1, 2 and 27 networks, with a tie and a repetition: 30 networks."""
    wide = op("conv", width=one_of(4, 8, 12), kernel=one_of(1, 3, 5), stride=tie("stride", one_of(1, 2, 3)))
    return space_of(one_of(one=op("relu"), two=repeat(op("gelu"), times=one_of(1, 2)), many=seq(wide, op("relu"))))


def _tied() -> Space:
    """Ties that some branches reach and others do not."""
    cell = tie("cell", one_of(op("relu"), op("gelu")))
    times = tie("depth", one_of(0, 1, 3))
    return space_of(
        seq(
            first=one_of(plain=op("relu"), cell=cell),
            second=optional(cell),
            third=repeat(one_of(op("relu"), op("gelu")), times=times),
            fourth=repeat(cell, times=times),
        )
    )


def _chi_square(counts: Counter[Any], kinds: int) -> float:
    expected = sum(counts.values()) / kinds
    return sum((counts.get(kind, 0) - expected) ** 2 / expected for kind in counts) + expected * (kinds - len(counts))


@pytest.mark.parametrize("make", [_unequal, _tied])
def test_drawing_networks_evenly_is_even(make: Callable[[], Space]) -> None:
    space, rng = make(), random.Random(1)
    size = len(reference.decisions(space.part))
    assert space.size() == size
    counts = Counter(space.sample(rng, uniform="networks").decisions for _ in range(40 * size))
    freedom = size - 1
    limit = freedom * (1 - 2 / (9 * freedom) + 3.719 * (2 / (9 * freedom)) ** 0.5) ** 3  # p = 1e-4, Wilson-Hilferty
    assert len(counts) == size
    assert _chi_square(counts, size) < limit
    uneven = Counter(space.sample(rng).decisions for _ in range(40 * size))
    assert _chi_square(uneven, size) > limit  # the test can tell


def test_drawing_choices_evenly_is_even_per_choice() -> None:
    space, rng = _unequal(), random.Random(2)
    counts = Counter(space.sample(rng).decisions["op"] for _ in range(3000))
    assert all(abs(count - 1000) < 4 * (3000 * (1 / 3) * (2 / 3)) ** 0.5 for count in counts.values())
    assert len(counts) == 3


def test_an_unknown_way_of_drawing_is_refused() -> None:
    with pytest.raises(GraphError, match="uniform='network'; did you mean 'networks'"):
        small.sample(random.Random(0), uniform="network")


@given(spaces(), st.integers(0, 2**32))
def test_every_draw_is_in_the_space(space: Space, seed: int) -> None:
    inside = {candidate.decisions for candidate in space.enumerate()}
    rng = random.Random(seed)
    for uniform in ("choices", "networks"):
        assert space.sample(rng, uniform).decisions in inside


@given(candidates(), st.integers(0, 2**32))
def test_the_same_generator_gives_the_same_draws(pair: tuple[Space, Candidate], seed: int) -> None:
    space, candidate = pair
    one, two = random.Random(seed), random.Random(seed)
    assert space.sample(one) == space.sample(two)
    assert space.mutate(candidate, one) == space.mutate(candidate, two)
    assert space.crossover(candidate, space.sample(one), one) == space.crossover(candidate, space.sample(two), two)


# ---- changing --------------------------------------------------------------------------------------------------------


def explained(space: Space, before: Decisions, after: Decisions) -> list[str]:
    """Addresses whose change alone explains the difference: kept decisions, and differences only below it."""
    changed = [a for a in before if a in after and Decisions({a: before[a]}) != Decisions({a: after[a]})]
    found = []
    for address in changed:
        others = [a for a in changed if a != address]
        forced = {a: after[a] for a in after if a == address or a in before}
        kept = all(a in forced for a in before if a in after)
        if not others and kept:
            found.append(address)
    return found


@many
@given(spaces(), st.integers(0, 2**32))
def test_a_mutation_changes_one_decision_and_stays_inside(space: Space, seed: int) -> None:
    inside = {candidate.decisions for candidate in space.enumerate()}
    rng = random.Random(seed)
    candidate = space.sample(rng)
    changed = space.mutate(candidate, rng)
    assert changed.decisions in inside
    free = [a for a in candidate.decisions if len(space._universe[a].options) > 1]
    if not free:
        assert changed == candidate
        return
    assert len(explained(space, candidate.decisions, changed.decisions)) == 1
    assert space.mutate(candidate, rng, count=0) == candidate


def brute_neighbours(space: Space, candidate: Candidate) -> set[Decisions]:
    """All networks of the space that one changed decision explains, with first options where choices become active."""
    found = set()
    for other in space.enumerate():
        changed = explained(space, candidate.decisions, other.decisions)
        if len(changed) != 1:
            continue
        new = [a for a in other.decisions if a not in candidate.decisions]
        if any(walk.place_of(space._universe[a].options, other.decisions[a]) != 0 for a in new):
            continue
        (address,) = changed
        options = space._universe[address].options
        if isinstance(options, Subsets):
            before, after = set(candidate.decisions[address]), set(other.decisions[address])  # type: ignore[arg-type]
            swap = options.at_least == options.at_most and len(before - after) == 1
            if len(before ^ after) != 1 and not swap:
                continue
        found.add(other.decisions)
    return found


@given(spaces(largest=60), st.data())
def test_neighbours_are_exactly_the_one_change_set(space: Space, data: st.DataObject) -> None:
    candidate = space[data.draw(st.integers(0, space.size() - 1))]
    found = [other.decisions for other in space.neighbours(candidate)]
    assert len(found) == len(set(found))
    assert set(found) == brute_neighbours(space, candidate)
    assert candidate.decisions not in found


@given(spaces(), st.integers(0, 2**32))
def test_a_crossover_takes_from_parents_whatever_they_have(space: Space, seed: int) -> None:
    rng = random.Random(seed)
    first, second = space.sample(rng), space.sample(rng)
    child = space.crossover(first, second, rng)
    assert space.decide(dict(child.decisions)) == child
    for address, option in child.decisions.items():
        owners = [p.decisions for p in (first, second) if address in p.decisions]
        assert not owners or any(
            Decisions({address: owner[address]}) == Decisions({address: option}) for owner in owners
        )
    assert space.crossover(first, first, rng) == first


def test_a_crossover_takes_evenly_from_both() -> None:
    space = space_of(seq(*(op("conv", kernel=one_of(1, 3, 5)) for _ in range(10))))
    ones, fives = space[0], space[space.size() - 1]
    rng = random.Random(3)
    counts = Counter(v for _ in range(200) for v in space.crossover(ones, fives, rng).decisions.values())
    assert set(counts) == {1, 5}
    assert abs(counts[1] - 1000) < 4 * (2000 / 4) ** 0.5


def test_the_order_in_which_decisions_were_written_down_does_not_matter() -> None:
    candidate = small.decide(FULL)
    shuffled = Candidate(Decisions(dict(sorted(FULL.items()))), candidate.graph)
    assert list(shuffled.decisions) != list(candidate.decisions)
    assert list(small.neighbours(shuffled)) == list(small.neighbours(candidate))
    for seed in range(20):
        assert small.mutate(shuffled, random.Random(seed)) == small.mutate(candidate, random.Random(seed))


def test_options_that_are_equal_in_python_are_different_choices() -> None:
    space = space_of(compute(_told, value=one_of(1, True, 1.0, 0, False)))
    assert space.size() == 5
    listed = list(space.enumerate())
    assert len({space.encode(candidate) for candidate in listed}) == 5
    assert [sum(1 for _ in space.neighbours(candidate)) for candidate in listed] == [4] * 5
    rng = random.Random(0)
    assert len({space.mutate(listed[0], rng).decisions for _ in range(100)}) == 4
    assert all(space.mutate(listed[1], rng) != listed[1] for _ in range(50))


# ---- encoding --------------------------------------------------------------------------------------------------------


@many
@given(spaces())
def test_the_encoding_has_one_length_and_tells_all_networks_apart(space: Space) -> None:
    listed = list(space.enumerate())
    vectors = [space.encode(candidate) for candidate in listed]
    names = space.encoding()
    assert {len(vector) for vector in vectors} == {len(names)}
    assert len(set(names)) == len(names)
    assert len(set(vectors)) == len(listed)
    assert all(set(vector) <= {0.0, 1.0} for vector in vectors)


def test_what_the_places_of_an_encoding_mean() -> None:
    assert small.encoding() == [
        "stem/width=4", "stem/width=8", "block/op=conv", "block/op=identity", "block/conv/kernel=3",
        "block/conv/kernel=5", "paths/paths=relu", "paths/paths=gelu", "rest/times=1", "rest/times=2",
        "end/used=True", "end/used=False",
    ]  # fmt: skip
    assert small.encode(small.decide(FULL)) == (1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 1)


# ---- the space as a value --------------------------------------------------------------------------------------------


def test_explain_says_what_is_where_and_when() -> None:
    rows = {row["address"]: row for row in small.explain()}
    assert rows["block/conv/kernel"] == {
        "address": "block/conv/kernel", "kind": "value", "options": [3, 5], "count": 2,
        "needs": [{"address": "block/op", "options": ["conv"]}],
    }  # fmt: skip
    assert {address: row["kind"] for address, row in rows.items()} == {
        "stem/width": "value", "block/op": "structure", "block/conv/kernel": "value", "paths/paths": "subset",
        "rest/times": "repeat", "end/used": "edge",
    }  # fmt: skip


@given(candidates())
def test_a_pickled_space_is_the_same_space(pair: tuple[Space, Candidate]) -> None:
    space, candidate = pair
    space.sample(random.Random(0), uniform="networks")  # fills what is memoised
    again = pickle.loads(pickle.dumps(space))
    assert again.fingerprint() == space.fingerprint()
    assert again.choices() == space.choices()
    assert again.decide(candidate.decisions).graph == candidate.graph
    assert pickle.loads(pickle.dumps(candidate)) == candidate


def _fingerprints() -> list[Space]:
    cell = one_of(op("relu"), op("gelu"))
    return [
        space_of(seq(cell, op("head")), classes=3),
        space_of(seq(cell, op("head")), classes=4),
        Space(seq(cell, op("head")), image(4, 5, 6), 3),
        space_of(seq(a=cell, b=op("head")), classes=3),
        space_of(seq(one_of(op("gelu"), op("relu")), op("head")), classes=3),
        space_of(seq(tie("cell", cell), op("head")), classes=3),
        space_of(seq(optional(op("relu")), op("head")), classes=3),
        space_of(seq(compute(_one, kernel=one_of(1, 3)), op("head")), classes=3),
        space_of(seq(compute(_two, kernel=one_of(1, 3)), op("head")), classes=3),
        space_of(seq(some_of(op("relu"), op("gelu")), op("head")), classes=3),
        space_of(seq(some_of(op("relu"), op("gelu"), at_most=1), op("head")), classes=3),
        space_of(seq(some_of(op("relu"), op("gelu"), merge="max"), op("head")), classes=3),
        space_of(seq(repeat(cell, times=2), op("head")), classes=3),
        space_of(seq(repeat(cell, times=one_of(2)), op("head")), classes=3),
        space_of(_tree(2)),
        space_of(_tree(3)),
        space_of(op("conv", kernel=one_of(1, 3))),
        space_of(op("conv", kernel=one_of(3, 1))),
    ]


def _one(kernel: int) -> Part:
    return op("conv", kernel=kernel)


def _two(kernel: int) -> Part:
    return op("conv", kernel=kernel, act=None)


def test_the_fingerprint_tells_spaces_apart_and_equal_ones_alike() -> None:
    prints = [space.fingerprint() for space in _fingerprints()]
    assert len(set(prints)) == len(prints)
    assert prints == [space.fingerprint() for space in _fingerprints()]


def test_the_fingerprint_sees_what_a_function_of_compute_holds() -> None:
    def made(width: int, act: str | None) -> Space:
        def inside(kernel: int) -> Part:
            return op("conv", width=width, kernel=kernel, act=act)

        return space_of(compute(inside, kernel=one_of(1, 3)))

    def partially(width: int) -> Space:
        return space_of(compute(partial(_wide, width=width), kernel=one_of(1, 3)))

    spaces = [made(4, None), made(8, None), made(4, "relu"), partially(4), partially(8)]
    assert len({space.fingerprint() for space in spaces}) == len(spaces)
    assert made(4, None).fingerprint() == spaces[0].fingerprint()
    assert partially(8).fingerprint() == spaces[-1].fingerprint()


def test_a_function_whose_source_or_memory_cannot_be_told_has_no_fingerprint() -> None:
    names: dict[str, Any] = {"op": op}
    exec("def unseen(kernel): return op('conv', kernel=kernel)", names)
    with pytest.raises(GraphError, match=r"the source of .*unseen cannot be read, so no change of it would be noticed"):
        space_of(compute(names["unseen"], kernel=one_of(1, 3))).fingerprint()
    held = {"width": 4}
    with pytest.raises(
        GraphError, match=r"a function of compute remembers: \{'width': 4\} is a dict; expected None, bool"
    ):
        space_of(
            compute(lambda kernel: op("conv", kernel=kernel, width=held["width"]), kernel=one_of(1, 3))
        ).fingerprint()


def _wide(kernel: int, width: int) -> Part:
    return op("conv", kernel=kernel, width=width)


def test_what_a_space_refuses_when_it_is_made() -> None:
    with pytest.raises(GraphError, match=r"Space: 3 is a int; expected a part"):
        Space(3, IMAGE)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match=r"Space: one_of\(3, 5\) is a choice of values"):
        Space(one_of(3, 5), IMAGE)
    with pytest.raises(GraphError, match=r"Space input: 'a/b' is no name"):
        Space(op("relu"), {"a/b": IMAGE})
    with pytest.raises(GraphError, match=r"the space has the inputs \['a', 'b'\], its part takes \['x'\]"):
        Space(op("relu"), {"a": IMAGE, "b": IMAGE})
    with pytest.raises(GraphError, match=r"block/con: operation 'convv' is unknown; did you mean 'conv'"):
        space_of(seq(block=one_of(con=op("convv"), relu=op("relu"))))
    with pytest.raises(GraphError, match=r"block/conv2: conv has no attribute 'kernal'; did you mean 'kernel'"):
        space_of(seq(block=one_of(conv1=op("conv"), conv2=op("conv", kernal=3))))
    with pytest.raises(GraphError, match=r"stem: conv with kernel=0; expected a whole number above 0"):
        space_of(seq(stem=op("conv", kernel=one_of(3, 0))))
    with pytest.raises(GraphError, match=r"stem: stem needs width; write op\('stem', width=…\)"):
        space_of(seq(stem=op("stem")))
    with pytest.raises(GraphError, match=r"cell: conv with kernel='3'; expected a whole number"):
        space_of(seq(block1=tie("cell", op("conv", kernel=one_of(3, "3"))), block2=op("relu")))
    with pytest.raises(GraphError, match=r"tie 'cell' stands for two different parts; give one of them another name"):
        space_of(seq(a=tie("cell", one_of(op("relu"), op("gelu"))), b=tie("cell", one_of(op("relu"), op("elu")))))
    with pytest.raises(GraphError, match=r"tie 'cell' stands for two different parts"):
        space_of(tie("cell", seq(op("relu"), tie("cell", one_of(op("relu"), op("gelu"))))))


@pytest.mark.parametrize(
    "part",
    [
        seq(cell=one_of(op("relu"), op("gelu")), other=tie("cell", one_of(op("relu"), op("gelu")))),
        seq(other=tie("cell", one_of(op("relu"), op("gelu"))), cell=one_of(op("relu"), op("gelu"))),
        optional(optional(op("relu"))),
        dag({"a": (op("relu"), "input"), "b": (op("add"), [optional("a"), optional("a")])}),
        seq(a=repeat(op("relu"), times=tie("n", one_of(1, 2))), b=op("conv", width=tie("n", one_of(1, 2)))),
        seq(b=op("conv", width=tie("n", one_of(1, 2))), a=repeat(op("relu"), times=tie("n", one_of(1, 2)))),
        seq(a=repeat(op("relu"), times=tie("n", one_of(1, 2))), b=repeat(op("relu"), times=tie("n", one_of(1, 3)))),
        seq(n=repeat(op("relu"), times=one_of(1, 2)), b=repeat(op("relu"), times=tie("n/times", one_of(1, 2)))),
    ],
)
def test_two_choices_at_one_address_are_refused(part: Part) -> None:
    with pytest.raises(
        GraphError, match=r"two choices have the address '.*': .* and .*; give one of the parts another"
    ):
        space_of(part)


def test_recursion_that_cannot_be_walked_is_refused_at_once() -> None:
    chain = recursive("r", lambda r: one_of(op("relu"), more=seq(op("conv"), r)), depth=60)
    with pytest.raises(GraphError, match="parts are nested more than 150 deep; lower the depth of the recursion"):
        space_of(chain)
    deep = recursive("r", lambda r: one_of(op("relu"), more=seq(op("conv"), r)), depth=49)
    assert space_of(deep).size() == 49


def test_a_space_with_too_many_addresses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "LIMIT", 1000)
    with pytest.raises(GraphError, match="the space has more than 1000 addresses; lower the depth of its recursion"):
        space_of(_tree(40))


def test_classes_and_vocabulary_reach_the_operations_that_take_them() -> None:
    inputs = tokens(7, vocabulary=11)
    space = Space(seq(op("tokens", width=4), one_of(op("head"), own=op("head", classes=9))), inputs, classes=5)
    graphs = [candidate.graph for candidate in space.enumerate()]
    assert [dict(node.attributes) for node in graphs[0].nodes] == [{"width": 4, "vocabulary": 11}, {"classes": 5}]
    assert dict(graphs[1].nodes[1].attributes) == {"classes": 9}
    with pytest.raises(
        GraphError, match=r"op 'head': outputs differ in classes \({'a': 2, 'b': 3}\); say classes=… in"
    ):
        Space(op("head"), features(3), {"a": 2, "b": 3})


def test_trouble_says_why_a_candidate_is_no_network() -> None:
    space = space_of(
        seq(first=one_of(op("zero"), op("relu")), pool=op("max_pool", kernel=one_of(3, 7), padding=0, stride=4))
    )
    silent, _, fits, small = [space.trouble(candidate) for candidate in space.enumerate()]
    assert silent == "no path from the input to output 'y': every way there crosses a zero"
    assert fits is None
    assert re.match(r"pool → max_pool: a side of 5 pixels is too small for kernel 7", str(small))


def test_only_benchmark_spaces_have_a_notation() -> None:
    with pytest.raises(NotInSpaceError, match="no notation of its own"):
        small.spell(small[0].graph)
    with pytest.raises(NotInSpaceError, match="no notation of its own"):
        small.parse("|none~0|")


def test_names_of_inputs_are_those_of_the_space() -> None:
    both = dag({"sum": (op("add"), ["left", "right"])}, inputs=("left", "right"))
    candidate = Space(both, {"photo": IMAGE, "left": IMAGE})[0]
    assert candidate.graph.inputs == ("photo", "left")
    assert candidate.graph.nodes[0].inputs == ("photo", "left")
    with pytest.raises(GraphError, match=r"\['sum'\] name both an input of the space and a part; rename one"):
        Space(both, {"photo": IMAGE, "sum": IMAGE})


@pytest.mark.parametrize(("first", "second"), list(product([1, 3], [0, 2])))
def test_equal_decisions_are_equal_candidates_whoever_proposed_them(first: int, second: int) -> None:
    space = space_of(seq(op("conv", kernel=one_of(1, 3)), repeat(op("relu"), times=one_of(0, 2)).named("rest")))
    one = space.decide({"conv/kernel": first, "rest/times": second})
    assert one == space.decide({"rest/times": second, "conv/kernel": first}).made_by("random", 3)
    assert len({one, one.made_by("random")}) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: image("a", 8, 8), r"image\(channels='a', height=8, width=8\): channels is 'a'; expected"),
        (lambda: image(1, -8, 8), "height is -8; expected a whole number above 0"),
        (lambda: features(True), "count is True; expected a whole number above 0"),
        (lambda: tokens(4, 0), "vocabulary is 0; expected a whole number above 0"),
        (lambda: tokens(2.5, 9), "length is 2.5; expected a whole number above 0"),
        (lambda: InputSpec([3, 8, 8]), r"input of shape \[3, 8, 8\]; expected a tuple of whole numbers"),
        (lambda: InputSpec(()), r"input of shape \(\); expected a tuple"),
        (lambda: InputSpec((3,), "float16"), "input of dtype 'float16'; did you mean"),
        (lambda: InputSpec((3,), "int64", "many"), "vocabulary='many'; expected a whole number above 0, or None"),
        (lambda: Space(op("relu"), (1, 8, 8)), r"Space: inputs=\(1, 8, 8\); expected image\(channels, height, width\)"),
        (lambda: Space(op("relu"), None), "Space: inputs=None; expected image"),
        (lambda: Space(op("relu"), {}), "Space: inputs={}; expected image"),
        (lambda: Space(op("relu", width=3), image(1, 8, 8)), r"relu has no attribute 'width'; it takes none; write op"),
    ],
)  # fmt: skip
def test_inputs_that_no_network_has(make: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        make()


def test_a_space_with_too_many_places_is_refused_at_once() -> None:
    start = time.monotonic()
    many = repeat(repeat(op("relu"), times=10_000), times=10_000)
    with pytest.raises(GraphError, match="more than 1000000 parts; lower `times`"):
        Space(many, features(4))
    open_ = repeat(repeat(op("linear", width=one_of(2, 4)), times=1000), times=1000)
    with pytest.raises(GraphError, match="more than 200000 addresses; lower"):
        Space(open_, features(4))
    assert time.monotonic() - start < 30


def test_a_size_longer_than_python_writes() -> None:
    space = Space(repeat(op("linear", width=one_of(*range(1, 100))), times=2300), features(4))
    assert (
        len(digits(space.size())) == len(repr(space).partition("(")[2].partition(" ")[0]) == 4590
    )  # 2300 log10(99) = 4589.96


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"widths": ()}, r"space 'cnn': widths=\(\); expected one or more whole numbers of 1 or more"),
        ({"widths": 16}, "space 'cnn': widths=16; expected one or more"),
        ({"depths": ()}, r"space 'cnn': depths=\(\); expected one or more whole numbers of 0 or more"),
        ({"depths": (1, "2")}, r"space 'cnn': depths=\(1, '2'\); expected"),
        ({"kernels": (0, 3)}, r"space 'cnn': kernels=\(0, 3\); expected"),
        ({"stages": 0}, "space 'cnn': stages=0; expected a whole number from 1 to 20, or None"),
        ({"stages": 1000}, "space 'cnn': stages=1000; expected a whole number from 1"),
    ],
)
def test_fields_that_the_default_space_refuses(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        cnn(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stages": 0}, "space 'tree': stages=0; expected"),
        ({"width": "w"}, "space 'tree': width='w'; expected a whole"),
    ],
)
def test_fields_that_the_tree_space_refuses(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        tree_space(**fields)


@pytest.mark.parametrize("space", [nas_bench_101, nas_bench_201, nas_bench_macro])
def test_widths_that_the_published_spaces_refuse(space: Any) -> None:
    with pytest.raises(GraphError, match="width='w'; expected a whole number above 0"):
        space(width="w")
