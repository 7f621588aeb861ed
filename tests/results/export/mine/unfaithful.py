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


class Noisy(nn.Module):
    """Draws numbers whenever it runs, somewhere inside."""

    class Noise(nn.Module):
        """What does."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.randn_like(x)

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)
        self.noise = Noisy.Noise()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.noise(self.conv(x))


class Dropping(nn.Module):
    """Has a dropout that is always on."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, 0.5, training=True)


class Pickled(nn.Module):
    """Has more in its state dict than tensors."""

    def get_extra_state(self) -> str:
        """A text."""
        return "more"

    def set_extra_state(self, state: str) -> None:
        """Nothing to do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x
