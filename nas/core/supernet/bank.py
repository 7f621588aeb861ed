"""The largest weights of a supernet, and their slices.

Each place has one tensor per kind of layer, as large as the largest form that was asked for. Channels are slots, each a
prefix of its largest; kernels lie in the middle. A slice of a whole tensor is the tensor itself.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from nas.core.build import make_module
from nas.core.seeds import derive
from nas.core.supernet.forms import Axis, Centre, Form
from nas.core.table import Call

Index: TypeAlias = "tuple[slice | Tensor, ...] | None"
"""Which part of a tensor; None for the whole."""


class Cut(torch.autograd.Function):
    """A part of a tensor, contiguous. Its gradient is zero outside the part."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, index: tuple[slice | Tensor, ...]) -> Tensor:
        ctx.index, ctx.shape = index, whole.shape
        return whole[index].contiguous()

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        full = slope.new_zeros(ctx.shape)
        full[ctx.index] = slope
        return full, None


def cut(whole: Tensor, index: Index) -> Tensor:
    """A part of a tensor, through which gradients flow."""
    return whole if index is None else Cut.apply(whole, index)  # type: ignore[no-untyped-call]


class Most:
    """The largest sizes of one axis: of each slot, in the order in which they came, or of a kernel."""

    def __init__(self) -> None:
        self.slots: dict[str, int] = {}
        self.centre = 0

    def hold(self, axis: Axis) -> bool:
        """Make room for an axis; whether there was too little."""
        if isinstance(axis, Centre):
            grew, self.centre = axis.size > self.centre, max(self.centre, axis.size)
            return grew
        grew = False
        for slot, channels in axis:
            if channels > self.slots.get(slot, 0):
                self.slots[slot] = channels
                grew = True
        return grew

    @property
    def length(self) -> int:
        return self.centre or sum(self.slots.values())

    def whole(self) -> Axis:
        """The largest axis."""
        return Centre(self.centre) if self.centre else tuple(self.slots.items())

    def where(self, axis: Axis) -> slice | Tensor:
        """The part that an axis is."""
        if isinstance(axis, Centre):
            start = (self.centre - axis.size) // 2
            return slice(start, start + axis.size)
        starts, at = {}, 0
        for slot, channels in self.slots.items():
            starts[slot] = at
            at += channels
        ranges = [(starts[slot], starts[slot] + channels) for slot, channels in axis]
        if all(before[1] == after[0] for before, after in pairwise(ranges)):
            return slice(ranges[0][0], ranges[-1][1])
        return torch.cat([torch.arange(start, stop) for start, stop in ranges])


class Bank(nn.Module):
    """Weights by place.

    seed: of the first weights; those of a place depend on the seed, the place and its sizes alone.
    version: rises when a tensor grows, so that what was known of the places of slices is known anew.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.most: dict[str, dict[str, tuple[Most, ...]]] = {}
        self.version = 0
        self._held: set[tuple[str, Form]] = set()
        self._known: dict[tuple[str, Form], tuple[int, dict[str, Index]]] = {}
        self.register_buffer("like", torch.empty(0), persistent=False)  # where new weights go, and of what type

    @property
    def tensor_like(self) -> Tensor:
        """A tensor that lies where the weights do, with their type of numbers."""
        like = self._buffers["like"]
        assert like is not None
        return like

    def hold(self, key: str, form: Form) -> None:
        """Make room for a form at a place. Weights that are there already keep their values."""
        if (key, form) in self._held:
            return
        self._held.add((key, form))
        known = self.most.get(key)
        if known is None:
            known = self.most[key] = {name: tuple(Most() for _ in axes) for name, axes in form.axes.items()}
        before = {name: tuple(most.whole() for most in axes) for name, axes in known.items()}
        grew = [
            most.hold(axis) for name, axes in form.axes.items() for most, axis in zip(known[name], axes, strict=True)
        ]
        if any(grew):
            self.version += 1
            self._grow(key, form, before)

    def _grow(self, key: str, form: Form, before: dict[str, tuple[Axis, ...]]) -> None:
        sizes = {name: tuple(most.length for most in axes) for name, axes in self.most[key].items()}
        for name, drawn in self._fresh(key, form, sizes).items():
            title = f"{key}:{name}"
            buffer = name in form.buffers
            old = (self._buffers if buffer else self._parameters).get(title)
            tensor = drawn.to(self.tensor_like)
            if old is not None:
                index = tuple(m.where(a) for m, a in zip(self.most[key][name], before[name], strict=True))
                with torch.no_grad():
                    tensor[index] = old
            if buffer:
                self._buffers[title] = tensor
            else:
                self._parameters[title] = nn.Parameter(tensor)

    def _fresh(self, key: str, form: Form, sizes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
        """New weights of the largest sizes, drawn as torch draws them."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(self.seed, "supernet", key))
            drawn = form.fresh(sizes)
        return {name: drawn[name].detach().clone() for name in form.axes}

    def user(self, key: str, call: Call) -> nn.Module:
        """The module of a user's class at a place."""
        if key not in self._modules:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(derive(self.seed, "supernet", key))
                module = make_module(call)
            self._modules[key] = module.to(self.tensor_like)
            self.version += 1
        made = self._modules[key]
        assert made is not None
        return made

    def index(self, key: str, form: Form) -> dict[str, Index]:
        """Where the tensors of a form lie in the largest ones."""
        version, known = self._known.get((key, form), (-1, {}))
        if version == self.version:
            return known
        found: dict[str, Index] = {}
        for name, axes in form.axes.items():
            most = self.most[key][name]
            if all(axis == one.whole() for axis, one in zip(axes, most, strict=True)):
                found[name] = None
                continue
            found[name] = tuple(m.where(a) for m, a in zip(most, axes, strict=True))
        self._known[key, form] = self.version, found
        return found

    def tensor(self, key: str, name: str) -> Tensor:
        """The largest tensor."""
        title = f"{key}:{name}"
        found = self._parameters[title] if title in self._parameters else self._buffers[title]
        assert found is not None
        return found

    def numbers(self) -> int:
        """How many numbers are trained."""
        return sum(prod(parameter.shape) for parameter in self.parameters())
