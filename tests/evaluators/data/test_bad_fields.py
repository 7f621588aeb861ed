"""What a recipe may say wrongly about data: one line that names the field, the value and what was expected."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from evaluators.data import load
from evaluators.data.splits import check_share
from evaluators.paths import find
from nas.core import registry
from nas.core.errors import DataError, NASError

BROKEN = """
import sys
import torch
from PIL import Image
def leaves(): sys.exit(0)
class Rows:
    def __init__(self, bad=7): self.bad = bad
    def __len__(self): return 20
    def __getitem__(self, k):
        if k == self.bad: raise OSError("image file is truncated")
        return torch.rand(3, 4, 4), k % 2
class Quits(Rows):
    def __getitem__(self, k): sys.exit(0)
class NoLength(Rows):
    def __len__(self): raise RuntimeError("no index file")
class Stream:
    def __iter__(self):
        yield torch.rand(3, 4, 4), 0
        raise ValueError("line 2 is odd")
class Wide(Rows):
    def __getitem__(self, k): return torch.rand(3), torch.tensor([0, 1])
class Halves:
    def __len__(self): return 20
    def __getitem__(self, k): return torch.full((3, 4, 4), k + 0.5, dtype=torch.bfloat16), k % 2
class Counted(torch.utils.data.IterableDataset):
    def __len__(self): return 20
    def __iter__(self): return iter([(torch.rand(3), k % 2) for k in range(20)])
def sparse(): return torch.rand(20, 3).to_sparse(), torch.arange(20) % 2
"""


@pytest.fixture
def file(tmp_path) -> str:
    np.savez(tmp_path / "d.npz", images=np.zeros((40, 5, 5), np.uint8), labels=np.arange(40) % 2)
    return str(tmp_path / "d.npz")


@pytest.fixture
def user(tmp_path) -> str:
    (tmp_path / "broken.py").write_text(BROKEN)
    return str(tmp_path / "broken.py")


def refused(spec, *words: str) -> None:
    with pytest.raises(NASError) as error:
        load(spec)
    text = str(error.value)
    assert "\n" not in text, text
    for word in words:
        assert word in text, text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("images", 3), ("images", ""), ("images", ["x"]),
        ("labels", 3), ("labels", []), ("labels", {}), ("labels", [1]), ("labels", {"a": None}), ("labels", ["y", "y"]),
        ("kind", ["image"]), ("layout", ["hw"]), ("layout", "wh"), ("size", True), ("size", "big"),
        ("test", 1.0), ("test", 2.0), ("test", 0), ("test", True), ("test", float("nan")), ("validation", 1.5),
        ("validation", "0.2"), ("seed", "abc"), ("seed", -1), ("seed", 1.5), ("normalise", "maybe"), ("normalise", 1),
        ("limit", True), ("limit", "5"), ("limit", -1),
    ],
)  # fmt: skip
def test_a_field_of_the_wrong_type_is_refused_by_name(file, field, value):
    refused({"path": file, field: value}, field, "y" if value == ["y", "y"] else repr(value))


@pytest.mark.parametrize("path", [None, 5, ["a"], "", "  "])
def test_a_path_that_is_none(path):
    refused({"path": path}, f"path is {path!r}", "expected")
    refused({"name": "npz", "path": path}, f"path is {path!r}")
    refused({"name": "folder", "path": path}, f"path is {path!r}")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", ["data is ''", "'digits'"]),
        ("digits:8", ["'digits:8'", "no fields"]),
        ("npz:", ["'npz:'", "path"]),
        ({"name": "function", "call": 3}, ["call: 3"]),
        ({"name": "function", "call": "a:b", "arguments": 3}, ["arguments: 3"]),
        ({"name": "torchvision", "dataset": 3}, ["dataset: 3"]),
        ({"name": "torchvision", "dataset": "CIFAR10", "download": "no"}, ["download: 'no'"]),
        ({"name": "huggingface", "dataset": "mnist", "label": 3}, ["label: 3"]),
    ],
)
def test_sources_that_are_none(spec, words):
    refused(spec, *words)


def test_shares():
    assert check_share(0.25, "x") == 0.25
    assert check_share(1, "x") == 1
    assert type(check_share(30, "x")) is int


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("~nobody_of_this_name/d.npz", "no home folder of '~nobody_of_this_name'"),
        ("b" * 300 + ".npz", "cannot be looked at"),
        ("b" * 5000 + "/c", "cannot be looked at"),
        ("a\0b/c.npz", "path is"),
    ],
)
def test_paths_that_the_system_refuses(path, words):
    with pytest.raises(DataError, match=re.escape(words)):
        find(path, "table")
    refused({"path": path}, words)


def test_a_file_that_is_no_npz_is_called_what_it_is(tmp_path):
    text = tmp_path / "text.npz"
    text.write_text("a,b\n1,2\n")
    refused(str(text), "not a zip file")
    empty = tmp_path / "empty.npz"
    empty.touch()
    refused(str(empty), "it is empty")
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(str(tmp_path / "zip.npz"), "without NumPy arrays", "readme.txt")
    with zipfile.ZipFile(tmp_path / "none.npz", "w"):
        pass
    refused(str(tmp_path / "none.npz"), "no arrays")
    refused({"name": "npz", "path": str(tmp_path)}, "Is a directory")
    np.savez(tmp_path / "objects.npz", images=np.array([{}], object), labels=np.arange(1))
    refused(str(tmp_path / "objects.npz"), "Python objects")


def test_what_may_not_be_read_is_said(tmp_path, file, monkeypatch):
    folder = tmp_path / "classes"
    (folder / "cat").mkdir(parents=True)

    def closed(self, *args, **more):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", closed)
    refused(file, "d.npz", "Permission denied")
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: closed(self) if self.name == "cat" else iterdir(self))
    refused(str(folder), "cat", "Permission denied")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("leaves", ["broken.py:leaves", "exit"]),
        ("Rows", ["broken.py:Rows", "example 7", "OSError: image file is truncated"]),
        ("Quits", ["broken.py:Quits", "example 0", "exit"]),
        ("NoLength", ["broken.py:NoLength", "no index file"]),
        ("Stream", ["broken.py:Stream", "example 1", "line 2 is odd"]),
        ("Wide", ["broken.py:Wide", "example 0", "label of shape (2,)"]),
        ("sparse", ["broken.py:sparse", "cannot be read as numbers"]),
    ],
)
def test_a_function_or_data_set_that_breaks(user, name, words):
    with pytest.raises(DataError):
        load(f"{user}:{name}")
    refused(f"{user}:{name}", *words)


def test_a_file_that_exits_when_it_is_read(tmp_path):
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(0)\n")
    refused(f"{tmp_path}/exits.py:data", "exits.py", "exit")


def test_bfloat16_and_streams_with_a_length_are_read(user):
    halves = load(f"{user}:Halves")
    assert halves.train.x.dtype == np.float32
    assert {float(x) for part in ("train", "validation", "test") for x in halves.part(part).x[:, 0, 0, 0]} == {
        k + 0.5 for k in range(20)
    }
    assert sum(load(f"{user}:Counted").counts.values()) == 20


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: exec("raise SystemExit(0)"), "exit"),
        (lambda: 5, "gave a int"),
    ],
)
def test_a_source_of_the_users_own_that_breaks(monkeypatch, act, words):
    class Mine:
        def read(self):
            return act()

    monkeypatch.setitem(registry._TABLES["data"], "mine", Mine)
    refused("mine", "data 'mine'", words)
