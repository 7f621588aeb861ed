"""The tree of errors, and the half sentence that ends a message."""

from __future__ import annotations

import inspect

import pytest

from nas.core import errors
from nas.core.errors import NASError, nearest

BUILTIN = {
    "GraphError": ValueError, "ShapeError": ValueError, "NotInSpaceError": ValueError, "RecipeError": ValueError,
    "RegistryError": LookupError, "DataError": ValueError, "EvaluationError": RuntimeError, "StoreError": RuntimeError,
    "ExportError": RuntimeError, "StrategyError": RuntimeError,
}  # fmt: skip


def leaves() -> dict[str, type]:
    found = {name: thing for name, thing in vars(errors).items() if inspect.isclass(thing)}
    return {name: thing for name, thing in found.items() if issubclass(thing, NASError) and thing is not NASError}


def test_every_error_is_of_the_family_and_a_builtin() -> None:
    assert set(leaves()) >= set(BUILTIN)
    for name, leaf in leaves().items():
        assert issubclass(leaf, BUILTIN.get(name, (ValueError, LookupError, RuntimeError)))
    assert issubclass(errors.ShapeError, errors.GraphError)


def test_the_tree_at_the_top_of_the_file_is_complete() -> None:
    drawn = errors.__doc__ or ""
    assert all(f" {name}" in drawn for name in leaves())


@pytest.mark.parametrize(
    ("value", "names", "expected"),
    [
        ("convv", ["conv", "relu"], "did you mean 'conv'? legal: 'conv', 'relu'"),
        ("xyz", ["conv", "relu"], "legal: 'conv', 'relu'"),
        ("a", [], "there is no name to choose from"),
        (3, [1, 2], "legal: '1', '2'"),
        ("n", [f"n{i:02}" for i in range(25)], "… (25 in all)"),
    ],
)
def test_nearest(value: object, names: list[object], expected: str) -> None:
    assert expected in nearest(value, names)
    assert nearest(value, iter(names)) == nearest(value, names)
