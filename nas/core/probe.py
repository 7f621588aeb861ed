"""`functional_key`: the identity of anything runnable by what it does.

A graph, a module or a function is run on a fixed probe with canonical weights, forward and for a few training steps, in
float64; what comes out is rounded and hashed. Two things with one key did the same on the probe. It finds what no list
of rewrites holds: that average pooling is linear, that a second ReLU is dead, that an attribute changes nothing.

Weights are canonical by *what arrives*: a layer's weights are drawn by a digest of the layer's form and of the numbers
that reach it. So they do not depend on names, on the order of construction, or on how the same function is spelled
further up. Layers of one form that receive the same numbers (parallel twins) are numbered, so their weights differ.

Reference: Gillard et al. 2023, Unified Functional Hashing, arXiv:2302.05433. Differs: float64 and rounding to 16 bits
where the public code keeps 24; weights by what arrives where the paper resets generators; a thing whose probe cannot be
trusted (random numbers, NaN, nothing to train) has no key at all, so it is never merged.
"""

from __future__ import annotations

import copy
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from math import prod
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from nas.core.build import function_of, make_module
from nas.core.errors import NASError
from nas.core.graph import Graph
from nas.core.keys import canonical_order
from nas.core.lower import Lowered, lower
from nas.core.profile import InputSpec, profile
from nas.core.records import Candidate
from nas.core.simplify import flat
from nas.core.table import Call
from nas.core.values import FrozenDict, digest

Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

VERSION = "f1"
"""Changes whenever the keys of some things do: keys of different versions are never compared."""


class ProbeError(NASError, RuntimeError):
    """A thing that has no functional key, and why: it draws random numbers, gives NaN, has nothing to train, …"""


@dataclass(frozen=True)
class Probe:
    """How things are probed. Part of the key: keys of different probes are never equal.

    batch: rows of the probe. seeds: different fillings. steps: training steps (gradient descent with rate `lr`) after
    the first forward pass. bits: mantissa bits kept. most_macs: multiply-adds per pass above which nothing is probed.
    """

    batch: int = 3
    seeds: int = 2
    steps: int = 2
    lr: float = 0.05
    bits: int = 16
    most_macs: int = 2_000_000_000


STANDARD = Probe()


def functional_key(thing: Any, inputs: Mapping[str, InputSpec] | None = None, probe: Probe = STANDARD) -> str:
    """The functional key of a graph, a decided candidate, an `nn.Module`, or a pure function of tensors.

    Args:
        inputs: what it takes, in order; shapes without batch.
        probe: how to probe. Images are probed at half their size as long as no map inside gets smaller than 4×4.

    Raises: ProbeError when the thing has no key to be trusted: it cannot be built, draws random numbers, gives NaN,
        has nothing to train, or is too large.
    """
    if inputs is None:
        raise ProbeError(
            f"functional_key of {type(thing).__name__}: say what it takes, as in {{'x': image(3, 32, 32)}}"
        )
    graph = thing.graph if isinstance(thing, Candidate) else thing
    if isinstance(graph, Graph):
        return _graph_key(graph, tuple(inputs.items()), probe)
    if not callable(thing):
        raise ProbeError(f"functional_key of {thing!r}: expected a graph, a candidate, an nn.Module or a function")
    try:
        made = _of_module(thing) if isinstance(thing, nn.Module) else _Thing(thing, ())
        with _random_states_kept():
            small = _smaller(inputs, made.shapes)
            _same_twice(made, small, probe)
            return _key(made, inputs, small, probe)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, ProbeError):
            raise
        raise ProbeError(f"it does not run on its inputs: {type(error).__name__}: {error}") from error


