"""A user's own arrays: layouts, types, labels and keys as people have them; what is wrong is said in one line."""

from pathlib import Path

import numpy as np
import pytest

from suite.data.sets import available, load


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


def test_a_file_is_found_in_the_data_root(tmp_path, said):
    saved(tmp_path / "mine.npz", arrays())
    assert available("npz:mine.npz", tmp_path)
    assert load("npz:mine.npz", tmp_path).classes == 3
    assert not available("npz:other.npz", tmp_path)
    assert str(tmp_path) in said("npz:other.npz", tmp_path)


def test_a_constant_channel_is_normalised_without_dividing_by_zero(tmp_path):
    made = arrays()
    made["x_train"][..., 1] = 7
    std = load(saved(tmp_path / "a.npz", made), tmp_path).std
    assert std[1] == 1.0
    assert 0 < std[0] < 1


@pytest.mark.parametrize("key", ["x_train", "x_test"])
def test_images_that_are_all_constant_are_refused(tmp_path, said, key):
    made = arrays()
    made[key] = np.broadcast_to(made[key][:, :1, :1], made[key].shape)
    line = said(saved(tmp_path / "flat.npz", made), tmp_path)
    assert str(tmp_path / "flat.npz") in line
    assert repr(key) in line


def test_one_constant_image_among_others_is_kept(tmp_path):
    made = arrays()
    made["x_train"][0] = 9
    assert len(load(saved(tmp_path / "a.npz", made), tmp_path).y_train) == 6


def test_arrays_without_channels_and_labels_in_a_column_are_read(tmp_path):
    made = arrays()
    grey = {key: made[key][..., 0] for key in ("x_train", "x_test")}
    column = {key: made[key][:, None] for key in ("y_train", "y_test")}
    plain = load(saved(tmp_path / "a.npz", arrays(**{key: x[..., None] for key, x in grey.items()})), tmp_path)
    assert load(saved(tmp_path / "b.npz", made | grey | column), tmp_path).digest == plain.digest


def test_labels_may_be_one_hot_or_text(tmp_path):
    made = arrays()
    whole = load(saved(tmp_path / "a.npz", made), tmp_path)
    keys = ("y_train", "y_test")
    for name, kind in (("ints", np.int32), ("floats", np.float32), ("bools", bool)):
        hot = arrays(**{key: np.eye(3)[made[key]].astype(kind) for key in keys})
        assert load(saved(tmp_path / f"{name}.npz", hot), tmp_path).digest == whole.digest
    for text in (np.array(["ant", "bee", "cat"]), np.array([b"ant", b"bee", b"cat"])):
        named = arrays(**{key: text[made[key]] for key in keys})
        assert load(saved(tmp_path / "text.npz", named), tmp_path).digest == whole.digest


def test_medmnists_names_are_read_and_its_validation_images_said_to_be_left_out(tmp_path):
    made = arrays()
    renamed = {"x_train": "train_images", "y_train": "train_labels", "x_test": "test_images", "y_test": "test_labels"}
    theirs = {renamed[key]: value for key, value in made.items()}
    theirs |= {"val_images": made["x_test"], "val_labels": made["y_test"]}
    dataset = load(saved(tmp_path / "med.npz", theirs), tmp_path)
    assert dataset.digest == load(saved(tmp_path / "a.npz", made), tmp_path).digest
    for words in (dataset.source, *dataset.notes):
        assert "left out: keys val_images, val_labels" in words
    assert load(saved(tmp_path / "a.npz", made), tmp_path).notes == ()


def test_whole_numbers_are_scaled_by_the_bits_that_hold_them(tmp_path):
    made = arrays()
    images = ("x_train", "x_test")
    eight = load(saved(tmp_path / "a.npz", arrays(**{key: made[key].astype(np.int64) for key in images})), tmp_path)
    assert eight.digest == load(saved(tmp_path / "b.npz", made), tmp_path).digest
    deep = {key: made[key].astype(np.uint16) * 16 for key in images}
    deep["x_test"][0, 0, 0, 0] = 4095
    twelve = load(saved(tmp_path / "c.npz", arrays(**deep)), tmp_path)
    shown = np.rint(deep["x_train"].transpose(0, 3, 1, 2) * (255 / 4095))
    assert np.array_equal(twelve.x_train, shown)
    assert twelve.x_test.max() == 255
    assert "4,095 (12 bits)" in twelve.source


def test_floats_may_pass_the_ends_by_less_than_rounding_takes_away(tmp_path, said):
    made = arrays()
    floats = {key: made[key] / 255 for key in ("x_train", "x_test")}
    floats["x_train"][0, 0, 0] = [1.0000001, -1e-9, 1.0]
    assert load(saved(tmp_path / "a.npz", arrays(**floats)), tmp_path).x_train[0, :, 0, 0].tolist() == [255, 0, 255]
    floats["x_train"][0, 0, 0] = 1.01
    assert "scale floats" in said(saved(tmp_path / "a.npz", arrays(**floats)), tmp_path)


