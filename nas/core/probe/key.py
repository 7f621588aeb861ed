"""`functional_key`: what may be keyed, on what probe, and what has no key."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn

from nas.core.errors import NASError, told
from nas.core.graph import Graph
from nas.core.probe import sizes
from nas.core.probe.numbers import mixed
from nas.core.probe.program import Program, forgetful, of_graph
from nas.core.probe.running import (
    Probe,
    ProbeError,
    ScaleError,
    Stepwise,
    Thing,
    Whole,
    behaviour,
    same_twice,
)
from nas.core.probe.states import random_states_kept
from nas.core.probe.traced import followed
from nas.core.profile import InputSpec, profile
from nas.core.records import Candidate
from nas.core.threads import threads
from nas.core.values import digest

VERSION = "f3"
"""Changes whenever the keys of some things do: keys of different versions are never compared."""

STANDARD = Probe()


def functional_key(thing: Any, inputs: Mapping[str, InputSpec] | None = None, probe: Probe = STANDARD) -> str:
    """The functional key of a graph, a decided candidate, an `nn.Module`, or a pure function of tensors.

    Keys of graphs and candidates are remembered. A module's own weights do not count: all are filled anew. A function,
    and a module without weights, is named by its outputs and by its slopes with respect to its inputs. It runs on one
    thread; the caller's number of threads and all random states are left as they were.

    Args:
        inputs: what it takes, in order; shapes without batch. A space's are `space.inputs`.
        probe: how to probe.

    Raises: ProbeError when the thing has no key to be trusted: it cannot be built, draws random numbers, gives NaN,
        has nothing to train, or is too large.

    >>> from torch import nn
    >>> from nas.core.space import features
    >>> one, other = nn.Linear(3, 2), nn.Sequential(nn.Identity(), nn.Linear(3, 2))
    >>> functional_key(one, {"x": features(3)}) == functional_key(other, {"x": features(3)})
    True
    """
    if inputs is None:
        raise ProbeError(
            f"functional_key of {type(thing).__name__}: say what it takes, as in {{'x': image(3, 32, 32)}}"
        )
    graph = thing.graph if isinstance(thing, Candidate) else thing
    if isinstance(graph, Graph):
        found = _graph_key(graph, tuple(inputs.items()), probe)
        if isinstance(found, ProbeError):
            raise ProbeError(str(found))
        return found
    if not callable(thing):
        raise ProbeError(f"functional_key of {thing!r}: expected a graph, a candidate, an nn.Module or a function")
    with torch.inference_mode(False), threads(1), _users_code(), random_states_kept():
        return _callable_key(thing, inputs, probe)


@lru_cache(maxsize=100_000)
def _graph_key(graph: Graph, inputs: tuple[tuple[str, InputSpec], ...], probe: Probe) -> str | ProbeError:
    """The key of a graph, or why it has none; remembered either way."""
    try:
        with torch.inference_mode(False), threads(1), random_states_kept():
            return _of_graph(graph, dict(inputs), probe)
    except ProbeError as error:
        return ProbeError(str(error))  # without the traceback, which would keep tensors alive


def _of_graph(graph: Graph, inputs: Mapping[str, InputSpec], probe: Probe) -> str:
    try:
        _not_too_many(profile(graph, inputs).params, probe)
        program = of_graph(graph, inputs)
    except NASError as error:
        if isinstance(error, ProbeError):
            raise
        raise ProbeError(f"it cannot be built: {error}") from error
    if all(step.layer is None and not step.opaque for step in program.steps):
        raise ProbeError("it has no weights, so there is nothing to train")
    own = {name: inputs[name] for name in graph.inputs}
    if all(step.plain for step in program.steps):
        return _of_program(program, own, probe, checked=False)
    with _users_code():
        return _of_program(program, own, probe, checked=True)


def _callable_key(thing: Any, inputs: Mapping[str, InputSpec], probe: Probe) -> str:
    whole = Whole(thing)
    if isinstance(thing, nn.Module):
        _not_too_many(sum(weight.numel() for weight in thing.parameters()), probe)
        fresh = forgetful(copy.deepcopy(thing).double().train())
        whole = Whole(fresh, (fresh,))
    _not_too_many(sum(prod(spec.shape) for spec in inputs.values()) * probe.batch, probe)
    macs, program = followed(whole.run, list(inputs.values()))
    if program is not None:
        return _of_program(program, inputs, probe, checked=True)
    _not_too_costly(macs * probe.batch, probe)
    return _key(whole, inputs, inputs, probe, checked=True)


def _not_too_many(numbers: int, probe: Probe) -> None:
    if numbers > probe.most_numbers:
        raise ProbeError(f"{numbers} numbers are too large a probe; the limit is {probe.most_numbers}")


def _not_too_costly(macs: float, probe: Probe) -> None:
    if macs > probe.most_macs:
        raise ProbeError(f"a probe of {macs:.3g} multiply-adds is too large; the limit is {probe.most_macs:.3g}")


@contextmanager
def _users_code() -> Iterator[None]:
    """Tell what a user's code raises as a ProbeError."""
    try:
        yield
    except NASError:
        raise
    except Exception as error:  # it may raise anything
        raise ProbeError(f"it does not run on its inputs: {told(error)}") from error


def _of_program(program: Program, inputs: Mapping[str, InputSpec], probe: Probe, checked: bool) -> str:
    """The key of a program, on the smallest images on which it does what it does on its own."""
    if any(isinstance(step.run, nn.modules.dropout._DropoutNd) for step in program.steps):
        raise ProbeError("it draws random numbers while training (dropout)")
    for ratio in sizes.ratios(program):
        _not_too_costly(sizes.macs(program, ratio) * probe.batch, probe)
        small = {name: InputSpec(sizes.scaled(s.shape, ratio), s.dtype, s.vocabulary) for name, s in inputs.items()}
        try:
            return _key(Stepwise(program, ratio), inputs, small, probe, checked)
        except ScaleError:
            continue
    raise ProbeError("its values have other shapes on a batch than on one input")


def _key(
    thing: Thing, inputs: Mapping[str, InputSpec], small: Mapping[str, InputSpec], probe: Probe, checked: bool
) -> str:
    """The key of a thing probed on small inputs. checked: whether to look for random numbers that it may draw."""
    if checked:
        same_twice(thing, small, probe)
    found = [behaviour(thing, small, probe, seed, steps) for seed, steps in enumerate(probe.steps)]
    numbers = np.concatenate([told for told, _ in found])
    if not np.isfinite(numbers).all():
        raise ProbeError("it gives NaN or infinity on the probe")
    takes = [[list(spec.shape), spec.dtype, spec.vocabulary] for spec in inputs.values()]
    return f"{VERSION}:{digest(repr((probe, takes, found[0][1], mixed(numbers, probe.bits))))}"
