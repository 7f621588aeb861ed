"""That the network taken out of a supernet is the one that ran in it: their outputs on real examples, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from evaluators.supernet.trained import Subnet
from nas.core.build import build
from nas.core.records import Candidate
from nas.core.threads import threads

if TYPE_CHECKING:
    from evaluators.supernet.trained import TrainedSupernet

EXAMPLES = 16
"""Of the validation part."""


@torch.no_grad()
def compared(trained: TrainedSupernet, candidate: Candidate) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state that a candidate inherits, and what `nas.core.roles.INHERITED` is to hold of it."""
    supernet = trained.supernet
    which, norms = trained.adjusted(candidate)
    state = supernet.inherited(candidate, which, norms)
    plain = build(candidate.graph, supernet.space.inputs).to(trained.device).eval()
    plain.load_state_dict(state)
    part = trained.part("validation")
    x = part.some(torch.arange(min(EXAMPLES, len(part))))[0]
    with threads(trained.threads):
        inside, outside = (
            _outputs(network(x)) for network in (Subnet(supernet, candidate, which, norms).eval(), plain)
        )
    gaps = [float((inside[name] - outside[name]).abs().max()) for name in outside]
    sizes = [float(value.abs().max()) for value in outside.values()]
    known: dict[str, Any] = {
        "examples": len(x),
        "max_abs_difference": max(gaps),
        "max_rel_difference": max(gap / size if size else gap for gap, size in zip(gaps, sizes, strict=True)),
    }
    return state, known


def _outputs(found: Any) -> dict[str, Tensor]:
    return found if isinstance(found, dict) else {"": found}
