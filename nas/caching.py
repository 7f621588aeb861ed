"""The key `cache` of a recipe: which measurements are used again, and with whom they are shared.

cache: true                          within the run, by exact keys and, where evaluations are dear, by function
cache: false                         not at all
cache: shared.sqlite                 a file, or a database URL: also with other runs
cache: {at: shared.sqlite, functional: auto, aggregate: 1, forget: 0.0}
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from nas.core.errors import RecipeError, StoreError, nearest
from nas.core.records import Constraint, Objective
from nas.core.roles import Cache, Evaluator
from nas.engine.reuse import Reuse, functional_metrics

EXPECTED = "true, false, a file such as cache.sqlite, a database URL, or a mapping as {at: cache.sqlite, aggregate: 3}"


class Caching(BaseModel):
    """`cache`, as a mapping.

    at: the shared cache; None for this run alone. functional: whether candidates that do the same on a probe are one,
    'auto' where an evaluation costs more than a probe. aggregate, forget: `nas.engine.reuse.Reuse`.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    at: str | None = None
    functional: Any = "auto"
    aggregate: Annotated[int, Field(ge=1)] = 1
    forget: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0

    @field_validator("at", mode="before")
    @classmethod
    def _a_place(cls, given: Any) -> Any:
        from results.cache import check_place

        if isinstance(given, str | Path):
            try:
                check_place(given)
            except StoreError as error:
                raise ValueError(str(error)) from None
            return str(given)
        if given is not None:
            raise ValueError(f"{given!r} is no place for a cache; expected a file such as cache.sqlite, or a URL")
        return given

    @field_validator("functional")
    @classmethod
    def _yes_or_no(cls, given: Any) -> Any:
        if given is not True and given is not False and given != "auto":
            raise ValueError(f"{given!r} says nothing; {nearest(given, ('auto', 'false', 'true'))}")
        return given


def mapping_of(given: Any) -> Any:
    """What a recipe may say under `cache` as a mapping; None for false. Raises ValueError for what means nothing."""
    if given is True:
        return {}
    if given is False:
        return None
    if isinstance(given, Caching) or (isinstance(given, Mapping) and all(isinstance(key, str) for key in given)):
        return given
    if isinstance(given, str | Path):
        return {"at": given}
    raise ValueError(f"{given!r} is not what it takes; expected {EXPECTED}")


@dataclass(frozen=True)
class Decided:
    """What a search does about known candidates.

    at: the shared cache. text: all this for a person. warning: what was asked for and cannot be, or ''.
    """

    reuse: Reuse | None
    at: str | None
    text: str
    warning: str = ""

    def spec(self) -> Any:
        """As a recipe says it, with every default."""
        if self.reuse is None:
            return False
        shared = {"at": self.at} if self.at is not None else {}
        reuse = self.reuse
        return {**shared, "functional": reuse.functional, "aggregate": reuse.aggregate, "forget": reuse.forget}


def decide(
    caching: Caching | None,
    evaluator: Evaluator,
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint],
    computed: Collection[str],
) -> Decided:
    """Which candidates count as known.

    A hit by function takes what belongs to the function (`Metric.of`); what depends on the graph it has only as far as
    that is computed for every candidate. Where goals or bounds need more than that, functional keys are of no use.

    computed: names of the costs that are.
    """
    if caching is None:
        return Decided(None, None, "off: every proposal is evaluated")
    needs = {*(o.name for o in objectives), *(c.name for c in constraints)} - functional_metrics(evaluator)
    lacking = sorted(needs - set(computed))
    asked = caching.functional is True
    wanted = asked or (caching.functional == "auto" and not getattr(evaluator, "in_process", False))
    functional = wanted and not lacking
    at = _absolute(caching.at)
    shown = _shown(at)
    where = f"shared with other runs in {shown}" if shown is not None else "within this run"
    text = f"{where}, by {'exact and functional' if functional else 'exact'} keys"
    why = f"{', '.join(lacking)} may differ between networks that compute the same"
    if wanted and lacking and not asked:
        text += f" ({why})"
    if caching.aggregate > 1:
        text += f", the mean of up to {caching.aggregate} evaluations"
    if caching.forget:
        text += f", forgotten with probability {caching.forget:g}"
    warning = f"cache: functional keys are not used in this search, as {why}" if asked and lacking else ""
    return Decided(Reuse(functional, caching.aggregate, caching.forget), at, text, warning)


def _absolute(at: str | None) -> str | None:
    return at if at is None or "://" in at else str(Path(at).expanduser().absolute())


def _shown(at: str | None) -> str | None:
    """A place without the password that it may hold."""
    from results.database import locate

    if at is None or "://" not in at:
        return at
    return locate(at)[0].render_as_string(hide_password=True)


def open_cache(at: str | None, report: Callable[[str], None]) -> Cache | None:
    """The shared cache, made if it is a file that is not there. Raises StoreError with the way out."""
    if at is None:
        return None
    from results.cache import SqlCache

    try:
        return SqlCache(at, report)
    except StoreError as error:
        raise StoreError(
            f"{error} (the recipe's cache). A run that has begun goes on without it: nas resume RUN --set cache=true"
        ) from error


def check_cache(at: str | None) -> None:
    """Refuse a shared cache that cannot be used; one that is not there yet is made when the search begins."""
    if at is None:
        return
    if not is_gone(at):
        cache = open_cache(at, lambda text: None)
        assert cache is not None
        cache.close()
    elif not Path(at).parent.is_dir():
        raise RecipeError(f"cache {at!r} cannot be made: there is no folder {str(Path(at).parent)!r}; make it first")


def is_gone(at: str | None) -> bool:
    """Whether a shared cache is a file that is not there."""
    return at is not None and "://" not in at and not Path(at).exists()


def changed(before: Any, now: Any) -> Any:
    """What `cache` is when it changes in a run that has begun: only the place may, as the rest changes what is told.

    before: as the run's recipe has it: false, or a mapping with every key. Raises RecipeError.
    """
    try:
        asked = mapping_of(now)
    except ValueError as error:
        raise RecipeError(f"cache: {error}") from None
    old = mapping_of(before)
    differs = (asked is None) != (old is None) or any(
        key != "at" and old.get(key) != value for key, value in (asked or {}).items()
    )
    if differs:
        raise RecipeError(
            f"cache {now!r} cannot be in a run that has begun with {before!r}: other trials would be proposed from now "
            "on; only its place can change, as in cache=other.sqlite, or cache=true for none"
        )
    if asked is None:
        return False
    return {**{key: value for key, value in old.items() if key != "at"}, **asked}
