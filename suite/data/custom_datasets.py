"""Readers of a user's own images: one `.npz` file, or a folder of image files by class."""

import zipfile
import zlib
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import numpy as np
import torch
from numpy.typing import NDArray

from spaces.common.errors import InputError, unknown
from spaces.common.plural import counted
from spaces.common.streams import generator
from suite.data.readers import Arrays, Part

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
MOST_CHANNELS = 4
FOLDER_SIZE = 64
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def find(path: str, root: Path) -> Path:
    """The file or folder `path` names: relative to the working folder, else to the data root.

    Raises `InputError` where neither exists.
    """
    given = Path(path).expanduser()
    for candidate in (given, root / given):
        if candidate.exists():
            return candidate
    raise InputError(f"there is no {given}, neither here nor in the data root {root}: check the name")


def read_npz(path: Path) -> Arrays:
    """The data set in the `.npz` file `path`: x_train, y_train, x_test, y_test.

    Images are square, uint8 or floats in [0, 1] (rounded to 255 levels), [N, H, W, C] or [N, C, H, W] with at most
    four channels; labels are whole numbers [N] that count the classes of y_train from 0 without a gap.
    Raises `InputError` naming the file and the key for anything else.
    """
    arrays: dict[str, NDArray[Any]] = {}
    try:
        # Pickled objects inside the archive stay unread: they could run code.
        with np.load(path, allow_pickle=False) as archive:
            for key in NPZ_KEYS:
                if key not in archive:
                    raise InputError(f"{path}: key {key!r} is missing; it holds {', '.join(archive) or 'nothing'}")
                arrays[key] = archive[key]
    except InputError:
        raise
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be read as .npz ({reason}): write it with numpy.savez") from error
    x_train, x_test = (_images(path, key, arrays[key]) for key in ("x_train", "x_test"))
    if x_train.shape[1:] != x_test.shape[1:]:
        raise InputError(
            f"{path}: key 'x_test' has images {x_test.shape[1:]}, 'x_train' {x_train.shape[1:]}: make them agree"
        )
    y_train = _labels(path, "y_train", arrays["y_train"], len(x_train))
    y_test = _labels(path, "y_test", arrays["y_test"], len(x_test))
    labels = np.unique(y_train)
    if len(gaps := np.flatnonzero(labels != np.arange(len(labels)))):
        raise InputError(
            f"{path}: key 'y_train' has no image of class {gaps[0]}: number the classes from 0 without a gap"
        )
    if (highest := int(y_test.max())) >= len(labels):
        raise InputError(
            f"{path}: key 'y_test' has label {highest}, but 'y_train' only 0 to {len(labels) - 1}: drop or renumber it"
        )
    return Arrays(x_train, y_train, x_test, y_test, len(labels), f"file {path}")


def _images(path: Path, key: str, x: NDArray[Any]) -> NDArray[np.uint8]:
    where = f"{path}: key {key!r}"
    if x.ndim != 4:
        raise InputError(f"{where} has shape {x.shape}: give images as [N, H, W, C] or [N, C, H, W]")
    if 0 in x.shape:
        raise InputError(f"{where} is empty (shape {x.shape}): give at least one image")
    _, first, second, last = x.shape
    channels_last = first == second and last <= MOST_CHANNELS
    channels_first = second == last and first <= MOST_CHANNELS
    if channels_last == channels_first:
        why = "could be either" if channels_last else "is neither"
        raise InputError(
            f"{where} has shape {x.shape}, which {why} [N, H, W, C] {'or' if channels_last else 'nor'} [N, C, H, W] "
            f"with square images and at most {MOST_CHANNELS} channels: crop or transpose it"
        )
    if x.dtype.kind == "f":
        if not np.isfinite(x).all():
            raise InputError(f"{where} contains NaN or infinity: remove those images")
        if x.min() < 0 or x.max() > 1:
            raise InputError(
                f"{where} has values from {x.min():g} to {x.max():g}: scale floats to [0, 1] or give uint8"
            )
        x = np.rint(x * 255).astype(np.uint8)
    elif x.dtype != np.uint8:
        raise InputError(f"{where} has type {x.dtype}: give uint8, or floats in [0, 1]")
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2) if channels_last else x)


