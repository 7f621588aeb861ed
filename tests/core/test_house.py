"""What holds for every file of nas/core: the examples in its docstrings run, and few files import torch."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import nas.core
from tests.core.processes import in_fresh_processes

FOLDER = Path(nas.core.__file__ or "").parent
MODULES = ["nas.core", *(module.name for module in pkgutil.walk_packages([str(FOLDER)], "nas.core."))]
SUPERNET = {f"nas.core.supernet.{name}" for name in ("bank", "forms", "network", "slicing")}
PROBE = {name for name in MODULES if name.startswith("nas.core.probe")}
WITH_TORCH = {"nas.core.build", "nas.core.modules", "nas.core.threads"} | PROBE | SUPERNET


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test.name for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(found) >= 8


def test_everything_but_building_is_imported_without_torch() -> None:
    light = sorted(set(MODULES) - WITH_TORCH)
    code = (
        f"import importlib, sys\nfor name in {light!r}: importlib.import_module(name)\n"
        "heavy = {'torch', 'numpy', 'networkx', 'pandas'} & set(sys.modules)\n"
        "from nas.core.space import Space, image\nfrom nas.core.language import op, one_of, seq\n"
        "from nas.core.keys import graph_key\nfrom nas.core.profile import profile\n"
        "space = Space(seq(op('mbconv', kernel=one_of(3, 5)), op('head')), image(3, 32, 32), classes=10)\n"
        "for c in space.enumerate(): profile(c.graph, space.inputs), graph_key(c.graph), space.encode(c)\n"
        "print(sorted(heavy | ({'torch', 'numpy'} & set(sys.modules))))"
    )
    assert in_fresh_processes(code, 1) == ["[]\n"]


@pytest.mark.parametrize("name", sorted(set(MODULES) - WITH_TORCH))
def test_torch_is_imported_inside_functions_only(name: str) -> None:
    path = Path(importlib.import_module(name).__file__ or "")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in top if isinstance(node, ast.ImportFrom)]
    assert not [text for text in names if text.split(".")[0] in ("torch", "networkx", "numpy", "pandas")]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_and_every_public_thing_says_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    if not Path(module.__file__ or "").read_text(encoding="utf-8").strip():
        return  # an empty __init__
    assert module.__doc__
    own = [t for n, t in vars(module).items() if not n.startswith("_") and getattr(t, "__module__", "") == name]
    assert not [thing for thing in own if callable(thing) and not thing.__doc__]
