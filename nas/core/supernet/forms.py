"""Layers with weights, as a supernet sees them: which axes their tensors have, and the one torch call that they are.

This is all that a supernet knows of single layers. Blocks are made of them, so it needs to know no block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeAlias

import torch.nn.functional as F
from torch import Tensor, nn

from nas.core.lower import Step
from nas.core.modules import Position
from nas.core.supernet.layouts import Layout, depthwise, single
from nas.core.table import Call


@dataclass(frozen=True)
class Centre:
    """An axis of a kernel: smaller kernels lie in the middle of the largest."""

    size: int


Axis: TypeAlias = "Layout | Centre"
"""An axis of channels by slots, each a prefix of its largest, or of a kernel."""

Weights: TypeAlias = "dict[str, Tensor]"


@dataclass(frozen=True)
class Mode:
    """How layers run that behave differently while training.

    training: dropout drops. batch: batch norms use the batch's statistics and note them with this momentum; None: they
    use those that were noted.
    """

    training: bool
    batch: float | None


TRAINING = Mode(True, 0.1)
EVALUATING = Mode(False, None)


@dataclass(frozen=True, eq=False)
class Form:
    """A layer with weights under some decisions.

    kind: layers of one place with the same kind share weights. axes: tensor → its axes. buffers: those of them that
    are not trained. fresh: from the largest sizes, tensor → shape, new tensors as torch draws them. run: the call, on
    the operand and the weights of these sizes. exact: it has no smaller form, and why.
    """

    kind: str
    axes: dict[str, tuple[Axis, ...]]
    fresh: Callable[[dict[str, tuple[int, ...]]], Weights]
    run: Callable[[Tensor, Weights, Mode], Tensor]
    buffers: tuple[str, ...] = ()
    exact: str = ""

    @cached_property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor."""
        return {name: tuple(map(length, axes)) for name, axes in self.axes.items()}


def length(axis: Axis) -> int:
    """How long an axis is."""
    return axis.size if isinstance(axis, Centre) else sum(channels for _, channels in axis)


def form_of(step: Step, arrives: Layout, outgoing: Layout) -> Form | None:
    """The form of a layer with weights; None for one without, and for a module of the user's own."""
    if step.call.target not in _FORMS:
        return None
    return _form(step.call, arrives, outgoing, step.call.target == "nn.Conv2d" and depthwise(step))


@cache
def _form(call: Call, arrives: Layout, outgoing: Layout, by_channel: bool) -> Form:
    """One object for equal forms, so that what is known of one can be looked up by it."""
    return _FORMS[call.target](call, arrives, outgoing, by_channel)


def _state(module: nn.Module) -> Weights:
    return dict(module.state_dict())


def _pair(value: Any) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _conv2d(call: Call, arrives: Layout, outgoing: Layout, by_channel: bool) -> Form:
    channels, width, kernel = call.args
    settings: dict[str, Any] = dict(call.kwargs)
    biased = settings.pop("bias", True)
    groups = settings.get("groups", 1)
    kh, kw = _pair(kernel)
    kind, exact, rows, columns = "conv", "", outgoing, arrives
    if by_channel:
        kind, rows, columns = "depthwise", arrives, single(1)
    elif groups != 1:
        kind, rows, columns = f"conv {channels}>{width} in {groups}", single(width), single(channels // groups)
        exact = f"a convolution in {groups} groups"
    axes: dict[str, tuple[Axis, ...]] = {"weight": (rows, columns, Centre(kh), Centre(kw))}
    if biased:
        axes["bias"] = (rows,)

    def fresh(sizes: dict[str, tuple[int, ...]]) -> Weights:
        out, into, *most = sizes["weight"]
        split = out if by_channel else groups
        return _state(nn.Conv2d(into * split, out, (most[0], most[1]), groups=split, bias=biased))

    def run(x: Tensor, weights: Weights, mode: Mode) -> Tensor:
        return F.conv2d(x, weights["weight"], weights.get("bias"), **settings)

    return Form(kind, axes, fresh, run, exact=exact)


def _linear(call: Call, arrives: Layout, outgoing: Layout, _: bool) -> Form:
    biased = bool(call.kwargs.get("bias", True))
    axes: dict[str, tuple[Axis, ...]] = {"weight": (outgoing, arrives)}
    if biased:
        axes["bias"] = (outgoing,)

    def run(x: Tensor, weights: Weights, mode: Mode) -> Tensor:
        return F.linear(x, weights["weight"], weights.get("bias"))

    def fresh(sizes: dict[str, tuple[int, ...]]) -> Weights:
        width, channels = sizes["weight"]
        return _state(nn.Linear(channels, width, bias=biased))

    return Form("linear", axes, fresh, run)


def _batch_norm(call: Call, arrives: Layout, outgoing: Layout, _: bool) -> Form:
    names = ("weight", "bias", "running_mean", "running_var")

    def run(x: Tensor, weights: Weights, mode: Mode) -> Tensor:
        mean, var = weights["running_mean"], weights["running_var"]
        batch = mode.batch is not None
        return F.batch_norm(x, mean, var, weights["weight"], weights["bias"], batch, mode.batch or 0.0)

    return Form(
        "batch norm",
        dict.fromkeys(names, (arrives,)),
        lambda sizes: _state(nn.BatchNorm1d(sizes["weight"][0])),
        run,
        buffers=names[2:],
    )


def _layer_norm(call: Call, arrives: Layout, outgoing: Layout, _: bool) -> Form:
    def run(x: Tensor, weights: Weights, mode: Mode) -> Tensor:
        return F.layer_norm(x, (x.shape[-1],), weights["weight"], weights["bias"])

    return Form(
        "layer norm", {"weight": (arrives,), "bias": (arrives,)}, lambda s: _state(nn.LayerNorm(s["weight"][0])), run
    )


def _group_norm(call: Call, arrives: Layout, outgoing: Layout, _: bool) -> Form:
    groups = call.args[0]

    def run(x: Tensor, weights: Weights, mode: Mode) -> Tensor:
        return F.group_norm(x, groups, weights["weight"], weights["bias"])

    return Form(
        "group norm", {"weight": (arrives,), "bias": (arrives,)}, lambda s: _state(nn.GroupNorm(1, s["weight"][0])), run
    )


def _embedding(call: Call, arrives: Layout, outgoing: Layout, _: bool) -> Form:
    def run(x: Tensor, weights: Weights, mode: Mode) -> Tensor:
        return F.embedding(x, weights["weight"])

    return Form(
        "embedding",
        {"weight": (single(call.args[0]), outgoing)},
        lambda sizes: _state(nn.Embedding(sizes["weight"][0], sizes["weight"][1])),
        run,
    )


def _position(call: Call, arrives: Layout, outgoing: Layout, _: bool) -> Form:
    def run(x: Tensor, weights: Weights, mode: Mode) -> Tensor:
        return x + weights["weight"]

    return Form(
        "position", {"weight": (single(call.args[0]), arrives)}, lambda sizes: _state(Position(*sizes["weight"])), run
    )


_FORMS: dict[str, Callable[[Call, Layout, Layout, bool], Form]] = {
    "nn.Conv2d": _conv2d,
    "nn.Linear": _linear,
    "nn.BatchNorm1d": _batch_norm,
    "nn.BatchNorm2d": _batch_norm,
    "nn.LayerNorm": _layer_norm,
    "nn.GroupNorm": _group_norm,
    "nn.Embedding": _embedding,
    "modules.Position": _position,
}
