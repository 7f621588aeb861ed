"""Running a thing on its probe: canonical weights, forward passes, and training steps between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from nas.core.errors import NASError
from nas.core.probe import layers, sizes
from nas.core.probe.numbers import Numbers, glance, noise, probe_input, weight
from nas.core.probe.program import Program, Step
from nas.core.probe.states import scramble, states
from nas.core.profile import InputSpec
from nas.core.table import Shape

GLANCE_BITS = 16
"""Mantissa bits of what a layer's weights are drawn by."""


class ProbeError(NASError, RuntimeError):
    """A thing that has no functional key, and why: it draws random numbers, gives NaN, has nothing to train, …"""


class ScaleError(Exception):
    """A value inside has another shape than it should have on images of this size."""


@dataclass(frozen=True)
class Probe:
    """How things are probed. Part of the key: keys of different probes are never equal.

    batch: rows of the probe. steps: for each filling of the weights, how many training steps follow the first forward
    pass (gradient descent with rate `lr`; a gradient longer than 1 is shortened to 1). bits: mantissa bits kept.
    most_macs: multiply-adds per pass, and most_numbers: weights, or numbers in the inputs, above which nothing is
    probed.
    """

    batch: int = 3
    steps: tuple[int, ...] = (2, 1)
    lr: float = 0.05
    bits: int = 16
    most_macs: int = 2_000_000_000
    most_numbers: int = 50_000_000


# ---- weights ---------------------------------------------------------------------------------------------------------


