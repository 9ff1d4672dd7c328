"""Data sets in memory: uint8 tensors, checked, counted and identified by a digest.

dataset = load("cifar10", data_root())
weight_split, architecture_split = splits(dataset, seed=0)
loader = Loader(dataset.x_train[weight_split], dataset.y_train[weight_split], batch_size=64, seed=0,
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

from spaces.common.errors import InputError
from spaces.common.streams import generator
from suite.data.arrays import Arrays
from suite.data.custom_datasets import FORMATS, is_own, split_name
from suite.data.loader import Augment, Loader
from suite.data.registry import DATASETS
from suite.data.root import data_root, find

__all__ = [
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

AT_ONCE = 1_000
"""Images that are averaged at once: as floats they take four times the memory."""


@dataclass(frozen=True)
class Dataset:
    """Square images uint8 [N, C, H, H] with labels int64 [N] from 0 to `classes` - 1, all of it in memory.

    - `mean`, `std`: of x_train / 255, one number for each channel.
    - `digest`: the SHA-256, in hex, of the shapes and bytes of the four tensors.
    - `source`: where the images come from, how they were made square and converted to eight bits, and what was left
      out.
    - `notes`: the changes to a user's own images that the user did not ask for.
    - `averaged`: the side, in pixels of the files' images, of the square that one pixel is the average of.
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
    averaged: int = 1

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
    # From the counts of the 256 values, in float64: exact, and independent of the number of threads.
    levels = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in range(x.shape[1]):
        share = torch.bincount(x[:, channel].flatten(), minlength=256).double() / (x.numel() / x.shape[1])
        mean = (share * levels).sum()
        std = (share * (levels - mean) ** 2).sum().sqrt().item()
        means.append(mean.item())
        deviations.append(std or 1.0)  # a constant channel is centred, not scaled
    return tuple(means), tuple(deviations)


def load(spec: str, root: Path, *, download: bool = False, fit: str = "") -> Dataset:
    """The data set that `spec` names: a name in `DATASETS`, or a format in `FORMATS` with a path (`npz:FILE`).

    Official files are read from `root`, and downloaded into it if `download` is set and they are missing. A path is
    relative to the working folder, else to `root`. The name of the data set keeps only the last part of a path, so that
    a record does not depend on where a file is stored; the digest identifies the contents.
    `fit` is how a user's own images are made square (`suite.data.pixels.FITS`; empty: they are padded, and the notes
    say so). Official images are square.
    Raises `InputError` for an unknown name, missing files, and a damaged file.
    """
    kind, rest = split_name(spec)
    if kind in FORMATS:
        short, arrays = FORMATS[kind].read(rest, root, fit)
        return _dataset(f"{kind}:{short}", arrays)
    if download:
        DATASETS[kind].fetch(root)
    return _dataset(kind, DATASETS[kind].read(root))


def available(spec: str, root: Path) -> bool:
    """Whether the files of the data set `spec` exist; they are not read. Raises `InputError` for an unknown name."""
    kind, rest = split_name(spec)
    if kind in DATASETS:
        return DATASETS[kind].present(root)
    try:
        return find(FORMATS[kind].path_of(rest), root).exists()
    except InputError:
        return False


def subset(dataset: Dataset, images: int | None, seed: int) -> Dataset:
    """A random subset of `images` training images, with classes as balanced as possible, and the whole test set.

    `None`, or at least the number of training images, keeps all. Digest, mean and std are those of the subset.
    """
    count = len(dataset.y_train)
    if images is None or images >= count:
        return dataset
    if images < 1:
        raise InputError(f"a subset of {images} images: give at least 1")
    order = torch.randperm(count, generator=generator(seed, "subset"))
    # In each round take one shuffled image of every class, until there are enough.
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
    """The data set with all images reduced to `size` x `size` by averaging squares of pixels, rounded.

    `None`, or the size of the images, changes nothing. Digest, mean and std are those of the small images.
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
    """The indices int64 into x_train of the weight split and of the architecture split.

    The split is random, disjoint and complete. `share` is the weight split's share of the images. Raises `InputError`
    if either split would be empty.
    """
    count = len(dataset.y_train)
    cut = round(count * share)
    if not 0 < cut < count:
        raise InputError(f"a weights share of {share} leaves one split of the {count} training images empty: change it")
    order = torch.randperm(count, generator=generator(seed, "halves"))
    return order[:cut], order[cut:]


def default_augment(spec: str, size: int = 0) -> Augment:
    """The default augmentation of the data set `spec`, without cutout, for images of `size` pixels a side (0: its own).

    Images of official sets are cropped by an eighth of the side, and mirrored if their entry allows it, as usual in the
    field. A user's own images are not augmented, because their classes may depend on left and right or on the border.
    Raises `InputError` for an unknown name.
    """
    if is_own(spec):
        return Augment(crop=0, flip=False)
    entry = DATASETS[spec]
    return Augment(crop=(size or entry.size) // 8, flip=entry.flip)
