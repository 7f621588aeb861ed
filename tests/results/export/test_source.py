"""The text of model.py: what a person would write."""

from __future__ import annotations

import ast
import random

import pytest
import torch

from nas.core.build import build
from nas.core.graph import Graph, Node
from nas.core.language import op, repeat, seq
from nas.core.lower import TAKEN, identifier
from nas.core.profile import InputSpec
from nas.core.space import Space, image
from nas.core.values import FrozenDict
from results.export.about import Architecture, introduction
from results.export.source import source_of
from results.export.tree import tree_of
from search_spaces.nas_bench_201 import nas_bench_201
from tests.results.export.spaces import WRITTEN, registered

CELL = '''
class Cell(nn.Module):
    """The part at stage1/cell1 and 11 more places, (N, channels, H, W) to (N, channels, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.edge01 = ReLUConvNorm(channels, channels, kernel_size=3)
        self.edge12 = Zero()
        self.edge03 = ReLUConvNorm(channels, channels, kernel_size=1)
        self.edge13 = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.edge23 = ReLUConvNorm(channels, channels, kernel_size=3)

    def forward(self, x: Tensor) -> Tensor:
        edge01 = self.edge01(x)  # (N, channels, H, W)
        node2 = x + self.edge12(edge01)  # (N, channels, H, W)
        return self.edge03(x) + self.edge13(edge01) + self.edge23(node2)  # (N, channels, H, W)


class Stage(nn.Sequential):
    """The part at stage1 and 2 more places, (N, channels, H, W) to (N, channels, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(OrderedDict((f"cell{i}", Cell(channels)) for i in range(1, 5)))
'''


def _text(space: Space, seed: int = 0) -> str:
    rng = random.Random(seed)
    candidate = next(c for c in iter(lambda: space.sample(rng), None) if space.trouble(c) is None)
    return source_of(tree_of(candidate.graph, space.inputs), "A network.").text


def test_equal_cells_are_one_class_and_a_loop() -> None:
    space = nas_bench_201(width=4, cells=4)
    arch = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    text = source_of(tree_of(space.parse(arch).graph, space.inputs), "A cell.").text
    assert CELL in text
    assert text.count("class ") == 6
    assert "self.stage3 = Stage(16)" in text
    assert "x = self.reduce2(x)  # (N, 16, 8, 8)" in text


def test_blocks_in_a_row_become_a_loop_in_the_network() -> None:
    space = Space(seq(op("conv", width=4), repeat(op("residual"), times=5), op("head")), image(1, 8, 8), 3)
    text = _text(space)
    assert '        for i in range(1, 6):\n            self.add_module(f"block{i}", Residual(4))\n' in text
    assert '        for i in range(1, 6):\n            x = self.get_submodule(f"block{i}")(x)  # (N, 4, 8, 8)\n' in text


def test_some_equal_blocks_among_others() -> None:
    block = op("residual")
    body = seq(block1=op("conv", width=4), block2=block, block3=block, block4=block, last=op("conv", width=6))
    text = _text(Space(seq(body=body, head=op("head")), image(1, 8, 8), 3))
    assert '**{f"block{i}": Residual(4) for i in range(2, 5)},' in text


def test_short_cuts_read_as_sums() -> None:
    text = _text(Space(seq(op("transformer", heads=2), head=op("head")), InputSpec((6, 4)), 3))
    assert "        x = x + self.mixing(x)  # (N, 6, 4)\n        return x + self.thinking(x)  # (N, 6, 4)\n" in text


def test_operators_keep_the_order_of_the_graph() -> None:
    steps = {"s": ("add", "a", "b"), "t": ("add", "c", "s"), "u": ("mul", "t", "a"), "v": ("add", "u", "b", "c")}
    nodes = tuple(Node(name, op, FrozenDict(), tuple(operands)) for name, (op, *operands) in steps.items())
    graph = Graph(("a", "b", "c"), nodes, {"y": "v"})
    text = source_of(tree_of(graph, dict.fromkeys("abc", image(1, 2, 2))), "Sums.").text
    assert "return (c + (a + b)) * a + b + c  # (N, 1, 2, 2)" in text


