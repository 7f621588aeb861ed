"""Names of parts: one table per kind, no second registration, near names in refusals."""

from __future__ import annotations

import pytest

from nas.core import registry
from nas.core.errors import RecipeError, RegistryError


@pytest.fixture(autouse=True)
def _clean_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_TABLES", {kind: {} for kind in registry.KINDS})


def test_a_registered_part_is_found_and_unchanged() -> None:
    @registry.register("strategy", "mine")
    class Mine:
        pass

    assert registry.get("strategy", "mine") is Mine
    assert registry.names("strategy") == ["mine"]
    assert registry.names("space") == []


def test_the_same_name_of_another_kind_is_another_part() -> None:
    registry.register("space", "mine")(dict)
    registry.register("data", "mine")(list)
    assert (registry.get("space", "mine"), registry.get("data", "mine")) == (dict, list)


def first() -> None:
    pass


def second() -> None:
    pass


def test_a_second_registration_is_refused_with_both_origins() -> None:
    registry.register("space", "mine")(first)
    with pytest.raises(
        RegistryError, match=r"space 'mine' is registered twice: by .*test_registry.py:first and by .*:second"
    ):
        registry.register("space", "mine")(second)
    assert registry.get("space", "mine") is first


def test_the_same_origin_may_register_again() -> None:
    registry.register("space", "mine")(first)
    assert registry.register("space", "mine")(first) is first


def test_unknown_names_and_kinds_are_refused_with_near_ones() -> None:
    registry.register("strategy", "nsga2")(first)
    with pytest.raises(
        RegistryError, match=r"strategy 'nsag2' is unknown; did you mean 'nsga2'\? .*or give 'path/file.py"
    ):
        registry.get("strategy", "nsag2")
    for wrong in (lambda: registry.get("stratgy", "nsga2"), lambda: registry.register("stratgy", "a")):
        with pytest.raises(RegistryError, match=r"part of kind 'stratgy'; did you mean 'strategy'"):
            wrong()


def test_parts_inside_parts_are_made_of_names_mappings_and_themselves() -> None:
    @registry.register("weights", "mine")
    class Mine:
        def __init__(self, size: int, depth: int = 1) -> None:
            self.given = (size, depth)

    part = Mine(1)
    assert registry.made("weights", part) is part
    assert registry.made("weights", {"name": "mine", "size": 2}).given == (2, 1)
    assert type(registry.made("weights", "collections:OrderedDict")).__name__ == "OrderedDict"
    for given, told in (
        ({"size": 2}, "has no 'name'; legal: 'mine'"),
        ({"name": "mine", "size": 1, "depht": 3}, "no field 'depht' .*did you mean 'depth'"),
        ("mine", "needs the field 'size'"),
    ):
        with pytest.raises(RecipeError, match=told):
            registry.made("weights", given)
    with pytest.raises(RegistryError, match="did you mean 'mine'"):
        registry.made("weights", "mien")
