"""What a source takes over from a user's files, wherever these are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from nas.core.build import build
from nas.core.errors import ExportError
from nas.core.language import dag, op, seq
from nas.core.parts import Part
from nas.core.space import Space, image
from results.export.source import Source, source_of
from results.export.tree import tree_of
from tests.results.export.mine import clashing, layers

ALIAS = """\
from torch import nn
from beside_{n} import shared, later


def make(scale):
    class Scaled(nn.Module):
        def forward(self, x):
            return shared(x) * scale * later.TIMES

    return Scaled


Twice = make(2)
Thrice = make(3)
"""
BESIDE = "import later_{n} as later\n\n\ndef shared(x):\n    return x + 1\n"


def _source(*operations: str | type) -> tuple[Source, Space]:
    parts = {f"own{place}": op(operation) for place, operation in enumerate(operations)}
    space = Space(seq(conv=op("conv", width=2), **parts, head=op("head")), image(1, 6, 6), 3)
    return source_of(tree_of(space.decide({}).graph, space.inputs), "Own."), space


def _agrees(source: Source, space: Space) -> bool:
    names: dict[str, object] = {"__file__": "model.py", "__name__": "model"}
    exec(compile(source.text, "model.py", "exec"), names)
    network = names["Network"]()  # type: ignore[operator]
    built = build(space.decide({}).graph, space.inputs)
    network.load_state_dict(built.state_dict())
    x = torch.randn(3, 1, 6, 6)
    return torch.equal(network.eval()(x), built.eval()(x))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> tuple[Path, str]:
    """A user's folder with three files, on the path. Their names are new in every test: Python keeps modules."""
    name = request.node.name[5:30]
    (tmp_path / "alias.py").write_text(ALIAS.format(n=name))
    (tmp_path / f"beside_{name}.py").write_text(BESIDE.format(n=name))
    (tmp_path / f"later_{name}.py").write_text("TIMES = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path, name


def test_files_beside_are_copied_and_modules_as_such_imported(files: tuple[Path, str]) -> None:
    folder, name = files
    source, space = _source(f"{folder}/alias.py:Twice")
    assert "def shared(x):" in source.text
    assert "Twice = make(2)" in source.text
    assert "Thrice" not in source.text
    assert f"import later_{name} as later" in source.text
    assert source.kept == (f"model.py imports later_{name}, which must be installed: alias.py imports it",)
    assert _agrees(source, space)


def test_two_names_of_one_file(files: tuple[Path, str]) -> None:
    source, space = _source(f"{files[0]}/alias.py:Twice", f"{files[0]}/alias.py:Thrice")
    assert source.text.count("def make(scale):") == 1
    assert "self.own0 = Twice()" in source.text
    assert "self.own1 = Thrice()" in source.text
    assert _agrees(source, space)


def test_a_file_that_has_gone_is_told(files: tuple[Path, str]) -> None:
    folder, name = files
    _source(f"{folder}/alias.py:Twice")
    (folder / f"beside_{name}.py").unlink()
    with pytest.raises(ExportError, match=f"beside_{name}: its source cannot be read"):
        _source(f"{folder}/alias.py:Twice")


def test_torchs_own_modules_are_named_not_copied() -> None:
    source, space = _source(nn.Softsign, nn.modules.activation.Mish)
    assert "self.own0 = nn.Softsign()" in source.text
    assert "self.own1 = nn.Mish()" in source.text
    assert _agrees(source, space)


def test_the_users_names_win_over_the_engines() -> None:
    source, space = _source(clashing.Zero, "zero")
    assert "class Zero(Module):" in source.text
    assert "class PlainZero(nn.Module):" in source.text
    assert "self.own1 = PlainZero()" in source.text
    assert _agrees(source, space)


def test_names_of_the_file_itself_are_kept_free() -> None:
    source, space = _source(clashing.Network, clashing.ConvNormReLU, layers.Outer.Inner, "residual", "conv")
    assert source.text.count("\nclass Network(") == 1
    assert source.text.count("\nclass ConvNormReLU(") == 1
    assert source.text.count("\ndef load(") == 1
    assert "self.own0 = ClashingNetwork(in_channels=2)" in source.text
    assert source.kept == ()
    assert _agrees(source, space)


def test_a_module_may_stand_in_a_class() -> None:
    source, space = _source(layers.Outer.Inner)
    assert "self.own0 = Outer.Inner()" in source.text
    assert "class Gated" not in source.text
    assert _agrees(source, space)


def test_defaults_that_cannot_be_written() -> None:
    def block(**given: object) -> Part:
        return dag({"act": (op(layers.Acting, **given), "input"), "sum": (op("add"), ["act", "input"])})

    parts = {"a": block(), "b": block(), "c": block(act="relu"), "d": block(act="other"), "e": block(in_features=3)}
    space = Space(seq(conv=op("conv", width=2), **parts, head=op("head")), image(1, 6, 6), 3)
    source = source_of(tree_of(space.decide({}).graph, space.inputs), "Acts.")
    assert "self.act = Acting()" in source.text
    assert "self.act = Acting(act=act)" in source.text
    assert "self.act = Acting(in_features=3)" in source.text
    assert _agrees(source, space)
