"""Readers of the data sets with official files: digits, CIFAR, SVHN, ImageNet16-120.

Each reader checks the files' MD5 sums against the published ones before it looks into them, and returns `Arrays`.
A file that is missing or differs raises `InputError` with the file and the way to get it.
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaces.core.errors import InputError
from spaces.core.unpickle import unpickle


class Arrays(NamedTuple):
    """A data set as read: images uint8 [N, C, H, W], labels int64 [N] from 0 to `classes` - 1, and where from."""

    x_train: NDArray[np.uint8]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]
    classes: int
    source: str


# The last images of each class in scikit-learn's order. It keeps the writers together, so these come mostly from
# hands that the training images do not show.
DIGITS_TEST_PER_CLASS = 30

# MD5 sums from the loader that NAS-Bench-201's authors publish beside the files
# (AutoDL-Projects, DownsampledImageNet.py).
IMAGENET16_TRAIN = {
    "train_data_batch_1": "27846dcaa50de8e21a7d1a35f30f0e91",
    "train_data_batch_2": "c7254a054e0e795c69120a5727050e3f",
    "train_data_batch_3": "4333d3df2e5ffb114b05d2ffc19b1e87",
    "train_data_batch_4": "1620cdf193304f4a92677b695d70d10f",
    "train_data_batch_5": "348b3c2fdbb3940c4e9e834affd3b18d",
    "train_data_batch_6": "6e765307c242a1b3d7d5ef9139b48945",
    "train_data_batch_7": "564926d8cbf8fc4818ba23d2faac7564",
    "train_data_batch_8": "f4755871f718ccb653440b9dd0ebac66",
    "train_data_batch_9": "bb6dd660c38c58552125b1a92f86b5d4",
    "train_data_batch_10": "8f03f34ac4b42271a294f91bf480f29b",
}
IMAGENET16_TEST = {"val_data": "3410e3017fdaefba8d5073aaa65e4bd6"}
IMAGENET16_CLASSES = 120
IMAGENET16_HELP = (
    "it has no open download address: unpack the NAS-Bench-201 authors' ImageNet16 archive there, "
    "so that ImageNet16/train_data_batch_1 to _10 and ImageNet16/val_data exist"
)


def official_files(name: str, root: Path) -> dict[Path, str]:
    """The files of the data set `name` below `root` with their published MD5 sums (none for `digits`)."""
    if name == "digits":
        return {}
    if name == "imagenet16-120":
        return {root / "ImageNet16" / file: md5 for file, md5 in (IMAGENET16_TRAIN | IMAGENET16_TEST).items()}
    from torchvision import datasets

    if name == "svhn":
        return {root / datasets.SVHN.split_list[split][1]: datasets.SVHN.split_list[split][2] for split in SVHN_SPLITS}
    kind = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
    return {root / kind.base_folder / file: md5 for file, md5 in [*kind.train_list, *kind.test_list]}


SVHN_SPLITS = ("train", "test")


def how_to_get(name: str) -> str:
    """What to do about a data set that is not there, in words."""
    if name == "imagenet16-120":
        return IMAGENET16_HELP
    return f"get it with `dartboard data fetch {name}` or --download, or name another folder with --data-root"


def verify(name: str, root: Path) -> None:
    """Raise `InputError` unless every file of the data set `name` is below `root` with its published MD5 sum."""
    for path, expected in official_files(name, root).items():
        if not path.is_file():
            raise InputError(f"data set {name}: {path} is missing; {how_to_get(name)}")
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "md5").hexdigest()
        if found != expected:
            raise InputError(
                f"data set {name}: {path} is damaged (MD5 {found}, published {expected}); "
                f"delete it, then {how_to_get(name)}"
            )


def download(name: str, root: Path) -> None:
    """Fetch the official files of `name` into `root` through torchvision; does nothing where they are already whole.

    Raises `InputError` for a set without a download address, and where the network or the folder fails.
    """
    if name == "digits":
        return
    if name == "imagenet16-120":
        raise InputError(f"data set {name} cannot be fetched: {IMAGENET16_HELP}")
    from torchvision import datasets
    from torchvision.datasets.utils import download_and_extract_archive, download_url

    try:
        verify(name, root)
        return
    except InputError:
        pass
    try:
        root.mkdir(parents=True, exist_ok=True)
        if name == "svhn":
            for split in SVHN_SPLITS:
                url, file, md5 = datasets.SVHN.split_list[split]
                download_url(url, str(root), file, md5)
        else:
            kind = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
            download_and_extract_archive(kind.url, str(root), filename=kind.filename, md5=kind.tgz_md5)
    except (OSError, RuntimeError) as error:  # torchvision raises RuntimeError where the download's MD5 is wrong
        raise InputError(f"data set {name} could not be fetched into {root}: {' '.join(str(error).split())}") from error


def read(name: str, root: Path) -> Arrays:
    """The data set `name` from its official files below `root`. Raises `InputError` where they are not all there."""
    verify(name, root)
    return {
        "digits": _digits,
        "cifar10": _cifar,
        "cifar100": _cifar,
        "svhn": _svhn,
        "imagenet16-120": _imagenet16,
    }[name](name, root)


def _digits(name: str, root: Path) -> Arrays:
    import sklearn
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x = np.rint(images.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    y = labels.astype(np.int64)
    test = np.zeros(len(y), dtype=bool)
    for label in range(10):
        test[np.flatnonzero(y == label)[-DIGITS_TEST_PER_CLASS:]] = True
    source = f"bundled with scikit-learn {sklearn.__version__}; test: the last {DIGITS_TEST_PER_CLASS} images a class"
    return Arrays(x[~test], y[~test], x[test], y[test], 10, source)


def _pickled(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        return unpickle(stream, str(path))


def _cifar(name: str, root: Path) -> Arrays:
    from torchvision import datasets

    # torchvision's own reader unpickles these files without restriction; its checksums and layout are enough for us.
    kind, key, classes = {
        "cifar10": (datasets.CIFAR10, "labels", 10),
        "cifar100": (datasets.CIFAR100, "fine_labels", 100),
    }[name]

    def part(files: list[list[str]]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        entries = [_pickled(root / kind.base_folder / file) for file, _ in files]
        x = np.concatenate([entry["data"] for entry in entries]).reshape(-1, 3, 32, 32)
        return x, np.concatenate([entry[key] for entry in entries]).astype(np.int64)

    source = f"official files in {root / kind.base_folder}, MD5 verified"
    return Arrays(*part(kind.train_list), *part(kind.test_list), classes, source)


def _svhn(name: str, root: Path) -> Arrays:
    from torchvision import datasets

    train, test = (datasets.SVHN(root, split=split) for split in SVHN_SPLITS)
    # torchvision has made the label of the digit 0 a 0; its images are a transposed view.
    x_train, x_test = np.ascontiguousarray(train.data), np.ascontiguousarray(test.data)
    source = f"official train_32x32.mat and test_32x32.mat in {root}, MD5 verified"
    return Arrays(x_train, train.labels, x_test, test.labels, 10, source)


def _imagenet16(name: str, root: Path) -> Arrays:
    folder = root / "ImageNet16"

    def part(files: dict[str, str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        images, labels = [], []
        for file in files:
            entry = _pickled(folder / file)
            # The files hold all 1,000 classes of the downsampled ImageNet, numbered from 1.
            y = np.asarray(entry["labels"], dtype=np.int64) - 1
            kept = y < IMAGENET16_CLASSES
            images.append(np.asarray(entry["data"])[kept])
            labels.append(y[kept])
        return np.concatenate(images).reshape(-1, 3, 16, 16), np.concatenate(labels)

    source = f"official files in {folder}, MD5 verified; test: the whole validation set of the 120 classes"
    return Arrays(*part(IMAGENET16_TRAIN), *part(IMAGENET16_TEST), IMAGENET16_CLASSES, source)
