"""Imports only go down: every import statement of the house is read, also those inside functions."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("nas", "search_spaces", "evaluators", "results")

MAY_IMPORT = {
    "nas.core": ("nas.core",),
    "nas.engine": ("nas.core", "nas.engine"),
    "search_spaces": ("nas.core", "search_spaces"),
    "evaluators": ("nas.core", "evaluators"),
    "results": ("nas.core", "results"),
    "nas.testing": ("nas.core", "nas.testing"),
    "nas.cli": PACKAGES,
    "nas": PACKAGES,
}
"""A module belongs to the longest prefix here. Nobody below may import the roof."""

ROOF_LEAVES_OUT = ("nas.cli", "nas.testing")
"""What the files at the roof's top (`nas/recipe.py`, …) do not import: commands come after recipes."""


@cache
def files() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def home_of(module: str) -> str:
    return max((home for home in MAY_IMPORT if module == home or module.startswith(home + ".")), key=len)


def imports(tree: ast.AST) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import; imports are absolute here"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def wrong(module: str, imported: str) -> bool:
    """Whether this import goes up or sideways."""
    if imported.split(".")[0] not in PACKAGES:
        return False
    home = home_of(module)
    if home == "nas" and any(imported == out or imported.startswith(out + ".") for out in ROOF_LEAVES_OUT):
        return module != "nas.__main__"
    return not any(imported == ok or imported.startswith(ok + ".") for ok in MAY_IMPORT[home])


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_go_down(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bad = [
        f"{path.relative_to(ROOT)}:{line}: {module_of(path)} imports {imported}"
        for line, imported in imports(tree)
        if wrong(module_of(path), imported)
    ]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize(
    ("module", "imported", "expected"),
    [
        ("nas.core.graph", "nas.engine.controller", True),
        ("nas.core.graph", "results.store", True),
        ("evaluators.train", "results.store.SqlStore", True),
        ("nas.engine.controller", "nas.recipe", True),
        ("results.report", "nas.cli.main", True),
        ("nas.recipe", "nas.cli.app", True),
        ("nas.core.graph", "nas.core.values.freeze", False),
        ("nas.cli.app", "results.front.Front", False),
        ("evaluators.train", "torch", False),
    ],
)
def test_what_counts_as_wrong(module: str, imported: str, expected: bool) -> None:
    assert wrong(module, imported) is expected


def imported_files(path: Path, anywhere: bool) -> set[str]:
    """Modules of the house that a file imports: at its top, or anywhere in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    known = {module_of(file) for file in files()}
    found = {
        next((name for name in (imported, imported.rpartition(".")[0]) if name in known), "")
        for _, imported in imports(tree if anywhere else top)
    }
    return found - {"", module_of(path)}


@pytest.mark.parametrize(("packages", "anywhere"), [(PACKAGES, False), (("nas",), True)], ids=["at the top", "nas"])
def test_no_files_import_one_another_in_a_circle(packages: tuple[str, ...], anywhere: bool) -> None:
    mine = [path for path in files() if module_of(path).split(".")[0] in packages]
    imported = {module_of(path): imported_files(path, anywhere) for path in mine}
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


HEAVY = {
    "torch": (
        "nas/core/build.py",
        "nas/core/modules.py",
        "nas/core/probe/",
        "nas/core/supernet/bank.py",
        "nas/core/supernet/forms.py",
        "nas/core/supernet/network.py",
        "nas/core/supernet/slicing.py",
        "nas/core/threads.py",
        "evaluators/training/",
        "evaluators/supernet/balance.py",
        "evaluators/supernet/checkpoint.py",
        "evaluators/supernet/experts.py",
        "evaluators/supernet/growing.py",
        "evaluators/supernet/loop.py",
        "evaluators/supernet/proof.py",
        "evaluators/supernet/room.py",
        "evaluators/supernet/trained.py",
        "results/export/",
    ),
    "ray": (),
    "optuna": (),
    "pandas": ("results/frame.py",),
    "matplotlib": ("results/drawing/plot.py",),
    "sklearn": (),
    "plotly": (),
}
"""Library → the only files that may import it at their top, because importing them means using it."""


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_are_imported_where_they_are_used(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    bad = [
        f"{name}:{line}: imports {imported}"
        for line, imported in imports(ast.Module(top, []))
        if (library := imported.split(".")[0]) in HEAVY and not name.startswith(HEAVY[library] or "-")
    ]
    assert not bad, "\n".join(bad)
