"""Arrays under the names that people give them, and every way in which such a file can be wrong."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from evaluators.data import Data, load
from nas.core.errors import DataError

RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 4
GREY = RNG.integers(0, 256, (40, 6, 5), dtype=np.uint8)


def save(tmp_path, **arrays) -> str:
    path = tmp_path / "some.npz"
    np.savez(path, **arrays)
    return str(path)


def total(data: Data) -> int:
    return sum(data.counts.values())


def row(data: Data, image: np.ndarray) -> int:
    """The label under which `data` holds `image`, wherever it is."""
    for split in ("train", "validation", "test"):
        part = data.part(split)
        for x, label in zip(part.x, part.labels["labels"], strict=True):
            if np.array_equal(x, image):
                return int(label)
    raise AssertionError("the image is in no part")


@pytest.mark.parametrize(
    ("keys", "counts"),
    [
        (("images", "labels"), None),
        (("x", "y"), None),
        (("X", "Y"), None),
        (("arr_0", "arr_1"), None),
        (("data", "target"), None),
        (("train_images", "train_labels", "test_images", "test_labels"), (32, 8, 40)),
        (("x_train", "y_train", "x_test", "y_test"), (32, 8, 40)),
        (("X_train", "y_train", "X_val", "y_val", "X_test", "y_test"), (40, 40, 40)),
        (("images", "labels", "valid_images", "valid_labels"), (32, 40, 8)),
        (("xtrain", "ytrain", "xtest", "ytest"), (32, 8, 40)),
        (("pictures", "kind"), None),
    ],
)
def test_usual_names_of_keys_are_recognised(tmp_path, keys, counts):
    arrays = dict(zip(keys, [GREY, LABELS] * 3, strict=False))
    data = load(save(tmp_path, **arrays))
    assert data.inputs["x"].shape == (1, 6, 5)
    assert data.classes == 4
    assert tuple(data.counts.values()) == (counts or (26, 6, 8)), data.counts
    assert row(data, GREY[None, 7]) == LABELS[7]


@pytest.mark.parametrize(
    ("shape", "read"),
    [
        ((6, 5), (1, 6, 5)),
        ((6, 5, 3), (3, 6, 5)),
        ((6, 5, 1), (1, 6, 5)),
        ((3, 6, 5), (3, 6, 5)),
        ((1, 6, 5), (1, 6, 5)),
    ],
)
def test_layouts_become_channels_first_with_the_pixels_in_place(tmp_path, shape, read):
    pixels = RNG.integers(0, 256, (40, *shape), dtype=np.uint8)
    data = load(save(tmp_path, images=pixels, labels=LABELS))
    assert data.inputs["x"].shape == read
    expected = pixels[11]
    if len(shape) == 2:
        expected = expected[None]
    elif shape != read:
        expected = np.moveaxis(expected, 2, 0)
    assert row(data, expected) == LABELS[11]


def test_a_layout_that_could_be_either_is_asked_for(tmp_path):
    path = save(tmp_path, images=np.zeros((40, 3, 3, 3), np.uint8), labels=LABELS)
    with pytest.raises(DataError, match=r"\(40, 3, 3, 3\).*layout: chw or hwc"):
        load(path)
    assert load({"path": path, "layout": "chw"}).inputs["x"].shape == (3, 3, 3)


def test_tables_of_features_are_real_and_tokens_are_whole(tmp_path):
    table = RNG.normal(size=(40, 7))
    data = load(save(tmp_path, x=table, y=LABELS))
    assert (data.kind, data.inputs["x"].shape, data.train.x.dtype) == ("features", (7,), np.float32)
    path = save(tmp_path, x=RNG.integers(0, 50, (40, 7)), y=LABELS)
    tokens = load({"path": path, "kind": "tokens"})
    assert (tokens.inputs["x"].dtype, tokens.train.x.dtype) == ("int64", np.int64)
    assert tokens.inputs["x"].vocabulary == 1 + max(int(tokens.part(split).x.max()) for split in tokens.counts)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (LABELS + 3, ("3", "4", "5", "6")),
        (LABELS.astype(float), ("0", "1", "2", "3")),
        (LABELS[:, None], ("0", "1", "2", "3")),
        (np.eye(4)[LABELS], ("0", "1", "2", "3")),
        (np.array(["cat", "dog", "ant", "owl"])[LABELS], ("ant", "cat", "dog", "owl")),
        (np.array([b"cat", b"dog", b"ant", b"owl"])[LABELS], ("ant", "cat", "dog", "owl")),
        (LABELS > 1, ("0", "1")),
    ],
)
def test_labels_as_people_keep_them(tmp_path, labels, names):
    data = load(save(tmp_path, images=GREY, labels=labels))
    assert data.class_names["labels"] == names
    shown = np.asarray(labels[6]).argmax() if np.ndim(labels[6]) and len(labels[6]) > 1 else np.ravel(labels[6])[0]
    shown = shown.decode() if isinstance(shown, bytes) else shown
    shown = shown if isinstance(shown, str) else str(int(shown))
    assert names[row(data, GREY[None, 6])] == shown


def test_class_names_in_the_file_are_used_and_keep_the_numbers(tmp_path):
    names = ["a", "b", "c", "d", "never seen"]
    data = load(save(tmp_path, images=GREY, labels=LABELS, class_names=np.array(names)))
    assert data.class_names["labels"] == tuple(names)
    assert data.classes == 5
    with pytest.raises(DataError, match="labels from 0 to 3, but 3 class names"):
        load(save(tmp_path, images=GREY, labels=LABELS, class_names=np.array(names[:3])))


def test_several_label_sets_are_several_tasks(tmp_path):
    both = {"labels_colour": LABELS, "labels_form": LABELS // 2}
    data = load(save(tmp_path, images=GREY, **both))
    assert data.classes == {"colour": 4, "form": 2}
    path = save(tmp_path, images=GREY, shade=LABELS, size=LABELS // 2)
    with pytest.raises(DataError, match=r"which are the labels: shade, size\?.*labels: \[shade, size\]"):
        load(path)
    assert load({"path": path, "labels": ["shade", "size"]}).classes == {"shade": 4, "size": 2}
    assert load({"path": path, "labels": "size"}).classes == 2
    assert load({"path": path, "labels": {"tone": "shade"}}).tasks == ("tone",)


def jpegs(count: int, sizes=((6, 5),), file_format: str = "PNG") -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    images = [RNG.integers(0, 256, (*sizes[k % len(sizes)], 3), dtype=np.uint8) for k in range(count)]
    files = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, file_format)
        files.append(buffer.getvalue())
    offsets = np.cumsum([0, *map(len, files)])
    return np.frombuffer(b"".join(files), np.uint8), offsets, images


def test_image_files_as_bytes_and_offsets(tmp_path):
    stream, offsets, images = jpegs(40)
    data = load(save(tmp_path, images_jpeg=stream, images_offsets=offsets, labels=LABELS))
    assert data.inputs["x"].shape == (3, 6, 5)
    assert row(data, images[9].transpose(2, 0, 1)) == LABELS[9]
    given = {"train_jpeg": stream, "train_offsets": offsets, "train_labels": LABELS}
    assert total(load(save(tmp_path, **given))) == 40


def test_damaged_image_files_are_named(tmp_path):
    stream, offsets, _ = jpegs(40)
    broken = stream.copy()
    broken[offsets[5] : offsets[6]] = 0
    with pytest.raises(DataError, match=r"some.npz, images_jpeg: image 5 cannot be read"):
        load(save(tmp_path, images_jpeg=broken, images_offsets=offsets, labels=LABELS))
    with pytest.raises(DataError, match="offsets that do not cut"):
        load(save(tmp_path, images_jpeg=stream, images_offsets=offsets[:-1], labels=LABELS))
    stream, offsets, _ = jpegs(40, sizes=((6, 5), (7, 7)))
    path = save(tmp_path, images_jpeg=stream, images_offsets=offsets, labels=LABELS)
    with pytest.raises(DataError, match=r"2 sizes, from 6x5 to 7x7.*size: 32"):
        load(path)
    assert load({"path": path, "size": 8}).inputs["x"].shape == (3, 8, 8)


NAN = np.where(np.arange(40)[:, None, None] == 12, np.nan, GREY.astype(np.float32))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": GREY, "labels": LABELS[:39]}, r"train part: 40 examples but 39 labels"),
        ({"images": GREY, "labels": LABELS + 0.5}, r"label 0 is 0.5, not a whole number.*regression"),
        ({"images": GREY, "labels": LABELS * 0}, r"a single class, \[0\]"),
        ({"images": NAN, "labels": LABELS}, r"example 12 holds nan at \(0, 0, 0\)"),
        ({"images": GREY * 1e300, "labels": LABELS}, r"example 0 holds inf"),
        ({"images": GREY}, r"no labels under labels.*found images \(40, 6, 5\) uint8"),
        ({"labels": LABELS}, r"no examples under images.*found labels \(40,\)"),
        ({}, r"no examples under images.*found no arrays"),
        ({"images": GREY[:0], "labels": LABELS[:0]}, r"nothing in it, shape \(0, 1, 6, 5\)"),
        ({"images": GREY[:, :, :0], "labels": LABELS}, r"nothing in it"),
        ({"images": GREY.astype("U3"), "labels": LABELS}, r"examples of type <U3; expected numbers"),
        ({"images": GREY, "labels": LABELS.astype(complex)}, r"labels of type complex128"),
        ({"images": GREY, "labels": np.ones((40, 4))}, r"not one-hot"),
        ({"images": GREY, "labels": np.where(LABELS == 3, 9 * (np.arange(40) < 4), LABELS)}, r"single example"),
        ({"train_images": GREY, "train_labels": LABELS, "test_images": GREY}, r"no labels 'labels' for the test part"),
        (
            {"train_images": GREY, "train_labels": LABELS % 2, "test_images": GREY, "test_labels": LABELS},
            r"class '2' occurs in the test part but never in the training part",
        ),
        (
            {"train_images": GREY, "train_labels": LABELS, "test_images": GREY[:, :, 1:], "test_labels": LABELS},
            r"shape \(1, 6, 5\) in the train part and \(1, 6, 4\) in the test part",
        ),
        ({"images": np.zeros((40, 2, 2, 2, 2)), "labels": LABELS}, r"no stack of images"),
    ],
)
def test_what_is_wrong_is_said_once_and_clearly(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message) as caught, np.errstate(over="ignore"):
        load(save(tmp_path, **arrays))
    assert "some.npz" in str(caught.value)


def test_files_that_are_missing_damaged_or_unsafe(tmp_path):
    path = save(tmp_path, images=GREY, labels=LABELS)
    with pytest.raises(DataError, match=r"did you mean 'some\.npz'"):
        load(str(tmp_path / "smoe.npz"))
    content = (tmp_path / "some.npz").read_bytes()
    for damaged in (
        content[: len(content) // 2],
        b"",
        b"no archive at all",
        content[:200] + b"?" * 300 + content[500:],
    ):
        (tmp_path / "some.npz").write_bytes(damaged)
        with pytest.raises(DataError, match=r"some.npz: cannot be read as an .npz file"):
            load(path)
    with pytest.raises(DataError, match="Python objects, which are not loaded"):
        load(save(tmp_path, images=np.array([{}, []], dtype=object), labels=LABELS))
    with open(path, "wb") as file:
        np.save(file, GREY)
    with pytest.raises(DataError, match="a single array"):
        load(path)


def test_fields_are_checked(tmp_path):
    path = save(tmp_path, images=GREY, labels=LABELS)
    for field, value, message in [
        ("images", "picture", "no examples under 'picture'.*images: KEY"),
        ("labels", "label", "no labels 'label' for the train part.*labels: KEY"),
        ("kind", "imgae", "did you mean 'image'"),
        ("layout", "whc", "did you mean 'hwc'. legal: 'auto', 'chw', 'hw', 'hwc'"),
        ("layout", "hwc", "needs 4 axes"),
        ("size", "big", "expected a number of pixels"),
        ("test", 1.5, "expected a fraction between 0 and 1"),
        ("validation", 0, "expected a fraction between 0 and 1"),
        ("test", 39, "would leave a class without training examples"),
        ("limit", -1, "expected a number of examples"),
    ]:
        with pytest.raises(DataError, match=message):
            load({"path": path, field: value})


@pytest.mark.data
def test_real_files_are_what_their_makers_say(real):
    fashion = load(real("fashion_mnist.npz"))
    assert fashion.counts == {"train": 48_000, "validation": 12_000, "test": 10_000}
    assert fashion.class_names["labels"][9] == "Ankle boot"
    pixels = np.concatenate([fashion.train.x, fashion.validation.x])
    assert pixels.mean() / 255 == pytest.approx(0.2860, abs=5e-5)
    assert pixels.std() / 255 == pytest.approx(0.3530, abs=5e-5)
    digits = load(real("mnist_t10k.npz"))
    counted = sum(np.bincount(digits.part(split).labels["labels"]) for split in digits.counts)
    assert counted[:3].tolist() == [980, 1135, 1032]
    both = load({"path": real("fashion_digit_multitask.npz"), "labels": ["fashion", "digit"]})
    assert both.classes == {"fashion": 10, "digit": 10}
    assert both.inputs["x"].shape == (1, 40, 40)


@pytest.mark.data
def test_real_jpeg_archive(real):
    data = load(real("cifar10_five_classes_jpeg.npz"))
    assert data.counts == {"train": 20_000, "validation": 5_000, "test": 5_000}
    assert data.inputs["x"].shape == (3, 32, 32)
    assert data.class_names["labels"] == ("airplane", "bird", "deer", "frog", "ship")
    pixels = np.concatenate([data.train.x, data.validation.x, data.test.x])
    assert re.match(r"\[0\.4\d+, 0\.4\d+, 0\.4\d+\]", str((pixels.mean(axis=(0, 2, 3)) / 255).round(4).tolist()))
