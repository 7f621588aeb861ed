"""What a recipe may say under `data:`, and how data travels."""

import json
import os
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest
import torch

from evaluators.data import Data, Examples, Found, Preparation, load, prepare
from evaluators.data.hubs import read_table
from nas.core.errors import DataError, RecipeError, RegistryError
from nas.core.imports import load_object

USER = """
import torch
from torch.utils.data import TensorDataset, Dataset, IterableDataset
X, Y = torch.rand(30, 3, 6, 5), torch.arange(30) % 3
def one(): return TensorDataset(X, Y)
def pair(n=30): return TensorDataset(X[:n], Y[:n]), TensorDataset(X[:6], Y[:6])
def parts(): return {"train": (X, Y), "val": (X[:6], Y[:6]), "test": (X[:9], Y[:9])}
class Rows(Dataset):
    classes = ["a", "b", "c"]
    def __len__(self): return 30
    def __getitem__(self, k): return X[k, 0].numpy(), int(Y[k])
class Stream(IterableDataset):
    def __iter__(self): return iter([(x, {"left": y, "right": y % 2}) for x, y in zip(X.flatten(1), Y)])
def broken(): return 1 / 0
def wrong(): return 5
def odd(): return [(X[0], 1), X[1]]
def many(): return tuple(one() for _ in range(4))
def misnamed(): return {"trian": one()}
"""


@pytest.fixture
def user(tmp_path) -> str:
    (tmp_path / "mine.py").write_text(USER)
    return str(tmp_path / "mine.py")


@pytest.mark.parametrize(
    ("name", "counts", "shape", "classes"),
    [
        ("one", (19, 5, 6), (3, 6, 5), 3),
        ("pair", (24, 6, 6), (3, 6, 5), 3),
        ("parts", (30, 6, 9), (3, 6, 5), 3),
        ("Rows", (19, 5, 6), (1, 6, 5), 3),
        ("Stream", (19, 5, 6), (90,), {"left": 3, "right": 2}),
    ],
)
def test_functions_that_return_torch_datasets(user, name, counts, shape, classes):
    data = load(f"{user}:{name}")
    assert tuple(data.counts.values()) == counts
    assert data.inputs["x"].shape == shape
    assert data.classes == classes
    if name == "Rows":
        assert data.class_names["labels"] == ("a", "b", "c")


def test_functions_take_arguments(user):
    data = load({"call": f"{user}:pair", "name": "function", "arguments": {"n": 12}, "validation": 3})
    assert data.counts == {"train": 9, "validation": 3, "test": 6}


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("broken", DataError, "failed: ZeroDivisionError: division by zero"),
        ("wrong", DataError, "a int; expected a torch dataset"),
        ("odd", DataError, "example 1 is a Tensor; expected"),
        ("many", DataError, "4 things; expected"),
        ("misnamed", DataError, "a part called 'trian'; did you mean 'train'"),
        ("pairs", RegistryError, "did you mean 'pair'"),
    ],
)
def test_functions_that_do_not(user, name, error, message):
    with pytest.raises(error, match=message):
        load(f"{user}:{name}")


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("digit", DataError, "did you mean 'digits'"),
        (
            {"name": "digits", "validaton": 0.1},
            RecipeError,
            "'digits' has no field 'validaton'; did you mean 'validation'",
        ),
        ({"name": "npz"}, RecipeError, "needs 'path'"),
        ({"nme": "digits"}, RecipeError, "expected a name, a path"),
        (7, RecipeError, "7; expected a name"),
        ("nowhere/at_all.npz", DataError, "there is no file or folder 'nowhere/at_all.npz'"),
        ("nowhere.py:make", DataError, "there is no file or folder 'nowhere.py'"),
        ("no_such_package:make", RegistryError, "there is no module 'no_such_package'"),
    ],
)
def test_wrong_requests_name_the_nearest(spec, error, message):
    with pytest.raises(error, match=message):
        load(spec)


def test_a_relative_path_is_also_looked_for_in_the_data_folder(tmp_path, monkeypatch):
    np.savez(tmp_path / "own.npz", images=np.zeros((40, 3, 3)), labels=np.arange(40) % 2)
    with pytest.raises(DataError):
        load("own.npz")
    monkeypatch.setenv("ESPALIER_DATA", str(tmp_path))
    data = load("own.npz")
    assert data.spec == {
        "name": "npz", "path": str(tmp_path / "own.npz"), "images": None, "labels": None, "kind": "auto",
        "layout": "auto", "size": None, "validation": None, "test": None, "limit": 0, "seed": 0, "normalise": True,
    }  # fmt: skip
    assert load(data.spec) is data
    assert load(data) is data


def test_a_file_that_changed_is_read_again(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, images=np.zeros((40, 3, 3)), labels=np.arange(40) % 2)
    first = load(str(path))
    np.savez(path, images=np.ones((44, 3, 3)), labels=np.arange(44) % 2)
    assert sum(load(str(path)).counts.values()) == 44
    with pytest.raises(DataError, match="the data changed while it was used"):
        pickle.loads(pickle.dumps(first))


