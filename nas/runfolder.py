"""A run's folder: what is in it, how it is begun, and how a recipe in it is read again.

    recipe.yaml       the recipe with every default in it
    code/             copies of the user's own Python files that the recipe names, and of what these import beside them
    store.sqlite      trials and facts
    trials/ID/        what an evaluator leaves for a trial: weights.safetensors
    report.html       written when a search ends, or by `nas report`
    best/             the best finalist as a plain torch module

A folder can be moved and opened elsewhere. Where a user's original file is still there, it is used; else the copy is.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nas.core.errors import RecipeError, StoreError
from nas.core.roles import PREPARED, REPORT, STORE, TRIALS
from nas.recipe import Source, read, write_yaml

RECIPE = "recipe.yaml"
BEST = "best"
CODE = "code"
OURS = (RECIPE, STORE, REPORT, BEST, CODE, TRIALS, PREPARED)

_NAMED = re.compile(r"(.+\.py):([\w.]+)")


def make_next(name: str, root: Path = Path("runs")) -> Path:
    """Make the folder `runs/NAME-1`, or the one with the first number that is not taken, and return its path.

    It is made at once, so that two searches that begin together do not take the same. Raises RecipeError.
    """
    number = 1
    while True:
        folder = root / f"{name}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise RecipeError(f"{folder} cannot be made ({error.strerror}); name a folder with --out") from error
        else:
            return folder


def check_free(folder: Path) -> None:
    """Raises RecipeError when a new run cannot be kept in `folder`: it holds one, or something of the same name."""
    if folder.exists() and not folder.is_dir():
        raise RecipeError(f"--out {folder} is a file; expected a folder that is new or empty")
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise RecipeError(f"--out {folder} cannot be made: {there} is no folder that may be written to")
    held = [name for name in OURS if (folder / name).exists()]
    if RECIPE in held and STORE not in held:
        raise RecipeError(
            f"--out {folder} holds a run that was stopped before it began; delete it or name another folder"
        )
    if STORE in held:
        raise RecipeError(
            f"--out {folder} already holds a run; go on with it (nas resume {folder}) or name another one"
        )
    if held:
        raise RecipeError(f"--out {folder} already holds {held[0]!r}, which a run would write; name another folder")


def begin(folder: Path, resolved: Mapping[str, Any]) -> dict[str, str]:
    """Make the folder, copy the user's files, write the recipe.

    Returns: place in the folder → original file, for each copy.

    Raises: RecipeError when another search took the folder meanwhile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / RECIPE).touch(exist_ok=False)
    except FileExistsError:
        raise RecipeError(f"{folder} was taken by another search just now; name another folder") from None
    copies = _copy_code(folder, resolved)
    write_recipe(folder, resolved, copies)
    return copies


def write_recipe(folder: Path, resolved: Mapping[str, Any], copies: Mapping[str, str], directory: str = "") -> None:
    """Write the recipe; files of the user's are named by their copies. directory: where the run was begun."""
    local = {original: place for place, original in copies.items()}
    local |= {_spelled(original, directory): place for place, original in copies.items()}
    text = write_yaml(_renamed(resolved, local))
    (folder / RECIPE).write_text(f"# The recipe of this run, with every default in it.\n{text}", encoding="utf-8")


def find(folder: str | Path) -> Path:
    """The folder of a run. Raises StoreError when there is none, and names one beside it that is called much alike."""
    path = Path(folder).expanduser()
    if (path / STORE).is_file():
        return path
    home = path.parent if path.parent.is_dir() else Path()
    runs = [p.name for p in home.iterdir() if (p / STORE).is_file()]
    near = difflib.get_close_matches(path.name, runs, n=1)
    meant = near[0] if near and home == Path() else str(home / near[0]) if near else ""
    what = f"is no run: it has no {STORE}" if path.is_dir() else "is no folder"
    way_out = f"did you mean {meant!r}?" if meant else "expected the folder that a search wrote"
    raise StoreError(f"{path} {what}; {way_out}")


def read_recipe(folder: Path, copies: Mapping[str, str], directory: str = "") -> tuple[dict[str, Any], Source]:
    """The recipe of a run. The user's files are named as when it was begun; `use_code` finds those that are gone."""
    given, source = read(folder / RECIPE)
    names = {p: o if Path(o).is_file() else _spelled(o, directory) for p, o in copies.items()}
    return _renamed(given, names), Source(source.name, source.lines)


def _spelled(original: str, directory: str) -> str:
    """A file as `nas.core.imports` spelled it for a process that worked in `directory`."""
    path = Path(original)
    return str(path.relative_to(directory)) if directory and path.is_relative_to(directory) else original


def use_code(folder: Path) -> None:
    """Let the copies of the user's files be found by name where the originals are gone."""
    for place in sorted(folder.glob(f"{CODE}*")):
        if place.is_dir() and str(place.resolve()) not in sys.path:
            sys.path.append(str(place.resolve()))


def changed(folder: Path, copies: Mapping[str, str]) -> list[str]:
    """Originals that differ from their copies."""
    return [
        original
        for place, original in copies.items()
        if Path(original).is_file()
        and (folder / place).is_file()
        and Path(original).read_bytes() != (folder / place).read_bytes()
    ]


def _copy_code(folder: Path, resolved: Mapping[str, Any]) -> dict[str, str]:
    homes: dict[Path, list[Path]] = {}
    for file in dict.fromkeys(_files(resolved)):
        homes.setdefault(file.parent, []).append(file)
    copies: dict[str, str] = {}
    for number, (home, files) in enumerate(homes.items(), 1):
        inside = f"{CODE}-{number}" if number > 1 else CODE
        for file in dict.fromkeys([*files, *_imported(home)]):
            place = f"{inside}/{file.relative_to(home)}"
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / place)
            copies[place] = str(file)
    return copies


def _imported(home: Path) -> Iterator[Path]:
    """Modules that are loaded from this folder: what the user's files import beside them."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py") or not Path(file).is_absolute():
            continue  # some modules of torch name files that are none
        path = Path(file).resolve()
        inside = (
            path.is_relative_to(home) and path.is_file() and not {"site-packages", "dist-packages"} & set(path.parts)
        )
        if inside and path.parts[len(home.parts)] not in ("nas", "search_spaces", "evaluators", "results", "tests"):
            yield path


def _files(value: Any) -> Iterator[Path]:
    """Files that a recipe names as `path/file.py:name`."""
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _files(one)
    elif isinstance(value, list):
        for one in value:
            yield from _files(one)
    elif isinstance(value, str) and (match := _NAMED.fullmatch(value)) and Path(match[1]).is_file():
        yield Path(match[1]).resolve()


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _renamed(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one, names) for one in value]
    if isinstance(value, str) and (match := _NAMED.fullmatch(value)):
        known = names.get(match[1]) or names.get(str(Path(match[1]).resolve()))
        return f"{known}:{match[2]}" if known else value
    return value