@pytest.mark.parametrize(("fit", "side"), [("", 12), ("pad", 12), ("stretch", 12), ("crop", 6)])
def test_arrays_that_are_not_square_are_fitted(tmp_path, fit, side):
    source = np.random.default_rng(1)
    wide = {key: source.integers(1, 256, (n, 6, 12, 3), dtype=np.uint8) for key, n in (("x_train", 6), ("x_test", 4))}
    dataset = load(saved(tmp_path / "a.npz", arrays(**wide)), tmp_path, fit=fit)
    x, given = dataset.x_train.permute(0, 2, 3, 1).numpy(), wide["x_train"]
    assert dataset.size == side
    if fit == "crop":
        assert np.array_equal(x, given[:, :, 3:9])
    elif fit == "stretch":
        assert np.array_equal(x[:, 0], given[:, 0])
        assert np.array_equal(x[:, -1], given[:, -1])
    else:
        assert np.array_equal(x[:, 3:9], given)
        assert not x[:, :3].any()
        assert not x[:, 9:].any()
    assert "12 wide, 6 high" in dataset.source
    assert ["12 wide, 6 high" in note for note in dataset.notes] == ([] if fit else [True])


NAN = np.full((6, 5, 5, 3), 0.5)
NAN[3, 2, 1, 0] = np.nan


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"x_train": NAN}, "x_train", "NaN"),
        ({"x_train": np.full((6, 5, 5, 3), 2.0)}, "x_train", "scale floats"),
        ({"x_train": np.full((6, 5, 5, 3), -1)}, "x_train", "from -1 to -1"),
        ({"x_train": np.full((6, 5, 5, 3), 300)}, "x_test", "make them agree"),
        ({"x_train": np.zeros((6, 5, 5, 3), complex)}, "x_train", "complex128"),
        ({"x_train": np.zeros((6, 75), np.uint8)}, "x_train", "[N, H, W, C]"),
        ({"x_train": np.zeros((6, 5, 5, 5), np.uint8)}, "x_train", "neither"),
        ({"x_train": np.zeros((6, 2, 5, 3), np.uint8)}, "x_train", "either"),
        ({"x_train": np.zeros((6, 3, 3, 3), np.uint8)}, "x_train", "either"),
        ({"x_train": np.zeros((0, 5, 5, 3), np.uint8)}, "x_train", "empty"),
        ({"x_test": np.zeros((4, 6, 6, 3), np.uint8)}, "x_test", "agree"),
        ({"y_train": np.zeros(5, np.int64)}, "y_train", "one label for each image"),
        ({"y_train": np.zeros((6, 3), np.int64)}, "y_train", "one label for each image"),
        ({"y_train": np.ones((6, 3))}, "y_train", "one label for each image"),
        ({"y_train": np.array(["a", "b", "c"] * 2)}, "y_test", "make them agree"),
        (
            {"y_train": np.array(["a", "b", "c"] * 2), "y_test": np.array(["a", "b", "c", "d"])},
            "y_test",
            "label 'd'",
        ),
        ({"y_train": np.linspace(0, 2, 6)}, "y_train", "whole numbers"),
        ({"y_train": np.array([-1, 0, 1, 2, 0, 1])}, "y_train", "-1"),
        ({"y_train": np.array([0, 1, 3, 0, 1, 3])}, "y_train", "class 2"),
        ({"y_train": np.array([2**63, 0, 1, 2, 0, 1], np.uint64)}, "y_train", "number the classes"),
        ({"y_test": np.array([0, 1, 2, 3])}, "y_test", "label 3"),
    ],
)
def test_what_is_wrong_with_an_npz_file_is_said_with_file_and_key(tmp_path, changes, key, words, said):
    line = said(saved(tmp_path / "bad.npz", arrays(**changes)), tmp_path)
    assert str(tmp_path / "bad.npz") in line
    assert repr(key) in line
    assert words in line


def test_floats_that_eight_bits_would_not_hold_apart_are_refused(tmp_path, said):
    made = arrays()
    twice = {key: made[key] / 255 / 255 for key in ("x_train", "x_test")}
    line = said(saved(tmp_path / "twice.npz", arrays(**twice)), tmp_path)
    assert str(tmp_path / "twice.npz") in line
    assert "[0, 1]" in line


def test_a_missing_key_is_named(tmp_path, said):
    made = arrays()
    del made["y_test"]
    assert "key 'y_test' is missing" in said(saved(tmp_path / "bad.npz", made), tmp_path)


def test_damaged_and_pickled_npz_files_are_refused(tmp_path, said):
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
