"""Where the real files are, and where tests are skipped without them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real() -> Callable[[str], str]:
    """The path of a real table or image file; the test is skipped where it is missing."""
    folder = Path(os.environ.get("ESPALIER_DATA") or Path(__file__).parents[3] / "shared" / "data")

    def find(name: str) -> str:
        if not (folder / name).is_file():
            pytest.skip(f"{name} is not in {folder}; set ESPALIER_DATA")
        return str(folder / name)

    return find