def test_every_class_and_function_is_documented_and_typed() -> None:
    for name in ("multi_task", "text", "paths", "grown", "wired"):
        tree = ast.parse(_text(WRITTEN[name](), 3))
        assert ast.get_docstring(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                assert ast.get_docstring(node), node.name
            if isinstance(node, ast.FunctionDef):
                assert node.returns is not None, node.name
                assert all(a.annotation is not None for a in node.args.args if a.arg != "self"), node.name


def test_several_outputs_are_a_dict_and_blocks_with_several_a_tuple() -> None:
    text = _text(WRITTEN["multi_task"](), 1)
    assert "def forward(self, image: Tensor, depth: Tensor) -> dict[str, Tensor]:" in text
    assert 'return {"digits": ' in text


def test_the_introduction_says_what_it_is() -> None:
    space = registered("nas_bench_macro")
    candidate = space.sample(random.Random(1))
    about = {
        "title": 'Nine "\'"""\\ lives', "space": "nas_bench_macro", "trial": 7, "decisions": candidate.decisions,
        "metrics": {"val_accuracy": 93.456789, "val_accuracy_inherited": 82.98611, "train_seconds": 12.0, "hue": 7.5,
                    "train_memory_bytes": 3 * 2**20, "how": "by hand"}, "units": {"hue": "°"},
    }  # fmt: skip
    words = introduction(Architecture(candidate.graph, space.inputs, about, {}))
    assert "(space nas_bench_macro, trial 7)" in words
    shown = "val_accuracy 93.46 %, val_accuracy_inherited 82.99 %, train_seconds 12 s, hue 7.500 °"
    assert f"{shown}, train_memory_bytes 3.0 MiB, how by hand" in " ".join(words.split())
    assert f"layer1/op  {candidate.decisions['layer1/op']}" in words
    assert "Weights:" not in words
    tree = ast.parse(source_of(tree_of(candidate.graph, space.inputs), words).text)
    assert "Nine" in (ast.get_docstring(tree) or "")


def test_the_introduction_says_what_to_feed() -> None:
    space = registered("nas_bench_macro")
    data = {"name": "digits", "normalisation": {"mean": [4.884], "std": [6.016789]}}
    architecture = Architecture(space[0].graph, space.inputs, {"data": data}, {}, trained=False)
    words = introduction(architecture)
    assert "Data:    digits\n" in words
    assert "Feed:    inputs minus 4.884, divided by 6.01679, as in training\n" in words
    assert "Weights: untrained" in words


def test_dead_nodes_and_passed_inputs() -> None:
    inner = Graph(
        ("a", "b"),
        (Node("conv", "conv2d", FrozenDict({"width": 2}), ("a",)), Node("lost", "batch_norm", FrozenDict(), ("conv",))),
        {"same": "b", "made": "conv", "twice": "conv"},
    )
    graph = Graph(
        ("x",),
        (
            Node("nested", inner, FrozenDict(), ("x", "x")),
            Node("sum", "add", FrozenDict(), ("nested:same", "nested:twice")),
            Node("nothing", "mul", FrozenDict(), ("sum", "sum")),
            Node("unseen", "relu", FrozenDict(), ("sum",)),
        ),
        {"given": "x", "sum": "sum", "made": "nested:made"},
    )
    inputs = {"x": image(2, 4, 4)}
    text = source_of(tree_of(graph, inputs), "Odd.").text
    assert "self.unseen(" in text
    assert "nothing" not in text
    space: dict[str, object] = {"__file__": "model.py"}
    exec(compile(text, "model.py", "exec"), space)
    network = space["Network"]().eval()  # type: ignore[operator]
    built = build(graph, inputs).eval()
    network.load_state_dict(built.state_dict())
    x = torch.randn(2, 2, 4, 4)
    for name, value in built(x).items():
        assert torch.equal(network(x)[name], value)


def test_inputs_that_are_called_alike() -> None:
    nodes = (Node("a_b_", "tanh", FrozenDict(), ("a-b",)), Node("s", "add", FrozenDict(), ("a_b_", "a_b", "self")))
    graph = Graph(("a-b", "a_b", "self"), nodes, {"y": "s"})
    inputs = dict.fromkeys(("a-b", "a_b", "self"), image(1, 2, 2))
    names: dict[str, object] = {"__file__": "model.py"}
    exec(compile(source_of(tree_of(graph, inputs), "Alike.").text, "model.py", "exec"), names)
    operands = [torch.randn(2, 1, 2, 2) for _ in range(3)]
    assert torch.equal(names["Network"]()(*operands), build(graph, inputs)(*operands))  # type: ignore[operator]


def test_a_network_without_layers() -> None:
    graph = Graph(("x",), (Node("sum", "add", FrozenDict(), ("x", "x")),), {"y": "sum"})
    text = source_of(tree_of(graph, {"x": image(1, 2, 2)}), "A sum.").text
    assert "return x + x" in text


def test_no_submodule_takes_a_name_that_modules_have() -> None:
    own = torch.fx.GraphModule(torch.nn.Module(), torch.fx.Graph())
    have = {name for thing in (own, torch.nn.Sequential(), torch.nn.Module()) for name in dir(thing)}
    assert {name for name in have if not name.startswith("_")} <= TAKEN
    for name in [*have, "yield", "3", "a-b", "_"]:
        assert identifier(name) not in have
        assert identifier(name).isidentifier()


@pytest.mark.parametrize("name", ["cnn", "tree", "nas_bench_101"])
def test_the_tree_has_the_layers_of_the_built_module(name: str) -> None:
    space = registered(name)
    candidates = [space.sample(random.Random(seed)) for seed in range(20)]
    for candidate in [c for c in candidates if space.trouble(c) is None][:5]:
        tree_of(candidate.graph, space.inputs)  # raises when a path or a shape differs
