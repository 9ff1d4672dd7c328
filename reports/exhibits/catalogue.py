"""The catalogue of exhibits: every file in `exhibits/PAPER/`, and the user's own files, read and checked."""

import re
from pathlib import Path

from reports.exhibits.exhibit import Exhibit
from reports.exhibits.exhibit_checks import check
from reports.published.published_numbers import PAPERS
from spaces.common.errors import InputError
from spaces.common.toml import read_toml

CATALOGUE = Path(__file__).parent


def catalogue(folder: Path = CATALOGUE) -> dict[str, Exhibit]:
    """Every exhibit by name, papers in the order of `PAPERS`, tables before figures, in the papers' order."""
    found = [(path, read(path)) for path in folder.glob("*/*.toml")]
    order = list(PAPERS)
    ranked = sorted(found, key=lambda pair: (order.index(pair[1].paper), *_position(pair[1].number), pair[1].name))
    return {exhibit.name: exhibit for _, exhibit in ranked}


def read(path: Path) -> Exhibit:
    """The exhibit in the file `path`, checked. Raises `InputError`: which file, which key, what to do."""
    exhibit = read_toml(path, Exhibit)
    exhibit = exhibit.model_copy(update={"name": f"{exhibit.paper}/{path.stem}"})
    try:
        check(exhibit)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return exhibit


def read_own(path: Path) -> Exhibit:
    """The exhibit in a file outside the catalogue: named PAPER/own-NAME, its number followed by the file's name.

    Raises `InputError` as `read` does, and for a file name that cannot be part of an address.
    """
    exhibit = read(path)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", path.stem):
        raise InputError(f"{path}: the name of an exhibit's file may have only letters, digits and hyphens: rename it")
    return exhibit.model_copy(
        update={
            "name": f"{exhibit.paper}/own-{path.stem}",
            "number": f"{exhibit.number} ({path.name})",
            "published": exhibit.published or exhibit.number,
            "file": str(path),
        }
    )


def _position(number: str) -> tuple[int, bool, int, str]:
    kind, _, which = number.partition(" ")
    kinds = ["Table", "Figure"]
    first = re.search(r"\d+", which)
    rank = kinds.index(kind.removesuffix("s")) if kind.removesuffix("s") in kinds else len(kinds)
    return rank, which.startswith("S"), int(first[0]) if first else 0, number
