"""Data sets: digits, subsets, splits, a user's own files, and what is wrong with them said in one line."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces.common.errors import InputError
from suite.data.registry import DATASETS
from suite.data.sets import Augment, available, data_root, default_augment, load, shrink, splits, subset

REAL = Path(os.environ.get("DARTBOARD_DATA", "no-such-root"))
DIGITS = load("digits", Path("no-such-root"))
few = settings(max_examples=25, deadline=None)


def test_the_data_root_is_the_option_then_the_variable_then_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("DARTBOARD_DATA", str(tmp_path / "variable"))
    assert data_root(tmp_path / "option") == tmp_path / "option"
    assert data_root(None) == tmp_path / "variable"
    monkeypatch.delenv("DARTBOARD_DATA")
    assert data_root(None).name == "dartboard"


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    for label in range(10):
        whole = np.rint(images[labels == label] * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
        train, test = DIGITS.x_train[DIGITS.y_train == label], DIGITS.x_test[DIGITS.y_test == label]
        assert np.array_equal(np.concatenate([train, test]), whole)
        assert len(test) == 30


def test_digits_stay_the_same_from_release_to_release():
    assert DIGITS.digest == "94089d760d2db7113e6e3513b3caab94f13c5fe41e1d56acba4df962a5c4783c"
    assert (DIGITS.size, DIGITS.channels, DIGITS.classes, len(DIGITS.y_train)) == (8, 1, 10, 1497)


def test_mean_and_std_are_those_of_the_training_images():
    x = DIGITS.x_train.double() / 255
    assert DIGITS.mean == pytest.approx((x.mean().item(),), abs=1e-12)
    assert DIGITS.std == pytest.approx((x.std(correction=0).item(),), abs=1e-12)


@few
@given(images=st.integers(1, 1600), seed=st.integers(0, 3))
def test_a_subset_is_balanced_and_keeps_the_test_set(images, seed):
    part = subset(DIGITS, images, seed)
    counts = part.y_train.bincount(minlength=10)
    assert counts.sum() == min(images, 1497)
    if images <= 1400:  # no class has run out
        assert counts.max() - counts.min() <= 1
    assert torch.equal(part.x_test, DIGITS.x_test)
    rows = {
        image.numpy().tobytes() + bytes([label]) for image, label in zip(DIGITS.x_train, DIGITS.y_train, strict=True)
    }
    assert all(
        x.numpy().tobytes() + bytes([y]) in rows for x, y in zip(part.x_train[:20], part.y_train[:20], strict=True)
    )


def test_a_subset_has_a_digest_of_its_own_and_says_so():
    one, same, other = subset(DIGITS, 100, 0), subset(DIGITS, 100, 0), subset(DIGITS, 100, 1)
    assert one.digest == same.digest
    assert len({DIGITS.digest, one.digest, other.digest}) == 3
    assert "100 of 1497 training images, balanced, seed 0" in one.source
    assert subset(DIGITS, None, 0) is DIGITS
    with pytest.raises(InputError, match="at least 1"):
        subset(DIGITS, 0, 0)


def test_shrunk_images_are_averages_of_squares():
    small = shrink(DIGITS, 4)
    assert (small.size, small.averaged, small.name) == (4, 2, "digits")
    for x, full in ((small.x_train, DIGITS.x_train), (small.x_test, DIGITS.x_test)):
        squares = full.numpy().astype(np.int64).reshape(-1, 1, 4, 2, 4, 2).sum((3, 5))
        assert len(x) == len(full)
        assert np.array_equal(x.numpy(), np.rint(squares / 4))
    assert torch.equal(small.y_train, DIGITS.y_train)
    assert small.mean == pytest.approx(((small.x_train.double() / 255).mean().item(),), abs=1e-12)
    assert small.source.endswith("averaged to 4 x 4")
    assert shrink(small, 2).averaged == 4
    assert len({DIGITS.digest, small.digest, shrink(small, 2).digest}) == 3
    assert shrink(DIGITS, None) is shrink(DIGITS, 8) is DIGITS


@pytest.mark.parametrize("size", [3, 16, 0])
def test_only_a_divisor_of_the_side_shrinks(size):
    with pytest.raises(InputError, match=f"8 x 8 cannot be averaged to {size}: give a divisor"):
        shrink(DIGITS, size)


@few
@given(seed=st.integers(0, 100), share=st.floats(0.01, 0.99), count=st.integers(10, 1497))
def test_halves_are_disjoint_cover_all_and_repeat(seed, share, count):
    dataset = subset(DIGITS, count, 0)
    if not 0 < round(count * share) < count:
        return
    weights, alpha = splits(dataset, seed, share)
    assert len(weights) == round(count * share)
    assert torch.equal(torch.cat([weights, alpha]).sort().values, torch.arange(count))
    assert torch.equal(weights, splits(dataset, seed, share)[0])


def test_halves_follow_the_seed_and_refuse_an_empty_side():
    assert not torch.equal(splits(DIGITS, 0)[0], splits(DIGITS, 1)[0])
    with pytest.raises(InputError, match="share"):
        splits(DIGITS, 0, 1.0)


@pytest.mark.parametrize(
    ("spec", "size", "crop", "flip"),
    [
        ("digits", 0, 1, False),
        ("svhn", 0, 4, False),
        ("cifar10", 0, 4, True),
        ("cifar10", 16, 2, True),
        ("cifar100", 0, 4, True),
        ("imagenet16-120", 0, 2, True),
        ("npz:mine", 0, 0, False),
        ("folder:mine?size=32", 16, 0, False),
    ],
)
def test_official_images_are_augmented_as_usual_and_digits_and_own_ones_never_flipped(spec, size, crop, flip):
    assert default_augment(spec, size) == Augment(crop=crop, flip=flip, cutout=0)


@pytest.mark.parametrize("name", DATASETS)
def test_official_files_hold_as_many_images_as_declared(name):
    if not available(name, REAL):
        pytest.skip(f"no {name} in $DARTBOARD_DATA")
    entry, dataset = DATASETS[name], load(name, REAL)
    assert (len(dataset.y_train), len(dataset.y_test)) == (entry.train_images, entry.test_images)
    assert (dataset.size, dataset.channels, dataset.classes) == (entry.size, entry.channels, entry.classes)


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path, said):
    assert "did you mean 'cifar10'" in said("cifar-10", tmp_path)
    assert "npz:PATH" in said("npz:", tmp_path)
    assert "unknown data set" in said("zip:file", tmp_path)
    with pytest.raises(InputError):
        available("cifar-10", tmp_path)


@pytest.mark.skipif(not available("cifar10", REAL), reason="no CIFAR-10 in $DARTBOARD_DATA")
def test_the_real_cifar10():
    dataset = load("cifar10", REAL)
    assert dataset.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=1e-4)
    assert dataset.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=1e-4)
    assert dataset.y_train.bincount().tolist() == [5000] * 10
    assert dataset.y_test.bincount().tolist() == [1000] * 10
