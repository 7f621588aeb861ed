"""Drawings: nothing lies on anything else, every text fits, and what is drawn is the graph."""

from __future__ import annotations

import itertools
import random
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest
from hypothesis import given, settings
from PIL import ImageFont

import search_spaces  # noqa: F401 - registers the spaces
from nas.core import registry
from nas.core.errors import ShapeError
from nas.core.graph import Graph, Node, chain
from nas.core.profile import InputSpec
from results.drawing import STYLE, draw, labels
from results.drawing.columns import fold
from results.drawing.layout import arrange
from results.drawing.scene import Edge, Item, Scene, make_scene
from results.drawing.shapes import way_of
from results.drawing.svg import path_of
from tests.results.samples import graphs, line, network

SVG = "{http://www.w3.org/2000/svg}"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def placed(graph: Graph, *, collapse: bool = False, tallest: float | None = None) -> Scene:
    scene = make_scene(graph, collapse=collapse)
    arrange(scene)
    if tallest is not None:
        fold(scene, tallest)
    return scene


def scenes(scene: Scene) -> Iterator[Scene]:
    yield scene
    for item in scene.items:
        if item.inner is not None:
            yield from scenes(item.inner)


def everything(scene: Scene) -> list[Item]:
    return [*scene.inputs, *scene.items, *scene.outputs, *(bend for edge in scene.edges for bend in edge.bends)]


def overlap(a: Item, b: Item) -> bool:
    across = abs(a.x - b.x) < (a.width + b.width) / 2 - 0.01
    return across and a.y < b.y + b.height - 0.01 and b.y < a.y + a.height - 0.01


def points(path: str) -> Iterator[tuple[float, float]]:
    """Points along an SVG path of M, L, H, V, v and C."""
    x = y = 0.0
    for command, rest in re.findall(r"([MLHVvC])([^MLHVvC]*)", path):
        numbers = [float(number) for number in rest.split()]
        if command == "C":
            x1, y1, x2, y2, x3, y3 = numbers
            for step in range(1, 25):
                t, s = step / 24, 1 - step / 24
                yield (
                    s**3 * x + 3 * s * s * t * x1 + 3 * s * t * t * x2 + t**3 * x3,
                    s**3 * y + 3 * s * s * t * y1 + 3 * s * t * t * y2 + t**3 * y3,
                )
            x, y = x3, y3
            continue
        end = {
            "M": lambda n: (n[0], n[1]),
            "L": lambda n: (n[0], n[1]),
            "H": lambda n: (n[0], y),  # noqa: B023 - called at once
            "V": lambda n: (x, n[0]),  # noqa: B023
            "v": lambda n: (x, y + n[0]),  # noqa: B023
        }[command](numbers)
        if command != "M":
            for step in range(1, 25):
                yield x + (end[0] - x) * step / 24, y + (end[1] - y) * step / 24
        x, y = end


def check(scene: Scene) -> None:
    for level in scenes(scene):
        for a, b in itertools.combinations(everything(level), 2):
            assert not overlap(a, b), (a, b)
        for item in everything(level):
            assert item.x - item.width / 2 >= -0.1, item
            assert item.x + item.width / 2 <= level.width + 0.1, item
            assert item.y >= -0.1, item
            assert item.y + item.height <= level.height + 0.1, item
            if item.inner is not None:
                assert item.inner.width <= item.width
                assert item.inner.height <= item.height
        for edge in level.edges:
            check_edge(edge, level)


def check_edge(edge: Edge, level: Scene) -> None:
    others = [item for item in [*level.inputs, *level.items, *level.outputs] if item not in (edge.source, edge.target)]
    for x, y in points(path_of(way_of(edge, 0.0))):
        assert -1 <= x <= level.width + 1, (x, level.width)
        for item in others:
            inside = abs(x - item.x) < item.width / 2 - 1 and item.y + 1 < y < item.y + item.height - 1
            assert not inside, (edge, item)


@settings(max_examples=60, deadline=None)
@given(graphs(depth=2, most=5))
def test_nothing_lies_on_anything_else(graph: Graph) -> None:
    for collapse in (False, True):
        check(placed(graph, collapse=collapse, tallest=200.0))


@settings(max_examples=25, deadline=None)
@given(graphs(depth=0, most=14))
def test_nor_in_a_flat_tangle(graph: Graph) -> None:
    check(placed(graph))


@pytest.mark.parametrize("name", registry.names("space"))
def test_nor_in_our_spaces(name: str) -> None:
    space = registry.get("space", name)()
    for seed in range(3):
        graph = space.sample(random.Random(seed)).graph
        check(placed(graph))
        check(placed(graph, collapse=True, tallest=500.0))
        ElementTree.fromstring(draw(graph, space.inputs, collapse=True))


@settings(max_examples=30, deadline=None)
@given(graphs())
def test_a_drawing_is_well_formed_and_finite(graph: Graph) -> None:
    text = draw(graph, title="a & <b>")
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.findtext(f"{SVG}title") == "a & <b>"
    assert not re.search(r"nan|inf\b", re.sub(r"<(title|text|style).*?</\1>", "", text, flags=re.DOTALL))


