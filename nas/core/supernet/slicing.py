"""From the largest weights to those of one candidate, as `nas.core.supernet.sharing` declares it."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.core.supernet.bank import Bank, Index, cut
from nas.core.supernet.forms import Axis, Form, Mode, Weights
from nas.core.supernet.layouts import single
from nas.core.supernet.sharing import Elastic, Mixture

Indices = dict[str, Index]


class Slices:
    """Slices of one largest weight per layer. encoding: the length of candidates' encodings."""

    def __init__(self, policy: Elastic, encoding: int) -> None:
        self.policy, self.encoding = policy, encoding

    def hold(self, bank: Bank, key: str, form: Form) -> None:
        """Make room for a form."""
        bank.hold(key, form)

    def index(self, bank: Bank, key: str, form: Form) -> Indices:
        """Where the weights of a form lie."""
        return bank.index(key, form)

    def weights(self, bank: Bank, key: str, form: Form, index: Indices, encoding: Tensor) -> Weights:
        """The trained weights of a form for the candidate with this encoding."""
        return {name: cut(bank.tensor(key, name), index[name]) for name in form.axes if name not in form.buffers}


class Experts(Slices):
    """Slices of several largest weights, summed with the gates of a router, where the policy mixes."""

    policy: Mixture

    def hold(self, bank: Bank, key: str, form: Form) -> None:
        if not self.policy.mixes(key, form):
            super().hold(bank, key, form)
            return
        bank.hold(key, _stacked(self.policy, form))
        bank.hold(f"{key}:router", _router(self.policy, form, self.encoding))

    def index(self, bank: Bank, key: str, form: Form) -> Indices:
        if not self.policy.mixes(key, form):
            return super().index(bank, key, form)
        found = dict(bank.index(key, _stacked(self.policy, form)))
        if self.policy.routing == "neuron":
            router = bank.index(f"{key}:router", _router(self.policy, form, self.encoding))
            found |= {f"router {name}": router[name] for name in ("out.weight", "out.bias")}
        return found

    def weights(self, bank: Bank, key: str, form: Form, index: Indices, encoding: Tensor) -> Weights:
        if not self.policy.mixes(key, form):
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

    def gates(self, bank: Bank, key: str, index: Indices, encoding: Tensor) -> Tensor:
        """The gates of a layer, (experts,) or (rows, experts); they sum to one over the experts."""
        router = f"{key}:router"
        given = torch.full_like(encoding, 0.5) if self.policy.router_input == "constant" else encoding
        inner = F.relu(F.linear(given, bank.tensor(router, "in.weight"), bank.tensor(router, "in.bias")))
        weight = cut(bank.tensor(router, "out.weight"), index.get("router out.weight"))
        bias = cut(bank.tensor(router, "out.bias"), index.get("router out.bias"))
        return torch.softmax(weight @ inner + bias, dim=-1)


def slices_of(policy: Elastic, encoding: int) -> Slices:
    """What does what a policy says."""
    return Experts(policy, encoding) if isinstance(policy, Mixture) else Slices(policy, encoding)


@cache
def _stacked(policy: Mixture, form: Form) -> Form:
    """The same layer with a first axis of experts."""
    axes = {name: (single(policy.experts), *axes) for name, axes in form.axes.items()}

    def fresh(sizes: dict[str, tuple[int, ...]]) -> Weights:
        one = {name: size[1:] for name, size in sizes.items()}
        drawn = [form.fresh(one) for _ in range(policy.experts)]
        if policy.start == "independent":
            return {name: torch.stack([d[name] for d in drawn]) for name in form.axes}
        found = {}
        for name in form.axes:
            first = drawn[0][name]
            spread = policy.noise * first.std(correction=0)
            found[name] = torch.stack([first + spread * torch.randn_like(first) for _ in drawn])
        return found

    return Form(form.kind, axes, fresh, form.run)


@cache
def _router(policy: Mixture, form: Form, encoding: int) -> Form:
    rows: tuple[Axis, ...] = (form.axes["weight"][0],) if policy.routing == "neuron" else ()
    axes: dict[str, tuple[Axis, ...]] = {
        "in.weight": (single(policy.hidden), single(encoding)),
        "in.bias": (single(policy.hidden),),
        "out.weight": (*rows, single(policy.experts), single(policy.hidden)),
        "out.bias": (*rows, single(policy.experts)),
    }

    def fresh(sizes: dict[str, tuple[int, ...]]) -> Weights:
        first = nn.Linear(encoding, policy.hidden)
        last = nn.Linear(policy.hidden, sizes["out.bias"][0] * policy.experts if rows else policy.experts)
        return {
            "in.weight": first.weight,
            "in.bias": first.bias,
            "out.weight": last.weight.view(sizes["out.weight"]),
            "out.bias": last.bias.view(sizes["out.bias"]),
        }

    return Form("router", axes, fresh, _no_call)


def _no_call(x: Tensor, weights: Weights, mode: Mode) -> Tensor:
    raise AssertionError("a router is not a layer of the network")  # pragma: no cover - it is never asked to run
