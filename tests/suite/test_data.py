"""Data sets: digits, subsets, splits, a user's own files, and what is wrong with them said in one line."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spaces.common.errors import InputError
from suite.data.sets import Augment, available, data_root, default_augment, load, shrink, splits, subset

DIGITS = load("digits", Path("no-such-root"))
few = settings(max_examples=25, deadline=None)


def said(spec: str, root: Path) -> str:
    """The one line that loading `spec` fails with."""
    with pytest.raises(InputError) as caught:
        load(spec, root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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


def test_default_augmentation_flips_no_digits():
    assert default_augment(DIGITS) == Augment(crop=1, flip=False, cutout=0)
    other = SimpleNamespace(name="npz:mine", size=32)
    assert default_augment(other) == Augment(crop=4, flip=True, cutout=0)
    assert default_augment(SimpleNamespace(name="svhn", size=32)) == Augment(crop=4, flip=False, cutout=0)
    assert default_augment(SimpleNamespace(name="cifar10", size=16)) == Augment(crop=2, flip=True, cutout=0)


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    assert "did you mean 'cifar10'" in said("cifar-10", tmp_path)
    assert "npz:PATH" in said("npz:", tmp_path)
    assert "unknown data set" in said("zip:file", tmp_path)
    with pytest.raises(InputError):
        available("cifar-10", tmp_path)


# npz files


def arrays(**changes: np.ndarray) -> dict[str, np.ndarray]:
    source = np.random.default_rng(0)
    made = {
        "x_train": source.integers(0, 256, (6, 5, 5, 3), dtype=np.uint8),
        "y_train": np.array([0, 1, 2, 0, 1, 2]),
        "x_test": source.integers(0, 256, (4, 5, 5, 3), dtype=np.uint8),
        "y_test": np.array([2, 1, 0, 2]),
    }
    return made | changes


def saved(path: Path, made: dict[str, np.ndarray]) -> str:
    np.savez(path, **made)
    return f"npz:{path}"


def test_an_npz_file_is_read_in_either_layout_and_type(tmp_path):
    made = arrays()
    last = load(saved(tmp_path / "a.npz", made), tmp_path)
    assert (last.name, last.classes, last.size, last.channels) == ("npz:a", 3, 5, 3)
    assert np.array_equal(last.x_train.permute(0, 2, 3, 1), made["x_train"])
    first = arrays(**{key: made[key].transpose(0, 3, 1, 2) for key in ("x_train", "x_test")})
    assert load(saved(tmp_path / "b.npz", first), tmp_path).digest == last.digest
    floats = arrays(**{key: made[key] / 255 for key in ("x_train", "x_test")})
    assert load(saved(tmp_path / "c.npz", floats), tmp_path).digest == last.digest


def test_a_file_is_found_in_the_data_root(tmp_path):
    saved(tmp_path / "mine.npz", arrays())
    assert available("npz:mine.npz", tmp_path)
    assert load("npz:mine.npz", tmp_path).classes == 3
    assert not available("npz:other.npz", tmp_path)
    assert str(tmp_path) in said("npz:other.npz", tmp_path)


def test_a_constant_channel_is_normalised_without_dividing_by_zero(tmp_path):
    grey = arrays(x_train=np.full((6, 5, 5, 1), 7, np.uint8), x_test=np.full((4, 5, 5, 1), 7, np.uint8))
    assert load(saved(tmp_path / "a.npz", grey), tmp_path).std == (1.0,)


NAN = np.full((6, 5, 5, 3), 0.5)
NAN[3, 2, 1, 0] = np.nan


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"x_train": NAN}, "x_train", "NaN"),
        ({"x_train": np.full((6, 5, 5, 3), 2.0)}, "x_train", "scale floats"),
        ({"x_train": np.zeros((6, 5, 5, 3), np.int64)}, "x_train", "int64"),
        ({"x_train": np.zeros((6, 75), np.uint8)}, "x_train", "[N, H, W, C]"),
        ({"x_train": np.zeros((6, 5, 4, 3), np.uint8)}, "x_train", "square"),
        ({"x_train": np.zeros((6, 3, 3, 3), np.uint8)}, "x_train", "either"),
        ({"x_train": np.zeros((0, 5, 5, 3), np.uint8)}, "x_train", "empty"),
        ({"x_test": np.zeros((4, 6, 6, 3), np.uint8)}, "x_test", "agree"),
        ({"y_train": np.zeros(5, np.int64)}, "y_train", "one label an image"),
        ({"y_train": np.zeros((6, 1), np.int64)}, "y_train", "one label an image"),
        ({"y_train": np.linspace(0, 2, 6)}, "y_train", "whole numbers"),
        ({"y_train": np.array([-1, 0, 1, 2, 0, 1])}, "y_train", "-1"),
        ({"y_train": np.array([0, 1, 3, 0, 1, 3])}, "y_train", "class 2"),
        ({"y_train": np.array([2**63, 0, 1, 2, 0, 1], np.uint64)}, "y_train", "number the classes"),
        ({"y_test": np.array([0, 1, 2, 3])}, "y_test", "label 3"),
    ],
)
def test_what_is_wrong_with_an_npz_file_is_said_with_file_and_key(tmp_path, changes, key, words):
    line = said(saved(tmp_path / "bad.npz", arrays(**changes)), tmp_path)
    assert str(tmp_path / "bad.npz") in line
    assert repr(key) in line
    assert words in line


def test_a_missing_key_is_named(tmp_path):
    made = arrays()
    del made["y_test"]
    assert "key 'y_test' is missing" in said(saved(tmp_path / "bad.npz", made), tmp_path)


def test_damaged_and_pickled_npz_files_are_refused(tmp_path):
    whole = tmp_path / "whole.npz"
    saved(whole, arrays())
    cut = tmp_path / "cut.npz"
    cut.write_bytes(whole.read_bytes()[:-200])
    noise = tmp_path / "noise.npz"
    noise.write_bytes(b"no archive at all")
    flipped = bytearray(whole.read_bytes())
    flipped[200] ^= 255
    bits = tmp_path / "bits.npz"
    bits.write_bytes(bytes(flipped))
    objects = saved(tmp_path / "objects.npz", arrays(y_train=np.array([print] * 6, dtype=object)))
    single = tmp_path / "single.npz"
    with single.open("wb") as file:
        np.save(file, np.zeros(3))
    for path in (cut, noise, bits, single):
        assert str(path) in said(f"npz:{path}", tmp_path)
    assert "numpy.savez" in said(objects, tmp_path)


# folders of images


@pytest.fixture
def folder(tmp_path):
    """Five classes, 6 training and 2 validation images each; the pixel value names class and image."""
    root = tmp_path / "pictures"
    for part, count in (("train", 6), ("val", 2)):
        for label in range(5):
            place = root / part / f"class{label}"
            place.mkdir(parents=True)
            for index in range(count):
                Image.new("RGB", (20, 12), (40 * label, 10 * index, 0)).save(place / f"{index}.png")
    return root


def test_a_folder_is_read_with_its_classes_in_order(folder, tmp_path):
    dataset = load(f"folder:{folder}?size=8", tmp_path)
    assert dataset.name == "folder:pictures?size=8"
    assert tuple(dataset.x_train.shape) == (30, 3, 8, 8)
    assert torch.equal(dataset.y_test, torch.arange(5).repeat_interleave(2))
    assert torch.equal(dataset.x_train[:, 0, 4, 4].long(), 40 * dataset.y_train)
    assert load(f"folder:{folder}", tmp_path).size == 64


def test_a_folder_is_cropped_in_the_centre(folder, tmp_path):
    striped = np.zeros((12, 20, 3), np.uint8)
    striped[:, 4:16] = 200
    Image.fromarray(striped).save(folder / "train" / "class0" / "0.png")
    image = load(f"folder:{folder}?size=12", tmp_path).x_train[0]
    assert (image == 200).all()


def test_classes_and_fractions_are_drawn_from_the_seed(folder, tmp_path):
    def read(options: str) -> tuple[tuple[int, ...], int, int]:
        dataset = load(f"folder:{folder}?size=4&{options}", tmp_path)
        values = tuple(dataset.x_train[:, 0, 0, 0].unique().tolist())
        return values, len(dataset.y_train), len(dataset.y_test)

    assert read("classes=3&seed=1") == read("classes=3&seed=1")
    assert len({read(f"classes=2&seed={seed}")[0] for seed in range(8)}) > 1
    classes, train, test = read("classes=2&fraction=0.5")
    assert (len(classes), train, test) == (2, 6, 4)
    assert read("fraction=0.001")[1] == 5


def test_test_stands_in_for_val(folder, tmp_path):
    (folder / "val").rename(folder / "test")
    assert available(f"folder:{folder}?classes=2", tmp_path)
    assert len(load(f"folder:{folder}?size=4", tmp_path).y_test) == 10


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("sizes=8", "did you mean 'size'"),
        ("size=8.5", "size='8.5'"),
        ("fraction=2", "from 0 to 1"),
        ("classes=0", "from 1"),
        ("seed=", "seed=''"),
        ("fraction=nan", "from 0 to 1"),
        ("classes=9", "5 classes"),
        ("classes=2&classes=3", "option classes stands there twice"),
    ],
)
def test_an_unusable_option_is_named(folder, tmp_path, options, words):
    assert words in said(f"folder:{folder}?{options}", tmp_path)


def test_what_is_wrong_with_a_folder_is_said(folder, tmp_path):
    assert "no-such" in said("folder:no-such", tmp_path)
    broken = folder / "train" / "class3" / "2.png"
    broken.write_bytes(broken.read_bytes()[:40])
    assert str(broken) in said(f"folder:{folder}", tmp_path)
    broken.unlink()
    for image in (folder / "val" / "class1").iterdir():
        image.unlink()
    assert str(folder / "val" / "class1") in said(f"folder:{folder}", tmp_path)
    (folder / "val").rename(folder / "validation")
    assert "has no folder 'val'" in said(f"folder:{folder}", tmp_path)


REAL = Path(os.environ.get("DARTBOARD_DATA", "no-such-root"))


@pytest.mark.skipif(not available("cifar10", REAL), reason="no CIFAR-10 in $DARTBOARD_DATA")
def test_the_real_cifar10():
    dataset = load("cifar10", REAL)
    assert dataset.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=1e-4)
    assert dataset.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=1e-4)
    assert dataset.y_train.bincount().tolist() == [5000] * 10
    assert dataset.y_test.bincount().tolist() == [1000] * 10
