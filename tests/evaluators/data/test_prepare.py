"""Parts of the data: complete, disjoint, fair to each class, the same anywhere; statistics of the training part."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.data import Examples, Found, Preparation, load, prepare
from evaluators.data.splits import stratified
from nas.core.errors import DataError


def found(counts=(40, 30, 20), **parts) -> Found:
    labels = np.repeat(np.arange(len(counts)), counts)
    x = np.arange(len(labels), dtype=np.float32)[:, None] + np.zeros((1, 2), np.float32)
    return Found({"train": Examples(x, {"labels": labels}), **parts}, "features")


@given(st.lists(st.integers(2, 60), min_size=2, max_size=8), st.floats(0.02, 0.9), st.integers(0, 5))
def test_an_example_is_in_exactly_one_part_and_each_class_in_both(counts, share, seed):
    codes = np.repeat(np.arange(len(counts)), counts)
    wanted = round(share * len(codes))
    if wanted > len(codes) - len(counts):
        with pytest.raises(DataError, match="would leave a class"):
            stratified(codes, share, seed, "test", "here")
        return
    stay, apart = stratified(codes, share, seed, "test", "here")
    assert sorted([*stay, *apart]) == list(range(len(codes)))
    assert set(codes[stay]) == set(codes[apart]) == set(range(len(counts)))
    assert len(apart) == max(wanted, len(counts))
    for label, count in enumerate(counts):
        assert abs((codes[apart] == label).sum() - count * wanted / len(codes)) <= max(1, len(counts) - 1)


def test_shares_of_what_and_in_which_order():
    data = prepare(found(), "f", Preparation(test=0.1, validation=27))
    assert data.counts == {"train": 54, "validation": 27, "test": 9}
    assert np.bincount(data.test.labels["labels"]).tolist() == [4, 3, 2]
    assert np.bincount(data.validation.labels["labels"]).tolist() == [12, 9, 6]


def test_a_limit_leaves_the_test_part_alone():
    whole = prepare(found(), "f", Preparation())
    data = prepare(found(), "f", Preparation(limit=36))
    assert np.array_equal(data.test.x, whole.test.x)
    assert data.counts["train"] + data.counts["validation"] == 36


def test_parts_that_are_given_are_kept_and_shares_for_them_refused():
    own = Examples(np.ones((6, 2), np.float32), {"labels": np.arange(6) % 3})
    data = prepare(found(test=own, validation=own), "f", Preparation(limit=30))
    assert data.counts == {"train": 30, "validation": 6, "test": 6}
    with pytest.raises(DataError, match=r"test: 0\.1 given, but the source has a test part"):
        prepare(found(test=own), "f", Preparation(test=0.1))


def test_normalisation_is_that_of_the_training_part_alone():
    x = np.stack([np.arange(12.0), np.full(12, 7.0)], axis=1).astype(np.float32)
    given = Found({
        "train": Examples(x, {"labels": np.arange(12) % 2}),
        "test": Examples(x[:4] * 1e6, {"labels": np.arange(4) % 2}),
        "validation": Examples(x[:4] * -1e6, {"labels": np.arange(4) % 2}),
    }, "features")  # fmt: skip
    data = prepare(given, "f", Preparation())
    assert data.mean == pytest.approx((5.5, 7.0))
    assert data.std == pytest.approx((np.arange(12.0).std(), 1.0)), "a constant feature is divided by one"
    batch = data.normaliser()(data.tensors("train")[0])
    assert batch.mean(0).abs().max() < 1e-6
    assert batch[:, 0].std(correction=0) == pytest.approx(1.0, abs=1e-6)
    assert prepare(given, "f", Preparation(normalise=False)).mean == ()


def test_images_are_normalised_by_channel():
    x = np.zeros((8, 2, 3, 3), np.uint8)
    x[:, 1] = 200
    x[::2, 0] = 10
    labels = {"labels": np.arange(8) // 2 % 2}
    part = Examples(x, labels)
    data = prepare(Found({"train": part, "validation": part, "test": part}, "image"), "i", Preparation())
    assert data.mean == (5.0, 200.0)
    assert data.std == (5.0, 1.0)
    seen = data.normaliser()(data.tensors("train")[0])
    assert seen[:, 0].unique().tolist() == [-1.0, 1.0]
    assert seen[:, 1].unique().tolist() == [0.0]


def test_statistics_of_many_images_equal_numpy(real):
    data = load(real("mnist_t10k.npz"))
    assert data.mean[0] == pytest.approx(data.train.x.mean(dtype=np.float64), rel=1e-12)
    assert data.std[0] == pytest.approx(data.train.x.std(dtype=np.float64), rel=1e-12)


def test_the_fingerprint_sees_everything():
    base = prepare(found(), "f", Preparation())
    others = [
        prepare(found(), "f", Preparation(seed=1)),
        prepare(found(), "f", Preparation(test=0.3)),
        prepare(found(), "f", Preparation(normalise=False)),
        prepare(found((40, 30, 21)), "f", Preparation()),
    ]
    prints = {data.fingerprint() for data in [base, *others]}
    assert len(prints) == 5
    assert prepare(found(), "another name", Preparation()).fingerprint() == base.fingerprint()
    changed = found()
    changed.parts["train"].x[3, 1] += 1
    assert prepare(changed, "f", Preparation()).fingerprint() != base.fingerprint()


def test_digits_are_those_of_scikit_learn():
    library = pytest.importorskip("sklearn.datasets")
    images = library.load_digits()
    data = load("digits")
    x = np.concatenate([data.part(split).x for split in data.counts])
    labels = np.concatenate([data.part(split).labels["labels"] for split in data.counts])
    assert sorted(zip(x.reshape(-1, 64).tolist(), labels.tolist(), strict=True)) == sorted(
        zip(images.data.astype(int).tolist(), images.target.tolist(), strict=True)
    )


def test_digits_are_the_same_in_a_fresh_process():
    code = "from evaluators.data import load; print(load('digits').fingerprint())"
    prints = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert prints == {load("digits").fingerprint()}
