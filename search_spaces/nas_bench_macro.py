"""NAS-Bench-Macro: eight layers of three operations, 6,561 networks.

Reference: Su et al. 2021, Prioritized Architecture Sampling with Monto-Carlo Tree Search, arXiv:2103.11922.
"""

from __future__ import annotations

from collections.abc import Mapping

from nas.core.errors import NotInSpaceError
from nas.core.graph import Graph
from nas.core.language import one_of, op, seq
from nas.core.parts import Part
from nas.core.profile import InputSpec
from nas.core.records import Candidate
from nas.core.registry import register
from nas.core.space import Space, image
from search_spaces.cnn import check_width

OPTIONS = ("identity", "mbconv3", "mbconv5")
"""What the digits 0, 1 and 2 mean: identity, MobileNetV2 block with kernel 3 and expansion 3, with 5 and 6."""

STAGES = (2, 3, 3)


def _layer(width: int, stride: int) -> Part:
    return one_of(
        identity=op("macro_skip", width=width, stride=stride) if stride > 1 else op("identity"),
        mbconv3=op("mbconv", width=width, stride=stride, kernel=3, expand=3, act="relu"),
        mbconv5=op("mbconv", width=width, stride=stride, kernel=5, expand=6, act="relu"),
    )


@register("space", "nas_bench_macro")
def nas_bench_macro(
    inputs: InputSpec | Mapping[str, InputSpec] | None = None, classes: int = 10, width: int = 32
) -> Space:
    """The space as published: `width` 32 channels, stages of 2, 3 and 3 layers, the first of each with stride 2."""
    check_width(width, "nas_bench_macro")
    layers: dict[str, Part] = {}
    for stage, count in enumerate(STAGES, 1):
        for _ in range(count):
            first = len(layers) == sum(STAGES[: stage - 1])
            layers[f"layer{len(layers) + 1}"] = _layer(width * 2**stage, 2 if first else 1)
    part = seq(stem=op("stem", width=width), **layers, head=op("macro_head"))
    return Space(part, inputs or image(3, 32, 32), classes, spell=spell, parse=parse)


def spell(graph: Graph) -> str:
    """The benchmark's text of a network of this space: eight digits. Raises NotInSpaceError."""
    digits = ""
    for node in graph.nodes:
        if node.op in ("macro_skip", "identity"):
            digits += "0"
        elif node.op == "mbconv":
            digits += "1" if node.attributes.get("kernel") == 3 else "2"
    if len(digits) != sum(STAGES):
        raise NotInSpaceError(f"this graph is no network of nas_bench_macro: it has {len(digits)} layers of its kinds")
    return digits


def parse(space: Space, text: str) -> Candidate:
    """The candidate of eight digits. Raises NotInSpaceError."""
    if len(text) != sum(STAGES) or not set(text) <= set("012"):
        raise NotInSpaceError(f"{text!r} is no network of NAS-Bench-Macro; expected eight digits of 0, 1 and 2")
    return space.decide({f"layer{place}/op": OPTIONS[int(digit)] for place, digit in enumerate(text, 1)})
