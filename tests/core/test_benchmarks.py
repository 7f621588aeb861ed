"""Tabular benchmarks: every published network, its notation, its parameter and MAC counts; whole networks by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from nas.core.build import build
from nas.core.errors import NotInSpaceError
from nas.core.keys import graph_key
from nas.core.profile import profile
from nas.core.space import Space, image
from search_spaces.nas_bench_201 import EDGES, nas_bench_201
from search_spaces.nas_bench_macro import nas_bench_macro


def rows(path: Path, *columns: str) -> list[tuple[object, ...]]:
    """The columns of a table, row by row."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path, columns=list(columns)).to_pydict()
    return list(zip(*(table[column] for column in columns), strict=True))


def agrees_with_table(space: Space, table: list[tuple[object, ...]]) -> None:
    """Spelling and parsing are one network, and its counts are the table's."""
    for arch, *counts in table:
        candidate = space.parse(str(arch))
        assert space.spell(candidate.graph) == arch
        known = profile(candidate.graph, space.inputs)
        assert [known.params, known.macs][: len(counts)] == counts, arch


# ---- NAS-Bench-201 ---------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_nas_bench_201_agrees_with_its_table_on_a_sample(real: Callable[[str], Path]) -> None:
    table = rows(real("nas_bench_201_cifar10.parquet"), "arch", "params")
    assert len(table) == nas_bench_201().size() == 5**6 == 15_625
    agrees_with_table(nas_bench_201(), random.Random(0).sample(table, 1500))


@pytest.mark.data
@pytest.mark.slow
def test_nas_bench_201_agrees_with_its_table(real: Callable[[str], Path]) -> None:
    table = rows(real("nas_bench_201_cifar10.parquet"), "arch", "params")
    agrees_with_table(nas_bench_201(), table)
    space = nas_bench_201()
    assert {space.spell(candidate.graph) for candidate in space.enumerate()} == {arch for arch, _ in table}


@pytest.mark.slow
def test_nas_bench_201_has_as_many_keys_as_lie_between_the_published_counts() -> None:
    """Published: 6,466 classes; 4,930 where sums are flattened. Both take twins for one, so the truth lies between."""
    keys = {graph_key(candidate.graph) for candidate in nas_bench_201(cells=1).enumerate()}
    assert 4930 < len(keys) < 6466


def relu_conv_bn(c_in: int, c_out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
    return [nn.ReLU(), conv, nn.BatchNorm2d(c_out)]


class Cell201(nn.Module):
    """Dong & Yang 2020, section 2.1: node j is the sum over i < j of operation (i, j) of node i."""

    def __init__(self, arch: str, width: int) -> None:
        super().__init__()
        terms = [term for row in arch.split("+") for term in row.strip("|").split("|")]
        self.names = [term.split("~")[0] for term in terms]
        kernels = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
        self.edges = nn.ModuleList(
            nn.Sequential(*(relu_conv_bn(width, width, kernels[name]) if name in kernels else []))
            for name in self.names
        )

    def forward(self, x: Tensor) -> Tensor:
        nodes: list[Tensor] = [x]
        for stop in (1, 2, 3):
            total = torch.zeros_like(x)
            for (start, end), name, edge in zip(EDGES, self.names, self.edges, strict=True):
                if end == stop and name != "none":
                    value = edge(nodes[start])
                    pooled = F.avg_pool2d(value, 3, 1, 1, count_include_pad=False)
                    total = total + (pooled if name == "avg_pool_3x3" else value)
            nodes.append(total)
        return nodes[3]


class Reduction201(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*relu_conv_bn(width, 2 * width, 3, 2), *relu_conv_bn(2 * width, 2 * width, 3))
        self.short = nn.Conv2d(width, 2 * width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x) + self.short(F.avg_pool2d(x, 2, 2))
        return out


def network_201(arch: str, width: int, cells: int) -> nn.Sequential:
    """Figure 1: a convolution, three stages of cells with a reduction between them, norm, pooling, classifier."""
    parts: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)]
    for stage in range(3):
        parts += [Cell201(arch, width * 2**stage) for _ in range(cells)]
        parts += [Reduction201(width * 2**stage)] if stage < 2 else []
    end = [nn.BatchNorm2d(4 * width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, 10)]
    return nn.Sequential(*parts, *end)


