"""The data sets: read whole into uint8 tensors, checked, counted and named by a digest.

dataset = load("cifar10", data_root())
weight_split, architecture_split = splits(dataset, seed=0)
loader = Loader(dataset.x_train[weights_half], dataset.y_train[weights_half], batch_size=64, seed=0,
                purpose="weights", mean=dataset.mean, std=dataset.std, augment=default_augment("cifar10"))
images, labels = loader.batch(epoch=0, step=0)
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from spaces.common.errors import InputError, unknown
from spaces.common.streams import generator
from suite.data import custom_datasets, own_arrays, own_folders, readers
from suite.data.loader import Augment, Loader
from suite.data.readers import Arrays
from suite.data.root import data_root

__all__ = [
    "DATASETS",
    "Augment",
    "Dataset",
    "Loader",
    "available",
    "data_root",
    "default_augment",
    "is_own",
    "load",
    "shrink",
    "splits",
    "subset",
]

DATASETS = {
    "digits": "1,497 + 300 handwritten digits, 10 classes, 8 x 8 grey; bundled with scikit-learn",
    "cifar10": "50,000 + 10,000 photographs, 10 classes, 32 x 32",
    "cifar100": "50,000 + 10,000 photographs, 100 classes, 32 x 32",
    "svhn": "73,257 + 26,032 house-number digits, 10 classes, 32 x 32",
    "imagenet16-120": "151,700 + 6,000 photographs, the first 120 ImageNet classes, 16 x 16",
    "npz:FILE": "your own arrays: x_train, y_train, x_test, y_test",
    "folder:DIR": "your own image files: DIR/train/CLASS/* and DIR/val/CLASS/* [?classes=K&fraction=F&seed=S&size=P]",
}
AT_ONCE = 1_000  # images that are averaged together: as floats they take four times their space
OFFICIAL = tuple(name for name in DATASETS if ":" not in name)

SIDES = {"digits": 8, "cifar10": 32, "cifar100": 32, "svhn": 32, "imagenet16-120": 16}
NEVER_FLIPPED = ("digits", "svhn")


@dataclass(frozen=True)
class Dataset:
    """Square images uint8 [N, C, H, H] with labels int64 [N] from 0 to `classes` - 1, all of it in memory.

    `mean` and `std` are those of x_train / 255, a number a channel; `digest` is the SHA-256, in hex, over the shapes
    and bytes of the four tensors; `source` says where they were read, how they were brought to squares and to eight
    bits, and what was left out; `notes` are what of that nobody asked for, of a user's own files.
    """

    name: str
    classes: int
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    source: str
    notes: tuple[str, ...] = ()
    averaged: int = 1  # side, in pixels of the files' images, of the square that one pixel is the average of

    @property
    def size(self) -> int:
        """The side of an image, in pixels."""
        return self.x_train.shape[2]

    @property
    def channels(self) -> int:
        """Channels of an image: 1 for grey, 3 for colour."""
        return self.x_train.shape[1]


def _dataset(name: str, arrays: Arrays) -> Dataset:
    hasher = hashlib.sha256()
    for array in arrays[:4]:
        hasher.update(repr(array.shape).encode())
        hasher.update(np.ascontiguousarray(array).data)
    x_train, y_train, x_test, y_test = (torch.from_numpy(array) for array in arrays[:4])
    mean, std = _moments(x_train)
    digest = hasher.hexdigest()
    tensors = (x_train, y_train, x_test, y_test)
    return Dataset(name, arrays.classes, *tensors, mean, std, digest, arrays.source, arrays.notes)


def _moments(x: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    # From the counts of the 256 values, in float64: exact, and the same whatever the number of threads.
    levels = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in range(x.shape[1]):
        share = torch.bincount(x[:, channel].flatten(), minlength=256).double() / (x.numel() / x.shape[1])
        mean = (share * levels).sum()
        std = (share * (levels - mean) ** 2).sum().sqrt().item()
        means.append(mean.item())
        deviations.append(std or 1.0)  # a constant channel is centred and left at its scale
    return tuple(means), tuple(deviations)


def _kind(spec: str) -> tuple[str, str]:
    """A data set's name taken apart: ("cifar10", ""), ("npz", FILE) or ("folder", DIR[?options])."""
    kind, colon, rest = spec.partition(":")
    if kind in OFFICIAL and not colon:
        return kind, ""
    if kind not in ("npz", "folder"):
        raise unknown("data set", spec, DATASETS)
    if not rest:
        raise InputError(f"data set {spec!r} names no {'file' if kind == 'npz' else 'folder'}: write {kind}:PATH")
    return kind, rest


def is_own(spec: str) -> bool:
    """Does `spec` name a user's own files? Raises `InputError` for an unknown name."""
    return _kind(spec)[0] not in OFFICIAL


