"""A network as a list of steps: what a graph and a traced module have in common, and what makes two of them one.

Values are numbered: inputs first, then one per step. Shapes have no batch dimension.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, reduce
from typing import Any

import torch
from torch import nn

from nas.core.build import function_of, make_module
from nas.core.graph import Graph
from nas.core.keys import canonical_order
from nas.core.lower import lower
from nas.core.probe.fold import one_layer, without_bias
from nas.core.probe.layers import known
from nas.core.probe.states import random_states_kept
from nas.core.profile import InputSpec
from nas.core.simplify import Flat, Kind, Row, flat, kind_of
from nas.core.table import Call, Shape
from nas.core.values import FrozenDict

Run = Callable[..., Any]
"""Operands in, one tensor out."""


@dataclass(frozen=True)
class Step:
    """One layer or function.

    run: a module, or a function without weights. form: what it is, as text: equal texts do the same.
    slot: whose weights it has: steps of one slot share them. commutes: the order of operands does not matter.
    plain: whether it is known to draw no random numbers.
    """

    run: Run
    form: str
    operands: tuple[int, ...]
    shape: Shape
    slot: int = -1
    commutes: bool = False
    plain: bool = True

    @cached_property
    def layer(self) -> nn.Module | None:
        """The module, where it is a layer with weights that `layers` can run."""
        return self.run if isinstance(self.run, nn.Module) and known(self.run) else None

    @cached_property
    def function(self) -> Run:
        """What to call: of a plain module, its forward alone."""
        return self.run.forward if isinstance(self.run, nn.Module) and self.plain and not self.opaque else self.run

    @cached_property
    def opaque(self) -> bool:
        """Whether it is a module with weights of which nothing is known."""
        return isinstance(self.run, nn.Module) and self.layer is None and any(True for _ in self.run.parameters())


@dataclass(frozen=True)
class Program:
    """Steps in order. inputs: shapes. outputs: name → number."""

    inputs: tuple[Shape, ...]
    steps: tuple[Step, ...]
    outputs: tuple[tuple[str, int], ...]

    @property
    def shapes(self) -> list[Shape]:
        """The shape of every value."""
        return [*self.inputs, *(step.shape for step in self.steps)]


def form_of(layer: nn.Module) -> str:
    """What a module is, as text: its class, its plain settings and the shapes of its own weights."""
    plain = {
        name: value
        for name, value in sorted(vars(layer).items())
        if not name.startswith("_") and isinstance(value, int | float | str | tuple)
    }
    weights = [(name, tuple(w.shape)) for name, w in layer._parameters.items() if w is not None]
    return f"{type(layer).__module__}.{type(layer).__qualname__} {plain} {weights}"


def of_graph(graph: Graph, inputs: Mapping[str, InputSpec]) -> Program:
    """The canonical program of a graph. Raises NASError where it cannot be built."""
    lowered = lower(flat(graph).graph(), inputs)
    place = {name: number for number, name in enumerate(lowered.inputs)}
    steps: list[Step] = []
    for step in lowered.steps:
        operands = tuple(place[name] for name in step.operands)
        place[step.path] = len(lowered.inputs) + len(steps)
        run, form = _made(step.call)
        if step.call.target == "user":
            run = _users(step.call)
        commutes = step.call.operands == "fold" or step.call.target == "modules.mean"
        plain = step.call.target != "user"
        steps.append(Step(run, form, operands, step.shape, len(steps), commutes, plain))
    given = tuple(inputs[name].shape for name in graph.inputs)
    outputs = tuple((name, place[path]) for name, path in lowered.outputs)
    return canonical(Program(given, tuple(steps), outputs))


@lru_cache(maxsize=4_096)
def _made(call: Call) -> tuple[Run, str]:
    """What a call runs, without weights of its own, and its form."""
    if call.target == "user":
        return nn.Identity(), repr(call)
    if call.is_module:
        with torch.device("meta"):
            layer = make_module(call)
        return layer, form_of(layer)
    function = function_of(call)
    if call.operands == "fold":
        return lambda *given: reduce(function, given), sum_form(function)
    if call.operands == "tuple":
        return lambda *given: function(given, *call.args, **call.kwargs), f"{function.__name__} {dict(call.kwargs)}"
    return function, f"{function.__name__}"


def _users(call: Call) -> nn.Module:
    """A user's module, the same each time, in training mode."""
    with random_states_kept():
        return forgetful(make_module(call).double().train())


def sum_form(function: Callable[..., Any]) -> str:
    """The form of a merge of any number of operands, one by one."""
    return f"fold {function.__name__}"


def forgetful(module: nn.Module) -> nn.Module:
    """The module without running statistics: a batch norm norms by the batch, and nothing carries over."""
    for inner in module.modules():
        if isinstance(inner, nn.modules.batchnorm._NormBase):
            inner.track_running_stats = False
            inner.running_mean = inner.running_var = inner.num_batches_tracked = None
    return module


# ---- what makes two programs one -------------------------------------------------------------------------------------


