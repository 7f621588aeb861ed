"""Folders of images as they lie on people's disks."""

import numpy as np
import pytest
from PIL import Image

from evaluators.data import load
from nas.core.errors import DataError

RNG = np.random.default_rng(1)


def fill(root, classes=("cat", "dog"), count=6, size=(9, 7), mode="RGB", suffix=".png"):
    for label in classes:
        (root / label).mkdir(parents=True, exist_ok=True)
        for k in range(count):
            shape = (*size, 3) if mode == "RGB" else size
            Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8)).save(root / label / f"{k}{suffix}")
    return root


def test_classes_are_folders(tmp_path):
    data = load(str(fill(tmp_path)))
    assert data.class_names["labels"] == ("cat", "dog")
    assert data.inputs["x"].shape == (3, 9, 7)
    assert sum(data.counts.values()) == 12
    pixels = np.asarray(Image.open(tmp_path / "dog" / "3.png")).transpose(2, 0, 1)
    held = [
        int(label) for split in data.counts for x, label in zip(data.part(split).x, data.part(split).labels["labels"],
        strict=True) if np.array_equal(x, pixels)
    ]  # fmt: skip
    assert held == [1]


def test_parts_are_folders_of_class_folders(tmp_path):
    fill(tmp_path / "train", count=5)
    fill(tmp_path / "val", count=3)
    fill(tmp_path / "test", count=2)
    assert load(str(tmp_path)).counts == {"train": 10, "validation": 6, "test": 4}
    fill(tmp_path / "test", classes=("eel",), count=2)
    with pytest.raises(DataError, match="'eel' occurs in the test part but never in the training part"):
        load({"path": str(tmp_path), "size": 5})


def test_sizes_and_modes_are_brought_together(tmp_path):
    fill(tmp_path, size=(20, 30), count=3)
    fill(tmp_path, classes=("grey",), size=(16, 16), mode="L", count=3)
    Image.new("P", (12, 40), 3).save(tmp_path / "cat" / "palette.gif")
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(tmp_path / "cat" / "clear.png")
    Image.new("CMYK", (20, 20)).save(tmp_path / "dog" / "print.jpg")
    Image.fromarray(np.full((20, 20), 65535, np.uint16)).save(tmp_path / "dog" / "deep.png")
    Image.new("1", (20, 20), 1).save(tmp_path / "dog" / "ink.png")
    (tmp_path / "dog" / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden").mkdir()
    data = load(str(tmp_path))
    assert data.inputs["x"].shape == (3, 20, 20), "the median shorter side"
    assert any("scaled to 20x20" in line for line in data.how)
    assert any("1 files that are no images" in line for line in data.how)
    assert any("grey ones among them" in line for line in data.how)
    white = sum((data.part(split).x == 255).all(axis=(1, 2, 3)).sum() for split in data.counts)
    assert white == 4, "transparent, unprinted, 16 bits at their largest, and bits that are set are white"
    assert load({"path": str(tmp_path), "size": [8, 10]}).inputs["x"].shape == (3, 8, 10)


def test_proportions_are_kept_by_cropping(tmp_path):
    root = fill(tmp_path, size=(10, 10), count=4)
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(root / "cat" / "wide.png")
    data = load({"path": str(root), "size": 10})
    assert sum((data.part(split).x == 255).all(axis=(1, 2, 3)).sum() for split in data.counts) == 1


def test_grey_stays_grey_and_turned_images_are_upright(tmp_path):
    fill(tmp_path, mode="L")
    turned = Image.fromarray(np.zeros((7, 9), np.uint8))  # 7 rows, 9 columns, to be shown as 9 by 7
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "cat" / "phone.jpg", exif=exif)
    assert load(str(tmp_path)).inputs["x"].shape == (1, 9, 7)


def test_what_is_wrong_is_named(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="holds no folders; expected one folder of images for each class"):
        load(str(empty))
    root = fill(tmp_path / "photos")
    (root / "dog" / "broken.png").write_bytes((root / "dog" / "0.png").read_bytes()[:60])
    for size in (None, 4):
        with pytest.raises(DataError, match=r"dog/broken.png cannot be read as an image"):
            load({"path": str(root), "size": size})
    (root / "dog" / "broken.png").unlink()
    (root / "emu").mkdir()
    with pytest.raises(DataError, match="emu: a class without images"):
        load(str(root))
    with pytest.raises(DataError, match=r"there is no file or folder.*did you mean 'photos'"):
        load(str(tmp_path / "fotos") + "/")
    with pytest.raises(DataError, match=r"a single class, \[0\]"):
        load(str(fill(tmp_path / "one", classes=("cat",))))


def test_more_than_fits_is_refused_before_decoding(tmp_path):
    root = fill(tmp_path)
    with pytest.raises(DataError, match=r"12 images of 90000x90000 need .* GiB.*smaller size"):
        load({"path": str(root), "size": 90_000})
