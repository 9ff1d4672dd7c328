"""Reader of a user's own image files in a folder for each class."""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import numpy as np
import torch

from spaces.common.errors import InputError, unknown
from spaces.common.plural import counted
from spaces.common.streams import generator
from suite.data.arrays import Arrays
from suite.data.pixels import FITS, LOSSLESS, Picture, eight_bits, read_picture
from suite.data.root import find

FOLDER_SIZE = 64
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


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
    """The options given in `spec`, converted and checked."""
    chosen: dict[str, Any] = {}
    for key, text in parse_qsl(spec.partition("?")[2], keep_blank_values=True):
        if key not in _OPTIONS:
            raise unknown("option of folder:", key, _OPTIONS)
        if key in chosen:
            raise InputError(f"folder:{spec}: option {key} is given twice: give it once")
        option = _OPTIONS[key]
        try:
            chosen[key] = option.kind(text)
        except ValueError:
            chosen[key] = None
        if chosen[key] is None or not option.least <= chosen[key] <= option.most:
            raise InputError(f"folder:{spec}: option {key}={text!r}: give {option.wanted}")
    return chosen


def read_folder(spec: str, root: Path, fit: str = "") -> Arrays:
    """The images under `DIR[?classes=K&fraction=F&seed=S&size=P]`, laid out as DIR/train/CLASS/* and DIR/val/CLASS/*.

    If there is no `val`, `test` is read. Each image becomes RGB with eight bits a channel and P x P pixels (64).
    `fit`, a key of `FITS`, is how an image is made square (empty: it is padded, and the notes say so). `classes` is the
    number of classes, drawn at random; `fraction` is the share of each class's training images, at least one, drawn at
    random; both use `seed` (0). All test images of the drawn classes are kept. Images that are not read are counted in
    the source and in the notes.
    Raises `InputError` for an unknown option, a missing folder, a class without images, an unreadable image, and a
    part in which every image is constant.
    """
    given = _options(spec)
    size, seed = given.get("size", FOLDER_SIZE), given.get("seed", 0)
    folder = find(spec.partition("?")[0], root)
    train, test = _parts(folder)
    every = sorted(entry.name for entry in train.iterdir() if entry.is_dir() and not _hidden(entry))
    wanted = given.get("classes", len(every))
    if not 1 <= wanted <= len(every):
        raise InputError(f"{train} holds {counted(len(every), 'class', 'classes')}, not {wanted}: change classes=")
    names = _drawn(every, wanted, seed, "classes")
    parts: dict[Path, list[Picture]] = {}
    labels: list[list[int]] = []
    for part, fraction in ((train, given.get("fraction", 1.0)), (test, 1.0)):
        parts[part] = []
        labels.append([])
        for label, name in enumerate(names):
            files = sorted(_pictures(part / name)) if (part / name).is_dir() else []
            if not files:
                count = _below(part / name)
                deeper = f", but {counted(count, 'image')} in folders below it" if count else ""
                endings = ", ".join(sorted(IMAGE_SUFFIXES))
                raise InputError(
                    f"{part / name} holds no images ({endings}){deeper}: put some into it, "
                    "or remove the class from both parts"
                )
            kept = _drawn(files, max(1, round(len(files) * fraction)), seed, "fraction", name)
            parts[part] += [read_picture(path, size, fit or LOSSLESS) for path in kept]
            labels[-1] += [label] * len(kept)
    images, depths = eight_bits(folder, parts)
    read = [*parts[train], *parts[test]]
    shapes = _shapes(read, size, fit or LOSSLESS)
    left_out = ", ".join([*_left_out(folder, (train, test), every), *_ignored(read)])
    source = [f"folder {folder}", *shapes.values(), depths, f"left out: {left_out}" if left_out else ""]
    notes = []
    if "square" in shapes and not fit:
        notes.append(f"{shapes['square']} (fit = {', '.join(FITS)} changes it)")
    if "size" in shapes and "size" not in given:
        notes.append(f"{shapes['size']} (?size=P after the folder's name changes it)")
    if left_out:
        notes.append(f"left out: {left_out}")
    y_train, y_test = (np.asarray(part, dtype=np.int64) for part in labels)
    text = "; ".join(words for words in source if words)
    return Arrays(images[0], y_train, images[1], y_test, wanted, text, tuple(notes))


