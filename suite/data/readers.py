"""Readers of official files, one for each format. `DatasetEntry.read` verifies the files before they are read."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spaces.common.unpickling import unpickle
from suite.data.arrays import LabelledImages
from suite.data.entry import Reader


def each_file(read: Callable[[Path], LabelledImages]) -> Reader:
    """The reader that applies `read` to every file and concatenates the files of each part."""

    def part(paths: Sequence[Path]) -> LabelledImages:
        images, labels = zip(*map(read, paths), strict=True)
        return np.concatenate(images), np.concatenate(labels)

    return lambda train, test: (part(train), part(test))


def digits(test_per_class: int) -> Reader:
    """The reader of scikit-learn's digits, a CSV whose rows are 64 pixels from 0 to 16 and a label.

    The test part are the last `test_per_class` images of each class in the order of the file.
    """

    def read(train: Sequence[Path], test: Sequence[Path]) -> tuple[LabelledImages, LabelledImages]:
        (path,) = {*train, *test}
        table = np.loadtxt(path, delimiter=",")
        x = np.rint(table[:, :-1].reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
        y = table[:, -1].astype(np.int64)
        held_out = np.zeros(len(y), dtype=bool)
        for label in range(10):
            held_out[np.flatnonzero(y == label)[-test_per_class:]] = True
        return (x[~held_out], y[~held_out]), (x[held_out], y[held_out])

    return read


def cifar(labels: str) -> Reader:
    """The reader of CIFAR's pickles: rows of 3,072 bytes under `data`, and the labels under the key `labels`."""

    def read(path: Path) -> LabelledImages:
        entry = _pickled(path)
        return entry["data"].reshape(-1, 3, 32, 32), np.asarray(entry[labels], dtype=np.int64)

    return each_file(read)


def svhn() -> Reader:
    """The reader of SVHN's cropped digits: MATLAB files with `X` [32, 32, 3, N] and `y`, where 10 is the digit 0."""

    def read(path: Path) -> LabelledImages:
        from scipy.io import loadmat

        entry = loadmat(path)
        return entry["X"].transpose(3, 2, 0, 1), entry["y"].astype(np.int64).reshape(-1) % 10

    return each_file(read)


def imagenet16(classes: int) -> Reader:
    """The reader of ImageNet16's pickles, of which only the images of the first `classes` classes are kept.

    The files hold all 1,000 classes of the downsampled ImageNet, numbered from 1.
    """

    def read(path: Path) -> LabelledImages:
        entry = _pickled(path)
        labels = np.asarray(entry["labels"], dtype=np.int64) - 1
        kept = labels < classes
        return np.asarray(entry["data"])[kept].reshape(-1, 3, 16, 16), labels[kept]

    return each_file(read)


def _pickled(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        return unpickle(stream, str(path))
