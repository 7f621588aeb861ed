"""A file whose module needs a package beyond torch."""

import numpy as np
import torch
from torch.nn import *  # noqa: F403

AT = __file__


class Windowed(Module):  # noqa: F405
    """The weight of a window, and what is left of it below zero."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        window = float(np.hanning(x.shape[-1]).sum())
        return torch.maximum(x * window, ReLU()(x))  # noqa: F405


class Placed(Module):  # noqa: F405
    """Looks at the place of its own file."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (1.0 if AT.endswith(".py") else 0.0)
