"""That the network taken out of a supernet is the one that ran in it: their outputs on real examples, side by side."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from evaluators.supernet.trained import Subnet
from nas.core.build import build
from nas.core.difference import difference, says_nothing
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
    plainly = torch.backends.cudnn.flags(enabled=False)  # which rounds convolutions to three digits, where it may
    with threads(trained.threads), plainly:
        inside, outside = (
            _outputs(network(x)) for network in (Subnet(supernet, candidate, which, norms).eval(), plain)
        )
    found = difference(outside, inside)
    unlike = isinstance(found, str) or says_nothing(outside) is not None
    absolute, relative = (inf, inf) if unlike else found
    known = {"examples": len(x), "max_abs_difference": absolute, "max_rel_difference": relative}
    return state, known


def _outputs(found: Any) -> dict[str, Tensor]:
    return found if isinstance(found, dict) else {"": found}
