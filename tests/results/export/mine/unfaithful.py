"""Modules that an export cannot carry."""

import torch
from torch import nn


class Drawn(nn.Module):
    """Keeps random numbers outside its state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("noise", torch.rand(1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.noise


class Pickled(nn.Module):
    """Has more in its state dict than tensors."""

    def get_extra_state(self) -> str:
        """A text."""
        return "more"

    def set_extra_state(self, state: str) -> None:
        """Nothing to do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x
