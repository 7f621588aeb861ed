"""Where a residual network halves its image: the positions of its poolings are open, and nothing else is.

All candidates have the same layers with the same weights, at other resolutions, so a supernet shares everything.

Reference: Javan Roshtkhari et al. 2023, Balanced Mixture of SuperNets, arXiv:2306.11982, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from nas.core.errors import GraphError, NotInSpaceError
from nas.core.graph import Graph
from nas.core.language import compute, op, seq, some_of
from nas.core.parts import Part
from nas.core.profile import InputSpec
from nas.core.records import Candidate
from nas.core.registry import register
from nas.core.space import Space, image
from nas.core.table import whole


def network(pools: tuple[str, ...], depths: tuple[int, ...], widths: tuple[int, ...]) -> Part:
    """The body: a convolution and residual blocks; before each block that `pools` names, a pooling."""
    of_block = [width for width, depth in zip(widths, depths, strict=True) for _ in range(depth)]
    parts: dict[str, Part] = {}
    for place, width in enumerate(of_block, 1):
        if f"block{place}" in pools:
            parts[f"pool{place}"] = op("max_pool", kernel=2, stride=2, padding=0)
        parts[f"block{place}"] = op("stem", width=width) if place == 1 else op("residual", width=width)
    return seq(**parts)


@register("space", "resnet_pooling")
def resnet_pooling(
    inputs: InputSpec | Mapping[str, InputSpec] | None = None,
    classes: int = 10,
    depths: tuple[int, ...] = (4, 3, 3),
    widths: tuple[int, ...] = (16, 32, 64),
) -> Space:
    """A ResNet of `sum(depths)` blocks, the first of them a convolution, with one pooling less than widths.

    The published 36 networks of ResNet-20 are the defaults; ResNet-18's 56 have depths (3, 2, 2, 2) and widths (64,
    128, 256, 512). Widths change at fixed blocks, so all networks have the same parameters.
    """
    for name, given in (("depths", depths), ("widths", widths)):
        if len(given) < 2 or not all(whole(number, 1) for number in given):
            raise GraphError(f"space 'resnet_pooling': {name}={given!r}; expected two or more whole numbers above 0")
    if len(depths) != len(widths):
        raise GraphError(f"space 'resnet_pooling': {len(depths)} depths and {len(widths)} widths; expected as many")
    blocks = [f"block{place}" for place in range(2, sum(depths) + 1)]
    pools = some_of(*blocks, at_least=len(depths) - 1, at_most=len(depths) - 1)
    body = compute(network, pools=pools, depths=tuple(depths), widths=tuple(widths))
    return Space(seq(body=body, head=op("head")), inputs or image(3, 32, 32), classes, spell=spell, parse=parse)


def spell(graph: Graph) -> str:
    """How many blocks each resolution has, as in '[4,3,3]'. Raises NotInSpaceError."""
    body = next((node.op for node in graph.nodes if node.name == "body"), None)
    if not isinstance(body, Graph):
        raise NotInSpaceError("this graph is no network of resnet_pooling: it has no body")
    counts = [0]
    for node in body.nodes:
        if node.op == "max_pool":
            counts.append(0)
        else:
            counts[-1] += 1
    return f"[{','.join(map(str, counts))}]"


def parse(space: Space, text: str) -> Candidate:
    """The candidate of '[4,3,3]'. Raises NotInSpaceError."""
    try:
        counts = [int(count) for count in text.strip("[] ").split(",")]
    except ValueError:
        counts = []
    blocks = tuple(f"block{1 + after}" for after in accumulate(counts[:-1]))
    if counts and min(counts) >= 1:
        candidate = space.decide({"body/pools": blocks})
        if spell(candidate.graph) == f"[{','.join(map(str, counts))}]":
            return candidate
    raise NotInSpaceError(f"{text!r} is no network of resnet_pooling; expected blocks per resolution, as in [4,3,3]")
