"""`nas spaces`."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from tests.cli.conftest import Nas


def test_the_list_has_the_published_sizes(nas: Nas) -> None:
    found = nas("spaces", "--json")
    assert found.code == 0
    sizes = {row["name"]: row["size"] for row in found.json}
    assert sizes["nas_bench_201"] == "15625"
    assert sizes["nas_bench_macro"] == "6561"
    assert {"cnn", "nas_bench_101", "tree"} <= set(sizes)
    shown = nas("spaces").out
    assert all(name in shown for name in sizes)


def test_one_space_as_json(nas: Nas) -> None:
    found = nas("spaces", "nas_bench_macro", "--json").json
    assert set(found) == {"name", "size", "choices"}
    assert (found["name"], found["size"]) == ("nas_bench_macro", "6561")
    assert len(found["choices"]) == 8
    assert found["choices"][0] == {
        "address": "layer1/op", "kind": "structure", "options": ["identity", "mbconv3", "mbconv5"], "count": 3,
        "active_when": {},
    }  # fmt: skip


def test_sizes_beyond_64_bits_are_digits(nas: Nas) -> None:
    size = nas("spaces", "tree", "--json").json["size"]
    assert isinstance(size, str)
    assert int(size) > 2**64


def test_fields_and_conditions(folder: Path, nas: Nas) -> None:
    found = nas("spaces", "own.py:space", "--set", "widths=[4, 8]", "--json").json
    widths = next(choice for choice in found["choices"] if choice["address"] == "stem/width")
    assert widths["options"] == [4, 8]
    inner = next(choice for choice in found["choices"] if choice["address"] == "body/block2/conv/kernel")
    assert inner["active_when"]["body/block2/op"] == ["conv"]
    shown = nas("spaces", "own.py:space").out
    assert "body/block2/conv/kernel" in shown
    assert "widths=[4, 8, 12, 16]" in shown


def test_drawings_of_a_space_and_of_a_network(folder: Path, nas: Nas) -> None:
    found = nas("spaces", "cnn", "--set", "inputs=[1, 8, 8]", "--draw", "space.svg", "--draw-network", "net.svg")
    assert found.code == 0, found.err
    assert "drew the space into space.svg" in found.err
    assert "drew one network (seed 0) into net.svg" in found.err
    texts = {}
    for file in ("space.svg", "net.svg"):
        root = ET.parse(folder / file).getroot()
        assert root.tag.endswith("svg")
        texts[file] = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert "blocks · repeat 1–3 times" in texts["space.svg"]
    assert not any("∈" in str(text) for text in texts["net.svg"]), "a network has nothing open"


def test_drawings_as_png_and_pdf_and_of_a_space_of_ones_own(folder: Path, nas: Nas) -> None:
    found = nas("spaces", "own.py:space", "--draw", "space.png", "--draw-network", "net.pdf", "--seed", 3, "--json")
    assert found.code == 0, found.err
    assert set(found.json) == {"name", "size", "choices"}
    assert (folder / "space.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "net.pdf").read_bytes().startswith(b"%PDF")


def test_drawings_that_cannot_be_written(folder: Path, nas: Nas) -> None:
    (folder / "is.svg").mkdir()
    for file, said in (
        ("cnn.gif", "ends in '.gif'"),
        ("cnn", "has no ending"),
        ("missing/cnn.svg", "there is no folder missing"),
        ("is.svg", "cannot be written: Is a directory"),
    ):
        for option in ("--draw", "--draw-network"):
            found = nas("spaces", "nas_bench_macro", option, file)
            assert found.code == 2, (file, found.err)
            assert said in " ".join(found.err.split())
            assert found.out == ""
            assert "Traceback" not in found.err
    assert sorted(path.name for path in folder.iterdir()) == ["is.svg", "own.py", "quick.yaml"]


def test_refusals(folder: Path, nas: Nas) -> None:
    for arguments, said in (
        (("cn",), "did you mean 'cnn'?"),
        (("cnn", "--set", "width=3"), "did you mean 'widths'?"),
        (("cnn", "--set", "widths"), "expected FIELD=VALUE"),
        (("cnn", "--set", "widths=[0]"), "expected one or more whole numbers of 1 or more"),
        (("--set", "widths=[4]"), "--set and --draw are for one space"),
        (("--draw-network", "net.svg"), "--set and --draw are for one space"),
    ):
        found = nas("spaces", *arguments)
        assert found.code == 2, arguments
        assert said in " ".join(found.err.split())