def load(spec: str, root: Path, *, download: bool = False, fit: str = "") -> Dataset:
    """The data set that `spec` names (see `DATASETS`), read from `root` or, after `npz:` and `folder:`, from a path.

    The path is relative to the working folder, else to `root`. The data set's name keeps only its last part, so that a
    record does not depend on where a file lies; the digest tells contents apart. `download` fetches official files
    that are missing. `fit` says how a user's own images are brought to squares (`suite.data.pixels.FITS`; nothing said:
    padded, and the notes say so); official ones are square.
    Raises `InputError` for an unknown name, a set that is not in `root`, a damaged file.
    """
    kind, path = _kind(spec)
    if kind == "npz":
        file = custom_datasets.find(path, root)
        name, arrays = f"npz:{file.stem}", own_arrays.read_npz(file, fit)
    elif kind == "folder":
        folder, mark, options = path.partition("?")
        name = f"folder:{Path(folder).resolve().name}{mark}{options}"
        arrays = own_folders.read_folder(path, root, fit)
    else:
        if download:
            readers.download(kind, root)
        name, arrays = kind, readers.read(kind, root)
    return _dataset(name, arrays)


def available(spec: str, root: Path) -> bool:
    """Whether the files of the data set `spec` exist; they are not read. Raises `InputError` for an unknown name."""
    kind, path = _kind(spec)
    if kind in OFFICIAL:
        return readers.present(kind, root)
    try:
        return custom_datasets.find(path.partition("?")[0] if kind == "folder" else path, root).exists()
    except InputError:
        return False


def subset(dataset: Dataset, images: int | None, seed: int) -> Dataset:
    """A seeded subset of `images` training images, the classes as balanced as they can be; the test set stays whole.

    `None`, or a number not below the images there are, keeps all. The digest, mean and std are those of the subset.
    """
    count = len(dataset.y_train)
    if images is None or images >= count:
        return dataset
    if images < 1:
        raise InputError(f"a subset of {images} images: give at least 1")
    order = torch.randperm(count, generator=generator(seed, "subset"))
    # Deal the shuffled images out class by class, one a round, until there are enough.
    labels = dataset.y_train[order]
    rounds = torch.empty(count, dtype=torch.int64)
    for label in range(dataset.classes):
        members = labels == label
        rounds[members] = torch.arange(int(members.sum()))
    kept = order[rounds.sort(stable=True).indices[:images]].sort().values
    source = f"{dataset.source}; {images} of {count} training images, balanced, seed {seed}"
    tensors = (dataset.x_train[kept], dataset.y_train[kept], dataset.x_test, dataset.y_test)
    x_train, y_train, x_test, y_test = (tensor.numpy() for tensor in tensors)
    return _dataset(dataset.name, Arrays(x_train, y_train, x_test, y_test, dataset.classes, source, dataset.notes))


def shrink(dataset: Dataset, size: int | None) -> Dataset:
    """All images, of the training and the test set, averaged over squares down to `size` x `size`, and rounded.

    `None`, or the size they have, leaves them. The digest, mean and std are those of the small images.
    Raises `InputError` for a size that does not divide theirs.
    """
    if size is None or size == dataset.size:
        return dataset
    if size < 1 or dataset.size % size:
        raise InputError(f"images of {dataset.size} x {dataset.size} cannot be averaged to {size}: give a divisor")
    square = dataset.size // size
    x_train, x_test = (
        torch.cat([avg_pool2d(x[at : at + AT_ONCE].float(), square).round().byte() for at in range(0, len(x), AT_ONCE)])
        for x in (dataset.x_train, dataset.x_test)
    )
    images = (x_train.numpy(), dataset.y_train.numpy(), x_test.numpy(), dataset.y_test.numpy())
    source = f"{dataset.source}; averaged to {size} x {size}"
    small = _dataset(dataset.name, Arrays(*images, dataset.classes, source, dataset.notes))
    return replace(small, averaged=square * dataset.averaged)


def splits(dataset: Dataset, seed: int, share: float = 0.5) -> tuple[Tensor, Tensor]:
    """Indices int64 into x_train for the weights and for alpha: a seeded split without overlap that covers all images.

    `share` is the weights' part of the images. Raises `InputError` where either would be empty.
    """
    count = len(dataset.y_train)
    cut = round(count * share)
    if not 0 < cut < count:
        raise InputError(f"a weights share of {share} leaves one side of the {count} training images empty: change it")
    order = torch.randperm(count, generator=generator(seed, "halves"))
    return order[:cut], order[cut:]


def default_augment(spec: str, size: int = 0) -> Augment:
    """The augmentation of the data set `spec`, without cutout, with images of `size` pixels a side (0: as they are).

    Official sets are cropped by an eighth of the side, and flipped unless they are digits, as usual. A user's own
    images are left as they are, since their classes may depend on left and right or on the border.
    Raises `InputError` for an unknown name.
    """
    if is_own(spec):
        return Augment(crop=0, flip=False)
    return Augment(crop=(size or SIDES[spec]) // 8, flip=spec not in NEVER_FLIPPED)
