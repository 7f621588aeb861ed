"""Room for a supernet: how large it will be, said before it is made, and the candidates that make it so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from nas.core.errors import NASError, RecipeError
from nas.core.records import Candidate
from nas.core.space import Space
from nas.core.supernet.extremes import cover, options_of
from nas.core.supernet.network import Supernet

MOST = 800
"""Options that are met before training; of larger spaces a sample, and the rest when it is trained."""
MORE = 32
"""Random candidates that are met besides."""
COPIES = {"adamw": 4, "sgd": 3}
"""Numbers kept per weight while training: the weight, its gradient, the optimizer's moments."""


def held(space: Space) -> list[Candidate]:
    """Candidates for which room is made before training, so that hardly any tensor grows later."""
    return list(cover(space, MORE, most=MOST))


def size_bytes(space: Space, make: Callable[[], Supernet], candidates: Sequence[Candidate]) -> int:
    """An estimate of the bytes of a supernet's weights, for the cost of a walk; nothing is allocated.

    make: makes the supernet. candidates: those of `held`; where they are a sample of the space's options, what they
    need is taken as that share of the whole.
    """
    with torch.device("meta"):
        dry = make()
        for candidate in candidates:
            try:
                dry.plan(candidate)
            except NASError:
                raise
            except Exception:  # a user's module that cannot be made without memory speaks for itself later
                continue
    found = sum(p.numel() * p.element_size() for p in dry.parameters())
    return int(found * max(1.0, len(options_of(space)) / MOST))


def check_memory(size: int, settings: Any) -> None:
    """Raise RecipeError when training a supernet of so many bytes needs more than `settings.memory_gib`."""
    needed = size * COPIES[settings.optimizer] / 2**30
    if needed > settings.memory_gib:
        raise RecipeError(
            f"supernet: its weights take about {size / 2**30:.2g} GiB, {needed:.3g} GiB with gradients and the moments "
            f"of {settings.optimizer}; memory_gib is {settings.memory_gib:g}. Lower the depth of recursions, widths, "
            "experts or sets, or raise memory_gib"
        )
