"""Parts by name, by file, by mapping, as objects; their fields checked."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from nas.core.errors import NASError, RecipeError, RegistryError
from nas.core.imports import spell_object
from nas.core.language import one_of, op, seq
from nas.core.space import Space, features, image, tokens
from nas.fields import as_inputs, inputs_spec, typed
from nas.loading import find_part, load, part_names

FILE = """
    from __future__ import annotations
    from dataclasses import dataclass, field
    from nas import Space, image, one_of, op, seq

    def mine(inputs=None, classes: int = 3, widths: tuple[int, ...] = (4, 8)) -> Space:
        return Space(seq(op("conv", width=one_of(*widths)), op("head")), inputs or image(1, 8, 8), classes)

    READY = mine()

    @dataclass(frozen=True)
    class Made:
        inputs: object = None
        classes: int = 3
        kernels: list[int] = field(default_factory=lambda: [3])

        def __call__(self):
            return Space(seq(op("conv", width=4, kernel=one_of(*self.kernels)), op("head")),
                         self.inputs or image(1, 8, 8), self.classes)

    def broken():
        return 1 / 0

    def wrong():
        return 7

    class Search:
        def __init__(self, space, seed, shots: int, note: "NotImported" = None):
            self.space, self.seed, self.shots = space, seed, shots
        def ask(self): return None
        def tell(self, trial): pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(textwrap.dedent(FILE))
    return tmp_path


def test_built_in_parts_are_found_without_importing_them_first() -> None:
    assert {"cnn", "nas_bench_101", "nas_bench_201", "nas_bench_macro", "tree"} <= set(part_names("space"))
    assert {"random", "evolution", "nsga2", "optuna"} <= set(part_names("strategy"))
    assert {"train", "table"} <= set(part_names("evaluator"))
    assert {"local", "ray"} <= set(part_names("executor"))
    assert {"digits", "npz", "folder", "function"} <= set(part_names("data"))


def test_known_sizes_by_name_and_with_fields() -> None:
    assert load("space", "nas_bench_201").size() == 15_625
    assert load("space", {"name": "nas_bench_macro", "width": 8}).size() == 6_561


def test_a_space_is_shaped_by_the_data_unless_the_user_says_otherwise() -> None:
    space = load("space", "nas_bench_201", inputs={"x": image(1, 8, 8)}, classes=7)
    assert space.inputs["x"].shape == (1, 8, 8)
    assert space.classes == 7
    space = load(
        "space", {"name": "nas_bench_201", "classes": 4, "inputs": [3, 16, 16]}, inputs=image(1, 8, 8), classes=7
    )
    assert space.inputs["x"].shape == (3, 16, 16)
    assert space.classes == 4


@pytest.mark.parametrize("name", ["mine", "Made", "READY"])
def test_a_space_from_a_file_beside_the_recipe(folder: Path, name: str) -> None:
    space = load("space", f"own.py:{name}", base=folder)
    assert isinstance(space, Space)
    assert space.size() == (1 if name == "Made" else 2)


def test_fields_reach_a_users_own_function(folder: Path) -> None:
    assert load("space", {"name": "own.py:mine", "widths": [2, 4, 6]}, base=folder).size() == 3
    assert load("space", {"name": "own.py:Made", "kernels": [1, 3, 5]}, base=folder, classes=9).classes == 9


def test_only_what_is_asked_for_is_injected(folder: Path) -> None:
    strategy = load("strategy", {"name": "own.py:Search", "shots": 5}, base=folder, space=1, seed=3, objectives=())
    assert (strategy.space, strategy.seed, strategy.shots) == (1, 3, 5)


def test_objects_and_classes_are_taken_as_they_are() -> None:
    space = Space(seq(op("conv", width=one_of(4, 8))), image(1, 8, 8))
    assert load("space", space) is space
    assert load("space", lambda: space) is space
    with pytest.raises(RecipeError, match="takes no fields"):
        find_part("space", {"name": space, "width": 3})


def test_a_users_file_may_import_the_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("from nas import op\nPART = op('head')\n")
    (tmp_path / "needs.py").write_text(
        "from beside_it import PART\nfrom nas import Space, image\nspace = Space(PART, image(1, 8, 8), 2)\n"
    )
    assert load("space", "needs.py:space", base=tmp_path).size() == 1