def _parts(folder: Path) -> tuple[Path, Path]:
    train, test = folder / "train", folder / "val"
    if not test.is_dir() and (folder / "test").is_dir():
        test = folder / "test"
    for part in (train, test):
        if not part.is_dir():
            raise InputError(f"{folder} has no folder {part.name!r}: put images under train/CLASS/ and val/CLASS/")
    return train, test


T = TypeVar("T")


def _drawn(things: list[T], count: int, seed: int, *purpose: str) -> list[T]:
    """`count` of `things`, drawn at random from the stream of `seed` and `purpose`, in their original order."""
    order = torch.randperm(len(things), generator=generator(seed, "folder", *purpose))
    return [things[index] for index in sorted(order[:count].tolist())]


def _hidden(path: Path) -> bool:
    """Whether a file or folder is hidden, such as `.ipynb_checkpoints` or macOS's `._x.jpg`."""
    return path.name.startswith(".")


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not _hidden(path)


def _pictures(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if _is_picture(path))


def _below(folder: Path) -> int:
    """How many image files there are in `folder` and all folders below it."""
    return sum(_is_picture(path) for path in folder.rglob("*"))


def _shapes(read: Sequence[Picture], size: int, fit: str) -> dict[str, str]:
    """How the images' shapes were changed: "square" -> how they were made square, "size" -> the new size."""
    words = {}
    if odd := [picture for picture in read if picture.width != picture.height]:
        example = f"such as {odd[0].width} wide, {odd[0].height} high"
        words["square"] = f"{len(odd)} of {counted(len(read), 'image')} not square ({example}): {FITS[fit]}"
    if any(max(picture.width, picture.height) != size for picture in read):
        words["size"] = f"resized to {size} x {size}"
    return words


def _left_out(folder: Path, parts: tuple[Path, Path], classes: Sequence[str]) -> list[str]:
    """The files in and beside the two parts that are no image of a class, counted, in words."""
    hidden, others, loose, deeper = 0, Counter[str](), 0, 0
    unknown_classes: list[str] = []
    for part in parts:
        for entry in sorted(part.iterdir()):
            if _hidden(entry):
                hidden += 1
            elif not entry.is_dir():
                loose += _is_picture(entry)
                others[entry.suffix.lower()] += not _is_picture(entry)
            elif entry.name not in classes:
                unknown_classes.append(f"class {entry.name} of {part.name} ({counted(_below(entry), 'image')})")
            else:
                for path in entry.iterdir():
                    if _hidden(path):
                        hidden += 1
                    elif path.is_dir():
                        deeper += _below(path)
                    elif not _is_picture(path):
                        others[path.suffix.lower()] += 1
    words = []
    if deeper:
        words.append(f"{counted(deeper, 'image')} in folders below a class's folder")
    if loose:
        words.append(f"{counted(loose, 'image')} outside a class's folder")
    if unknown_classes:
        words.append(f"{', '.join(unknown_classes)}, which train lacks")
    if parts[1].name == "val" and (unread := _below(folder / "test")):
        words.append(f"{counted(unread, 'image')} in test, because there is val")
    if hidden:
        words.append(counted(hidden, "hidden file or folder", "hidden files or folders"))
    if count := others.total():
        endings = ", ".join(sorted(ending or "no ending" for ending in others if others[ending]))
        words.append(f"{counted(count, 'file')} that {'is' if count == 1 else 'are'} no image ({endings})")
    return words


def _ignored(read: Sequence[Picture]) -> list[str]:
    counts = Counter(what for picture in read for what in picture.ignored)
    return [f"{what} of {counted(count, 'image')}" for what, count in sorted(counts.items())]
