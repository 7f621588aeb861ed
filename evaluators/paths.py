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
    if not isinstance(path, str | os.PathLike):
        raise DataError(f"{what}: path is {path!r}; expected a text, the path of a file or folder")
    if not str(path).strip() or "\0" in str(path):
        raise DataError(f"{what}: path is {str(path)!r}; expected the path of a file or folder")
    try:
        asked = Path(path).expanduser()
    except RuntimeError:
        user = Path(path).parts[0]
        raise DataError(
            f"{what}: path {str(path)!r}: no home folder of {user!r} is known; write the path out from / on"
        ) from None
    folder = os.environ.get(VARIABLE)
    places = [asked] if asked.is_absolute() else [Path.cwd() / asked, *([Path(folder) / asked] if folder else [])]
    try:
        for place in places:
            if place.exists():
                return place.resolve()
        beside = [name.name for place in places if place.parent.is_dir() for name in place.parent.iterdir()]
    except OSError as error:
        said = str(path) if len(str(path)) <= 80 else f"{str(path)[:79]}…"
        raise DataError(
            f"{what}: path {said!r} cannot be looked at ({error.strerror}); expected a file or folder that you may read"
        ) from None
    looked = " and ".join(str(place) for place in places)
    raise DataError(
        f"{what}: there is no file or folder {str(path)!r}; looked at {looked}; {nearest(asked.name, beside)}"
    )


def find_file(path: str | os.PathLike[str], what: str) -> Path:
    """`find` for a file. Raises DataError also for a folder."""
    found = find(path, what)
    if found.is_dir():
        raise DataError(f"{what}: path {str(path)!r} is a folder; expected a file in it")
    return found
