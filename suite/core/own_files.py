"""Readers of a user's own images: one `.npz` file, or a folder of image files by class."""

import zipfile
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from spaces.core.errors import InputError, unknown
from suite.core.readers import Arrays

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
MOST_CHANNELS = 4
FOLDER_SIZE = 64


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
    counts = np.bincount(y_train)
    if len(absent := np.flatnonzero(counts == 0)):
        raise InputError(
            f"{path}: key 'y_train' has no image of class {absent[0]}: number the classes from 0 without a gap"
        )
    if (highest := int(y_test.max())) >= len(counts):
        raise InputError(
            f"{path}: key 'y_test' has label {highest}, but 'y_train' only 0 to {len(counts) - 1}: drop or renumber it"
        )
    return Arrays(x_train, y_train, x_test, y_test, len(counts), f"file {path}")


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
        raise InputError(f"{where} has shape {y.shape} for {images} images: give one label an image, [{images}]")
    if y.dtype.kind not in "iu":
        raise InputError(f"{where} has type {y.dtype}: give labels as whole numbers from 0")
    # A label is the index of a class: beyond the number of images there must be a gap, whatever the others are.
    if y.min() < 0 or y.max() >= np.iinfo(np.int32).max:
        raise InputError(f"{where} has labels from {y.min()} to {y.max()}: number the classes from 0")
    return y.astype(np.int64)


def read_folder(spec: str, root: Path) -> Arrays:
    """The images under `DIR[?classes=K&fraction=F&seed=S&size=P]`, laid out as DIR/train/CLASS/* and DIR/val/CLASS/*.

    `val` may also be called `test`. Each image becomes RGB, its shorter side P pixels (64), and is cropped to P x P in
    the centre. `classes` draws so many of the classes, `fraction` keeps that share of each class's training images
    (at least one), both from `seed` (0); the test images of the drawn classes are kept whole.
    Raises `InputError` for an unknown option, a missing folder, a class without images and an unreadable image.
    """
    import torch
    from torchvision.datasets.folder import IMG_EXTENSIONS

    from spaces.core.streams import generator

    options = folder_options(spec)
    folder = find(spec.partition("?")[0], root)
    train = folder / "train"
    test = next((folder / name for name in ("val", "test") if (folder / name).is_dir()), folder / "val")
    for part in (train, test):
        if not part.is_dir():
            raise InputError(f"{folder} has no folder {part.name!r}: put images under train/CLASS/ and val/CLASS/")
    names = sorted(entry.name for entry in train.iterdir() if entry.is_dir())
    wanted, seed = int(options.get("classes", len(names))), int(options.get("seed", 0))
    if not 1 <= wanted <= len(names):
        raise InputError(f"{train} holds {len(names)} classes, {wanted} were asked for: change classes=")
    drawn = torch.randperm(len(names), generator=generator(seed, "folder", "classes"))[:wanted]
    names = [names[index] for index in sorted(drawn.tolist())]

    def files(part: Path, name: str) -> list[Path]:
        found = sorted(path for path in (part / name).glob("*") if path.suffix.lower() in IMG_EXTENSIONS)
        if not found:
            raise InputError(f"{part / name} holds no images: add some, or remove the class from both parts")
        return found

    def pixels(paths: list[list[Path]]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        size = int(options.get("size", FOLDER_SIZE))
        x = np.stack([_image(path, size) for group in paths for path in group])
        return x, np.repeat(np.arange(len(paths)), [len(group) for group in paths])

    def thinned(found: list[Path], name: str) -> list[Path]:
        kept = max(1, round(len(found) * float(options.get("fraction", 1))))
        order = torch.randperm(len(found), generator=generator(seed, "folder", "fraction", name))
        return [found[index] for index in sorted(order[:kept].tolist())]

    chosen = [thinned(files(train, name), name) for name in names]
    return Arrays(*pixels(chosen), *pixels([files(test, name) for name in names]), len(names), f"folder {folder}")


def folder_options(spec: str) -> dict[str, str]:
    """The options after `?` in a `folder:` data set, checked. Raises `InputError` for an unknown or unusable one."""
    limits = {"classes": (int, 1, None), "fraction": (float, 0, 1), "seed": (int, 0, None), "size": (int, 4, 1024)}
    options = dict(parse_qsl(spec.partition("?")[2], keep_blank_values=True))
    for key, text in options.items():
        if key not in limits:
            raise unknown("option of folder:", key, limits)
        kind, low, high = limits[key]
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not (low <= value <= (high or value)) or (key == "fraction" and value == 0):
            wanted = {"fraction": "a number above 0 and at most 1"}.get(key, f"a whole number from {low}")
            raise InputError(
                f"folder:{spec}: option {key}={text}: give {wanted}{f' to {high}' if kind is int and high else ''}"
            )
    return options


def _image(path: Path, size: int) -> NDArray[np.uint8]:
    from PIL import Image
    from torchvision.transforms import functional

    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path} cannot be read as an image: {' '.join(str(error).split())}; replace or remove it"
        ) from error
    image = functional.center_crop(functional.resize(image, [size]), [size, size])
    return np.asarray(image, dtype=np.uint8).transpose(2, 0, 1)
