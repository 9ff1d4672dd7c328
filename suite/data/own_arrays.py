"""Reader of a user's own images as arrays in one `.npz` file."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaces.common.errors import InputError
from spaces.common.plural import counted
from suite.data.arrays import Arrays
from suite.data.pixels import FITS, LOSSLESS, check_reach, check_varied, full_scale, in_unit_range, levels, squared

KEYS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),  # as in MedMNIST (Yang et al., 2023)
)
MOST_CHANNELS = 4


def read_npz(path: Path, fit: str = "") -> Arrays:
    """The data set in the `.npz` file `path`, which has the keys of one row of `KEYS`.

    Images are [N, H, W, C] or [N, C, H, W] with at most four channels, or [N, H, W]. They are uint8, floats in [0, 1]
    (rounded to 255 levels), or whole numbers; if these exceed eight bits, they are scaled by the fewest bits that hold
    all of them. `fit`, a key of `FITS`, is how images are made square (empty: they are padded, and the notes say so).
    Labels are [N] or [N, 1], whole numbers that number the classes of y_train from 0 without a gap, or text, whose
    classes are sorted; or [N, classes] with a single 1 in each row. Other keys are not read, and are named in the
    source and in the notes.
    Raises `InputError` that names the file and the key for anything else, and if every image of a part is constant.
    """
    keys, arrays, others = _read(path)
    x_train, x_test = (_layout(f"{path}: key {key!r}", arrays[key]) for key in (keys[0], keys[2]))
    if x_train.shape[1:] != x_test.shape[1:]:
        raise InputError(
            f"{path}: key {keys[2]!r} has images {x_test.shape[1:]}, {keys[0]!r} {x_train.shape[1:]}: make them agree"
        )
    x_train, x_test, depth = _eight_bits(path, (keys[0], keys[2]), x_train, x_test)
    y_train, y_test, classes = _labels(path, keys, arrays, (len(x_train), len(x_test)))
    source, notes = [f"file {path}"], []
    height, width = x_train.shape[2:]
    if height != width:
        words = f"images {width} wide, {height} high, {FITS[fit or LOSSLESS]}"
        x_train, x_test = (_squares(x, fit or LOSSLESS) for x in (x_train, x_test))
        source.append(words)
        if not fit:
            notes.append(f"{words} (fit = {', '.join(FITS)} changes it)")
    source += [depth] if depth else []
    if others:
        words = f"left out: {'key' if len(others) == 1 else 'keys'} {', '.join(others)}"
        source.append(words)
        notes.append(words)
    return Arrays(x_train, y_train, x_test, y_test, classes, "; ".join(source), tuple(notes))


def _read(path: Path) -> tuple[tuple[str, ...], dict[str, NDArray[Any]], list[str]]:
    """The four keys that the file uses, its arrays by key, and its other keys."""
    arrays: dict[str, NDArray[Any]] = {}
    try:
        # Pickled objects inside the archive are not read: they could run code.
        with np.load(path, allow_pickle=False) as archive:
            keys = max(KEYS, key=lambda names: sum(name in archive for name in names))
            for key in keys:
                if key not in archive:
                    raise InputError(f"{path}: key {key!r} is missing; it holds {', '.join(archive) or 'nothing'}")
                arrays[key] = archive[key]
            others = [key for key in archive if key not in keys]
    except InputError:
        raise
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be read as .npz ({reason}): write it with numpy.savez") from error
    return keys, arrays, others


def _layout(where: str, x: NDArray[Any]) -> NDArray[Any]:
    """The images as [N, C, H, W], their type unchanged."""
    if x.ndim not in (3, 4):
        raise InputError(f"{where} has shape {x.shape}: give images as [N, H, W, C], [N, C, H, W] or [N, H, W]")
    if 0 in x.shape:
        raise InputError(f"{where} is empty (shape {x.shape}): give at least one image")
    if x.ndim == 3:
        return x[:, None]
    _, first, second, last = x.shape
    ways = {"last": last <= MOST_CHANNELS, "first": first <= MOST_CHANNELS}
    if all(ways.values()):  # both layouts are possible: choose the one with square images
        ways = {"last": first == second, "first": second == last}
    if ways["last"] == ways["first"]:
        either = max(first, last) <= MOST_CHANNELS
        raise InputError(
            f"{where} has shape {x.shape}, which {'could be either' if either else 'is neither'} [N, H, W, C] "
            f"{'or' if either else 'nor'} [N, C, H, W] with at most {MOST_CHANNELS} channels: transpose it"
        )
    return x.transpose(0, 3, 1, 2) if ways["last"] else x


def _eight_bits(
    path: Path, keys: tuple[str, str], *parts: NDArray[Any]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
    """Both parts as uint8 with the same scale, and the scale in words (empty: they had eight bits)."""
    ranges = [_range(f"{path}: key {key!r}", x) for key, x in zip(keys, parts, strict=True)]
    top = full_scale(max((high for (_, high), x in zip(ranges, parts, strict=True) if x.dtype.kind in "iu"), default=0))
    if top > 255 and parts[0].dtype != parts[1].dtype:
        raise InputError(
            f"{path}: key {keys[1]!r} has type {parts[1].dtype}, {keys[0]!r} {parts[0].dtype}: make them agree"
        )
    if floats := [high for (_, high), x in zip(ranges, parts, strict=True) if x.dtype.kind == "f"]:
        check_reach(f"{path}: the floats", max(floats))
    made = []
    for key, x in zip(keys, parts, strict=True):
        x = levels(x, 1.0 if x.dtype.kind == "f" else top) if x.dtype != np.uint8 else x
        flat = x.reshape(*x.shape[:2], -1)
        check_varied(f"{path}: key {key!r}", bool((flat == flat[..., :1]).all()))
        made.append(np.ascontiguousarray(x))
    words = f"whole numbers scaled from 0 to {top:,} ({top.bit_length()} bits)" if top > 255 else ""
    return made[0], made[1], words


def _range(where: str, x: NDArray[Any]) -> tuple[float, float]:
    """The smallest and the largest pixel. Raises `InputError` if the type does not allow them."""
    if x.dtype.kind not in "fiu":
        raise InputError(f"{where} has type {x.dtype}: give uint8, or floats in [0, 1]")
    if not np.isfinite(x).all():
        raise InputError(f"{where} contains NaN or infinity: remove those images")
    low, high = float(x.min()), float(x.max())
    if x.dtype.kind == "f" and not in_unit_range(low, high):
        raise InputError(f"{where} has values from {low:g} to {high:g}: scale floats to [0, 1] or give uint8")
    if low < 0 and x.dtype.kind == "i":
        raise InputError(f"{where} has values from {low:g} to {high:g}: give whole numbers from 0")
    return low, high


def _squares(x: NDArray[np.uint8], fit: str) -> NDArray[np.uint8]:
    """Images [N, C, H, W] made square: the side is the shorter one if `fit` is `crop`, else the longer one."""
    from PIL import Image

    side = min(x.shape[2:]) if fit == "crop" else max(x.shape[2:])
    planes = [np.asarray(squared(Image.fromarray(plane), side, fit)) for plane in x.reshape(-1, *x.shape[2:])]
    return np.stack(planes).reshape(*x.shape[:2], side, side)


def _labels(
    path: Path, keys: tuple[str, ...], arrays: dict[str, NDArray[Any]], images: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """The labels of both parts, numbered from 0, and the number of classes."""
    train, test = (
        _one_each(f"{path}: key {key!r}", arrays[key], count)
        for key, count in zip((keys[1], keys[3]), images, strict=True)
    )
    if (train.dtype.kind == "U") != (test.dtype.kind == "U"):
        raise InputError(f"{path}: of {keys[1]!r} and {keys[3]!r} one has text: make them agree")
    if train.dtype.kind == "U":
        names = np.unique(train)
        if len(strange := np.setdiff1d(test, names)):
            raise InputError(
                f"{path}: key {keys[3]!r} has label {str(strange[0])!r}, which {keys[1]!r} lacks: "
                "drop or rename those images"
            )
        return np.searchsorted(names, train), np.searchsorted(names, test), len(names)
    labels = np.unique(train)
    if len(gaps := np.flatnonzero(labels != np.arange(len(labels)))):
        raise InputError(
            f"{path}: key {keys[1]!r} has no image of class {gaps[0]}: number the classes from 0 without a gap"
        )
    if (highest := int(test.max())) >= len(labels):
        raise InputError(
            f"{path}: key {keys[3]!r} has label {highest}, but {keys[1]!r} only 0 to {len(labels) - 1}: "
            "drop or renumber it"
        )
    return train, test, len(labels)


def _one_each(where: str, y: NDArray[Any], images: int) -> NDArray[Any]:
    """One label for each image: int64 from 0, or text."""
    if y.shape == (images, 1):
        y = y[:, 0]
    if y.ndim == 2 and len(y) == images and y.dtype.kind in "biuf":
        if not (((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all()):
            raise InputError(
                f"{where} has shape {y.shape} but not one 1 a row: give one label for each image, [{images}]"
            )
        y = y.argmax(1)
    if y.shape != (images,):
        raise InputError(
            f"{where} has shape {y.shape} for {counted(images, 'image')}: give one label for each image, [{images}]"
        )
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "backslashreplace")
    if y.dtype.kind == "U":
        return y
    if y.dtype.kind not in "iu":
        raise InputError(f"{where} has type {y.dtype}: give labels as whole numbers from 0, or as text")
    labels = y.astype(np.int64)
    if labels.min() < 0:
        raise InputError(f"{where} has a label {y.min()}: number the classes from 0")
    return labels
