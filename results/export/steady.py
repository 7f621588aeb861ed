"""Whether a network gives the same twice: of one that draws numbers in eval mode no form can be proved equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from nas.core.difference import difference
from nas.core.errors import ExportError
from nas.core.graph import Graph
from nas.core.profile import InputSpec
from results.export import proof
from results.export.refused import named
from results.export.tree import Block


def check(
    network: nn.Module, operands: Sequence[Tensor], graph: Graph, inputs: dict[str, InputSpec], root: Block
) -> None:
    """Raise ExportError where a built network gives other outputs when it runs again, naming the part that does.

    graph, inputs, root: the network's own, in which a part is named as its user knows it.
    """
    apart = difference(*(proof.outputs_of(network, operands, seed) for seed in proof.SEEDS))
    if not isinstance(apart, str) and apart.absolute == 0:
        return
    gap = apart if isinstance(apart, str) else f"they differ by {apart.absolute:.3g}"
    path = _first(network, operands)
    place = f", in {named(path, type(network.get_submodule(path)).__name__, graph, inputs, root)}" if path else ""
    raise ExportError(
        f"the built network gives other outputs when it runs again on the same inputs{place} ({gap}): "
        f"{proof.UNSTEADY}, so that no form can be proved equal to it; {proof.STEADY}"
    )


def _first(network: nn.Module, operands: Sequence[Tensor]) -> str:
    """The path of the first module to end whose outputs differ though its inputs do not; '' where there is none."""
    seen: list[list[tuple[str, dict[str, Tensor], dict[str, Tensor]]]] = []

    def note(path: str) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...], result: Any) -> None:
            seen[-1].append((path, _tensors(args), _tensors(result)))

        return hook

    hooks = [module.register_forward_hook(note(path)) for path, module in network.named_modules() if path]
    try:
        for seed in proof.SEEDS:
            seen.append([])
            proof.outputs_of(network, operands, seed)
    finally:
        for hook in hooks:
            hook.remove()
    for (path, given, result), (other, again, changed) in zip(*seen, strict=False):
        if path == other and difference(given, again) == (0, 0) and difference(result, changed) != (0, 0):
            return path
    return ""


def _tensors(value: Any) -> dict[str, Tensor]:
    """The tensors in a module's operands or results, as they are now: some are written over later."""
    if isinstance(value, Tensor):
        return {"": value.detach().clone()}
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, tuple | list) else ()
    return {f"{key}/{name}": tensor for key, part in parts for name, tensor in _tensors(part).items()}
