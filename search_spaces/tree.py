"""`tree`: recursive cells. A cell is a layer, two cells one after another, or two cells side by side.

Reference: Cai et al. 2018, Path-Level Network Transformation, arXiv:1806.02639, section 3. Differs: the merge is a
choice at every node, concatenations are brought back to the input's width by a 1×1 convolution, and trees are declared
rather than grown from trained weights.
"""

from __future__ import annotations

from collections.abc import Mapping

from nas.core.language import one_of, op, parallel, recursive, seq, tie
from nas.core.parts import Part
from nas.core.profile import InputSpec
from nas.core.registry import register
from nas.core.space import Space
from search_spaces.cnn import check_stages, check_width, image_of, stages_for


def tree(depth: int) -> Part:
    """A tree of at most `depth` levels whose output has the shape of its input."""
    leaf = one_of(
        op("conv", kernel=1),
        op("conv", kernel=3),
        op("separable", kernel=3),
        op("separable", kernel=5),
        op("max_pool"),
        op("avg_pool"),
        op("identity"),
    )
    return recursive(
        "tree",
        lambda again: one_of(
            leaf=leaf,
            chain=seq(first=again, second=again),
            sum=parallel(left=again, right=again, merge="add"),
            join=parallel(left=again, right=again, merge="join"),
        ),
        depth=depth,
    )


@register("space", "tree")
def tree_space(
    inputs: InputSpec | Mapping[str, InputSpec] | None = None,
    classes: int = 10,
    width: int = 16,
    depth: int = 3,
    stages: int | None = None,
    same: bool = False,
) -> Space:
    """One tree per stage, each stage twice as wide and half the size; `same`: one tree's decisions for all stages."""
    check_stages(stages, "tree")
    check_width(width, "tree")
    spec = image_of(inputs, "tree")
    stride, fitting = stages_for(min(spec.shape[1:]))
    parts: dict[str, Part] = {"stem": op("stem", width=width, stride=stride)}
    for stage in range(stages or fitting):
        wide = width * 2**stage
        if stage > 0:
            parts[f"downsample{stage}"] = op("downsample", width=wide)
        grown = tree(depth)
        parts[f"stage{stage + 1}"] = tie("tree", grown) if same else grown
    return Space(seq(**parts, head=op("head")), spec, classes)
