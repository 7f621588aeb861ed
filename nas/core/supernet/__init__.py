"""Supernets: all networks of a space in one set of weights, derived from the space's declaration.

layouts     what the channels of each value are, operand by operand
forms       layers with weights: their axes, and the one call that they are
bank        the largest weights, and their slices
sharing     how decisions become weights: separate, elastic, mixture of experts, balanced sets
norms       how batch norms keep statistics apart
network     the supernet: run a candidate, extract it as a plain network
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nas.core.supernet.norms import Shadow, Shared
from nas.core.supernet.sharing import Balanced, Elastic, Mixture, Separate

if TYPE_CHECKING:
    from nas.core.supernet.network import Supernet

__all__ = ["Balanced", "Elastic", "Mixture", "Separate", "Shadow", "Shared", "Supernet"]


def __getattr__(name: str) -> Any:
    if name == "Supernet":  # it needs torch, the declarations do not
        return import_module("nas.core.supernet.network").Supernet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
