"""The declaration of an official data set, and how its files are found, verified, downloaded and read."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spaces.common.errors import InputError
from suite.data.arrays import Arrays, LabelledImages

Reader = Callable[[Sequence[Path], Sequence[Path]], tuple[LabelledImages, LabelledImages]]
"""The training files and the test files -> the training images and the test images."""


class OfficialFile(NamedTuple):
    """One official file: its path below the data root, its published MD5 sum, its address if it has one of its own."""

    path: str
    md5: str = ""
    url: str = ""


class OfficialArchive(NamedTuple):
    """An archive of all official files, unpacked into the data root: its address and its published MD5 sum."""

    url: str
    md5: str


@dataclass(frozen=True, kw_only=True)
class DatasetEntry:
    """All that the suite knows of an official data set. Mean and standard deviation are measured, not declared.

    - `name`: the name on the command line and in records; `title`: the name in text.
    - `content`: what the images show, in words.
    - `train_images`, `test_images`, `classes`, `size` (pixels a side of the square images), `channels` (1: grey,
      3: colour): the official numbers. What is read has to have these classes, size and channels.
    - `flip`: whether a mirrored image still belongs to its class, so that training images are mirrored by default.
    - `train`, `test`: the files of both parts. `reader` gets their paths in this order.
    - `archive`: where the files are downloaded from if they have no addresses of their own.
    - `by_hand`: how to get the files if they have no address.
    - `package`: the installed Python package that contains the files, if they are not in the data root. Such files
      have no MD5 sum.
    - `remark`: what a record's `dataset_source` adds about the two parts.
    """

    name: str
    title: str
    content: str
    train_images: int
    test_images: int
    classes: int
    size: int
    channels: int
    flip: bool
    train: tuple[OfficialFile, ...]
    test: tuple[OfficialFile, ...]
    reader: Reader
    archive: OfficialArchive | None = None
    by_hand: str = ""
    package: str = ""
    remark: str = ""

    @property
    def files(self) -> Iterator[OfficialFile]:
        """All official files."""
        yield from dict.fromkeys((*self.train, *self.test))

    @property
    def downloadable(self) -> bool:
        """Whether `fetch` can download the files."""
        return self.archive is not None or all(file.url for file in self.files)

    @property
    def summary(self) -> str:
        """The data set in one line."""
        words = f"{self.train_images:,} + {self.test_images:,} {self.content}, {self.classes} classes"
        words += f", {self.size} x {self.size}{' grey' if self.channels == 1 else ''}"
        return f"{words}; bundled with {self.package}" if self.package else words

    @property
    def provenance(self) -> str:
        """Where verified files come from, in words."""
        return f"bundled with {self.package}" if self.package else "official files, MD5 verified"

    @property
    def how_to_get(self) -> str:
        """What to do if the files are not there, in words."""
        if self.package:
            return f"reinstall {self.package}"
        if self.downloadable:
            return (
                f"get it with `dartboard data fetch {self.name}` or --download, or name another folder with --data-root"
            )
        return self.by_hand

    def present(self, root: Path) -> bool:
        """Whether all files are there. Their contents are not read."""
        return all(path.is_file() for path in self._paths(self.files, root))

    def verify(self, root: Path) -> None:
        """Raise `InputError` unless every file is there with its published MD5 sum."""
        for file, path in zip(self.files, self._paths(self.files, root), strict=True):
            if not path.is_file():
                raise InputError(f"data set {self.name}: {path} is missing; {self.how_to_get}")
            if not file.md5:
                continue
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "md5").hexdigest()
            if found != file.md5:
                raise InputError(
                    f"data set {self.name}: {path} is damaged (MD5 {found}, published {file.md5}); "
                    f"delete it, then {self.how_to_get}"
                )

    def fetch(self, root: Path) -> None:
        """Download the files into `root` with torchvision; does nothing if they are already there and verified.

        Raises `InputError` if they have no address, and if the network or the folder fails.
        """
        try:
            self.verify(root)
            return
        except InputError:
            if self.package or not self.downloadable:
                raise
        from torchvision.datasets.utils import download_and_extract_archive, download_url

        try:
            root.mkdir(parents=True, exist_ok=True)
            if self.archive is not None:
                url, md5 = self.archive
                download_and_extract_archive(url, str(root), filename=url.rpartition("/")[2], md5=md5)
            else:
                for file in self.files:
                    path = root / file.path
                    download_url(file.url, str(path.parent), path.name, file.md5)
        except (OSError, RuntimeError) as error:  # torchvision raises RuntimeError if the download's MD5 is wrong
            reason = " ".join(str(error).split())
            raise InputError(
                f"data set {self.name} could not be downloaded into {root}: {reason}; try again later"
            ) from error
        self.verify(root)

    def read(self, root: Path) -> Arrays:
        """The data set. Raises `InputError` unless all files are there, verified, and hold what is declared."""
        self.verify(root)
        train, test = self.reader(list(self._paths(self.train, root)), list(self._paths(self.test, root)))
        for part, (images, labels) in (("training", train), ("test", test)):
            self._check(part, images.shape, labels)
        where = f"official files in {root}, MD5 verified"
        if self.package:
            where = f"bundled with {self.package} {distribution(self.package).version}"
        return Arrays(*train, *test, self.classes, f"{where}; {self.remark}" if self.remark else where)

    def _check(self, part: str, shape: tuple[int, ...], labels: np.ndarray) -> None:
        declared = (self.channels, self.size, self.size)
        if shape[1:] != declared or shape[0] != len(labels):
            raise InputError(
                f"data set {self.name}: the {part} images have shape {shape} and {len(labels)} labels, not "
                f"{(len(labels), *declared)} as declared: correct its entry in suite/data/registry.py, or its reader"
            )
        if labels.min() < 0 or labels.max() >= self.classes:
            raise InputError(
                f"data set {self.name}: the {part} labels go from {labels.min()} to {labels.max()}, not from 0 to "
                f"{self.classes - 1} as declared: correct its entry in suite/data/registry.py, or its reader"
            )

    def _paths(self, files: Iterator[OfficialFile] | Sequence[OfficialFile], root: Path) -> Iterator[Path]:
        # The files of a package are opened without importing it: that can take longer than a small search's epoch.
        folder = Path(str(distribution(self.package).locate_file(""))) if self.package else root
        return (folder / file.path for file in files)
