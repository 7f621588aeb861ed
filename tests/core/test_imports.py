"""Objects by text and back, and what is said where none is found."""

from __future__ import annotations

import collections
import subprocess
import sys
from pathlib import Path

import pytest

from nas.core.errors import GraphError, RegistryError
from nas.core.imports import load_object, spell_object

USER_FILE = """
class Block:
    class Inner:
        pass

def make():
    class Local:
        pass
    return Local

value = 3
_hidden = 4
"""


@pytest.fixture
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "models" / "mine.py"
    path.parent.mkdir()
    path.write_text(USER_FILE)
    monkeypatch.chdir(tmp_path)
    return path


class Here:
    class Inner:
        pass

    def method(self) -> None:
        pass


@pytest.mark.parametrize("thing", [Here, Here.Inner, Here.method, collections.OrderedDict, load_object])
def test_text_leads_back(thing: object) -> None:
    assert load_object(spell_object(thing)) is thing


def test_a_user_file_is_loaded_once_and_spelled_from_here(user_file: Path) -> None:
    block = load_object("models/mine.py:Block")
    assert load_object(f"{user_file}:Block") is block
    assert spell_object(block) == "models/mine.py:Block"
    assert load_object(spell_object(block.Inner)) is block.Inner
    assert load_object("models/mine.py:value") == 3


def test_from_elsewhere_the_text_is_the_whole_path(
    user_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = load_object("models/mine.py:Block")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert spell_object(block) == f"{user_file}:Block"
    assert load_object(spell_object(block)) is block


def test_a_base_comes_before_the_working_directory(user_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "base" / "models"
    other.mkdir(parents=True)
    (other / "mine.py").write_text("value = 5")
    assert load_object("models/mine.py:value", base=tmp_path / "base") == 5
    assert load_object("models/mine.py:value") == 3
    assert load_object("models/mine.py:Block", base=tmp_path / "nowhere").__name__ == "Block"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Block", "'Block' names no object; expected 'path/file.py:name' or 'package.module:name'"),
        (":Block", "':Block' names no object"),
        ("models/mine.py:", "'models/mine.py:' names no object"),
        (
            "models/mine.py:Blok",
            r"models/mine.py has no 'Blok'; did you mean 'Block'\? legal: 'Block', 'make', 'value'$",
        ),
        ("models/mine.py:Block.Iner", "models/mine.py has no 'Block.Iner'; did you mean 'Inner'"),
        ("models/min.py:Block", r"there is no file 'models/min.py'; looked at .*/models/min.py"),
        ("models:Block", "models has no 'Block'"),
        (
            "no_such_package.models:Block",
            "there is no module 'no_such_package'; expected 'package.module:name' that can",
        ),
        ("json.nothing:x", "there is no module 'json.nothing'"),
        ("json:lods", "json has no 'lods'; did you mean 'loads'"),
    ],
)
def test_what_is_missing_is_named(user_file: Path, text: str, message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        load_object(text)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\nclass (:\n", r"broken.py, line 2: SyntaxError: "),
        ("x = 1\n\n1 / 0\n", r"broken.py, line 3: ZeroDivisionError: division by zero"),
        ("import no_such_module\n", r"broken.py, line 1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f():\n    raise ValueError('deep')\n\nf()\n", r"broken.py, line 2: ValueError: deep"),
    ],
)
def test_an_error_in_the_users_file_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.py").write_text(source)
    for _ in range(2):  # a second try is not taken for loaded
        with pytest.raises(RegistryError, match=message):
            load_object("broken.py:anything")


def test_an_error_in_a_module_is_told_and_not_taken_for_a_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "espalier_test_module.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RegistryError, match=r"espalier_test_module, line 1: ModuleNotFoundError: .*'no_such_module'"):
        load_object("espalier_test_module:x")


def test_what_cannot_be_found_again_is_refused(user_file: Path) -> None:
    local = load_object("models/mine.py:make")()
    with pytest.raises(
        GraphError, match=r"make.<locals>.Local: a class or function defined inside a function cannot be"
    ):
        spell_object(local)


def test_a_script_spells_its_own_classes_by_its_path(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from nas.core.imports import load_object, spell_object\n"
        "class Mine: pass\n"
        "text = spell_object(Mine)\n"
        "print(text, load_object(text) is Mine)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == "script.py:Mine True\n"


def test_an_interactive_class_is_refused() -> None:
    code = (
        "from nas.core.imports import spell_object\nfrom nas.core.errors import GraphError\nclass Mine: pass\n"
        "try: spell_object(Mine)\nexcept GraphError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "Mine was defined in an interactive session; put it in a file and import it\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"import sys\nsys.exit(0)\n", r"^odd.py, line 2: it called sys.exit\(0\) or exit\(\), .*take that call out$"),
        (b"x = 1\0\n", r"^odd.py(, line 1)?: (SyntaxError|ValueError): source code .*null bytes$"),
        (
            b"class E(Exception):\n    def __str__(self):\n        return 1 / 0\nraise E\n",
            r"^odd.py, line 4: E: \(its message cannot be shown: __str__ raises ZeroDivisionError\)$",
        ),
        (b"raise ValueError('a\\nb')", r"^odd.py, line 1: ValueError: a b$"),
        (b"", "^odd.py has no 'make'; it defines no names at all"),
    ],
    ids=["leaves", "null byte", "no text", "two lines", "empty"],
)
def test_what_a_file_does_when_it_is_read_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: bytes, message: str
) -> None:
    (tmp_path / "odd.py").write_bytes(source)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RegistryError, match=message):
        load_object("odd.py:make")


@pytest.mark.parametrize("text", ["..x:f", ".:f", "a..b:f", "a\0b:f", "a.:f"])
def test_what_is_no_name_of_a_module(text: str) -> None:
    with pytest.raises(RegistryError, match=r"is no name of a module; expected 'package\.module:name'"):
        load_object(text)


def test_a_path_that_no_system_takes() -> None:
    with pytest.raises(RegistryError, match=r"cannot be looked for: .*give another path"):
        load_object(f"{'a' * 300}.py:f")
