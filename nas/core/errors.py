"""Every error of the engine, as one tree.

    NASError
    ├── GraphError(ValueError)         a graph or a part of a space that cannot exist
    │   └── ShapeError                 operands whose shapes do not fit
    ├── NotInSpaceError(ValueError)    decisions or a spelling that a space does not contain
    ├── RecipeError(ValueError)        a request that is wrong before anything runs
    ├── RegistryError(LookupError)     a name that is unknown, or registered twice
    ├── DataError(ValueError)          data that is missing, damaged or does not fit the request
    ├── EvaluationError(RuntimeError)  an evaluation that broke; the controller records it and goes on
    ├── StrategyError(RuntimeError)    a strategy that broke, or proposed what is no candidate of the space
    ├── StoreError(RuntimeError)       a run's database that cannot be used
    └── ExportError(RuntimeError)      a network that could not be written or did not reload equal

One warning, DamageWarning, stands beside it. A message has four parts: what was expected, what came, where, and the
way out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NASError(Exception):
    """Base of all errors that the engine raises on purpose; the command line shows them without a traceback."""


class GraphError(NASError, ValueError):
    """A graph, or a part of a space, that cannot exist."""


class ShapeError(GraphError):
    """Operands whose shapes do not fit an operation."""


class NotInSpaceError(NASError, ValueError):
    """Decisions, or a spelling, that the space does not contain."""


class RecipeError(NASError, ValueError):
    """A request that is wrong before anything runs."""


class RegistryError(NASError, LookupError):
    """A name that is unknown, or that is registered twice."""


class DataError(NASError, ValueError):
    """Data that is missing, damaged, or does not fit the request."""


class EvaluationError(NASError, RuntimeError):
    """An evaluation that broke: a fact about the attempt, not about the candidate's worth."""


class StrategyError(NASError, RuntimeError):
    """A strategy that broke, or that proposed what is no candidate of the space: the search cannot go on."""


class StoreError(NASError, RuntimeError):
    """A run's database that cannot be read or written."""


class ExportError(NASError, RuntimeError):
    """A network that could not be written, or that did not reload with equal outputs."""


class DamageWarning(UserWarning):
    """Something in a run's database is damaged and left out; the rest of it is used."""


def nearest(value: object, names: Iterable[object]) -> str:
    """A half sentence that ends an error message: the nearest legal name and the legal names.

    >>> nearest("nsag2", ["random", "nsga2"])
    "did you mean 'nsga2'? legal: 'nsga2', 'random'"
    """
    legal = sorted({str(name) for name in names})
    close = difflib.get_close_matches(str(value), legal, n=1, cutoff=0.6)
    shown = ", ".join(repr(name) for name in legal[:20]) + (f", … ({len(legal)} in all)" if len(legal) > 20 else "")
    start = f"did you mean {close[0]!r}? " if close else ""
    return f"{start}legal: {shown}" if legal else "there is no name to choose from"


def message_of(error: BaseException) -> str:
    """An exception's message in one line; a message that cannot be made does not hide the exception itself."""
    try:
        return " ".join(str(error).split())
    except Exception as other:
        return f"(its message cannot be shown: __str__ raises {type(other).__name__})"


def told(error: BaseException) -> str:
    """What another's code raised, in one line, whatever its text is.

    >>> told(ValueError("a\\nb")), told(SystemExit(0))
    ('ValueError: a b', 'it called sys.exit(0) or exit(), which would end this program; take that call out')
    """
    text = message_of(error)
    if isinstance(error, SystemExit):
        return f"it called sys.exit({text}) or exit(), which would end this program; take that call out"
    return f"{type(error).__name__}: {text}".removesuffix(": ")