@lru_cache(maxsize=100_000)
def _graph_key(graph: Graph, inputs: tuple[tuple[str, InputSpec], ...], probe: Probe) -> str:
    specs = dict(inputs)
    try:
        simple = canonical_order(flat(graph)).graph()
        cost = profile(simple, specs)
        small = _smaller(specs, lambda given: list(profile(simple, given).shapes.values()))
        lowered = _folded(lower(simple, small))
        macs = profile(simple, small).macs * probe.batch
    except NASError as error:
        raise ProbeError(f"it cannot be built: {error}") from error
    if any("Dropout" in step.call.target for step in lowered.steps):
        raise ProbeError("it draws random numbers while training (dropout)")
    if cost.params == 0:
        raise ProbeError("it has no weights, so there is nothing to train")
    if macs > probe.most_macs:
        raise ProbeError(f"a probe of {macs:.3g} multiply-adds is too large; the limit is {probe.most_macs:.3g}")
    with _random_states_kept():
        made = _of_lowered(lowered)
        if any(step.call.target == "user" for step in lowered.steps):
            _same_twice(made, small, probe)
        return _key(made, specs, small, probe)


def _same_twice(made: _Thing, small: Mapping[str, InputSpec], probe: Probe) -> None:
    """Raise ProbeError for a thing that draws random numbers."""
    once, again = (_behaviour(made, small, probe, 0, 0, scramble) for scramble in (1, 2))
    if not np.array_equal(once, again, equal_nan=True):
        raise ProbeError("it draws random numbers: the same input gives different outputs")


Shapes: TypeAlias = Callable[[Mapping[str, InputSpec]], list[tuple[int, ...]]]
"""From inputs to the shapes of all values inside, in a fixed order."""


def _smaller(inputs: Mapping[str, InputSpec], shapes: Shapes) -> dict[str, InputSpec]:
    """Images at half their size, as often as every map inside stays 4×4 or keeps its size."""
    now = dict(inputs)
    if not any(len(spec.shape) == 3 for spec in now.values()):
        return now
    inside = shapes(now)
    while True:
        half = {name: _halved(spec) for name, spec in now.items()}
        if half == now:
            return now
        try:
            inside_half = shapes(half)
        except (NASError, RuntimeError, ValueError):
            return now
        for small, large in zip(inside_half, inside, strict=True):
            if len(small) != len(large) or (len(small) == 3 and small != large and min(small[1:]) < 4):
                return now
        now, inside = half, inside_half