@pytest.mark.parametrize(
    ("text", "bold"),
    [(t, b) for b in (False, True) for t in (
        "conv 3×3", "mbconv 5×5", "max pool 3×3", "width 256 · stride 2", "expand 6 · se 0.25", "squeeze excite",
        "nb201 conv 1×1", "MyVeryOwnAttentionBlock", "WWWWWMMMMM", "illicit fjord, tilt", "window-size 14×14", "stage1",
        "classes 1000 · dropout 0.25", "zero", "AVATAR", "q k v", "x_1(a)/b[2]",
    )],
)  # fmt: skip
def test_texts_take_no_more_room_than_reckoned(text: str, bold: bool) -> None:
    font = ImageFont.truetype(str(FONTS / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")), 100)
    real = font.getlength(text) / 100
    assert real <= labels.width(text, 1.0, bold=bold) <= 1.35 * real + 0.5


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_it_says_what_the_graph_says() -> None:
    shown = texts(draw(network(kernel=5, blocks=2)))
    assert sorted(shown) == sorted(
        ["x", "y", "conv 3×3", "width 16", "stage", "block0", "block1", "head", "classes 10"]
        + 2 * ["conv 5×5", "width 16", "max pool 3×3", "add"]
    )


def test_equal_blocks_become_one_when_asked() -> None:
    shown = texts(draw(network(kernel=5, blocks=4), collapse=True))
    assert "× 4" in shown
    assert "block" in shown
    assert shown.count("conv 5×5") == 1
    plain = texts(draw(network(kernel=5, blocks=4)))
    assert plain.count("conv 5×5") == 4
    assert not any("×" in text and "× " in text for text in plain)


def test_only_equal_nodes_that_nothing_comes_between_become_one() -> None:
    different = chain(Node(f"n{i}", "conv", {"width": width}) for i, width in enumerate([8, 8, 16, 16, 16, 8]))
    assert [text for text in texts(draw(different, collapse=True)) if text.startswith("×")] == ["× 2", "× 3"]
    a, b = Node("a", "conv", {}, ("x",)), Node("b", "conv", {}, ("a",))
    tapped = Graph(("x",), (a, b, Node("c", "add", {}, ("a", "b"))), {"y": "c"})
    assert texts(draw(tapped, collapse=True)).count("conv 3×3") == 2


def test_attributes_at_their_defaults_are_left_out_and_kernels_are_always_told() -> None:
    node = Node("n", "conv", {"stride": 1, "groups": 1, "act": None, "width": 24, "dilation": 2}, ("x",))
    assert (labels.title(node), labels.details(node)) == ("conv 3×3", ["no activation · width 24", "dilation 2"])
    own = Node("n", "my/file.py:Outer.Block", {"size": (1, 7), "bias": False, "gated": True, "rate": 0.5}, ("x",))
    assert (labels.title(own), labels.details(own)) == ("Block", ["size 1×7 · no bias · gated", "rate 0.5"])
    assert labels.title(Node("n", "unheard_of", {"kernel": (1, 3)}, ("x",))) == "unheard of 1×3"


def test_tooltips_hold_the_whole_address_in_shared_boxes_too() -> None:
    found = [element.text for element in ElementTree.fromstring(draw(network(3, 2))).iter(f"{SVG}title")]
    for block in ("block0", "block1"):
        assert f"stage/{block}/left = conv(kernel=3, width=16) of x" in found


def test_shapes_are_told_where_they_change() -> None:
    graph = chain(
        [
            Node("stem", "conv", {"width": 16, "stride": 2}),
            Node("a", "conv"),
            Node("b", "conv"),
            Node("h", "head", {"classes": 10}),
        ]
    )
    shown = texts(draw(graph, {"x": InputSpec((3, 32, 32))}, collapse=True))
    assert sorted(shown) == sorted(
        ["x  3×32×32", "conv 3×3", "stride 2 · → 16×16×16", "conv 3×3", "× 2", "head", "classes 10 · → 10", "y"]
    )
    with pytest.raises(ShapeError):
        draw(graph, {"x": InputSpec((7,))})


def test_each_operand_has_its_own_line() -> None:
    twice = Graph(("x",), (Node("a", "conv", {}, ("x",)), Node("b", "add", {}, ("a", "a", "x"))), {"y": "b"})
    scene = placed(twice)
    ends = [edge.target.x + edge.target.entries[edge.end] for edge in scene.edges if edge.target.title == "add"]
    assert len(set(ends)) == 3


def test_a_long_chain_goes_on_in_columns() -> None:
    graph = chain(Node(f"n{i}", "conv", {"width": 8 + i}) for i in range(30))
    one, many = placed(graph), placed(graph, tallest=500.0)
    assert one.height > 1500
    assert many.height < 560
    columns = {round(item.x) for item in many.items}
    assert 3 <= len(columns) <= 5
    assert sum(edge.turn is not None for edge in many.edges) == len(columns) - 1
    check(many)


def test_the_style_is_in_the_text_when_asked_and_knows_dark_pages() -> None:
    assert STYLE in draw(line("conv"))
    assert "<style>" not in draw(line("conv"), style=False)
    assert "prefers-color-scheme: dark" in STYLE
