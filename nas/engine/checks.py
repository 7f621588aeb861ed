"""Checks of parts before anything of a run is written: of a user's evaluator, of whether an executor can take it."""

from __future__ import annotations

import inspect

from nas.core.errors import RecipeError
from nas.core.roles import Evaluator, Executor
from nas.engine import faults

MOST = 100_000
"""Largest size that a field of a strategy or executor may have: of a population, a window. More is a slip."""


def whole(value: object, least: int, most: int = MOST) -> str:
    """'' for a whole number from `least` to `most`, else what was expected."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        return f"expected a whole number of at least {least}"
    return f"expected at most {most:,}" if value > most else ""


_KEYWORDS = {
    "writes_files": ("folder",),
    "knows_stage": ("stage",),
    "reports": ("report",),
    "continues": ("before", "spent", "checkpoint"),
}
"""What an evaluator says of itself, and which keywords `evaluate` then takes."""


def check_evaluator(evaluator: Evaluator) -> None:
    """Refuse an evaluator that would fail each of its trials: methods that are missing, or take other arguments.

    Raises: RecipeError naming the evaluator, the method and what it takes.
    """
    who = f"evaluator {faults.name(evaluator)}"
    for method in ("evaluate", "metrics", "fingerprint"):
        if not callable(getattr(evaluator, method, None)):
            raise RecipeError(f"{who} has no method {method}(); expected evaluate, metrics and fingerprint")
    extra = [keyword for flag, keywords in _KEYWORDS.items() if getattr(evaluator, flag, False) for keyword in keywords]
    _takes(who, evaluator, "metrics", (), [])
    _takes(who, evaluator, "fingerprint", (), [])
    _takes(who, evaluator, "evaluate", ("candidate", "budget", "seed"), extra)


def check_executor(executor: Executor, evaluator: Evaluator) -> None:
    """Refuse an executor that cannot take this evaluator, where it has a method `check` that can tell beforehand.

    Raises: RecipeError, as `start` would.
    """
    check = getattr(executor, "check", None)
    if check is not None:
        check(evaluator)


def _takes(who: str, evaluator: Evaluator, method: str, names: tuple[str, ...], extra: list[str]) -> None:
    try:
        signature = inspect.signature(getattr(evaluator, method))
    except (TypeError, ValueError):  # written in C, which does not say
        return
    try:
        signature.bind(*names, **dict.fromkeys(extra))
    except TypeError as error:
        call = ", ".join([*names, *(f"{name}=…" for name in extra)])
        raise RecipeError(
            f"{who}: {method}{signature} cannot be called as {method}({call}), as the search does: {error}"
        ) from error