def _labels(path: Path, key: str, y: NDArray[Any], images: int) -> NDArray[np.int64]:
    where = f"{path}: key {key!r}"
    if y.shape != (images,):
        raise InputError(
            f"{where} has shape {y.shape} for {counted(images, 'image')}: give one label an image, [{images}]"
        )
    if y.dtype.kind not in "iu":
        raise InputError(f"{where} has type {y.dtype}: give labels as whole numbers from 0")
    labels = y.astype(np.int64)
    if labels.min() < 0:
        raise InputError(f"{where} has a label {y.min()}: number the classes from 0")
    return labels


class _Option(NamedTuple):
    kind: type[int] | type[float]
    least: float
    most: float
    wanted: str


_OPTIONS = {
    "classes": _Option(int, 1, inf, "a whole number from 1"),
    "fraction": _Option(float, 0, 1, "a number from 0 to 1"),
    "seed": _Option(int, 0, inf, "a whole number from 0"),
    "size": _Option(int, 4, 1024, "a whole number from 4 to 1024"),
}


def _options(spec: str) -> dict[str, Any]:
    chosen: dict[str, Any] = {"classes": None, "fraction": 1.0, "seed": 0, "size": FOLDER_SIZE}
    given = parse_qsl(spec.partition("?")[2], keep_blank_values=True)
    for number, (key, text) in enumerate(given):
        if key not in _OPTIONS:
            raise unknown("option of folder:", key, _OPTIONS)
        if any(key == earlier for earlier, _ in given[:number]):
            raise InputError(f"folder:{spec}: option {key} stands there twice: give it once")
        option = _OPTIONS[key]
        try:
            chosen[key] = option.kind(text)
        except ValueError:
            chosen[key] = None
        if chosen[key] is None or not option.least <= chosen[key] <= option.most:
            raise InputError(f"folder:{spec}: option {key}={text!r}: give {option.wanted}")
    return chosen


def read_folder(spec: str, root: Path) -> Arrays:
    """The images under `DIR[?classes=K&fraction=F&seed=S&size=P]`, laid out as DIR/train/CLASS/* and DIR/val/CLASS/*.

    Where there is no `val`, `test` is read. Each image becomes RGB, is cropped to its central square and resized to
    P x P pixels (64). `classes` draws so many of the classes, `fraction` keeps that share of each class's training
    images (at least one), both from `seed` (0); the test images of the drawn classes are kept whole.
    Raises `InputError` for an unknown option, a missing folder, a class without images and an unreadable image.
    """
    options = _options(spec)
    folder = find(spec.partition("?")[0], root)
    train = folder / "train"
    test = folder / ("test" if not (folder / "val").is_dir() and (folder / "test").is_dir() else "val")
    for part in (train, test):
        if not part.is_dir():
            raise InputError(f"{folder} has no folder {part.name!r}: put images under train/CLASS/ and val/CLASS/")
    names = sorted(entry.name for entry in train.iterdir() if entry.is_dir())
    wanted = len(names) if options["classes"] is None else options["classes"]
    if not 1 <= wanted <= len(names):
        raise InputError(
            f"{train} holds {counted(len(names), 'class', 'classes')}, not the {wanted} asked for: change classes="
        )
    names = _drawn(names, wanted, options["seed"], "classes")
    parts: list[Part] = []
    for part, fraction in ((train, options["fraction"]), (test, 1.0)):
        images, labels = [], []
        for label, name in enumerate(names):
            files = sorted(path for path in (part / name).glob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
            if not files:
                raise InputError(f"{part / name} holds no images: add some, or remove the class from both parts")
            kept = _drawn(files, max(1, round(len(files) * fraction)), options["seed"], "fraction", name)
            images += [_image(path, options["size"]) for path in kept]
            labels += [label] * len(kept)
        parts.append((np.stack(images), np.asarray(labels, dtype=np.int64)))
    return Arrays(*parts[0], *parts[1], wanted, f"folder {folder}")


T = TypeVar("T")


def _drawn(things: list[T], count: int, seed: int, *purpose: str) -> list[T]:
    """`count` of `things`, drawn from the stream of `seed` and `purpose`, in their order."""
    order = torch.randperm(len(things), generator=generator(seed, "folder", *purpose))
    return [things[index] for index in sorted(order[:count].tolist())]


def _image(path: Path, size: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path} cannot be read as an image: {' '.join(str(error).split())}; replace or remove it"
        ) from error
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR), dtype=np.uint8).transpose(2, 0, 1)
