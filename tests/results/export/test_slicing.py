"""Slices of files: what a name needs, no more, under other names where asked."""

from __future__ import annotations

import symtable

from hypothesis import given
from hypothesis import strategies as st

from results.export.copied import import_lines
from results.export.slicing import Import, cut, rename, star_imports

FILE = '''\
from __future__ import annotations
import os, math
import torch.nn as nn
from a.b import (c as d,
                 e)
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from pathlib import Path
    from numpy import ndarray

# What one is.
# It is small.
ONE = 1; TWO = ONE + 1

THREE = [TWO]
THREE.append(math.pi)
FOUR = 4
try:
    import fast
except ImportError:
    fast = None

def helper(x: ndarray, y: Path):
    """Text."""
    FOUR = x
    return [THREE for THREE in FOUR]

@d
class Layer(nn.Module):
    size: int = TWO

    def forward(self, x):
        global COUNT
        COUNT += 1
        return helper(x) + (lambda ONE: ONE)(x) + THREE[0]

COUNT = 0
Layer.extra = e
print("not needed", FOUR)
if __name__ == "__main__":
    helper(FOUR)
'''


def _texts(*names: str) -> list[str]:
    return [statement.text.splitlines()[0] for statement in cut(FILE, names).statements]


def test_takes_what_is_needed_and_no_more() -> None:
    part = cut(FILE, ["Layer"])
    assert part.future
    assert [(i.module, i.name, i.binding) for i in part.imports] == [
        ("math", "", "math"), ("torch.nn", "", "nn"), ("a.b", "c", "d"), ("a.b", "e", "e"),
        ("typing", "TYPE_CHECKING", "TYPE_CHECKING"), ("pathlib", "Path", "Path"),
    ]  # fmt: skip
    assert _texts("Layer") == [
        "if TYPE_CHECKING:", "ONE = 1", "TWO = ONE + 1", "THREE = [TWO]", "THREE.append(math.pi)",
        "def helper(x: ndarray, y: Path):", "@d", "COUNT = 0", "Layer.extra = e",
    ]  # fmt: skip
    assert not part.unknown


def test_locals_are_not_mistaken_for_the_files_names() -> None:
    assert _texts("helper") == ["if TYPE_CHECKING:", "def helper(x: ndarray, y: Path):"]
    assert _texts("TWO") == ["ONE = 1", "TWO = ONE + 1"]


def test_comments_above_come_along() -> None:
    source = "a = 1\n# About b.\n# It is a letter.\nb = 2\n"
    assert cut(source, ["b"]).text == "# About b.\n# It is a letter.\nb = 2"


def test_a_guarded_import_comes_as_it_is() -> None:
    part = cut(FILE, ["fast"])
    assert part.text == "try:\n    import fast\nexcept ImportError:\n    fast = None"
    assert [found.module for found in part.statements[0].imports] == ["fast"]


def test_types_of_missing_packages_stay_for_type_checkers_only() -> None:
    first = cut(FILE, ["helper"]).statements[0]
    assert first.text == "if TYPE_CHECKING:\n    from numpy import ndarray"
    assert not list(first.imports)


def test_relative_imports_become_absolute() -> None:
    part = cut("from . import a\nfrom ..up import b\nfrom .c import *\nx = a, b", ["x"], "top.mid.low")
    assert [(i.module, i.name) for i in part.imports] == [("top.mid.low", "a"), ("top.mid.up", "b")]
    assert star_imports("from .c import *", "top.mid") == ["top.mid.c"]


def test_unknown_names_are_told() -> None:
    assert cut("def f():\n    return missing + len([])\n", ["f"]).unknown == {"missing"}


def test_the_same_import_in_two_spellings() -> None:
    assert Import("torch.nn", "", "nn").target == Import("torch", "nn", "nn").target == "torch.nn"
    assert Import("torch.nn", "", "torch").target == "torch"
    assert Import("typing", "OrderedDict", "OrderedDict").target != "collections.OrderedDict"


def test_renaming_follows_pythons_scopes() -> None:
    text = (
        "class A(B):\n"
        "    n = n\n"
        "    def f(self, n, *, k=n):\n"
        "        g = lambda q=n: n + q\n"
        "        return [n for n in m] + [m for x in n], self.n, dict(n=m)\n"
        "    def h(self) -> 'n':\n"
        "        global n\n"
        "        n = 2\n"
        "        import m\n"
        "        try:\n"
        "            return m\n"
        "        except n as m:\n"
        "            pass\n"
        "    def i(self):\n"
        "        return n\n"
    )
    assert rename(text, {"n": "new", "A": "C", "m": "mm"}) == (
        "class C(B):\n"
        "    n = n\n"
        "    def f(self, n, *, k=n):\n"
        "        g = lambda q=n: n + q\n"
        "        return [n for n in mm] + [mm for x in n], self.n, dict(n=mm)\n"
        "    def h(self) -> 'n':\n"
        "        global new\n"
        "        new = 2\n"
        "        import m\n"
        "        try:\n"
        "            return m\n"
        "        except new as m:\n"
        "            pass\n"
        "    def i(self):\n"
        "        return new\n"
    )


def test_renaming_imports_and_bytes() -> None:
    text = "try:\n    from é import a, b as c\nexcept E:\n    a = 'é'; c = a"
    assert rename(text, {"a": "x", "c": "y"}) == (
        "try:\n    from é import a as x, b as y\nexcept E:\n    x = 'é'; y = x"
    )


@given(st.sampled_from(["ONE", "TWO", "THREE", "FOUR", "helper", "Layer", "COUNT"]))
def test_renaming_there_and_back(name: str) -> None:
    part = cut(FILE, ["Layer", "FOUR"])
    for statement in part.statements:
        there = rename(statement.text, {name: "Fresh"})
        symbols = symtable.symtable(there, "t", "exec").get_identifiers()
        assert name not in symbols
        assert rename(there, {"Fresh": name}) == statement.text


def test_import_lines_are_in_ruffs_order() -> None:
    imports = [
        Import("b", "", "b"), Import("a.c", "", "x"), Import("m", "low", "low"), Import("m", "High", "High"),
        Import("m", "CONST", "CONST"), Import("m", "o", "other"), Import("b", "", "b"),
    ]  # fmt: skip
    assert import_lines(imports) == (
        "import a.c as x\nimport b\nfrom m import CONST, High, low\nfrom m import o as other\n"
    )
