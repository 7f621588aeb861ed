"""Experts of a mixture: their averaging while they are trained, and numbers that say whether they came to differ.

Letters: m experts, R rows of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.core.records import Candidate
from nas.core.supernet.network import Supernet
from nas.core.supernet.sharing import Mixture


def expert_tensors(supernet: Supernet) -> Iterator[tuple[str, Tensor]]:
    """Name → tensor (m, …) of each weight that has experts."""
    for number, bank in enumerate(supernet.banks):
        for key, tensors in bank.most.items():  # type: ignore[union-attr, operator]
            if f"{key}:router" in bank.most:  # type: ignore[operator]
                for name in tensors:
                    yield f"{number}/{key}:{name}", bank.tensor(key, name)  # type: ignore[operator]


@torch.no_grad()
def share(supernet: Supernet, rate: float) -> None:
    """Move each expert by `rate` towards the mean of the others; their sum stays as it is.

    Reference: Huang et al. 2023, Experts Weights Averaging, arXiv:2308.06093.
    """
    for _, experts in expert_tensors(supernet):
        count = len(experts)
        if count > 1:
            pull = rate * count / (count - 1)  # towards the mean of all, which is the same
            experts.lerp_(experts.mean(0, keepdim=True), pull)


@torch.no_grad()
def gates(supernet: Supernet, candidate: Candidate) -> dict[str, Tensor]:
    """Layer → gates (R, m) of a candidate, one row where a layer is routed as a whole."""
    return {key: alpha if alpha.dim() == 2 else alpha[None] for key, alpha in supernet.gates(candidate).items()}


def _by_layer(supernet: Supernet, candidates: Sequence[Candidate]) -> dict[str, list[Tensor]]:
    """Layer → gates (R, m) of each candidate that has it; {} for weights without experts."""
    found: dict[str, list[Tensor]] = {}
    if isinstance(supernet.weights, Mixture) and supernet.weights.experts > 1:
        for candidate in candidates:
            for key, alpha in gates(supernet, candidate).items():
                found.setdefault(key, []).append(alpha.double())
    return found


def combined(supernet: Supernet, candidates: Sequence[Candidate]) -> dict[str, dict[str, Any]]:
    """What `nas.core.roles.GATES` is to hold. Where rows are routed by themselves, their mean stands for the layer."""
    table = {}
    for key, found in _by_layer(supernet, candidates).items():
        each = torch.stack([alpha.mean(0) for alpha in found])
        table[key.partition(":")[0]] = {
            "networks": len(each),
            "mean": each.mean(0).tolist(),
            "spread": each.std(0, correction=0).tolist(),
        }
    return table


@torch.no_grad()
def diagnostics(supernet: Supernet, candidates: Sequence[Candidate]) -> dict[str, float]:
    """Whether a mixture mixes, over a fixed set of candidates; {} for weights without experts.

    gate_entropy: of the gates of a layer or row, as a share of the largest, ln m: 1 is an even mixture, 0 one expert.
    gate_variance: of a gate across the candidates that have the layer: 0 where routers do not look at them.
    expert_cosine: between two experts of a weight: 1 where they have not separated.
    """
    by_layer = _by_layer(supernet, candidates)
    if not by_layer:
        return {}
    entropies, variances = [], []
    for found in by_layer.values():
        entropies += [(torch.special.entr(alpha).sum(1).mean() / math.log(alpha.shape[1])) for alpha in found]
        rows = min(len(alpha) for alpha in found)
        if len(found) > 1:
            variances.append(torch.stack([alpha[:rows] for alpha in found]).var(0, correction=0).mean())
    cosines = []
    for name, experts in expert_tensors(supernet):
        if name.endswith(":weight"):
            flat = F.normalize(experts.double().flatten(1), dim=1)
            pairs = torch.triu_indices(len(flat), len(flat), 1)
            cosines.append((flat @ flat.t())[pairs[0], pairs[1]].mean())
    named = {"gate_entropy": entropies, "gate_variance": variances, "expert_cosine": cosines}
    return {name: torch.stack(values).mean().item() for name, values in named.items() if values}
