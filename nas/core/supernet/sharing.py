"""Weights: how the decisions of a candidate become the weights of a layer. One of three choices of a supernet.

- `Elastic`: all forms of a layer are slices of one largest weight.
- `Separate`: a layer of another form has weights of its own.
- `Mixture`: slices of several largest weights, combined by gates that a router computes from the candidate's encoding.
- `Balanced`: several whole sets of elastic weights; each candidate is assigned to one of them.

These are declarations; `nas.core.supernet.slicing` does what they say.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isfinite
from typing import TYPE_CHECKING, ClassVar

from nas.core.errors import RecipeError, nearest
from nas.core.registry import register
from nas.core.values import digest

if TYPE_CHECKING:
    from nas.core.supernet.forms import Form


@register("weights", "elastic")
@dataclass(frozen=True)
class Elastic:
    """All forms of a layer are slices of one largest weight: prefixes of channels, middles of kernels.

    Reference: Cai et al. 2020, Once-for-All, arXiv:1908.09791 (without its kernel transforms).
    """

    sets: ClassVar[int] = 1

    def key(self, site: str, form: Form) -> str:
        """Under which name the weights of a layer are kept."""
        return f"{site}:{form.kind}"

    def mixes(self, key: str, form: Form) -> bool:
        """Whether the layer of this name has experts."""
        return False


@register("weights", "separate")
@dataclass(frozen=True)
class Separate(Elastic):
    """A layer of another form, of another width or kernel, has weights of its own."""

    def key(self, site: str, form: Form) -> str:
        return f"{site}:{form.kind}:{digest(repr(sorted(form.axes.items())))[:12]}"


MOST = 256
"""Most experts of a layer."""
MOST_SETS = 64
"""Most whole sets of weights."""

ROUTINGS = ("layer", "neuron")
ROUTER_INPUTS = ("architecture", "constant")
STARTS = ("independent", "copies")


@register("weights", "mixture")
@dataclass(frozen=True)
class Mixture(Elastic):
    """Mixture of Supernets: slices of `experts` largest weights, summed with gates that a router computes.

    routing: 'layer' has one gate per expert and layer, 'neuron' one per expert and output channel. hidden: width of the
        router. layers: which convolutions and linear layers are mixed, a pattern of their places such as 'stage1/*'.
    router_input: 'architecture', or 'constant' (a control: the gates know nothing of the candidate).
    start: 'independent' draws each expert anew; 'copies' starts them equal but for `noise` times their spread, since
        experts that are equal never part: their router's gradient is exactly zero.

    Reference: Jawahar et al. 2024, Mixture-of-Supernets, arXiv:2306.04845. Differs: any layer of any space is mixed,
    and each has a router of its own; the encoding is the space's own, in which no two candidates are equal; no dropout
    in the router.
    """

    experts: int = 4
    routing: str = "layer"
    hidden: int = 64
    layers: str = "*"
    router_input: str = "architecture"
    start: str = "independent"
    noise: float = 0.1

    def __post_init__(self) -> None:
        """Raises RecipeError naming the field."""
        for name, legal in (("routing", ROUTINGS), ("router_input", ROUTER_INPUTS), ("start", STARTS)):
            if getattr(self, name) not in legal:
                raise RecipeError(
                    f"weights mixture: {name} is {getattr(self, name)!r}; {nearest(getattr(self, name), legal)}"
                )
        for name, most in (("experts", MOST), ("hidden", 65_536)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                raise RecipeError(f"weights mixture: {name} is {value!r}; expected a whole number from 1 to {most:,}")
        if not isinstance(self.layers, str):
            raise RecipeError(
                f"weights mixture: layers is {self.layers!r}; expected a pattern of places such as 'stage1/*'"
            )
        number = isinstance(self.noise, int | float) and not isinstance(self.noise, bool) and isfinite(self.noise)
        if not number or self.noise < 0:
            raise RecipeError(f"weights mixture: noise is {self.noise!r}; expected a number of at least 0")
        if self.start == "copies" and not self.noise > 0:
            raise RecipeError(
                f"weights mixture: noise is {self.noise!r}; experts that start as equal copies never part, since their "
                "router's gradient is exactly zero; expected a number above 0"
            )

    def mixes(self, key: str, form: Form) -> bool:
        mixable = form.kind.partition(" ")[0] in ("conv", "depthwise", "linear")
        return mixable and fnmatchcase(key.partition(":")[0], self.layers)


@register("weights", "balanced")
@dataclass(frozen=True)
class Balanced(Elastic):
    """Balanced Mixture of SuperNets: `sets` whole sets of elastic weights; each candidate uses one at a time.

    The training assigns candidates to sets, with equal shares (`evaluators.supernet.balance`). assignment: 'learned',
    or 'random' (a control: a fixed assignment that is balanced but knows nothing).

    Reference: Javan Roshtkhari et al. 2023, Balanced Mixture of SuperNets, arXiv:2306.11982.
    """

    sets: int = 4  # type: ignore[misc]
    assignment: str = "learned"

    def __post_init__(self) -> None:
        """Raises RecipeError naming the field."""
        if not isinstance(self.sets, int) or isinstance(self.sets, bool) or not 1 <= self.sets <= MOST_SETS:
            raise RecipeError(f"weights balanced: sets is {self.sets!r}; expected a whole number from 1 to {MOST_SETS}")
        if self.assignment not in ("learned", "random"):
            raise RecipeError(
                f"weights balanced: assignment is {self.assignment!r}; "
                f"{nearest(self.assignment, ('learned', 'random'))}"
            )
