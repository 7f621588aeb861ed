"""Weights: how the decisions of a candidate become the weights of a layer. One of three choices of a supernet.

- `Separate`: a layer of another form has weights of its own.
- `Elastic`: all forms of a layer are slices of one largest weight.
- `Mixture`: slices of several largest weights, combined by gates that a router computes from the candidate's encoding.
- `Balanced`: several whole sets of elastic weights; each candidate is assigned to one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.core.errors import RecipeError, nearest
from nas.core.registry import register
from nas.core.supernet.bank import Bank, Index, cut
from nas.core.supernet.forms import Axis, Form, Mode, Weights
from nas.core.supernet.layouts import single
from nas.core.values import digest


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

    def hold(self, bank: Bank, key: str, form: Form, encoding: int) -> None:
        """Make room for a form. encoding: the length of candidates' encodings."""
        bank.hold(key, form)

    def index(self, bank: Bank, key: str, form: Form) -> dict[str, Index]:
        """Where the weights of a form lie."""
        return bank.index(key, form)

    def weights(self, bank: Bank, key: str, form: Form, index: dict[str, Index], encoding: Tensor) -> Weights:
        """The trained weights of a form for the candidate with this encoding; those of norms too."""
        return {name: cut(bank.tensor(key, name), index[name]) for name in form.axes if name not in form.buffers}


@register("weights", "separate")
@dataclass(frozen=True)
class Separate(Elastic):
    """A layer of another form, of another width or kernel, has weights of its own."""

    def key(self, site: str, form: Form) -> str:
        return f"{site}:{form.kind}:{digest(repr(sorted(form.axes.items())))[:12]}"


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
        for name in ("experts", "hidden"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise RecipeError(f"weights mixture: {name} is {value!r}; expected a whole number above 0")
        if self.start == "copies" and not self.noise > 0:
            raise RecipeError(
                f"weights mixture: noise is {self.noise!r}; experts that start as equal copies never part, since their "
                "router's gradient is exactly zero; expected a number above 0"
            )

    def mixes(self, key: str, form: Form) -> bool:
        """Whether a layer has experts."""
        mixable = form.kind.partition(" ")[0] in ("conv", "depthwise", "linear")
        return mixable and fnmatchcase(key.partition(":")[0], self.layers)

    def hold(self, bank: Bank, key: str, form: Form, encoding: int) -> None:
        if not self.mixes(key, form):
            bank.hold(key, form)
            return
        bank.hold(key, self._experts(form))
        bank.hold(f"{key}:router", self._router(form, encoding))

    def index(self, bank: Bank, key: str, form: Form) -> dict[str, Index]:
        if not self.mixes(key, form):
            return bank.index(key, form)
        found = bank.index(key, self._experts(form))
        if self.routing == "neuron":
            router = bank.index(f"{key}:router", self._router(form, 1))
            found |= {f"router {name}": router[name] for name in ("out.weight", "out.bias")}
        return found

    def weights(self, bank: Bank, key: str, form: Form, index: dict[str, Index], encoding: Tensor) -> Weights:
        if not self.mixes(key, form):
            return super().weights(bank, key, form, index, encoding)
        gates = self.gates(bank, key, index, encoding)
        found = {}
        for name in form.axes:
            experts = cut(bank.tensor(key, name), index[name])  # (experts, rows, …)
            if gates.dim() == 1:
                found[name] = (gates @ experts.flatten(1)).view(experts.shape[1:])
            else:
                wide = gates.t().reshape(*experts.shape[:2], *(1,) * (experts.dim() - 2))
                found[name] = (wide * experts).sum(0)
        return found

    def gates(self, bank: Bank, key: str, index: dict[str, Index], encoding: Tensor) -> Tensor:
        """The gates of a layer, (experts,) or (rows, experts); they sum to one over the experts."""
        router = f"{key}:router"
        given = torch.full_like(encoding, 0.5) if self.router_input == "constant" else encoding
        inner = F.relu(F.linear(given, bank.tensor(router, "in.weight"), bank.tensor(router, "in.bias")))
        weight = cut(bank.tensor(router, "out.weight"), index.get("router out.weight"))
        bias = cut(bank.tensor(router, "out.bias"), index.get("router out.bias"))
        return torch.softmax(weight @ inner + bias, dim=-1)

    @cache  # noqa: B019 - few of these objects are ever made
    def _experts(self, form: Form) -> Form:
        """The same layer with a first axis of experts."""
        axes = {name: (single(self.experts), *axes) for name, axes in form.axes.items()}

        def fresh(sizes: dict[str, tuple[int, ...]]) -> Weights:
            one = {name: size[1:] for name, size in sizes.items()}
            drawn = [form.fresh(one) for _ in range(self.experts)]
            if self.start == "independent":
                return {name: torch.stack([d[name] for d in drawn]) for name in form.axes}
            found = {}
            for name in form.axes:
                first = drawn[0][name]
                spread = self.noise * first.std(correction=0)
                found[name] = torch.stack([first + spread * torch.randn_like(first) for _ in drawn])
            return found

        return Form(form.kind, axes, fresh, form.run)

    @cache  # noqa: B019
    def _router(self, form: Form, encoding: int) -> Form:
        rows: tuple[Axis, ...] = (form.axes["weight"][0],) if self.routing == "neuron" else ()
        axes: dict[str, tuple[Axis, ...]] = {
            "in.weight": (single(self.hidden), single(encoding)),
            "in.bias": (single(self.hidden),),
            "out.weight": (*rows, single(self.experts), single(self.hidden)),
            "out.bias": (*rows, single(self.experts)),
        }

        def fresh(sizes: dict[str, tuple[int, ...]]) -> Weights:
            first = nn.Linear(encoding, self.hidden)
            last = nn.Linear(self.hidden, sizes["out.bias"][0] * self.experts if rows else self.experts)
            return {
                "in.weight": first.weight,
                "in.bias": first.bias,
                "out.weight": last.weight.view(sizes["out.weight"]),
                "out.bias": last.bias.view(sizes["out.bias"]),
            }

        return Form("router", axes, fresh, _no_call)


def _no_call(x: Tensor, weights: Weights, mode: Mode) -> Tensor:
    raise AssertionError("a router is not a layer of the network")  # pragma: no cover - it is never asked to run


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
        if not isinstance(self.sets, int) or isinstance(self.sets, bool) or self.sets < 1:
            raise RecipeError(f"weights balanced: sets is {self.sets!r}; expected a whole number above 0")
        if self.assignment not in ("learned", "random"):
            raise RecipeError(
                f"weights balanced: assignment is {self.assignment!r}; "
                f"{nearest(self.assignment, ('learned', 'random'))}"
            )
