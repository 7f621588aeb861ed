"""Drawings of spaces: every choice is in them with its address and options, and they are no larger than a declaration.

What a tooltip says is read as a person would: 'block1–3/op ∈ {a, b}' are three choices, 'b/cell: as a/cell' means that
everything below b/cell is as below a/cell.
"""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given, settings

import search_spaces  # noqa: F401 - registers the spaces
from nas.core import registry
from nas.core.language import compute, dag, one_of, op, optional, parallel, recursive, repeat, seq, some_of, tie
from nas.core.parts import Part
from nas.core.space import Space, image
from results.drawing import draw_space, space_picture
from results.drawing.layout import arrange
from results.drawing.options import options_of
from results.drawing.spaces import space_scene
from tests.results.drawing.test_networks import check, texts
from tests.strategies import spaces

SVG = "{http://www.w3.org/2000/svg}"
IMAGE = image(3, 16, 16)


def tooltips(svg: str) -> list[str]:
    """The lines of all tooltips."""
    found = [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}title")]
    return [line for text in found for line in text.split("\n")]


def expanded(pattern: str) -> list[str]:
    """The addresses that a pattern stands for."""
    parts: list[list[str]] = []
    for piece in re.split(r"(\{[^{}]*\}|\d+–\d+)", pattern):
        if piece.startswith("{"):
            parts.append(piece[1:-1].split("|"))
        elif "–" in piece:
            first, last = map(int, piece.split("–"))
            parts.append([str(number) for number in range(first, last + 1)])
        else:
            parts.append([piece])
    return ["".join(each) for each in itertools.product(*parts)]


class Shown:
    """What tooltips tell."""

    def __init__(self, lines: list[str]) -> None:
        told = [re.match(r"(\S*) [∈⊆] (.*)", line) for line in lines]
        self.choices = {address: m[2] for m in told if m for address in expanded(m[1])}
        said = [re.match(r"(\S*): as (\S*)$", line) for line in lines]
        self.same = {address: expanded(m[2])[0] for m in said if m for address in expanded(m[1])}

    def options(self, address: str) -> str | None:
        """What is told of the options at an address, directly or by what it is drawn as."""
        if address in self.choices:
            return self.choices[address]
        for home, other in self.same.items():
            if address == home or address.startswith(f"{home}/") or not home:
                rest = address[len(home) :].lstrip("/")
                found = self.options("/".join(filter(None, [other, rest]))) if (home, other) != ("", "") else None
                if found is not None:
                    return found
        return None


def check_all_is_shown(space: Space) -> None:
    shown = Shown(tooltips(draw_space(space)))
    known = {choice.address: choice for choice in space.choices()}
    missing = [address for address in known if shown.options(address) is None]
    assert not missing, (missing, shown.choices, shown.same)
    assert set(shown.choices) <= set(known), "what is told exists"
    for address, told in shown.choices.items():
        options = getattr(known[address].options, "labels", known[address].options)
        if len(told) < 200:
            words = [("yes" if option else "no") if isinstance(option, bool) else str(option) for option in options]
            assert all(word in told for word in words), address


@settings(max_examples=120, deadline=None)
@given(spaces(depth=3, largest=10**9))
def test_every_choice_of_any_space_is_in_its_drawing(space: Space) -> None:
    check_all_is_shown(space)


@settings(max_examples=60, deadline=None)
@given(spaces(depth=3, largest=10**9))
def test_nothing_lies_on_anything_else(space: Space) -> None:
    scene = space_scene(space)
    arrange(scene)
    check(scene)


@pytest.mark.parametrize("name", registry.names("space"))
def test_our_spaces(name: str, tmp_path: Path) -> None:
    space = registry.get("space", name)()
    check_all_is_shown(space)
    scene = space_scene(space)
    arrange(scene)
    check(scene)
    picture = space_picture(space, title=name)
    assert picture.width < 1300
    assert picture.height < 1700
    assert picture.save(tmp_path / "space.png").stat().st_size > 5000


def drawn(part: Part) -> list[str]:
    return texts(draw_space(Space(part, IMAGE, classes=4)))


