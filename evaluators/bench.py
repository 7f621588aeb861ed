"""How latency and memory are measured: on what, in which batches, how often."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evaluators.devices import check_device
from nas.core.errors import RecipeError


@dataclass(frozen=True)
class Bench:
    """How latency and memory are measured.

    batch: examples of one forward pass. device: 'auto' is the GPU where there is one. threads: of torch on a CPU.
    warm_up, repeats: passes before, and passes of which the median is taken; seconds: no further repeats after this.
    train_batch: the batch for which `train_memory_bytes` is computed.
    """

    batch: int = 1
    device: str = "auto"
    threads: int = 1
    warm_up: int = 5
    repeats: int = 50
    seconds: float = 2.0
    train_batch: int = 64

    def __post_init__(self) -> None:
        check_device(self.device, "costs")
        for name in ("batch", "threads", "warm_up", "repeats", "train_batch"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise RecipeError(f"costs: {name} is {value!r}; expected a whole number of at least 1")
        number = isinstance(self.seconds, int | float) and not isinstance(self.seconds, bool)
        if not number or not 0 < self.seconds < math.inf:
            raise RecipeError(f"costs: seconds is {self.seconds!r}; expected a number above 0")