def _halved(spec: InputSpec) -> InputSpec:
    if len(spec.shape) != 3 or spec.shape[1] % 2 or spec.shape[2] % 2:
        return spec
    return InputSpec((spec.shape[0], spec.shape[1] // 2, spec.shape[2] // 2), spec.dtype)


# ---- running ---------------------------------------------------------------------------------------------------------

Run = Callable[..., Any]
"""What is run: tensors in, a tensor, a sequence or a mapping of tensors out."""


@dataclass(frozen=True)
class _Thing:
    """Something to probe: how to run it, the modules that hold its weights, and the shapes inside."""

    run: Run
    modules: Sequence[nn.Module]
    shapes: Shapes = lambda inputs: []


def _key(thing: _Thing, inputs: Mapping[str, InputSpec], small: Mapping[str, InputSpec], probe: Probe) -> str:
    told = np.concatenate([_behaviour(thing, small, probe, seed, probe.steps) for seed in range(probe.seeds)])
    if not np.isfinite(told).all():
        raise ProbeError("it gives NaN or infinity on the probe")
    takes = [[list(spec.shape), spec.dtype] for spec in inputs.values()]
    text = hashlib.blake2b(rounded(told, probe.bits).tobytes(), digest_size=16).hexdigest()
    return f"{VERSION}:{digest(repr((probe, takes, text)))}"


def _behaviour(
    thing: _Thing, inputs: Mapping[str, InputSpec], probe: Probe, seed: int, steps: int, scramble: int = 0
) -> Numbers:
    """Outputs before and after each training step, in order. `scramble`: a seed for what a thing may draw itself."""
    torch.manual_seed(scramble)
    operands = [_probe_input(spec, probe.batch, seed, place) for place, spec in enumerate(inputs.values())]
    filling = _Filling(seed, probe.bits)
    told: list[Tensor] = []
    with filling.of(thing.modules):
        for step in range(steps + 1):
            outputs = _tensors(thing.run(*operands))
            told.extend(output.detach().reshape(-1).double() for output in outputs)
            trained = [output for output in outputs if output.requires_grad]
            if step == steps or not trained or not filling.weights:
                break
            targets = [noise(f"target {place}", seed, out.numel()).view(out.shape) for place, out in enumerate(trained)]
            loss = sum(((out - target) ** 2).mean() for out, target in zip(trained, targets, strict=True))
            slopes = torch.autograd.grad(loss, filling.weights, allow_unused=True)  # type: ignore[arg-type]
            with torch.no_grad():
                for weight, slope in zip(filling.weights, slopes, strict=True):
                    if slope is not None:
                        weight.sub_(slope, alpha=probe.lr)
    return torch.cat(told).numpy()


class _Filling:
    """Canonical weights: put into each module when it is first called, by what arrives there."""

    def __init__(self, seed: int, bits: int) -> None:
        self.seed, self.bits = seed, bits
        self.weights: list[Tensor] = []
        self.done: set[int] = set()
        self.alike: Counter[str] = Counter()

    @contextmanager
    def of(self, modules: Sequence[nn.Module]) -> Iterator[None]:
        """Fill the weights of these modules and of those inside them while the block runs."""
        inner = [
            m for module in modules for m in module.modules() if next(m.parameters(recurse=False), None) is not None
        ]
        hooks = [module.register_forward_pre_hook(self._arrive) for module in inner]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _arrive(self, module: nn.Module, operands: tuple[Any, ...]) -> None:
        if id(module) in self.done:
            return
        self.done.add(id(module))
        seen = [self._glance(operand) for operand in operands if isinstance(operand, Tensor)]
        form = f"{[(name, tuple(w.shape)) for name, w in module._parameters.items() if w is not None]} {seen}"
        twin = self.alike[form]
        self.alike[form] += 1
        for name, old in module._parameters.items():
            if old is None:
                continue
            weight = noise(f"{form} {twin} {name}", self.seed, old.numel()).view(old.shape).clone()
            if old.dim() > 1:
                weight *= (3.0 / max(prod(old.shape[1:]), 1)) ** 0.5
            elif name == "weight":  # of a norm: some channels are loud, so that a bound such as relu6's 6 is felt
                weight = 1.0 + 6.0 * weight**4
            else:
                weight *= 0.5
            weight.requires_grad_(old.requires_grad)
            module._parameters[name] = weight  # type: ignore[assignment]
            if old.requires_grad:
                self.weights.append(weight)

    def _glance(self, operand: Tensor) -> tuple[list[int], str]:
        """A tensor's shape and two rounded projections of it."""
        numbers = operand.detach().reshape(-1).double()
        sums = torch.stack([numbers @ noise(f"glance {k}", 0, len(numbers)) for k in (1, 2)]).numpy()
        return list(operand.shape), rounded(sums, self.bits).tobytes().hex()


def rounded(numbers: Numbers, bits: int) -> Numbers:
    """Numbers with `bits` mantissa bits; those that are rounding noise beside the largest are 0.

    >>> rounded(np.array([1.0, 1.0 + 1e-12, -3.0, 1e-17]), 16).tolist()
    [1.0, 1.0, -3.0, 0.0]
    """
    largest = np.abs(numbers[np.isfinite(numbers)]).max(initial=0.0)
    mantissa, exponent = np.frexp(np.where(np.abs(numbers) < 1e-11 * largest, 0.0, numbers))
    return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits) + 0.0  # type: ignore[no-any-return]


_NOISE_SIZE = 1 << 20


@lru_cache(maxsize=1)
def _noise_pool() -> Tensor:
    """Evenly drawn numbers in (-1, 1), the same everywhere; weights are stretches of it."""
    words = np.random.Generator(np.random.Philox(2023)).integers(0, 1 << 53, 2 * _NOISE_SIZE, dtype=np.int64)
    return torch.from_numpy(words / float(1 << 52) - 1.0)


def noise(purpose: str, seed: int, count: int) -> Tensor:
    """`count` canonical numbers for a purpose, float64, in (-1, 1)."""
    pool = _noise_pool()
    start = (
        int.from_bytes(hashlib.blake2b(f"{seed} {purpose}".encode(), digest_size=8).digest(), "little") % _NOISE_SIZE
    )
    if count <= _NOISE_SIZE:
        return pool[start : start + count]
    return pool[start:].repeat(-(-count // (len(pool) - start)))[:count]


def _probe_input(spec: InputSpec, batch: int, seed: int, place: int) -> Tensor:
    numbers = noise(f"input {place}", seed, batch * prod(spec.shape)).view(batch, *spec.shape)
    if spec.dtype == "int64":
        return ((numbers + 1.0) / 2.0 * (spec.vocabulary or 2)).long()
    return numbers * 1.7  # unit variance


def _tensors(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, Mapping):
        return [outputs[name] for name in sorted(outputs)]
    if isinstance(outputs, list | tuple):
        return [tensor for output in outputs for tensor in _tensors(output)]
    raise ProbeError(f"it gives a {type(outputs).__name__}; expected a tensor, or a list or dict of tensors")


@contextmanager
def _random_states_kept() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


# ---- what can be probed ----------------------------------------------------------------------------------------------


def _of_module(module: nn.Module) -> _Thing:
    fresh = _forgetful(copy.deepcopy(module).double().train())

    def shapes(inputs: Mapping[str, InputSpec]) -> list[tuple[int, ...]]:
        found: list[tuple[int, ...]] = []

        def see(_: nn.Module, __: Any, output: Any) -> None:
            found.extend(tuple(tensor.shape[1:]) for tensor in _tensors(output))

        hooks = [inner.register_forward_hook(see) for inner in fresh.modules() if not list(inner.children())]
        try:
            with torch.no_grad():
                fresh(*(_probe_input(spec, 2, 0, place) for place, spec in enumerate(inputs.values())))
        finally:
            for hook in hooks:
                hook.remove()
        return found

    return _Thing(fresh, (fresh,), shapes)


def _of_lowered(lowered: Lowered) -> _Thing:
    taken: Counter[Call] = Counter()
    steps: list[tuple[str, Callable[..., Any], Call, tuple[str, ...]]] = []
    modules: list[nn.Module] = []
    for step in lowered.steps:
        if step.call.is_module:
            module = _pooled(step.call, taken[step.call])
            taken[step.call] += 1
            modules.append(module)
            steps.append((step.path, module, step.call, step.operands))
        else:
            steps.append((step.path, function_of(step.call), step.call, step.operands))

    def run(*operands: Tensor) -> dict[str, Tensor]:
        place = dict(zip(lowered.inputs, operands, strict=True))
        for path, function, call, names in steps:
            given = [place[name] for name in names]
            if call.operands == "fold":
                place[path] = reduce(function, given)
            elif call.operands == "tuple":
                place[path] = function(tuple(given), *call.args, **call.kwargs)
            else:
                place[path] = function(*given)
        return {name: place[path] for name, path in lowered.outputs}

    return _Thing(run, modules)


@lru_cache(maxsize=4_096)
def _pooled(call: Call, which: int) -> nn.Module:
    """The `which`-th module of a form, made once: a filling replaces its weights anyway."""
    return _forgetful(make_module(call).double().train())


def _forgetful(module: nn.Module) -> nn.Module:
    """The module without running statistics: a batch norm norms by the batch, and nothing carries over."""
    for inner in module.modules():
        if isinstance(inner, nn.modules.batchnorm._BatchNorm):
            inner.track_running_stats = False
            inner.running_mean = inner.running_var = inner.num_batches_tracked = None
    return module


def _folded(lowered: Lowered) -> Lowered:
    """Two linear layers with nothing between them, and a hidden width that loses nothing, are one linear layer."""
    uses = Counter(name for step in lowered.steps for name in step.operands)
    uses.update(path for _, path in lowered.outputs)
    made = {step.path: step for step in lowered.steps}
    for step in lowered.steps:
        first = made.get(step.operands[0]) if step.operands else None
        if (
            first is None
            or step.call.target != "nn.Linear"
            or first.call.target != "nn.Linear"
            or uses[first.path] != 1
        ):
            continue
        (wide, hidden), (_, narrow) = first.call.args, step.call.args
        if hidden >= min(wide, narrow):
            bias = first.call.kwargs.get("bias", True) or step.call.kwargs.get("bias", True)
            call = Call("nn.Linear", (wide, narrow), FrozenDict({} if bias else {"bias": False}))
            made[step.path] = replace(step, call=call, operands=first.operands)
            del made[first.path]
    return replace(lowered, steps=tuple(made.values()))
