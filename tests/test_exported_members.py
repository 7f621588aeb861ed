"""What `import nas` offers, by name: a change here is a change for users."""

from __future__ import annotations

import importlib
import types

import pytest

import nas

WORDS = ["compute", "dag", "one_of", "op", "optional", "parallel", "recursive", "repeat", "seq", "some_of", "tie"]
SPACES = ["InputSpec", "Space", "features", "image", "tokens"]
RECORDS = [
    "Budget",
    "Candidate",
    "Constraint",
    "Decisions",
    "Graph",
    "Measurement",
    "Metric",
    "Objective",
    "Status",
    "Trial",
]
WORK = [
    "build",
    "compare",
    "derive",
    "evaluate",
    "functional_key",
    "generator",
    "graph_key",
    "load",
    "open",
    "profile",
    "register",
    "resume",
    "search",
]
REST = ["NASError", "ProbeError", "__version__"]


def test_the_names() -> None:
    assert sorted(nas.__all__) == sorted([*WORDS, *SPACES, *RECORDS, *WORK, *REST])
    assert set(nas.__all__) <= set(dir(nas))


@pytest.mark.parametrize("name", nas.__all__)
def test_each_is_there_and_is_no_module(name: str) -> None:
    assert not isinstance(getattr(nas, name), types.ModuleType)


def test_each_is_the_thing_itself() -> None:
    for home, names in nas._HOMES.items():
        module = importlib.import_module(home)
        for name in names:
            assert getattr(nas, name) is getattr(module, name)


def test_what_is_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'serch'"):
        nas.serch  # noqa: B018


def test_the_version_is_that_of_the_distribution() -> None:
    assert nas.__version__.count(".") == 2
