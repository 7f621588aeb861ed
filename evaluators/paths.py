"""Where files that a recipe names are looked for."""

from __future__ import annotations

import os
from pathlib import Path

from nas.core.errors import DataError, nearest

VARIABLE = "ESPALIER_DATA"
"""The environment variable that may name a folder of data."""


def find(path: str | os.PathLike[str], what: str) -> Path:
    """The absolute path of an existing file or folder.

    A relative path is looked for in the working directory, then in the folder that ESPALIER_DATA names.

    Args:
        what: what the file is for, as the error says it ("data", "table").

    Raises: DataError when there is none, naming the places and the nearest name beside it.
    """
    asked = Path(path).expanduser()
    folder = os.environ.get(VARIABLE)
    places = [asked] if asked.is_absolute() else [Path.cwd() / asked, *([Path(folder) / asked] if folder else [])]
    for place in places:
        if place.exists():
            return place.resolve()
    beside = [name.name for place in places if place.parent.is_dir() for name in place.parent.iterdir()]
    looked = " and ".join(str(place) for place in places)
    raise DataError(
        f"{what}: there is no file or folder {str(path)!r}; looked at {looked}; {nearest(asked.name, beside)}"
    )
