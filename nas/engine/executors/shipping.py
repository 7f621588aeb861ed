"""Evaluators as bytes that another process can read, wherever their classes were defined.

Classes of an interactive session or of a script are sent whole, by cloudpickle. Classes of a user's file that the
engine loaded by its path are sent as that path, and the other side loads the file again.
"""

from __future__ import annotations

import io
import pickle
import types
from typing import Any

import cloudpickle

from nas.core.errors import RecipeError
from nas.core.imports import load_object, spell_object


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def reducer_override(self, obj: Any) -> Any:
        text = _file_text(obj) if isinstance(obj, type | types.FunctionType) else None
        return (load_object, (text,)) if text is not None else super().reducer_override(obj)


def _file_text(thing: Any) -> str | None:
    """`path/file.py:name` of a class or function from a file that was loaded by its path, else None."""
    if thing.__module__ in (None, "__main__") or "<" in thing.__qualname__:
        return None
    text = spell_object(thing)
    return text if ".py:" in text else None


def pack(evaluator: Any) -> bytes:
    """The evaluator as bytes. Raises RecipeError when it holds something that cannot be sent."""
    stream = io.BytesIO()
    try:
        _Pickler(stream, protocol=pickle.HIGHEST_PROTOCOL).dump(evaluator)
    except Exception as error:
        raise RecipeError(
            f"evaluator {type(evaluator).__name__} cannot be sent to a worker process ({type(error).__name__}: "
            f"{error}); keep only plain values in its fields and open what it needs in evaluate(), or set "
            "in_process = True"
        ) from error
    return stream.getvalue()


unpack = pickle.loads
