"""What a source of data is: something with `read() -> Found`. Registered as kind 'data', its fields are a recipe's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from evaluators.data.dataset import Examples
from nas.core.errors import DataError


@dataclass(frozen=True, eq=False)
class Found:
    """Arrays as a source found them: labels not yet class numbers, parts not yet complete.

    parts: 'train', and 'validation' and 'test' where the source has them; labels as `evaluators.data.labels.encode`
        takes them, under the same output names in each part.
    kind: 'image' (x is (N, C, H, W)), 'features' ((N, F)) or 'tokens' ((N, L)).
    class_names: output name → names, where the source knows them.
    """

    parts: Mapping[str, Examples]
    kind: str
    class_names: Mapping[str, Sequence[str] | None] = field(default_factory=dict)
    how: tuple[str, ...] = ()


class Source(Protocol):
    """A place that data comes from. It checks its fields when it is made and reads nothing before `read`."""

    def read(self) -> Found:
        """All arrays. Raises DataError naming what is missing or damaged."""


def check_text(value: Any, where: str, expected: str, optional: bool = False) -> None:
    """Raises DataError for what is no text, and an empty one; with `optional`, None is right too."""
    if (optional and value is None) or (isinstance(value, str) and value.strip()):
        return
    raise DataError(f"{where}: {value!r}; expected {expected}")


def said(error: BaseException) -> str:
    """An error in one line."""
    if isinstance(error, SystemExit):
        return f"it asked Python to exit (code {error.code})"
    return f"{type(error).__name__}: {error}".splitlines()[0]