def canonical(program: Program) -> Program:
    """The program without what does nothing, folded, in an order that depends on the labelled DAG alone."""
    return _ordered(_folded(_alive(_sums_joined(program))))


def _rebuilt(program: Program, steps: list[tuple[int, Step]], replaced: Mapping[int, int]) -> Program:
    """A program of these (old number, step) whose operands are old numbers; `replaced`: values that are others."""
    count = len(program.inputs)
    number = {n: n for n in range(count)}

    def now(old: int) -> int:
        while old in replaced:
            old = replaced[old]
        return number[old]

    kept: list[Step] = []
    for old, step in steps:
        operands = tuple([now(n) for n in step.operands])
        kept.append(step if operands == step.operands else replace(step, operands=operands))
        number[old] = count + len(kept) - 1
    return replace(program, steps=tuple(kept), outputs=tuple((name, now(n)) for name, n in program.outputs))


def _alive(program: Program) -> Program:
    """Without steps that reach no output, and without dropout that drops nothing."""
    count = len(program.inputs)
    replaced = {number: step.operands[0] for number, step in enumerate(program.steps, count) if _does_nothing(step.run)}
    used = {n for _, n in program.outputs}
    for number in range(count + len(program.steps) - 1, count - 1, -1):
        if number in used:
            used.update(program.steps[number - count].operands)
    steps = [(n, step) for n, step in enumerate(program.steps, count) if n in used and n not in replaced]
    if len(steps) == len(program.steps):
        return program
    return _rebuilt(program, steps, replaced)


def _does_nothing(run: Run) -> bool:
    return (isinstance(run, nn.modules.dropout._DropoutNd) and run.p == 0) or type(run) is nn.Identity


def _uses(program: Program) -> Counter[int]:
    uses = Counter(n for step in program.steps for n in step.operands)
    uses.update(n for _, n in program.outputs)
    return uses


def _sums_joined(program: Program) -> Program:
    """add(add(a, b), c) = add(a, b, c), where nothing else uses the inner sum."""
    count = len(program.inputs)
    uses = _uses(program)
    held: dict[int, tuple[int, ...]] = {}
    user = {n: step for step in program.steps for n in step.operands}
    steps: list[tuple[int, Step]] = []
    for number, step in enumerate(program.steps, count):
        operands = tuple(n for operand in step.operands for n in held.get(operand, (operand,)))
        outer = user.get(number)
        if step.form.startswith("fold ") and outer is not None and outer.form == step.form and uses[number] == 1:
            held[number] = operands
        else:
            steps.append((number, step if operands == step.operands else replace(step, operands=operands)))
    return _rebuilt(program, steps, {}) if held else program


def _folded(program: Program) -> Program:
    """Two linear layers with nothing between them are one where that loses nothing; a bias before a norm is none."""
    changed = True
    while changed:
        changed = False
        count = len(program.inputs)
        uses = _uses(program)
        shared = Counter(step.slot for step in program.steps)
        users: dict[int, list[Step]] = {}
        for step in program.steps:
            for n in step.operands:
                users.setdefault(n, []).append(step)
        for number, step in enumerate(program.steps, count):
            if not isinstance(step.run, nn.Conv2d | nn.Linear) or step.layer is None or shared[step.slot] > 1:
                continue
            first = program.steps[step.operands[0] - count] if step.operands[0] >= count else None
            steps = list(enumerate(program.steps, count))
            if _only_normed(step, users.get(number, []), uses[number]):
                layer = without_bias(step.run)
            elif first is not None and uses[step.operands[0]] == 1 and shared[first.slot] == 1 and first.layer:
                folded = one_layer(first.layer, step.run)
                if folded is None:
                    continue
                layer, step = folded, replace(step, operands=first.operands)
            else:
                continue
            steps[number - count] = (number, replace(step, run=layer, form=form_of(layer)))
            program = _alive(_rebuilt(program, steps, {}))
            changed = True
            break
    return program


def _only_normed(step: Step, users: list[Step], uses: int) -> bool:
    """Whether a bias is taken away again at once, by a batch norm of each channel."""
    wanted = nn.BatchNorm2d if isinstance(step.run, nn.Conv2d) else nn.BatchNorm1d
    biased = getattr(step.run, "bias", None) is not None
    plain = len(step.shape) == (3 if wanted is nn.BatchNorm2d else 1)
    return biased and plain and uses == len(users) > 0 and all(type(user.run) is wanted for user in users)


_PLAIN = kind_of("sigmoid", FrozenDict())


@lru_cache(maxsize=10_000)
def _kind(form: str, commutes: bool) -> Kind:
    return replace(_PLAIN, label=form, commutes=commutes)


def _ordered(program: Program) -> Program:
    """The steps in an order that depends on the labelled DAG alone."""
    count = len(program.inputs)
    rows = tuple(Row(str(n), _kind(s.form, s.commutes), s.operands) for n, s in enumerate(program.steps, count))
    inputs = tuple(str(n) for n in range(count))
    moved = canonical_order(Flat(inputs, rows, program.outputs))
    steps = [(int(row.address), program.steps[int(row.address) - count]) for row in moved.rows]
    return _rebuilt(program, steps, {})
