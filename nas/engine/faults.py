"""What went wrong in a user's code, in words: the reason, the line, and the name of the part it happened in."""

from __future__ import annotations

import inspect
import traceback
from pathlib import Path
from typing import Any

from nas.core.errors import NASError, message_of
from nas.core.imports import spell_object


def one_line(error: BaseException) -> str:
    """An exception as a reason: its message, with its type where the engine did not raise it on purpose."""
    text = message_of(error)
    if isinstance(error, NASError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def story(error: BaseException) -> str:
    """The traceback of an exception."""
    return "".join(traceback.format_exception(error))


def name(part: Any) -> str:
    """`path/file.py:Class` of a part of a user's own, `package.module:Class` of another."""
    kind = type(part)
    try:
        return spell_object(kind)
    except (NASError, AttributeError):  # a class of an interactive session, or inside a function
        return str(kind.__qualname__)


def line(part: Any, error: BaseException) -> str:
    """' (file.py, line 3)': the innermost line of the part's own file, or the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    try:
        file: str | None = inspect.getfile(type(part))
    except (OSError, TypeError):
        file = None
    own = [frame for frame in frames if frame.filename == file] or frames[1:]  # the first is where it was called
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def shown(value: object) -> str:
    """`5, an int`: a value that is not what was expected, at most 80 characters of it."""
    kind = type(value).__name__
    if value is None:
        return "None"
    try:
        text = repr(value)
    except Exception as error:
        text = f"something whose repr raises {type(error).__name__}"
    return f"{text if len(text) <= 80 else text[:80] + '…'}, {'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"