class Filling:
    """Canonical weights: drawn for each layer when it first runs, by its form and by what arrives there.

    So they do not depend on names, on the order of construction, or on how the same function is spelled further up.
    Layers of one form that receive the same numbers (parallel twins) are numbered, so their weights differ.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.trained: list[Tensor] = []
        self.by_slot: dict[int, layers.Weights] = {}
        self.arrived: set[int] = set()
        self._by_old: dict[int, Tensor] = {}
        self._alike: Counter[str] = Counter()
        self._glances: dict[int, tuple[Tensor, str]] = {}

    def of_step(self, step: Step, layer: nn.Module, x: Tensor) -> layers.Weights:
        """The weights of a step's layer. layer: what is run in its place, which may need fewer."""
        given = self.by_slot.get(step.slot)
        if given is None:
            assert step.layer is not None
            form = f"{sorted(layers.weight_shapes(step.layer, x).items())}{layers.windows(step.layer)}"
            purpose = self._purpose(form, [x])
            shapes = layers.weight_shapes(layer, x)
            given = {name: self._drawn(name, shape, purpose, True) for name, shape in shapes.items()}
            self.by_slot[step.slot] = given
        return given

    @contextmanager
    def of(self, modules: Sequence[nn.Module], missed: Sequence[nn.Module] = ()) -> Iterator[None]:
        """Fill the weights of these modules and of those inside them while the block runs.

        missed: modules that hold weights and are not called themselves, to be filled at once.
        """
        for place, module in enumerate(missed):
            self._put(module, f"not called {place}")
        hooks = [module.register_forward_pre_hook(self._arrive) for module in holders(modules)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _arrive(self, module: nn.Module, operands: tuple[Any, ...]) -> None:
        if id(module) not in self.arrived:
            form = [(name, tuple(w.shape)) for name, w in module._parameters.items() if w is not None]
            seen = [operand for operand in operands if isinstance(operand, Tensor)]
            self._put(module, self._purpose(f"{sorted(form)}{layers.windows(module)}", seen))

    def _put(self, module: nn.Module, purpose: str) -> None:
        self.arrived.add(id(module))
        for name, old in module._parameters.items():
            if old is not None:
                found = self._by_old.get(id(old))  # weights that two modules share stay shared
                if found is None:
                    found = self._drawn(name, tuple(old.shape), purpose, old.requires_grad)
                    self._by_old[id(old)] = found
                self._by_old[id(found)] = found
                module._parameters[name] = found  # type: ignore[assignment]

    def _purpose(self, form: str, operands: Sequence[Tensor]) -> str:
        text = f"{form} {[self._glance(operand) for operand in operands]}"
        twin = self._alike[text]
        self._alike[text] += 1
        return f"{text} {twin}"

    def _glance(self, operand: Tensor) -> str:
        known = self._glances.get(id(operand))
        if known is None or known[0] is not operand:
            known = self._glances[id(operand)] = operand, glance(operand, GLANCE_BITS)
        return known[1]

    def _drawn(self, name: str, shape: tuple[int, ...], purpose: str, trained: bool) -> Tensor:
        found = weight(name, shape, purpose, self.seed)
        if trained:
            self.trained.append(found.requires_grad_())
        return found

    def forget(self) -> None:
        """Drop what was only needed while weights were drawn."""
        self._glances.clear()


def holders(modules: Sequence[nn.Module]) -> list[nn.Module]:
    """The modules that hold weights themselves, in order."""
    return [m for module in modules for m in module.modules() if next(m.parameters(recurse=False), None) is not None]


# ---- things ----------------------------------------------------------------------------------------------------------


class Thing(Protocol):
    """Something to probe. modules: those whose weights are filled when they are called."""

    modules: Sequence[nn.Module]
    missed: Sequence[nn.Module]

    def forward(self, operands: Sequence[Tensor], filling: Filling) -> list[Tensor]:
        """The outputs, in an order of their own. Raises ScaleError."""
        ...


@dataclass
class Stepwise:
    """A program on images of a size."""

    program: Program
    ratio: sizes.Ratio
    modules: Sequence[nn.Module] = ()
    missed: Sequence[nn.Module] = ()
    shapes: dict[Shape, Shape] = field(default_factory=dict)
    """Shapes at full size → those that values are to have; empty once they were seen."""
    run: list[tuple[Step, nn.Module | None]] = field(default_factory=list)
    """Each step with the layer that is run for it, where it has one."""

    def __post_init__(self) -> None:
        self.modules = [step.run for step in self.program.steps if step.opaque and isinstance(step.run, nn.Module)]
        self.shapes = {step.shape: sizes.scaled(step.shape, self.ratio) for step in self.program.steps}
        before = [sizes.scaled(shape, self.ratio) for shape in self.program.shapes]
        self.run = [
            (
                step,
                layers.felt(step.run, *before[step.operands[0]][1:])
                if isinstance(step.run, nn.Conv2d) and step.layer is not None
                else step.layer,
            )
            for step in self.program.steps
        ]

    def forward(self, operands: Sequence[Tensor], filling: Filling) -> list[Tensor]:
        values = list(operands)
        for step, layer in self.run:
            if layer is not None:
                x = values[step.operands[0]]
                value = layers.run_with(layer, x, filling.of_step(step, layer, x))
            else:
                value = step.function(*[values[n] for n in step.operands])
            if self.shapes and not sizes.fits(tuple(value.shape[1:]), self.shapes[step.shape]):
                raise ScaleError
            values.append(value)
        self.shapes = {}
        return [values[number] for _, number in sorted(self.program.outputs)]


@dataclass
class Whole:
    """A module or a function of which nothing is known but what it does."""

    run: Callable[..., Any]
    modules: Sequence[nn.Module] = ()
    missed: Sequence[nn.Module] = ()

    def forward(self, operands: Sequence[Tensor], filling: Filling) -> list[Tensor]:
        return tensors(self.run(*operands))


def tensors(outputs: Any) -> list[Tensor]:
    """The tensors of an output, in order; those of a mapping by name. Raises ProbeError."""
    if isinstance(outputs, Tensor):
        return [torch.view_as_real(outputs) if outputs.is_complex() else outputs]
    if isinstance(outputs, Mapping):
        return [tensor for name in sorted(outputs, key=str) for tensor in tensors(outputs[name])]
    if isinstance(outputs, list | tuple):
        return [tensor for output in outputs for tensor in tensors(output)]
    raise ProbeError(f"it gives a {type(outputs).__name__}; expected a tensor, or a list or dict of tensors")


# ---- running ---------------------------------------------------------------------------------------------------------


def behaviour(
    thing: Thing, inputs: Mapping[str, InputSpec], probe: Probe, seed: int, steps: int
) -> tuple[Numbers, list[tuple[int, ...]]]:
    """Outputs before and after each training step, in order, and their shapes.

    What has no weights at all is trained by its inputs, so that its slopes are felt.
    """
    filling = Filling(seed)
    operands = [probe_input(spec, probe.batch, seed, place) for place, spec in enumerate(inputs.values())]
    weightless = isinstance(thing, Whole | Stepwise) and not _has_weights(thing)
    if weightless:
        filling.trained = [operand.requires_grad_() for operand in operands if operand.is_floating_point()]
    told: list[Tensor] = []
    with torch.enable_grad(), filling.of(thing.modules, thing.missed):
        for step in range(steps + 1):
            given = [operand.clone() for operand in operands] if weightless else operands
            with torch.set_grad_enabled(step < steps):
                outputs = thing.forward(given, filling)
            told.extend(output.detach().reshape(-1).double() for output in outputs)
            trained = [output for output in outputs if output.requires_grad]
            if step == steps or not trained or not filling.trained:
                break
            _train(trained, filling.trained, probe.lr, seed)
            filling.forget()
    return torch.cat(told).numpy(), [tuple(output.shape) for output in outputs]


def _has_weights(thing: Whole | Stepwise) -> bool:
    if any(True for module in thing.modules for _ in module.parameters()):
        return True
    return isinstance(thing, Stepwise) and any(step.layer is not None for step in thing.program.steps)


def _train(outputs: Sequence[Tensor], weights: Sequence[Tensor], lr: float, seed: int) -> None:
    """One step of gradient descent towards canonical targets."""
    targets = [noise(f"target {place}", seed, out.numel()).view(out.shape) for place, out in enumerate(outputs)]
    losses = [((out - target) ** 2).mean() for out, target in zip(outputs, targets, strict=True)]
    slopes = torch.autograd.grad(sum(losses), list(weights), allow_unused=True)  # type: ignore[arg-type]
    moved = [(weight, slope) for weight, slope in zip(weights, slopes, strict=True) if slope is not None]
    if moved:
        with torch.no_grad():
            steep = [slope for _, slope in moved]
            length = float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(steep))))
            torch._foreach_add_([weight for weight, _ in moved], steep, alpha=-lr / max(length, 1.0))


def same_twice(thing: Thing, inputs: Mapping[str, InputSpec], probe: Probe) -> None:
    """Raise ProbeError for a thing that draws random numbers; learn which of its modules are never called."""
    scramble(0)
    before = states()
    filling = Filling(0)
    operands = [probe_input(spec, probe.batch, 0, place) for place, spec in enumerate(inputs.values())]
    with torch.no_grad(), filling.of(thing.modules):
        thing.forward(operands, filling)
    if states() != before:
        raise ProbeError("it draws random numbers while training")
    thing.missed = [module for module in holders(thing.modules) if id(module) not in filling.arrived]
    once = behaviour(thing, inputs, probe, 0, 0)[0]
    scramble(1)
    again = behaviour(thing, inputs, probe, 0, 0)[0]
    if not np.array_equal(once, again, equal_nan=True):
        raise ProbeError("it draws random numbers: the same input gives different outputs")
