"""Python objects by text and back: `package.module:name` and `path/file.py:name`.

The text of a user's own class is what a graph holds; so a graph stays a value, and a worker process finds the class
again.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from nas.core.errors import GraphError, RegistryError, nearest, told
from nas.core.values import digest

_PREFIX = "nas_user_"
_ASKED = "__asked_for__"


def load_object(text: str, base: Path | None = None) -> Any:
    """The object that `text` names. A relative path is looked for in `base`, then in the working directory.

    A file that is at none of these places is looked for by its name in the folders that were added to `sys.path`: so a
    run's folder that holds a copy of it can be opened where the original is not. What is in the copy keeps the text of
    the original.

    Raises: RegistryError naming what is missing: the file, the module, or the name in it (with the nearest name). An
        error inside the user's file is told with its line.
    """
    place, colon, name = text.rpartition(":")
    if not colon or not place or not name:
        raise RegistryError(f"{text!r} names no object; expected 'path/file.py:name' or 'package.module:name'")
    module = _load_file(place, base) if place.endswith(".py") else _load_module(place, text)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = [key for key in getattr(found, "__dict__", ()) if not key.startswith("_")]
            way = nearest(part, public) if public else "it defines no names at all; define it there, or name another"
            raise RegistryError(f"{place} has no {name!r}; {way}")
        found = getattr(found, part)
    return found


def spell_object(thing: Any) -> str:
    """The text that `load_object` turns back into `thing`, a class or function at the top level of a file or module.

    Raises: GraphError when no text can lead back to it (a local class, an object of an interactive session).
    """
    name = thing.__qualname__
    if "<locals>" in name:
        raise GraphError(f"{name}: a class or function defined inside a function cannot be found again; move it to the "
                         "top level of a file")  # fmt: skip
    module = sys.modules.get(thing.__module__)
    file = getattr(module, "__file__", None)
    if hasattr(module, _ASKED):
        return f"{getattr(module, _ASKED)}:{name}"
    if thing.__module__ == "__main__" or thing.__module__.startswith(_PREFIX):
        if file is None:
            raise GraphError(f"{name} was defined in an interactive session; put it in a file and import it")
        path = Path(file).resolve()
        here = Path.cwd()
        return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{name}"
    return f"{thing.__module__}:{name}"


def _load_module(place: str, text: str) -> ModuleType:
    if not all(place.split(".")) or not place.isprintable():
        raise RegistryError(
            f"{text!r}: {place!r} is no name of a module; expected 'package.module:name' without leading or doubled "
            "dots, or 'path/file.py:name'"
        )
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(error.name + ".")):
            raise RegistryError(
                f"{text!r}: there is no module {error.name!r}; expected 'package.module:name' that can be imported "
                "from here, or 'path/file.py:name'"
            ) from None
        raise _broken(place, error) from error
    except (Exception, SystemExit) as error:
        raise _broken(place, error) from error


def _load_file(place: str, base: Path | None) -> ModuleType:
    tried = [Path(place)] if Path(place).is_absolute() else [*([base / place] if base else []), Path.cwd() / place]
    added = [folder for folder in sys.path if folder and not folder.startswith((sys.prefix, sys.base_prefix))]
    places = [*tried, *(Path(folder) / Path(place).name for folder in added)]
    try:
        path = next((candidate.resolve() for candidate in places if candidate.is_file()), None)
    except OSError as error:
        raise RegistryError(f"file {place[:80]!r} cannot be looked for: {error.strerror}; give another path") from error
    copied = path is not None and not any(candidate.is_file() for candidate in tried)
    if path is None:
        raise RegistryError(f"there is no file {place!r}; looked at {', '.join(str(p) for p in tried)}")
    main = sys.modules.get("__main__")
    if main is not None and getattr(main, "__file__", None) and Path(main.__file__ or "").resolve() == path:
        return main
    name = f"{_PREFIX}{path.stem}_{digest(place if copied else str(path), 4)}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if copied:
        setattr(module, _ASKED, place)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise _broken(place, error) from error
    return module


def _broken(place: str, error: BaseException) -> RegistryError:
    known = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
    line = known if isinstance(error, SyntaxError) else _last_line(error)
    return RegistryError(f"{place}{line}: {told(error)}")


def _last_line(error: BaseException) -> str:
    trace = error.__traceback__
    line = ""
    while trace is not None:
        if "importlib" not in trace.tb_frame.f_code.co_filename:
            line = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return line
