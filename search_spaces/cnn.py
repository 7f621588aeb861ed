"""`cnn`, the default space: convolutional networks with multi-path and nested blocks, for images of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas.core.errors import GraphError, ShapeError
from nas.core.language import one_of, op, optional, parallel, repeat, seq, some_of
from nas.core.parts import Part
from nas.core.profile import InputSpec
from nas.core.registry import register
from nas.core.space import Space, image
from nas.core.table import whole

SMALLEST = 4
"""Sides below this are not halved any further."""

MOST_STAGES = 20
"""Each stage halves the image and doubles the width: no image has pixels, and no machine weights, for more."""


def image_of(inputs: InputSpec | Mapping[str, InputSpec] | None, name: str) -> InputSpec:
    """The one image that a space is for; 32×32 RGB where nothing is given. Raises ShapeError."""
    if inputs is None:
        return image(3, 32, 32)
    specs = [inputs] if isinstance(inputs, InputSpec) else list(inputs.values())
    if len(specs) != 1 or len(specs[0].shape) != 3:
        shapes = ", ".join(str(spec.shape) for spec in specs)
        raise ShapeError(f"space {name!r} is for one image (C, H, W); the data has {shapes}")
    return specs[0]


def check_width(width: int, name: str) -> None:
    """Raise GraphError for a width that no layer has."""
    if not whole(width, 1):
        raise GraphError(f"space {name!r}: width={width!r}; expected a whole number above 0")


def check_stages(stages: int | None, name: str) -> None:
    """Raise GraphError for a number of stages that no network has."""
    if stages is not None and not (whole(stages, 1) and stages <= MOST_STAGES):
        raise GraphError(f"space {name!r}: stages={stages!r}; expected a whole number from 1 to {MOST_STAGES}, or None "
                         "for as many as the image allows")  # fmt: skip


def stages_for(side: int) -> tuple[int, int]:
    """How far an image with this shorter side is reduced: (stride of the stem, number of stages), at most four."""
    stride = 1
    while side // stride > 64:
        stride *= 2
    left, stages = side // stride, 1
    while left // 2 >= SMALLEST and stages < 4:
        left //= 2
        stages += 1
    return stride, stages


def block(kernels: Sequence[int]) -> Part:
    """One block: a bottleneck, several paths side by side, two unlike branches, or nothing."""
    kernel = one_of(*kernels)
    return one_of(
        mbconv=op("mbconv", kernel=kernel, expand=one_of(2, 4), se=one_of(0.0, 0.25)),
        residual=op("residual", kernel=kernel),
        multipath=parallel(
            skip=op("identity"),
            some=some_of(
                op("conv", kernel=1), op("conv", kernel=3), op("separable", kernel=5), op("max_pool"), at_least=1
            ),
        ),
        branches=parallel(
            deep=seq(
                first=op("conv", kernel=3),
                second=one_of(op("conv", kernel=3), op("separable", kernel=kernel)),
                attention=optional(op("squeeze_excite")),
            ),
            shallow=one_of(op("conv", kernel=1), op("identity"), op("avg_pool")),
            merge=one_of("add", "mean", "max"),
        ),
        identity=op("identity"),
    )


@register("space", "cnn")
def cnn(
    inputs: InputSpec | Mapping[str, InputSpec] | None = None,
    classes: int = 10,
    widths: tuple[int, ...] = (16, 24, 32),
    depths: tuple[int, ...] = (1, 2, 3),
    kernels: tuple[int, ...] = (3, 5),
    stages: int | None = None,
) -> Space:
    """Stages of `depths` blocks at `widths` channels, doubled from stage to stage while the image is halved.

    stages: how many; None: as many as the image's shorter side allows, at most four. Images of more than 64 pixels
    are first reduced by the stem.
    """
    for name, given, least in (("widths", widths, 1), ("depths", depths, 0), ("kernels", kernels, 1)):
        if not isinstance(given, tuple | list) or not given or not all(whole(number, least) for number in given):
            raise GraphError(
                f"space 'cnn': {name}={given!r}; expected one or more whole numbers of {least} or more, such as (1, 3)"
            )
    check_stages(stages, "cnn")
    spec = image_of(inputs, "cnn")
    stride, fitting = stages_for(min(spec.shape[1:]))
    parts: dict[str, Part] = {"stem": op("stem", width=min(widths), stride=stride)}
    for stage in range(stages or fitting):
        width = one_of(*(wide * 2**stage for wide in widths))
        enter = op("conv", width=width) if stage == 0 else op("downsample", width=width)
        parts[f"stage{stage + 1}"] = seq(enter=enter, blocks=repeat(block(kernels), times=one_of(*depths)))
    return Space(seq(**parts, head=op("head")), spec, classes)