def test_it_says_what_is_open() -> None:
    block = one_of(op("conv", width=8, kernel=one_of(3, 5, 7)), op("identity"))
    paths = some_of(op("conv", kernel=1), op("max_pool"), op("avg_pool"), at_least=2, merge=one_of("add", "max"))
    part = seq(op("stem", width=one_of(8, 16)), body=repeat(block, times=one_of(1, 2, 3)), paths=paths,
               pool=optional(op("max_pool")), head=op("head"))  # fmt: skip
    shown = drawn(part)
    for text in ("width ∈ {8, 16}", "body · repeat 1–3 times", "block1–3 · one of", "kernel ∈ {3, 5, 7}", "identity",
                 "paths · any of, at least 2", "∈ {add, max}", "optional"):  # fmt: skip
        assert text in shown, text
    assert shown.count("kernel ∈ {3, 5, 7}") == 1, "a repeat is drawn once"
    svg = draw_space(Space(part, IMAGE, classes=4))
    assert svg.count('nas-conv nas-open"') == 0
    assert svg.count('nas-pool nas-open"') == 1, "what is optional has a dashed rim"
    assert svg.count('nas-edge nas-open"') == 6, "and what is one of some has dashed lines"


def test_options_that_could_not_be_told_apart_stand_in_quotes() -> None:
    assert options_of(("x", "", " ", "a,b", "a;b"), 80) == '∈ {x, "", " ", "a,b", "a;b"}'


def test_a_tie_and_a_large_equal_part_are_drawn_once() -> None:
    choice = one_of(*(op("conv", width=8, kernel=kernel) for kernel in (1, 3, 5, 7)))
    shown = drawn(seq(op("stem", width=8), a=tie("cell", choice), b=op("relu"), c=tie("cell", choice)))
    assert shown.count("conv 5×5") == 1
    assert "tie cell, as above" in shown
    alike = drawn(seq(op("stem", width=8), a=choice, b=op("relu"), c=choice))
    assert alike.count("conv 5×5") == 1
    assert "as a" in alike
    kernel = tie("kernel", one_of(3, 5))
    values = drawn(seq(op("stem", width=8), op("conv", width=8, kernel=kernel), op("separable", kernel=kernel)))
    assert "kernel ∈ {3, 5} (tie kernel)" in values
    assert "kernel (tie kernel)" in values


def test_equal_parts_in_a_row_have_decisions_of_their_own() -> None:
    part = seq(op("stem", width=8), *(one_of(op("conv"), op("relu")) for _ in range(3)))
    assert "× 3" in drawn(part)
    check_all_is_shown(Space(part, IMAGE))


def test_recursion_is_referred_to_with_its_depth() -> None:
    part = recursive("tree", lambda tree: one_of(op("conv"), pair=parallel(tree, tree)), depth=4)
    shown = drawn(seq(op("stem", width=8), grown=part))
    assert "grown · one of · 4 levels at most" in shown
    assert shown.count("one level deeper, of 4") == 2
    flat = drawn(seq(op("stem", width=8), recursive("tree", lambda tree: one_of(op("conv"), tree), depth=1)))
    assert not any("deeper" in text for text in flat), "the last level has nothing below it"


def test_sources_that_are_open_have_dashed_lines() -> None:
    nodes = {
        "a": (op("conv", width=8), "input"),
        "b": (op("conv", width=8), one_of("input", "a")),
        "c": (op("relu"), ["a", optional("b")], ("add", "project")),
    }
    svg = draw_space(Space(dag(nodes), IMAGE))
    assert svg.count('nas-edge nas-open"') == 3
    shown = texts(svg)
    assert {"input ∈ {input, a}", "add", "fit project"} <= set(shown)


def test_functions_are_named_with_what_they_take() -> None:
    def stack(width: int, kernels: tuple[int, ...]) -> Part:
        return seq(*(op("conv", width=width, kernel=kernel) for kernel in kernels))

    shown = drawn(compute(stack, width=8, kernels=some_of(3, 5, 7)))
    assert {"stack(…)", "kernels ⊆ {3, 5, 7}, at least 1", "width 8"} <= set(shown)


def test_large_declarations_stay_small_pictures() -> None:
    many = one_of(*(op("conv", width=width) for width in range(1, 101)))
    wide = dag({f"n{i}": (op("add"), some_of("input", *(f"n{j}" for j in range(i)))) for i in range(25)})
    part = seq(op("stem", width=8), repeat(many, times=one_of(*range(1, 21))), other=wide)
    picture = space_picture(Space(part, image(8, 4, 4)))
    assert len(picture.groups) < 250
    assert any("… 40 more" in text for text in texts(picture.svg()))
    steps = {f"step{place}": op("conv", width=place + 1) for place in range(300)}
    assert len(space_picture(Space(seq(**steps), IMAGE)).groups) < 200
