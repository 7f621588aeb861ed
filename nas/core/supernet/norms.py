"""Statistics: which batch norm a value meets. One of three choices of a supernet."""

from __future__ import annotations

from dataclasses import dataclass

from nas.core.errors import RecipeError, nearest
from nas.core.registry import register
from nas.core.supernet.layouts import Value


@register("statistics", "shared")
@dataclass(frozen=True)
class Shared:
    """One batch norm per place, whatever arrives.

    recalibrate: batches on which the statistics of a candidate are gathered anew before it is evaluated; 0: those of
        the training are used, which are a mixture of all candidates'.
    """

    recalibrate: int = 4

    def __post_init__(self) -> None:
        """Raises RecipeError naming the field."""
        if not isinstance(self.recalibrate, int) or isinstance(self.recalibrate, bool) or self.recalibrate < 0:
            raise RecipeError(f"statistics: recalibrate is {self.recalibrate!r}; expected a whole number of 0 or more")

    def name(self, value: Value) -> str:
        """What is added to the name of the batch norm that this value meets."""
        return ""


@register("statistics", "shadow")
@dataclass(frozen=True)
class Shadow(Shared):
    """A batch norm for each number of paths that were merged, with scales and statistics of its own.

    by: 'count', the number of paths; or 'paths', which of them. A path that is an identity counts.

    Reference: Chu et al. 2023, MixPath, arXiv:2001.05887. Differs: a path is anything that a merge takes, and the paths
    are counted from one batch norm to the next.
    """

    recalibrate: int = 0
    by: str = "count"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by not in ("count", "paths"):
            raise RecipeError(f"statistics shadow: by is {self.by!r}; {nearest(self.by, ('count', 'paths'))}")

    def name(self, value: Value) -> str:
        if self.by == "paths":
            return f"@{value.names}" if value.names else ""
        return f"@{value.count}" if value.count > 1 else ""