def test_a_copy_stands_for_a_file_that_is_gone(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = find_part("strategy", {"name": "own.py:Search", "shots": 5}, base=folder)
    (folder / "code").mkdir()
    (folder / "own.py").rename(folder / "code/moved_own.py")
    monkeypatch.setattr("sys.path", [*sys.path, str(folder / "code")])
    gone = f"{folder}/moved_own.py"
    after = find_part("strategy", {"name": f"{gone}:Search", "shots": 5})
    assert after.label == f"{gone}:Search"
    assert spell_object(after.factory) == f"{gone}:Search"
    assert after.fields == before.fields
    with pytest.raises(RegistryError, match="there is no file"):
        find_part("strategy", f"{folder}/never.py:Search")


@pytest.mark.parametrize(
    ("kind", "spec", "said"),
    [
        ("strategy", "nsag2", "did you mean 'nsga2'"),
        ("strategy", {"name": "nsga2", "populaton": 3}, "no field 'populaton' (given: 3); did you mean 'population'"),
        ("strategy", {"name": "nsga2", "population": "3"}, "population is '3'; expected int"),
        ("strategy", {"name": "nsga2", "population": True}, "population is True; expected int"),
        ("strategy", {"name": "nsga2", "population": 2.5}, "population is 2.5; expected int"),
        ("strategy", {"name": "nsga2", "seed": 3}, "'seed' is not set here"),
        ("strategy", {"population": 3}, "has no 'name'"),
        ("strategy", ["nsga2"], "expected a name"),
        ("strategy", None, "expected a name"),
        ("strategy", 3, "expected a name"),
        ("strategy", {"name": ["nsga2"]}, "expected a name"),
        ("executor", {"name": "local", "_slots": []}, "no field '_slots'"),
        ("evaluator", {"name": "train", "data": "digits"}, "'data' is not set here; it is a key of the recipe"),
        ("evaluator", {"name": "table", "path": "x"}, "needs the field 'columns'"),
        ("space", {"name": "cnn", "widths": [8, "a"]}, "widths is [8, 'a']; expected tuple[int, ...]: [1]: "),
        ("space", {"name": "cnn", "widths": 8}, "widths is 8; expected tuple[int, ...]"),
        ("space", {"name": "cnn", "inputs": [3, 32]}, "inputs is [3, 32]; expected [channels, height, width]"),
        ("space", "own.py", "names a file; say which part in it"),
        ("space", "owm.py:mine", "there is no file 'owm.py'"),
        ("space", "owm.py:mine", "did you mean 'own.py'"),
        ("space", "own.py:mien", "did you mean 'mine'"),
        ("space", "no_such_package.spaces:mine", "there is no module 'no_such_package'"),
        ("strategy", "own.py:Search", "needs the field 'shots' (int)"),
    ],
)
def test_refusals(folder: Path, kind: str, spec: Any, said: str) -> None:
    with pytest.raises(NASError) as error:
        find_part(kind, spec, base=folder)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken", "space 'own.py:broken' failed (own.py, line 22): ZeroDivisionError: division by zero"),
        ("wrong", "gives 7, a int; expected a Space"),
    ],
)
def test_users_code_that_fails_is_told_with_its_line(folder: Path, name: str, said: str) -> None:
    with pytest.raises(RecipeError) as error:
        load("space", f"own.py:{name}", base=folder)
    assert said in str(error.value)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(RegistryError, match="did you mean 'strategy'"):
        load("stratgy", "random")


def test_a_part_is_written_down_with_all_its_fields(folder: Path) -> None:
    assert find_part("space", {"name": "cnn", "widths": [8]}).spec() == {
        "name": "cnn", "widths": [8], "depths": [1, 2, 3], "kernels": [3, 5], "stages": None,
    }  # fmt: skip
    assert find_part("executor", "local").spec() == {"name": "local", "workers": "auto", "lookahead": 4, "threads": 1}
    spec = find_part("space", "own.py:Made", base=folder).spec()
    assert spec == {"name": f"{folder / 'own.py'}:Made", "kernels": [3]}
    again = find_part("space", spec)
    assert again.make().size() == 1


@pytest.mark.parametrize(
    "inputs",
    [
        image(3, 32, 48),
        features(13),
        tokens(20, 100),
        {"picture": image(1, 8, 8), "caption": tokens(5, 50)},
    ],
)
def test_inputs_there_and_back(inputs: Any) -> None:
    assert as_inputs(inputs_spec(inputs), "x") == inputs


def test_lists_become_tuples_and_nothing_else_is_converted() -> None:
    assert typed([1, 2], tuple[int, ...], "x") == (1, 2)
    assert typed(3, float, "x") == 3.0
    assert typed(None, int | None, "x") is None
    for value, hint in (("1", int), (1, str), (1.0, int), (0, bool), ([1], tuple[str, ...])):
        with pytest.raises(RecipeError):
            typed(value, hint, "x")
