"""Readers of the data sets with official files: digits, CIFAR, SVHN, ImageNet16-120.

Each reader checks the files' MD5 sums against the published ones before it looks into them, and returns `Arrays`.
A file that is missing or differs raises `InputError` with the file and the way to get it.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaces.common.errors import InputError
from spaces.common.unpickling import unpickle


class Arrays(NamedTuple):
    """A data set as read: images uint8 [N, C, H, W], labels int64 [N] from 0 to `classes` - 1, and where from.

    `notes` say what was done to a user's own files that nobody asked for, each in a few words.
    """

    x_train: NDArray[np.uint8]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]
    classes: int
    source: str
    notes: tuple[str, ...] = ()


# The last images of each class in scikit-learn's order. It keeps the writers together, so these come mostly from
# hands that the training images do not show.
DIGITS_TEST_PER_CLASS = 30

IMAGENET16_CLASSES = 120
IMAGENET16_HELP = (
    "it has no open download address: unpack the NAS-Bench-201 authors' ImageNet16 archive there, "
    "so that ImageNet16/train_data_batch_1 to _10 and ImageNet16/val_data exist"
)


Part = tuple[NDArray[np.uint8], NDArray[np.int64]]  # images and labels


class Files(NamedTuple):
    """The official files of a data set: path below the data root -> published MD5 sum."""

    train: dict[str, str]
    test: dict[str, str]


# CIFAR and SVHN as in torchvision, which downloads them; the sums stand here as well because importing torchvision
# takes longer than reading the data. ImageNet16 from the loader that NAS-Bench-201's authors publish with the files
# (AutoDL-Projects, DownsampledImageNet.py).
FILES = {
    "digits": Files({}, {}),
    "cifar10": Files(
        {
            "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
            "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
            "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        },
        {"cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e"},
    ),
    "cifar100": Files(
        {"cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d"},
        {"cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    ),
    "svhn": Files(
        {"train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373"},
        {"test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3"},
    ),
    "imagenet16-120": Files(
        {
            "ImageNet16/train_data_batch_1": "27846dcaa50de8e21a7d1a35f30f0e91",
            "ImageNet16/train_data_batch_2": "c7254a054e0e795c69120a5727050e3f",
            "ImageNet16/train_data_batch_3": "4333d3df2e5ffb114b05d2ffc19b1e87",
            "ImageNet16/train_data_batch_4": "1620cdf193304f4a92677b695d70d10f",
            "ImageNet16/train_data_batch_5": "348b3c2fdbb3940c4e9e834affd3b18d",
            "ImageNet16/train_data_batch_6": "6e765307c242a1b3d7d5ef9139b48945",
            "ImageNet16/train_data_batch_7": "564926d8cbf8fc4818ba23d2faac7564",
            "ImageNet16/train_data_batch_8": "f4755871f718ccb653440b9dd0ebac66",
            "ImageNet16/train_data_batch_9": "bb6dd660c38c58552125b1a92f86b5d4",
            "ImageNet16/train_data_batch_10": "8f03f34ac4b42271a294f91bf480f29b",
        },
        {"ImageNet16/val_data": "3410e3017fdaefba8d5073aaa65e4bd6"},
    ),
}
DOWNLOADED = ("cifar10", "cifar100", "svhn")


def how_to_get(name: str) -> str:
    """What to do about a data set that is not there, in words."""
    if name not in DOWNLOADED:
        return IMAGENET16_HELP
    return f"get it with `dartboard data fetch {name}` or --download, or name another folder with --data-root"


def present(name: str, root: Path) -> bool:
    """Whether all files of the data set `name` are below `root`; they are not read."""
    return all((root / file).is_file() for files in FILES[name] for file in files)


def verify(name: str, root: Path) -> None:
    """Raise `InputError` unless every file of the data set `name` is below `root` with its published MD5 sum."""
    for file, published in (FILES[name].train | FILES[name].test).items():
        path = root / file
        if not path.is_file():
            raise InputError(f"data set {name}: {path} is missing; {how_to_get(name)}")
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "md5").hexdigest()
        if found != published:
            raise InputError(
                f"data set {name}: {path} is damaged (MD5 {found}, published {published}); "
                f"delete it, then {how_to_get(name)}"
            )


def download(name: str, root: Path) -> None:
    """Fetch the official files of `name` into `root` through torchvision; does nothing where they are already whole.

    Raises `InputError` for a set without a download address, and where the network or the folder fails.
    """
    try:
        verify(name, root)
        return
    except InputError:
        if name not in DOWNLOADED:
            raise
    from torchvision import datasets
    from torchvision.datasets.utils import download_and_extract_archive, download_url

    try:
        root.mkdir(parents=True, exist_ok=True)
        if name == "svhn":
            for split in ("train", "test"):
                url, file, md5 = datasets.SVHN.split_list[split]
                download_url(url, str(root), file, md5)
        else:
            kind = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
            download_and_extract_archive(kind.url, str(root), filename=kind.filename, md5=kind.tgz_md5)
    except (OSError, RuntimeError) as error:  # torchvision raises RuntimeError where the download's MD5 is wrong
        reason = " ".join(str(error).split())
        raise InputError(f"data set {name} could not be fetched into {root}: {reason}; try again later") from error
    verify(name, root)


def read(name: str, root: Path) -> Arrays:
    """The data set `name` from its official files below `root`. Raises `InputError` where they are not all there."""
    verify(name, root)
    if name == "digits":
        return _digits()
    known: dict[str, tuple[int, Callable[[Path], Part]]] = {
        "cifar10": (10, partial(_cifar, "labels")),
        "cifar100": (100, partial(_cifar, "fine_labels")),
        "svhn": (10, _svhn),
        "imagenet16-120": (IMAGENET16_CLASSES, _imagenet16),
    }
    classes, reader = known[name]
    train, test = (_joined([reader(root / file) for file in files]) for files in FILES[name])
    rest = "; test: the whole validation set of the 120 classes" if name == "imagenet16-120" else ""
    return Arrays(*train, *test, classes, f"official files in {root}, MD5 verified{rest}")


def _joined(parts: list[Part]) -> Part:
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def _digits() -> Arrays:
    # Read from the installed package's file: importing scikit-learn takes longer than a small search's epoch.
    package = distribution("scikit-learn")
    path = Path(str(package.locate_file("sklearn/datasets/data/digits.csv.gz")))
    if not path.is_file():
        raise InputError(f"data set digits: {path} is missing; reinstall scikit-learn")
    table = np.loadtxt(path, delimiter=",")
    x = np.rint(table[:, :-1].reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    y = table[:, -1].astype(np.int64)
    test = np.zeros(len(y), dtype=bool)
    for label in range(10):
        test[np.flatnonzero(y == label)[-DIGITS_TEST_PER_CLASS:]] = True
    source = f"bundled with scikit-learn {package.version}; test: the last {DIGITS_TEST_PER_CLASS} images a class"
    return Arrays(x[~test], y[~test], x[test], y[test], 10, source)


def _pickled(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        return unpickle(stream, str(path))


def _cifar(labels: str, path: Path) -> Part:
    entry = _pickled(path)
    return entry["data"].reshape(-1, 3, 32, 32), np.asarray(entry[labels], dtype=np.int64)


def _svhn(path: Path) -> Part:
    from scipy.io import loadmat

    entry = loadmat(path)
    # [32, 32, 3, N] in the file; the digit 0 has the label 10.
    return entry["X"].transpose(3, 2, 0, 1), entry["y"].astype(np.int64).reshape(-1) % 10


def _imagenet16(path: Path) -> Part:
    entry = _pickled(path)
    # The files hold all 1,000 classes of the downsampled ImageNet, numbered from 1.
    labels = np.asarray(entry["labels"], dtype=np.int64) - 1
    kept = labels < IMAGENET16_CLASSES
    return np.asarray(entry["data"])[kept].reshape(-1, 3, 16, 16), labels[kept]
