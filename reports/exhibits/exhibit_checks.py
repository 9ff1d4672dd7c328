"""Checks of an exhibit's file beyond its types: names exist, and the keys that layout and claims need are there.

Every check raises `InputError` that names the key and the remedy.
"""

from collections.abc import Collection, Iterable
from functools import cache

import pandas as pd

from reports.exhibits.exhibit import Claim, Exhibit
from reports.exhibits.metrics import PAPER_DATASETS, known_metric
from reports.published.published_numbers import EXHIBITS, PAPERS, genotypes, method_labels, numbers
from spaces.common.errors import InputError, unknown

NEEDS: dict[str, tuple[str, ...]] = {
    "beats": ("against",),
    "matches": ("against", "within"),
    "reproduces": ("value", "within"),
    "costs": ("against", "value", "within"),
}
"""The keys that a kind of claim requires."""


def check(exhibit: Exhibit) -> None:
    """Check all of `exhibit`."""
    published, of_papers, known = _published()
    _known("paper", "paper", [exhibit.paper], PAPERS)
    _known("published", "exhibit", filter(None, [exhibit.published]), EXHIBITS[exhibit.paper])
    _known("searched_on", "data set", filter(None, [exhibit.searched_on]), PAPER_DATASETS.values())
    _known("genotypes", "genotype", exhibit.genotypes, known)
    _check_layout(exhibit, exhibit.cells(published))
    methods = {*exhibit.methods, *(row.method for row in exhibit.rows.values())}
    methods |= set(of_papers[of_papers["paper"] == exhibit.paper]["method"])
    for place, claim in enumerate(exhibit.claims, 1):
        _known(f"claims.{place}", "method", (claim.method, *claim.against), methods)
        known_metric(claim.metric, f"claims.{place}.metric")
        _check_claim(claim, place)


@cache
def _published() -> tuple[pd.DataFrame, pd.DataFrame, set[str]]:
    """The published numbers, the meaning of their labels, and the method_labels of published genotypes; read once."""
    return numbers(), method_labels(), set(genotypes()["name"])


def _known(key: str, what: str, given: Iterable[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise InputError(f"{key}: {unknown(what, name, known)}")


def _check_layout(exhibit: Exhibit, cells: pd.DataFrame) -> None:
    layout = exhibit.layout
    if cells.empty and layout in ("methods", "grid"):
        raise InputError(f"layout: {layout} needs published cells, and there are none of {exhibit.number}")
    if not cells.empty:
        _known("rows", "row", exhibit.rows, set(cells["label"]))
    if layout == "trajectory":
        if not exhibit.y:
            raise InputError("y: a trajectory needs the columns of the history to draw")
        return
    if layout in ("sweep", "scatter") and not (exhibit.x and exhibit.y):
        raise InputError(f"x, y: a {layout} needs both")
    for metric in [*exhibit.y, *([exhibit.x] if layout == "scatter" else [])]:
        known_metric(metric, "y")


def _check_claim(claim: Claim, place: int) -> None:
    for key in NEEDS.get(claim.kind, ()):
        if getattr(claim, key) in (None, []):
            raise InputError(f"claims.{place}: a claim that {claim.kind} needs {key}")
    if claim.kind == "costs" and not (claim.within or 0) > 1:
        raise InputError(f"claims.{place}: within = {claim.within} must be a factor above 1")
