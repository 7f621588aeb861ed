"""Values are refused at the door or can be hashed, compared, written and read back as the same thing."""

from __future__ import annotations

import enum
import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.core.errors import GraphError
from nas.core.values import FrozenDict, canonical, digest, freeze, thaw
from tests.strategies import values


class Size(enum.IntEnum):
    SMALL = 3


class Kind(enum.StrEnum):
    WIDE = "wide"


class Mixed(str, enum.Enum):  # noqa: UP042 - its `str()` is 'Mixed.DEEP'
    DEEP = "deep"


@given(values)
def test_a_value_survives_json(value: Any) -> None:
    held = freeze(value)
    back = freeze(json.loads(canonical(held)))
    assert canonical(back) == canonical(held)
    assert FrozenDict({"a": back}) == FrozenDict({"a": held})


@given(values, values)
def test_mappings_are_equal_exactly_when_their_texts_are(a: Any, b: Any) -> None:
    one, two = FrozenDict({"v": a}), FrozenDict({"v": b})
    assert (one == two) == (one.text == two.text)
    assert one != two or hash(one) == hash(two)


@pytest.mark.parametrize(
    ("a", "b"), [(1, 1.0), (1, True), (0, False), (0.0, False), ((1,), (True,)), ("1", 1), ((), None)]
)
def test_values_that_python_takes_for_equal_differ(a: Any, b: Any) -> None:
    assert FrozenDict({"v": a}) != FrozenDict({"v": b})
    assert len({FrozenDict({"v": a}), FrozenDict({"v": b})}) == 2


@pytest.mark.parametrize(
    ("given_", "held"),
    [
        ([1, [2, "a"]], (1, (2, "a"))),
        (-0.0, 0.0),
        (Size.SMALL, 3),
        (Kind.WIDE, "wide"),
        (Mixed.DEEP, "deep"),
        (np.float64(0.5), 0.5),
        (np.str_("arch"), "arch"),
        (2**100, 2**100),
    ],
)
def test_what_is_held_is_plain(given_: Any, held: Any) -> None:
    found = freeze(given_)
    assert canonical(found) == canonical(held)
    assert type(found) is type(held)
    assert FrozenDict({"v": given_}) == FrozenDict({"v": held})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), r"size: nan is not finite; use a finite number or None"),
        ([1, float("inf")], r"size: inf is not finite"),
        ({"a": 1}, r"size: \{'a': 1\} is a dict; expected None, bool, int, float, str or a tuple of these"),
        ({1}, r"size: \{1\} is a set"),
        (np.int64(3), r"size: np.int64\(3\) is a int64"),
        (b"a", r"size: b'a' is a bytes"),
        ((1, object), r"size: <class 'object'> is a type"),
    ],
)
def test_anything_else_is_refused_with_its_name(value: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        FrozenDict({"size": value})


def test_names_are_texts() -> None:
    with pytest.raises(GraphError, match="1 is a int where a name stands; expected a text"):
        FrozenDict({1: "a"})  # type: ignore[dict-item]


@given(st.dictionaries(st.text(max_size=4), values, max_size=4))
def test_order_does_not_matter_and_is_kept(items: dict[str, Any]) -> None:
    one = FrozenDict(items)
    two = FrozenDict(dict(reversed(list(items.items()))))
    assert one == two
    assert hash(one) == hash(two)
    assert list(one) == list(items)
    assert dict(one) == {name: freeze(value) for name, value in items.items()}
    assert pickle.loads(pickle.dumps(one)) == one


def test_mappings_do_not_change() -> None:
    held = FrozenDict({"a": [1, 2]})
    with pytest.raises(TypeError):
        held["a"] = 2  # type: ignore[index]
    assert thaw(held["a"]) == [1, 2]
    assert isinstance(held["a"], tuple)
    assert (held == {"a": (1, 2)}) is False
    assert repr(held) == "FrozenDict({'a': (1, 2)})"


def test_digests_are_pinned() -> None:
    """They stand in databases: a change of these needs a new version in the keys that are made of them."""
    assert canonical({"b": [1, 2.0, True, None], "a": "é"}) == '{"a":"é","b":[1,2.0,true,null]}'
    assert digest("espalier") == digest("espalier", 16)
    assert len(digest("espalier", 4)) == 8
    assert digest("espalier") == "250ac7a68aa1412b184f96277ac08f00"