def test_data_travels_as_what_was_asked_for_and_arrives_equal():
    data = load("digits")
    wire = pickle.dumps(data)
    assert len(wire) < 500
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).fingerprint())"
    done = subprocess.run(
        [sys.executable, "-c", code], input=wire, capture_output=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.decode().strip() == data.fingerprint()


def test_data_made_in_memory_travels_as_arrays():
    part = Examples(np.eye(6, dtype=np.float32), {"labels": np.arange(6) % 2})
    data = prepare(Found({"train": part, "test": part, "validation": part}, "features"), "own", Preparation())
    back = pickle.loads(pickle.dumps(data))
    assert isinstance(back, Data)
    assert back.fingerprint() == data.fingerprint()


def test_sources_of_ones_own_are_found_by_their_registered_name(tmp_path):
    (tmp_path / "stripes.py").write_text(
        "import numpy as np\n"
        "from evaluators.data import Examples, Found\n"
        "from nas.core.registry import register\n"
        "@register('data', 'stripes')\n"
        "def stripes(count=40):\n"
        "    labels = np.arange(count) % 2\n"
        "    x = labels[:, None] * np.ones((1, 3), np.float32)\n"
        "    return Found({'train': Examples(x, {'labels': labels})}, 'features')"
    )
    load_object(f"{tmp_path / 'stripes.py'}:stripes")
    data = load({"name": "stripes", "count": 60, "test": 10})
    assert data.counts == {"train": 40, "validation": 10, "test": 10}
    assert pickle.loads(pickle.dumps(data)).fingerprint() == data.fingerprint()
    assert len(pickle.dumps(data)) > 500, "another process would not know the name: it travels as arrays"


def test_complete_data_take_no_preparation(user):
    with open(user, "a") as file:
        file.write("def whole():\n    from evaluators.data import load\n    return load('digits')\n")
    data = load(f"{user}:whole")
    assert data.counts == load("digits").counts
    assert pickle.loads(pickle.dumps(data)).fingerprint() == data.fingerprint()
    with pytest.raises(RecipeError, match="'function' is complete as it comes; leave out 'validation'"):
        load({"name": f"{user}:whole", "validation": 0.1})


def test_what_was_found_is_said():
    said = load("digits").describe()
    assert json.loads(json.dumps(said)) == said
    assert said["inputs"] == {"x": {"shape": [1, 8, 8], "dtype": "float32"}}
    assert (said["classes"], said["range"], said["dtype"]) == (10, [0.0, 16.0], "uint8")
    assert sum(said["counts"].values()) == 1797
    assert said["class_names"] == {"labels": [str(digit) for digit in range(10)]}


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = (
        "import sys, evaluators; from evaluators.data import load; load('digits').describe(); "
        "print([name for name in ('torch', 'pandas', 'PIL', 'ray', 'optuna') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_library_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="pip install torchvision"):
        load("torchvision:CIFAR10")
    with pytest.raises(DataError, match="pip install datasets"):
        load("huggingface:mnist")


def test_torchvision_names(monkeypatch, tmp_path):
    class Tiny:
        classes = ("up", "down")

        def __init__(self, root, train=True, transform=None, download=False):
            self.rows = [(torch.rand(1, 4, 4), k % 2) for k in range(20 if train else 8)]

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, index):
            return self.rows[index]

    library = types.ModuleType("torchvision.datasets")
    library.__all__ = ["Tiny"]
    library.Tiny = Tiny
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", library)
    data = load({"name": "torchvision:Tiny", "root": str(tmp_path)})
    assert data.counts == {"train": 16, "validation": 4, "test": 8}
    assert data.class_names["labels"] == ("up", "down")
    with pytest.raises(DataError, match="no data set 'Tny'; did you mean 'Tiny'"):
        load("torchvision:Tny")


def test_rows_of_a_hugging_face_table():
    class Column:
        names = ["no", "yes"]

    class Part:
        column_names = ["img", "label"]
        features = {"img": None, "label": Column()}

        def __init__(self, count, hidden=False):
            self.rows = {
                "img": [np.full((4, 4), k, np.uint8) for k in range(count)],
                "label": [-1 if hidden else k % 2 for k in range(count)],
            }

        def __getitem__(self, name):
            return self.rows[name]

    found = read_table(
        {"train": Part(20), "validation": Part(6), "test": Part(5, hidden=True)}, None, None, None, "hub"
    )
    data = prepare(found, "hub", Preparation())
    assert data.counts == {"train": 16, "validation": 6, "test": 4}, "a test part without labels is none"
    assert data.class_names["labels"] == ("no", "yes")
    with pytest.raises(DataError, match="no label column 'lable'; did you mean 'label'"):
        read_table({"train": Part(20)}, None, "lable", None, "hub")
