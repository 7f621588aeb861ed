"""A finished drawing: its shapes and its size, and the files that they become."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nas.core.errors import RecipeError, nearest
from results.drawing.shapes import Group

MARGIN = 8.0
"""Px around a drawing."""

FORMATS = (".svg", ".png", ".pdf")
"""Endings of files that a drawing can be saved as."""


@dataclass(frozen=True)
class Picture:
    """Shapes on an area from 0, 0 to width, height in px. title: what it shows, for screen readers."""

    groups: tuple[Group, ...]
    width: float
    height: float
    title: str = ""

    def svg(self, *, style: bool = True) -> str:
        """The text of one `<svg>` element that looks right in a light and in a dark page.

        style: put the style sheet into it, so that the text is a file of its own.
        """
        from results.drawing.svg import text_of

        return text_of(self, style=style)

    def save(self, path: str | os.PathLike[str], *, scale: float = 2.0) -> Path:
        """Write it as the ending of `path` says (FORMATS), and return where it is.

        scale: pixels of a PNG per px of the drawing; fewer where the picture would be larger than can be shown.

        Raises: RecipeError for another ending, and for a file that cannot be written.
        """
        target = Path(path)
        check_ending(target)
        try:
            if target.suffix.lower() == ".svg":
                target.write_text(self.svg(), encoding="utf-8")
            else:
                from results.drawing.plot import write

                write(self, target, scale)
        except OSError as error:
            raise RecipeError(f"drawing {str(path)!r} cannot be written: {error.strerror or error}") from error
        return target


def check_ending(path: Path, what: str = "drawing") -> None:
    """Raise RecipeError unless a drawing, or what else is drawn into files, can be saved under this name."""
    if path.suffix.lower() not in FORMATS:
        given = f"ends in {path.suffix!r}" if path.suffix else "has no ending"
        raise RecipeError(f"{what} {str(path)!r} {given}; {nearest(path.suffix, FORMATS)}")
