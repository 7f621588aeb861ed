"""A module or a function as a program, where torch.fx can follow it: then it has the key of the graph it equals."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from nas.core import modules
from nas.core.probe.program import Program, Step, canonical, form_of, sum_form
from nas.core.probe.states import states
from nas.core.profile import InputSpec

_SUMS: dict[Any, Callable[..., Any]] = {
    operator.add: operator.add,
    torch.add: operator.add,
    operator.mul: operator.mul,
    torch.mul: operator.mul,
    torch.maximum: torch.maximum,
}
"""Functions that are merges of two operands, and the merge that they are."""

_IN_PLACE = {operator.iadd: operator.add, operator.imul: operator.mul}


class _Tracer(fx.Tracer):
    """Stops at modules whose weights we fill ourselves."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or type(m).__module__ == modules.__name__


class _FollowError(Exception):
    """What the module does is no list of steps."""


def followed(thing: Callable[..., Any], inputs: Sequence[InputSpec]) -> tuple[int, Program | None]:
    """What a module or function costs (multiply-adds for one input; 0 where it cannot be told), and its canonical
    program; None where it cannot be followed."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    with FakeTensorMode(allow_non_fake_inputs=True), FlopCounterMode(display=False) as counter:  # shapes only
        operands = [
            torch.empty(2, *spec.shape, dtype=torch.float64 if spec.dtype == "float32" else torch.int64)
            for spec in inputs
        ]
        program = _of_callable(thing, operands)
        if program is None:
            with suppress(Exception), torch.no_grad():  # a user's code meets stand-ins for tensors, and may raise
                thing(*operands)
    return counter.get_total_flops() // 4, program  # two per multiply-add, a batch of two


def _of_callable(thing: Callable[..., Any], operands: Sequence[Tensor]) -> Program | None:
    inner = list(thing.modules()) if isinstance(thing, nn.Module) else []
    if any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in inner):
        return None
    held = Counter(id(w) for m in inner for w in m._parameters.values() if w is not None)
    if any(count > 1 for count in held.values()):
        return None  # weights that two layers share
    before = states()
    try:
        graph = thing.graph if isinstance(thing, fx.GraphModule) else _Tracer().trace(thing)
        if not isinstance(thing, fx.GraphModule) and str(_Tracer().trace(thing)) != str(graph):
            return None  # something in it is another number each time
        root = thing if isinstance(thing, nn.Module) else nn.Module()
        program = _followed(graph, root, operands)
    except Exception:  # as above
        return None
    return program if states() == before else None


def _followed(graph: fx.Graph, root: nn.Module, operands: Sequence[Tensor]) -> Program:
    place: dict[fx.Node, int] = {}
    values: list[Tensor] = list(operands)
    steps: list[Step] = []
    slots: dict[int, int] = {}
    outputs: tuple[tuple[str, int], ...] = ()
    for node in graph.nodes:
        if node.op == "placeholder":
            if len(place) >= len(operands) or node.args:
                raise _FollowError
            place[node] = len(place)
            continue
        if node.op == "output":
            outputs = _named(node.args[0], place)
            continue
        if node.op == "call_module":
            step = _of_layer(root.get_submodule(str(node.target)), node, place)
            step = replace(step, slot=slots.setdefault(id(step.run), len(slots)))
        elif node.op in ("call_function", "call_method"):
            step = _of_function(node, place)
            step = replace(step, slot=-len(steps) - 1)
        else:
            raise _FollowError
        with torch.no_grad():
            value = step.run(*(values[n] for n in step.operands))
        if not isinstance(value, Tensor):
            raise _FollowError
        steps.append(replace(step, shape=tuple(value.shape[1:])))
        place[node] = len(values)
        values.append(value)
    shapes = tuple(tuple(value.shape[1:]) for value in operands)
    return canonical(Program(shapes, tuple(steps), outputs))


def _named(given: Any, place: dict[fx.Node, int]) -> tuple[tuple[str, int], ...]:
    """The outputs by name; a list's by their places."""
    if isinstance(given, fx.Node):
        return (("", place[given]),)
    if isinstance(given, dict):
        return tuple((str(name), place[node]) for name, node in given.items())
    return tuple((f"{number:06}", place[node]) for number, node in enumerate(given))


def _alone(node: fx.Node) -> bool:
    """Whether nothing else hears what this node changes in place."""
    source = node.args[0]
    return isinstance(source, fx.Node) and len(source.users) == 1 and source.op != "placeholder"


def _of_layer(layer: nn.Module, node: fx.Node, place: dict[fx.Node, int]) -> Step:
    if node.kwargs:
        raise _FollowError
    if getattr(layer, "inplace", False):
        if not _alone(node):
            raise _FollowError
        layer.inplace = False  # type: ignore[assignment]
    return Step(layer, form_of(layer), tuple(place[n] for n in node.args), ())  # type: ignore[index]


def _of_function(node: fx.Node, place: dict[fx.Node, int]) -> Step:
    found: list[fx.Node] = []
    map_arg((node.args, node.kwargs), found.append)
    operands = tuple(place[n] for n in found)
    target: Any = node.target
    if target in _IN_PLACE and _alone(node):
        target = _IN_PLACE[target]
    merge = _SUMS.get(target) if callable(target) else None
    if merge is not None and len(node.args) == len(found) == 2 and not node.kwargs:
        return Step(lambda *given: reduce(merge, given), sum_form(merge), operands, (), commutes=True)
    if getattr(target, "__module__", "") == modules.__name__:
        return Step(target, target.__name__, operands, (), commutes=target is modules.mean)
    name = target if isinstance(target, str) else target.__name__
    if (name.endswith("_") and not name.startswith("_")) or target in _IN_PLACE or node.kwargs.get("inplace"):
        raise _FollowError
    numbers = {n: number for number, n in enumerate(dict.fromkeys(found))}
    unique = tuple(place[n] for n in numbers)

    def run(*given: Tensor) -> Any:
        args, kwargs = map_arg((node.args, node.kwargs), lambda n: given[numbers[n]])
        return getattr(args[0], target)(*args[1:], **kwargs) if isinstance(target, str) else target(*args, **kwargs)

    told = map_arg((node.args, node.kwargs), lambda n: f"operand {numbers[n]}")
    return Step(run, f"{name} {told}", unique, ())
