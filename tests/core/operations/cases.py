"""For every operation: legal and illegal values of every attribute, and operands. A test proves it complete."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

Shapes = tuple[tuple[int, ...], ...]

WIDTHS = (None, 1, 6, 8)
ACTS = ("relu", "relu6", "gelu", "silu", "hardswish", "leaky_relu", "elu", "tanh", "sigmoid", "hardsigmoid", None)

NOT_POSITIVE = (0, -1, 1.0, True, "3", None, (1,))
NOT_COUNT = (-1, 0.5, False, "0", (0,))
NOT_WIDTH = (0, -4, 2.5, True, "8", (8,))
NOT_ODD = (2, 0, -3, 3.0, True, None, (3, 3))
NOT_KERNEL = (0, 1.5, True, None, (3,), (3, 0), (3, 3, 3), (3, "3"), "3x3")
NOT_FRACTION = (-0.1, 1.5, True, "0.5", None)
NOT_FACTOR = (0, -1, 0.0, True, "6", None)
NOT_FLAG = (1, 0, None, "true")
NOT_ACT = ("Relu", "swish", True, 3, ("relu",))
NOT_FIT = ("projection", True, 0)
NOT_SIZE = ((4,), (4, 4, 4), (4, 0), (4, 2.0), 4, "ab", (True, 4))


class Case(NamedTuple):
    operands: tuple[Shapes, ...]
    legal: dict[str, tuple[Any, ...]] = {}
    illegal: dict[str, tuple[Any, ...]] = {}


IMAGES: tuple[Shapes, ...] = (((4, 9, 7),), ((8, 6, 6),), ((12, 1, 5),))
VECTORS: tuple[Shapes, ...] = (((7,),), ((16,),))
SEQUENCES: tuple[Shapes, ...] = (((5, 8),), ((1, 12),))
EVERYTHING = (*IMAGES, *VECTORS, *SEQUENCES)
PAIRS: tuple[Shapes, ...] = (
    *(shapes * count for shapes in EVERYTHING for count in (1, 2, 3)),
    ((4, 6, 6), (8, 6, 6)), ((4, 8, 8), (6, 4, 4), (4, 8, 8)), ((4, 4, 4), (4, 8, 8)), ((4, 7, 5), (4, 4, 3)),
    ((4,), (6,), (4,)), ((5, 8), (5, 4)),
)  # fmt: skip
FIT = {"fit": (None, "project", "crop", "pad")}
BAD_FIT = {"fit": NOT_FIT}

CASES: dict[str, Case] = {
    # weights
    "conv2d": Case(
        IMAGES,
        {"width": WIDTHS, "kernel": (1, 2, 3, (1, 3), (5, 2)), "stride": (1, 2, 3), "padding": (None, 0, 1, 4),
         "dilation": (1, 2), "groups": (1, 2, 4), "bias": (True, False)},
        {"width": NOT_WIDTH, "kernel": NOT_KERNEL, "stride": NOT_POSITIVE, "padding": NOT_COUNT,
         "dilation": NOT_POSITIVE, "groups": NOT_POSITIVE, "bias": NOT_FLAG},
    ),
    "linear": Case((*VECTORS, *SEQUENCES), {"width": WIDTHS, "bias": (True, False)},
                   {"width": NOT_WIDTH, "bias": NOT_FLAG}),
    "embedding": Case((((5,),), ((1,),)), {"vocabulary": (3, 11), "width": (1, 4)},
                      {"vocabulary": NOT_POSITIVE, "width": NOT_POSITIVE}),
    "position": Case(SEQUENCES),
    "batch_norm": Case((*IMAGES, *VECTORS)),
    "layer_norm": Case(EVERYTHING),
    "group_norm": Case(IMAGES, {"groups": (1, 2, 4, 8)}, {"groups": NOT_POSITIVE}),
    # without weights
    **{name: Case(EVERYTHING) for name in ACTS if name is not None},
    "identity": Case(EVERYTHING),
    "zero": Case(EVERYTHING, {"stride": (1, 2, 3)}, {"stride": NOT_POSITIVE}),
    "subsample": Case(IMAGES, {"stride": (1, 2, 3)}, {"stride": NOT_POSITIVE}),
    "max_pool": Case(IMAGES, {"kernel": (1, 2, 3, 5), "stride": (1, 2, 3), "padding": (None, 0, 1, 2)},
                     {"kernel": (*NOT_POSITIVE, (3, 3)), "stride": NOT_POSITIVE, "padding": NOT_COUNT}),
    "avg_pool": Case(IMAGES, {"kernel": (1, 2, 3, 5), "stride": (1, 2, 3), "padding": (None, 0, 1, 2)},
                     {"kernel": (*NOT_POSITIVE, (3, 3)), "stride": NOT_POSITIVE, "padding": NOT_COUNT}),
    "global_pool": Case(IMAGES),
    "length_mean": Case(SEQUENCES),
    "flatten": Case(EVERYTHING),
    "to_sequence": Case(IMAGES),
    "dropout": Case(EVERYTHING, {"p": (0, 0.5, 1.0)}, {"p": NOT_FRACTION}),
    "upsample": Case(IMAGES, {"factor": (1, 2, 3)}, {"factor": NOT_POSITIVE}),
    "resize": Case(IMAGES, {"height": (1, 6), "width": (3, 11)}, {"height": NOT_POSITIVE, "width": NOT_POSITIVE}),
    "crop": Case((*IMAGES, *VECTORS), {"width": (1, 3, 7)}, {"width": NOT_POSITIVE}),
    "pad": Case((*IMAGES, *VECTORS), {"width": (8, 12, 20)}, {"width": NOT_POSITIVE}),
    # merges
    "add": Case(PAIRS, FIT, BAD_FIT),
    "mul": Case(PAIRS, FIT, BAD_FIT),
    "max": Case(PAIRS, FIT, BAD_FIT),
    "mean": Case(PAIRS, FIT, BAD_FIT),
    "concat": Case(PAIRS, FIT, BAD_FIT),
    "join": Case(PAIRS, FIT, BAD_FIT),
    "gate": Case((((4, 5, 3), (4,)), ((1, 2, 2), (1,)))),
    "attend": Case((((5, 8),) * 3, ((5, 8), (3, 8), (3, 8))), {"heads": (1, 2, 8)}, {"heads": NOT_POSITIVE}),
    # blocks
    "conv": Case(
        IMAGES,
        {"width": WIDTHS, "kernel": (1, 2, 3, (1, 5)), "stride": (1, 2), "dilation": (1, 2), "groups": (1, 2),
         "act": ACTS},
        {"width": NOT_WIDTH, "kernel": NOT_KERNEL, "stride": NOT_POSITIVE, "dilation": NOT_POSITIVE,
         "groups": NOT_POSITIVE, "act": NOT_ACT},
    ),
    "depthwise": Case(
        IMAGES, {"kernel": (1, 3, 5), "stride": (1, 2), "dilation": (1, 2), "act": ACTS},
        {"kernel": NOT_ODD, "stride": NOT_POSITIVE, "dilation": NOT_POSITIVE, "act": NOT_ACT},
    ),
    "separable": Case(
        IMAGES, {"width": WIDTHS, "kernel": (1, 3, 5), "stride": (1, 2), "dilation": (1, 2), "act": ACTS},
        {"width": NOT_WIDTH, "kernel": NOT_ODD, "stride": NOT_POSITIVE, "dilation": NOT_POSITIVE, "act": NOT_ACT},
    ),
    "squeeze_excite": Case(IMAGES, {"ratio": (0, 0.25, 0.5, 1), "act": ACTS}, {"ratio": NOT_FRACTION, "act": NOT_ACT}),
    "mbconv": Case(
        IMAGES,
        {"width": WIDTHS, "kernel": (1, 3, 5), "stride": (1, 2), "expand": (0.01, 1, 1.0, 1.5, 3), "se": (0, 0.25, 1),
         "act": ACTS, "residual": (True, False)},
        {"width": NOT_WIDTH, "kernel": NOT_ODD, "stride": NOT_POSITIVE, "expand": NOT_FACTOR, "se": NOT_FRACTION,
         "act": NOT_ACT, "residual": NOT_FLAG},
    ),
    "residual": Case(IMAGES, {"width": WIDTHS, "kernel": (1, 3), "stride": (1, 2), "act": ACTS},
                     {"width": NOT_WIDTH, "kernel": NOT_ODD, "stride": NOT_POSITIVE, "act": NOT_ACT}),
    "project": Case(
        (*IMAGES, *VECTORS), {"width": WIDTHS, "size": (None, (1, 1), (3, 3), (12, 2), (9, 7))},
        {"width": NOT_WIDTH, "size": NOT_SIZE},
    ),
    "downsample": Case(IMAGES, {"width": WIDTHS, "kernel": (1, 3, 5), "act": ACTS},
                       {"width": NOT_WIDTH, "kernel": NOT_ODD, "act": NOT_ACT}),
    "stem": Case(IMAGES, {"width": (1, 6), "kernel": (1, 3, 5), "stride": (1, 2), "act": ACTS},
                 {"width": NOT_POSITIVE, "kernel": NOT_ODD, "stride": NOT_POSITIVE, "act": NOT_ACT}),
    "dense": Case((*VECTORS, *SEQUENCES), {"width": (1, 6), "act": ACTS, "dropout": (0.0, 0.5)},
                  {"width": NOT_POSITIVE, "act": NOT_ACT, "dropout": NOT_FRACTION}),
    "mlp": Case((*VECTORS, *SEQUENCES), {"hidden": (1, 6), "width": WIDTHS, "act": ACTS, "dropout": (0.0, 0.5)},
                {"hidden": NOT_POSITIVE, "width": NOT_WIDTH, "act": NOT_ACT, "dropout": NOT_FRACTION}),
    "attention": Case(SEQUENCES, {"heads": (1, 2, 4), "head_width": (None, 1, 3)},
                      {"heads": NOT_POSITIVE, "head_width": NOT_WIDTH}),
    "transformer": Case(
        SEQUENCES,
        {"heads": (1, 2, 4), "head_width": (None, 3), "ratio": (0.01, 1, 2.5), "act": ACTS, "dropout": (0, 0.5)},
        {"heads": NOT_POSITIVE, "head_width": NOT_WIDTH, "ratio": NOT_FACTOR, "act": NOT_ACT, "dropout": NOT_FRACTION},
    ),
    "tokens": Case((((5,),), ((1,),)), {"vocabulary": (3, 11), "width": (1, 4)},
                   {"vocabulary": NOT_POSITIVE, "width": NOT_POSITIVE}),
    "patches": Case((((3, 8, 8),), ((1, 4, 12),)), {"width": (1, 6), "size": (1, 2, 4)},
                    {"width": NOT_POSITIVE, "size": NOT_POSITIVE}),
    "head": Case(EVERYTHING, {"classes": (1, 10), "dropout": (0.0, 0.5)},
                 {"classes": NOT_POSITIVE, "dropout": NOT_FRACTION}),
    # benchmarks
    "nb201_conv": Case(IMAGES, {"kernel": (1, 3, 5)}, {"kernel": NOT_ODD}),
    "nb201_reduce": Case((((4, 8, 8),), ((3, 6, 2),))),
    "macro_skip": Case(IMAGES, {"width": WIDTHS, "stride": (1, 2)}, {"width": NOT_WIDTH, "stride": NOT_POSITIVE}),
    "macro_head": Case(IMAGES, {"classes": (1, 10)}, {"classes": NOT_POSITIVE}),
}  # fmt: skip

MOST = 20
"""Combinations of attributes that are tried per operation: all, or an even draw in which every value occurs."""


def combinations(case: Case, most: int = MOST) -> Iterator[tuple[Shapes, dict[str, Any]]]:
    """Operands and attributes; every value of every attribute occurs, also the defaults."""
    settings = {name: (*values, ...) for name, values in case.legal.items()}  # `...`: left to the default
    everything = list(product(case.operands, *settings.values()))
    rng = random.Random(0)
    chosen = everything if len(everything) <= most else rng.sample(everything, most)
    names = list(settings)
    for place, name in enumerate(names, 1):
        for value in settings[name]:
            if not any(row[place] is value for row in chosen):
                chosen.append(rng.choice([row for row in everything if row[place] is value]))
    for shapes, *values in chosen:
        yield shapes, {name: value for name, value in zip(names, values, strict=True) if value is not ...}
