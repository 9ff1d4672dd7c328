"""Names of data sets: those of official ones, and those of a user's own images, which give a format and a path."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spaces.common.errors import InputError, unknown
from suite.data.arrays import Arrays
from suite.data.registry import DATASETS
from suite.data.root import find


@dataclass(frozen=True)
class CustomFormat:
    """A format of a user's own images, named `prefix:PATH`.

    - `argument`, `kind`: what PATH is, as a placeholder and in words.
    - `summary`: the format in one line.
    - `path_of`: the path in what follows the colon; the rest are options.
    - `read`: reads (what follows the colon, data root, fit) and returns the name without folders and the images.
    """

    prefix: str
    argument: str
    kind: str
    summary: str
    path_of: Callable[[str], str]
    read: Callable[[str, Path, str], tuple[str, Arrays]]


def _read_npz(rest: str, root: Path, fit: str) -> tuple[str, Arrays]:
    from suite.data.own_arrays import read_npz

    path = find(rest, root)
    return path.stem, read_npz(path, fit)


def _read_folder(rest: str, root: Path, fit: str) -> tuple[str, Arrays]:
    from suite.data.own_folders import read_folder

    folder, mark, options = rest.partition("?")
    return f"{Path(folder).resolve().name}{mark}{options}", read_folder(rest, root, fit)


FORMATS: dict[str, CustomFormat] = {
    own.prefix: own
    for own in (
        CustomFormat(
            "npz", "FILE", "file", "your own arrays: x_train, y_train, x_test, y_test", lambda rest: rest, _read_npz
        ),
        CustomFormat(
            "folder",
            "DIR",
            "folder",
            "your own image files: DIR/train/CLASS/* and DIR/val/CLASS/* [?classes=K&fraction=F&seed=S&size=P]",
            lambda rest: rest.partition("?")[0],
            _read_folder,
        ),
    )
}
"""What stands before the colon in the name of a user's own data set -> the format."""


def descriptions() -> dict[str, str]:
    """Every data set that can be named, official ones first -> what it is, in one line."""
    official = {name: entry.summary for name, entry in DATASETS.items()}
    return official | {f"{own.prefix}:{own.argument}": own.summary for own in FORMATS.values()}


def split_name(spec: str) -> tuple[str, str]:
    """A data set's name in two parts: ("cifar10", ""), ("npz", FILE) or ("folder", DIR[?options]).

    Raises `InputError` for an unknown name, and for a format without a path.
    """
    kind, colon, rest = spec.partition(":")
    if kind in DATASETS and not colon:
        return kind, ""
    if kind not in FORMATS:
        raise unknown("data set", spec, descriptions())
    if not rest:
        raise InputError(f"data set {spec!r} names no {FORMATS[kind].kind}: write {kind}:PATH")
    return kind, rest


def is_own(spec: str) -> bool:
    """Whether `spec` names a user's own images. Raises `InputError` for an unknown name."""
    return split_name(spec)[0] in FORMATS
