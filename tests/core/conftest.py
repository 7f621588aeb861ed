"""Hypothesis runs the same examples everywhere; real tables are looked for where ESPALIER_DATA says."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "espalier",
    deadline=None,
    derandomize=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("espalier")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow tests of this folder run only where somebody asks for them by `-m`."""
    if config.getoption("markexpr"):
        return
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow; run it with -m slow"))


@pytest.fixture(scope="session")
def real() -> Callable[[str], Path]:
    """The path of a real table; the test is skipped where it is missing."""
    folder = Path(os.environ.get("ESPALIER_DATA") or Path(__file__).parents[3] / "shared" / "data")

    def find(name: str) -> Path:
        if not (folder / name).is_file():
            pytest.skip(f"{name} is not in {folder}; set ESPALIER_DATA")
        return folder / name

    return find