def same(built: fx.GraphModule, reference: nn.Module, x: Tensor) -> None:
    """Equal outputs with the weights copied in the order of running."""
    paths = [str(node.target) for node in built.graph.nodes if node.op == "call_module"]
    mine = [tensor for path in paths for tensor in built.get_submodule(path).state_dict().values()]
    theirs = reference.state_dict()
    assert [tuple(t.shape) for t in mine] == [tuple(t.shape) for t in theirs.values()]
    reference.load_state_dict(dict(zip(theirs, mine, strict=True)))
    for mode in (True, False):
        torch.testing.assert_close(built.train(mode)(x), reference.train(mode)(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "arch",
    [
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|",
        "|skip_connect~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|nor_conv_3x3~0|skip_connect~1|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|avg_pool_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    ],
)
def test_a_whole_network_of_nas_bench_201_is_the_papers(arch: str) -> None:
    space = nas_bench_201(width=4, cells=2)
    built = build(space.parse(arch).graph, space.inputs)
    same(built, network_201(arch, 4, 2), torch.randn(4, 3, 32, 32))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no cell of NAS-Bench-201; expected"),
        ("|none~0|+|none~0|none~1|", "is no cell of NAS-Bench-201"),
        ("|none~0|+|none~1|none~0|+|none~0|none~1|none~2|", "is no cell of NAS-Bench-201"),
        (
            "|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_5x5~2|",
            "operation 'nor_conv_5x5'; did you mean 'nor_conv_",
        ),
    ],
)
def test_texts_that_are_no_cell_are_refused(text: str, message: str) -> None:
    with pytest.raises(NotInSpaceError, match=message):
        nas_bench_201().parse(text)


# ---- NAS-Bench-Macro -------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_nas_bench_macro_agrees_with_its_table(real: Callable[[str], Path]) -> None:
    table = rows(real("nas_bench_macro_cifar10.parquet"), "arch", "params", "flops")
    space = nas_bench_macro()
    assert len(table) == space.size() == 3**8 == 6561
    agrees_with_table(space, table)
    assert {space.spell(candidate.graph) for candidate in space.enumerate()} == {arch for arch, *_ in table}


def test_nas_bench_macro_has_the_number_of_different_networks_that_a_person_counts() -> None:
    """An identity is nothing, but for a stage's first. What is left of n layers: words of at most n of 2 letters."""
    words = [1, 1 + 2, 1 + 2 + 4]
    different = (3 * words[1]) * (3 * words[2]) ** 2
    space = nas_bench_macro()
    assert len({graph_key(candidate.graph) for candidate in space.enumerate()}) == different == 3969


def conv_bn(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(c_out)]


class Bottleneck(nn.Module):
    """MobileNetV2's block with ReLU; its input is added where nothing changes shape."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = c_in * expand
        middle = [*conv_bn(hidden, hidden, kernel, stride, hidden), nn.ReLU()]
        self.body = nn.Sequential(*conv_bn(c_in, hidden, 1), nn.ReLU(), *middle, *conv_bn(hidden, c_out, 1))
        self.adds = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def network_macro(digits: str, width: int) -> nn.Sequential:
    """Su et al. 2021, table of the macro space: stages of 2, 3 and 3 layers, the first of each halves and doubles."""
    parts = [*conv_bn(3, width, 3), nn.ReLU()]
    c_in = width
    for place, digit in enumerate(digits):
        first = place in (0, 2, 5)
        c_out, stride = (2 * c_in, 2) if first else (c_in, 1)
        if digit == "0":
            parts += conv_bn(c_in, c_out, 1, stride) if first else []
        else:
            kernel, expand = (3, 3) if digit == "1" else (5, 6)
            parts.append(Bottleneck(c_in, c_out, kernel, stride, expand))
        c_in = c_out
    end = [*conv_bn(c_in, 1280, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 10)]
    return nn.Sequential(*parts, *end)


@pytest.mark.parametrize("digits", ["01201201", "00000000", "12121212", "20020010"])
def test_a_whole_network_of_nas_bench_macro_is_the_papers(digits: str) -> None:
    space = nas_bench_macro(image(3, 16, 16), width=4)
    built = build(space.parse(digits).graph, space.inputs)
    same(built, network_macro(digits, 4), torch.randn(4, 3, 16, 16))


@pytest.mark.parametrize("text", ["", "0120120", "012012012", "0120120x", "01201203"])
def test_texts_that_are_no_eight_digits_are_refused(text: str) -> None:
    with pytest.raises(NotInSpaceError, match=f"'{text}' is no network of NAS-Bench-Macro; expected eight digits"):
        nas_bench_macro().parse(text)


@pytest.mark.parametrize("space", [nas_bench_201(), nas_bench_macro()], ids=["nas_bench_201", "nas_bench_macro"])
def test_graphs_of_other_spaces_have_no_spelling(space: Space) -> None:
    other = nas_bench_macro() if space.size() == 5**6 else nas_bench_201()
    with pytest.raises(NotInSpaceError, match="this graph is no network of nas_bench_"):
        space.spell(other[0].graph)
