"""What an optimizer knows of a tensor, moved to the larger one that took its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from evaluators.training.loop import make_optimizer
from nas.core.supernet.bank import Bank
from nas.core.supernet.forms import Axis
from nas.core.supernet.network import Supernet

if TYPE_CHECKING:
    from evaluators.train import Train

Axes: TypeAlias = "dict[str, tuple[Axis, ...]]"
"""Name of a parameter → its axes."""


def axes_of(supernet: Supernet) -> Axes:
    """The axes of all tensors as they are now."""
    return {title: tuple(most.whole() for most in bank.most[key][name]) for title, bank, key, name in _all(supernet)}


def _all(supernet: Supernet) -> list[tuple[str, Bank, str, str]]:
    found = []
    for number in range(len(supernet.banks)):
        bank = supernet.bank(number)
        found += [(f"banks.{number}.{key}:{name}", bank, key, name) for key in bank.most for name in bank.most[key]]
    return found


def optimizer_of(supernet: Supernet, settings: Train, device: str) -> torch.optim.Optimizer:
    """A new optimizer. SGD's momenta begin as zeros, which comes to the same as none.

    torch's fused SGD cannot take weights that meet their first gradient later than others.
    """
    optimizer = make_optimizer(supernet, settings, device)
    if settings.optimizer == "sgd" and settings.momentum > 0:
        for parameter in supernet.parameters():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def moved(
    supernet: Supernet,
    old: torch.optim.Optimizer,
    new: torch.optim.Optimizer,
    known: Mapping[str, Tensor],
    axes: Axes,
) -> torch.optim.Optimizer:
    """`new`, an optimizer of the supernet as it is now, with all that `old` knew; what was added begins at zero.

    known: the parameters that `old` has, by name. axes: theirs.
    """
    places = {title: (bank, key, name) for title, bank, key, name in _all(supernet)}
    for title, parameter in supernet.named_parameters():
        before = known.get(title)
        if before is None or before not in old.state:
            continue
        state = old.state[before]
        if parameter is not before:
            bank, key, name = places[title]
            index = tuple(most.where(axis) for most, axis in zip(bank.most[key][name], axes[title], strict=True))
            state = {entry: _padded(value, before, parameter, index) for entry, value in state.items()}
        new.state[parameter] = state
    return new


def _padded(value: Tensor | None, before: Tensor, now: Tensor, index: tuple[slice | Tensor, ...]) -> Tensor | None:
    if value is None or value.shape != before.shape:
        return value  # a number of steps
    wide = torch.zeros_like(now, dtype=value.dtype)
    wide[index] = value
    return wide
