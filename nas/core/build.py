"""From a graph to a `torch.fx.GraphModule` of plain torch layers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
from torch import fx, nn

from nas.core import modules
from nas.core.graph import Graph
from nas.core.imports import load_object
from nas.core.lower import Lowered, Step, lower
from nas.core.profile import InputSpec
from nas.core.table import Call


def build(graph: Graph, inputs: Mapping[str, InputSpec], seed: int = 0) -> fx.GraphModule:
    """The network of a decided graph, freshly initialised as torch does it, from `seed`.

    Its forward takes the graph's inputs in order, batch first, and returns a tensor, or a dict of output name → tensor
    when the graph has several outputs. Submodules carry the names of the graph's nodes. The global random state is left
    as it was.

    Raises: ShapeError.
    """
    return assemble(lower(graph, inputs), seed)


def assemble(lowered: Lowered, seed: int = 0, make: Callable[[Step], nn.Module] | None = None) -> fx.GraphModule:
    """The module of a lowered graph. make: the module of a step, instead of a fresh one."""
    traced = fx.Graph()
    place: dict[str, fx.Node] = {name: traced.placeholder(name) for name in lowered.inputs}
    layers: dict[str, Any] = {}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU, for good
        for step in lowered.steps:
            if step.call.is_module:
                layers[step.path] = make(step) if make else make_module(step.call)
            place[step.path] = _call(traced, step, place)
    outputs = {name: place[path] for name, path in lowered.outputs}
    traced.output(next(iter(outputs.values())) if len(outputs) == 1 else outputs)
    return fx.GraphModule(layers, traced, class_name="Network")


def make_module(call: Call) -> nn.Module:
    """The module that a call constructs."""
    if call.target == "user":
        cls = load_object(call.args[0])
        return cls(**call.kwargs)  # type: ignore[no-any-return]
    home = nn if call.target.startswith("nn.") else modules
    return getattr(home, call.target.partition(".")[2])(*call.args, **call.kwargs)  # type: ignore[no-any-return]


def function_of(call: Call) -> Callable[..., Any]:
    """The function that a call names."""
    home, _, name = call.target.partition(".")
    return getattr({"torch": torch, "operator": operator, "modules": modules}[home], name)  # type: ignore[no-any-return]


def _call(traced: fx.Graph, step: Step, place: Mapping[str, fx.Node]) -> fx.Node:
    operands = tuple(place[name] for name in step.operands)
    if step.call.is_module:
        return traced.call_module(step.path, operands)
    function = function_of(step.call)
    if step.call.operands == "fold":
        return reduce(lambda a, b: traced.call_function(function, (a, b)), operands)
    if step.call.operands == "tuple":
        return traced.call_function(function, (operands, *step.call.args), dict(step.call.kwargs))
    return traced.call_function(function, operands)
