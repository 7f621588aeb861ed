"""Drawings as files: one list of shapes makes the SVG, the PNG and the PDF."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.core.errors import RecipeError
from nas.core.graph import Graph, Node, chain
from nas.core.profile import InputSpec
from results.drawing import FORMATS, Picture, draw, draw_png, picture, save_networks
from results.drawing.files import WRITTEN
from results.drawing.looks import DARK, LIGHT, LOOKS, STYLE
from results.drawing.picture import MARGIN
from results.drawing.shapes import Group, Rect
from tests.results.samples import line, network, trial

INPUTS = {"x": InputSpec((3, 16, 16))}


def colour(name: str) -> tuple[int, ...]:
    text = LIGHT[name]
    return tuple(int(text[place : place + 2], 16) for place in (1, 3, 5))


def test_a_png_has_twice_the_pixels_on_white_and_the_shapes_where_the_svg_has_them(tmp_path: Path) -> None:
    made = picture(network(3, 2), INPUTS)
    file = draw_png(network(3, 2), INPUTS, tmp_path / "net.png")
    pixels = np.asarray(Image.open(file).convert("RGB")).astype(int)
    high, wide = pixels.shape[:2]
    assert abs(wide - 2 * (made.width + 2 * MARGIN)) <= 1
    assert abs(high - 2 * (made.height + 2 * MARGIN)) <= 1
    assert tuple(pixels[1, 1]) == (255, 255, 255)
    rects = [shape for group in made.groups for shape in group.shapes if isinstance(shape, Rect)]
    merges = [shape for shape in rects if shape.look == "merge"]
    assert len(merges) == 2
    for rect in rects:
        if rect.look in ("merge", "conv", "pool"):  # a spot inside the left edge, where no text is
            x, y = 2 * (rect.x + 4 + MARGIN), 2 * (rect.y + rect.height / 2 + MARGIN)
            assert tuple(pixels[round(y), round(x)]) == colour(rect.look), rect
    svg = made.svg()
    assert svg == draw(network(3, 2), INPUTS)
    for rect in merges:
        assert f'class="nas-merge" x="{rect.x:.1f}" y="{rect.y:.1f}"' in svg


def test_endings_say_the_format(tmp_path: Path) -> None:
    starts = {".svg": b"<svg", ".png": b"\x89PNG", ".pdf": b"%PDF"}
    assert set(FORMATS) == set(starts)
    for ending, start in starts.items():
        file = picture(line("conv", "head")).save(tmp_path / f"net{ending}")
        assert file.read_bytes().startswith(start)
    assert picture(line("conv")).save(str(tmp_path / "NET.SVG")).is_file()


@pytest.mark.parametrize(("name", "said"), [("net.gif", "ends in '.gif'"), ("net", "has no ending")])
def test_other_endings_are_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(said)) as refusal:
        picture(line("conv")).save(tmp_path / name)
    assert "'.pdf', '.png', '.svg'" in str(refusal.value)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path, ending: str) -> None:
    for target in (tmp_path / "missing" / f"net{ending}", tmp_path / f"folder{ending}"):
        (tmp_path / f"folder{ending}").mkdir(exist_ok=True)
        with pytest.raises(RecipeError, match=r"cannot be written: (No such file|Is a directory)") as refusal:
            picture(line("conv")).save(target)
        assert "\n" not in str(refusal.value)


def test_texts_without_a_sign_in_the_font_and_control_characters_are_no_trouble(tmp_path: Path) -> None:
    graph = chain([Node("a", "my.py:层$x_1$\n\x00", {"act": "$\\frac$"})])
    for ending in FORMATS:  # warnings are errors here
        picture(graph, title="a & <b> $y$").save(tmp_path / f"net{ending}")


def test_a_picture_too_large_to_show_gets_fewer_pixels(tmp_path: Path) -> None:
    group = Group((Rect(0, 0, 20_000, 20, 5, "conv"),))
    file = Picture((group,), 20_000, 400).save(tmp_path / "wide.png")
    wide, high = struct.unpack(">II", file.read_bytes()[16:24])
    assert wide <= 30_000
    assert abs(wide / high - 20_016 / 416) < 0.5


def test_colours_and_looks_are_whole() -> None:
    assert set(LIGHT) == set(DARK)
    used = {name for look in LOOKS.values() for name in (look.fill, look.stroke) if name is not None}
    assert used <= set(LIGHT)
    assert all(f"--nas-{name}: {value};" in STYLE for colours in (LIGHT, DARK) for name, value in colours.items())


def test_two_outputs_and_open_lines(tmp_path: Path) -> None:
    nodes = (Node("a", "conv", {}, ("x",)), Node("b", "head", {"classes": 3}, ("a",)))
    graph = Graph(("x",), nodes, {"left": "a", "right": "b"})
    text = draw(graph, INPUTS)
    assert ">left<" in text
    assert ">right<" in text
    assert os.path.getsize(draw_png(graph, INPUTS, tmp_path / "two.png", scale=1)) > 1000


def test_networks_of_a_front_are_drawn_up_to_a_number_which_is_said(tmp_path: Path) -> None:
    front = [trial(id_) for id_ in (4, 2, 9, 7, 5)]
    files, said = save_networks(front, INPUTS, tmp_path / "networks", most=3)
    assert [file.name for file in files] == [
        f"trial-{id_}{ending}" for id_ in (4, 9, 5) for ending in (".svg", ".png")
    ]  # fmt: skip
    assert all(file.stat().st_size > 1000 for file in files)
    assert said == "drew 3 of the 5 networks on the front, evenly spread"
    assert "→ 16×16×16" in files[0].read_text()
    files, said = save_networks(front, {"x": InputSpec((7,))}, tmp_path / "again")
    assert (len(files), said) == (10, "")
    assert "→" not in files[0].read_text(), "where shapes cannot be worked out there are none"
    assert save_networks([], INPUTS, tmp_path / "none") == ([], "")
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").touch()
    with pytest.raises(RecipeError, match="cannot be written"):
        save_networks(front, INPUTS, tmp_path / "file")


def test_drawings_of_networks_that_left_the_front_are_removed_and_nothing_else_is(tmp_path: Path) -> None:
    folder = tmp_path / "networks"
    save_networks([trial(1), trial(2)], INPUTS, folder)
    others = [folder / name for name in ("mine.svg", "trial-7.svg", "trial-1-notes.txt")]  # not drawn by it
    for file in others:
        file.write_text("mine")
    files, _ = save_networks([trial(2), trial(3)], INPUTS, folder)
    assert {file.name for file in folder.glob("trial-*.*g")} == {*(file.name for file in files), "trial-7.svg"}
    assert all(file.read_text() == "mine" for file in others)
    (folder / WRITTEN).write_text("../precious\n")  # whatever stands there, only drawings are removed
    (tmp_path / "precious").touch()
    save_networks([], INPUTS, folder)
    assert (tmp_path / "precious").exists()
