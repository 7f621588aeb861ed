"""Starting is quick: what takes seconds to import is not imported before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "ray", "optuna", "pandas", "matplotlib", "sklearn", "plotly", "sqlalchemy", "pyarrow", "moocore")


def imported_after(code: str) -> set[str]:
    """Top-level modules that are loaded in a fresh process after `code`."""
    end = "\nimport sys; print('\\n'.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code + end], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def test_import_nas_imports_nothing_heavy() -> None:
    loaded = imported_after("import nas")
    assert not loaded & {*HEAVY, "numpy", "pydantic", "rich", "typer", "yaml"}


@pytest.mark.parametrize(
    "code",
    [
        "import nas; nas.Space, nas.op, nas.graph_key, nas.load",
        "import search_spaces",
        "import evaluators",
        "import nas.engine.strategies",
        "import nas.engine.executors",
        "import nas.plan",
    ],
)
def test_declarations_import_nothing_heavy(code: str) -> None:
    assert not imported_after(code) & set(HEAVY)


@pytest.mark.parametrize("arguments", [["--help"], ["search", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['nas', *{arguments!r}]; sys.stdout, kept = open('/dev/null', 'w'), sys.stdout\n"
        "from nas.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "sys.stdout = kept"
    )
    loaded = imported_after(code)
    assert "typer" in loaded
    assert not loaded & {*HEAVY, "numpy", "nas.plan"}
