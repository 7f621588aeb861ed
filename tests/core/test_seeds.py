"""Draws depend on their arguments alone."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from nas.core.seeds import derive, generator
from tests.core.processes import in_fresh_processes

ids = st.integers(-(10**6), 10**6) | st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=5)
arguments = st.tuples(st.integers(0, 10**6), st.sampled_from(["propose", "evaluate"]), st.lists(ids, max_size=3))


@given(arguments, arguments)
def test_different_arguments_give_different_seeds(
    a: tuple[int, str, list[int | str]], b: tuple[int, str, list[int | str]]
) -> None:
    same = derive(a[0], a[1], *a[2]) == derive(b[0], b[1], *b[2])
    assert same == (a == b)
    assert 0 <= derive(a[0], a[1], *a[2]) < 2**63


def test_a_number_and_its_text_are_different_ids() -> None:
    assert len({derive(0, "a", 1), derive(0, "a", "1"), derive(0, "a1"), derive(0, "a"), derive(1, "a")}) == 5


def test_generators_are_fresh_and_leave_the_global_one_alone() -> None:
    random.seed(0)
    before = random.getstate()
    one, two = generator(3, "propose", 1), generator(3, "propose", 1)
    assert [one.random() for _ in range(5)] == [two.random() for _ in range(5)]
    assert random.getstate() == before


def test_seeds_are_spread_evenly() -> None:
    counts = Counter(derive(0, "propose", i) % 10 for i in range(10_000))
    assert sum((n - 1000) ** 2 / 1000 for n in counts.values()) < 33.7  # chi-square, 9 degrees of freedom, p = 1e-4


def test_every_process_derives_the_same() -> None:
    code = (
        "from nas.core.seeds import derive, generator; print(derive(7, 'propose', 3, 'a'), generator(7, 'x').random())"
    )
    assert len(set(in_fresh_processes(code))) == 1
    assert derive(7, "propose", 3, "a") == int(in_fresh_processes(code, 1)[0].split()[0])
