"""Spaces that use every word of the language, and every registered space at a small size."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import nn

import search_spaces  # noqa: F401 - registers the spaces
from nas.core import registry
from nas.core.language import dag, one_of, op, optional, parallel, recursive, repeat, seq, some_of, tie
from nas.core.parts import Part
from nas.core.space import Space, features, image, tokens
from tests.results.export.mine import clashing, foreign, layers

SMALL = {"width": 8, "cells": 2, "widths": (4, 6, 8), "depths": (1, 3), "depth": 4}


OWN = {"resnet_pooling": {"depths": (3, 3, 3, 3), "widths": (4, 6, 8, 8)}}
"""Fields of spaces that take other ones than `SMALL`."""


def registered(name: str) -> Space:
    """A registered space for 16×16 images, as narrow as its parameters allow."""
    make = registry.get("space", name)
    known = inspect.signature(make).parameters
    fields = {word: value for word, value in SMALL.items() if word in known} | OWN.get(name, {})
    return make(inputs=image(3, 16, 16), classes=5, **fields)


def _conv(width: int | None = None, kernel: int = 3) -> Part:
    return op("conv", width=width, kernel=kernel)


def multi_task() -> Space:
    """Several outputs, whose parents are choices; a nested part with several outputs and several inputs."""
    trunk = repeat(op("mbconv", kernel=one_of(3, 5), expand=one_of(1, 2), se=one_of(0.0, 0.5)), times=one_of(1, 2, 5))
    pyramid = dag(
        {
            "fine": (_conv(8), "input"),
            "coarse": (op("downsample", width=16), "fine"),
            "third": (op("identity"), "side"),
        },
        inputs=("input", "side"),
        outputs={"high": "fine", "low": "coarse", "passed": "third", "again": "fine"},
    )
    part = dag(
        {
            "stem": (_conv(8), "image"),
            "low": (trunk, "stem"),
            "pyramid": (pyramid, [one_of("stem", "low"), "depth"]),
            "up": (op("upsample"), "pyramid:low"),
            "both": (op("concat"), ["up", "pyramid:high", "pyramid:again"]),
            "digits": (op("head", classes=10), one_of("low", "both", "stem")),
            "parity": (op("head", classes=2), one_of("both", "low")),
            "beside": (op("head", classes=3), "pyramid:passed"),
        },
        inputs=("image", "depth"),
        outputs={"digits": "digits", "parity": "parity", "beside": "beside", "pixels": "both"},
    )
    return Space(part, {"image": image(1, 8, 8), "depth": image(2, 8, 8)})


def text() -> Space:
    """Token sequences and transformer blocks, alike and unlike."""
    block = op("transformer", heads=one_of(2, 4), ratio=one_of(1.5, 2), act=one_of("gelu", "relu"), dropout=0.1)
    alike = tie("alike", op("transformer", heads=one_of(1, 2), ratio=2))
    part = seq(
        embed=op("tokens", width=16),
        blocks=repeat(block, times=one_of(1, 3)),
        more=repeat(alike, times=one_of(1, 2, 6)),
        norm=op("layer_norm"),
        head=op("head"),
    )
    return Space(part, tokens(6, 20), 3)


def paths() -> Space:
    """Multi-path blocks with every merge, and operands that are made to fit."""
    some = some_of(
        *(op("conv", kernel=k, act=a) for k in (1, 3) for a in ("relu", "gelu", None)),
        op("max_pool"),
        op("zero"),
        op("identity"),
        at_least=1,
        merge=one_of("add", "max", "mul", "mean", "concat"),
    )
    fitted = parallel(some, _conv(8), op("downsample"), fit="project", merge=one_of("add", "mean", "concat"))
    cropped = parallel(a=_conv(6), b=_conv(4), merge=one_of("add", "max"), fit=one_of("crop", "pad"))
    return Space(seq(_conv(8), first=some, second=fitted, third=cropped, head=op("head")), image(2, 8, 8), 4)


def grown() -> Space:
    """Recursive parts inside one another."""
    tree = recursive(
        "tree",
        lambda again: one_of(
            leaf=one_of(_conv(kernel=1), op("separable"), op("avg_pool"), op("identity")),
            chain=seq(first=again, second=again),
            fork=parallel(left=again, right=again, merge=one_of("add", "mul", "mean")),
        ),
        depth=4,
    )
    return Space(seq(stem=_conv(4), tree=tree, shrunk=op("downsample"), tree2=tree, head=op("head")), image(1, 8, 8), 3)


def wired() -> Space:
    """A graph whose edges are choices, with nodes that lead nowhere, shared by ties."""
    cell = dag(
        {
            "a": (one_of(_conv(), op("mbconv", expand=2)), "input"),
            "b": (one_of(_conv(kernel=1), op("max_pool")), some_of("input", "a"), "mul"),
            "c": (_conv(), [optional("a"), optional("b"), "input"], "add"),
            "out": (op("concat"), some_of("a", "b", "c", at_least=2)),
            "back": (_conv(6), "out"),
        }
    )
    part = seq(stem=_conv(6), first=tie("cell", cell), second=tie("cell", cell), third=cell, head=op("head"))
    return Space(part, image(1, 8, 8), 3)


def awkward() -> Space:
    """Names that mean something else in Python, in torch or in an exported file."""
    words = ("train", "type", "class", "1st-one", "torch", "Network", "load", "append", "_modules", "x", "OrderedDict")
    chain = {word: _conv(4) for word in words}
    chain["mean"] = parallel(input=_conv(), mean=_conv(), sum=_conv(), merge="mean")
    chain["nn"] = parallel(nn=_conv(), Tensor=_conv(), self=_conv(), l=_conv(), L=_conv(), x=_conv(), merge="concat")
    chain["pop"] = seq(append=_conv(), pop=_conv(), insert=_conv(4))
    return Space(seq(**chain, head=op("head")), {"image-1": image(1, 8, 8)}, 3)


def own() -> Space:
    """A user's modules: alone, repeated, with several operands, clashing names, inside other blocks."""
    gated = op(layers.Gated, width=one_of(4, 6), kernel=one_of(1, 3), act=one_of("relu", "soft", "squash"))
    block = dag(
        {
            "left": (op(layers.Gated, width=6), "input"),
            "right": (one_of(op(clashing.Network), op(layers.Outer.Inner), op(clashing.ConvNormReLU)), "input"),
            "fit": (_conv(6), "right"),
            "mixed": (op(layers.Mix), ["left", "fit"]),
        }
    )
    part = seq(
        _conv(4),
        gated=repeat(gated, times=one_of(1, 2, 4)),
        block=block,
        zero=one_of(op(clashing.Zero), op("zero"), op(nn.Softsign)),
        head=op("head"),
    )
    return Space(part, image(1, 8, 8), 3)


def needy() -> Space:
    """A module of the user's that needs more than torch."""
    return Space(seq(_conv(4), one_of(op(foreign.Windowed), op(foreign.Placed)), head=op("head")), image(1, 8, 8), 3)


def vectors() -> Space:
    """Vectors, with dense layers and batch norm."""
    block = one_of(op("dense", width=one_of(8, 12)), op("mlp", hidden=16), seq(op("batch_norm"), op("dense", width=8)))
    return Space(seq(repeat(block, times=one_of(1, 2, 4)), merged=parallel(op("linear"), op("tanh"), merge="mul"),
                     head=op("head", dropout=0.2)), features(5), 4)  # fmt: skip


def worn(network: nn.Module, seed: int = 0) -> nn.Module:
    """A network whose biases, scales and statistics are as training leaves them: none is 0 or 1."""
    source = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.is_floating_point() and value.ndim == 1:
            low = 0.5 if name.endswith(("running_var", "weight")) else -0.3
            value.copy_(low + torch.rand(value.shape, generator=source) * (1.0 if low > 0 else 0.6))
    return network


WRITTEN: dict[str, Callable[[], Space]] = {
    make.__name__: make for make in (multi_task, text, paths, grown, wired, awkward, own, needy, vectors)
}
