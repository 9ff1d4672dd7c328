"""Exhibits: the papers' tables and figures, a TOML file each, `exhibits/PAPER/NAME.toml`.

paper = "lambda-darts"
number = "Table 1"                  # as the paper has it; its published cells are those of `reports.published.published_numbers`
layout = "methods"                  # methods, grid, sweep, trajectory, cells or scatter
title = "…"
caption = "…"                       # in our own words, Markdown-free
searched_on = "cifar10"             # where the cells' own data sets are only evaluated on
lacks = ["…"]                       # what no trial here can fill, in words

[[trials]]                          # what is run for it: a block of a study file (docs/studies.md)
methods = ["darts-1st", "lambda-darts"]
spaces = ["nats-tss"]
datasets = ["cifar10"]
seeds = [0, 1, 2, 3]

[rows."Λ-DARTS (f/b)"]              # a row that is not its method with its own settings (`published/names.csv`)
method = "lambda-darts-interleaved"
settings = { radius = 0.1 }

[[claims]]
says = "…"                          # the claim in our words
kind = "beats"                      # or `matches`, `reproduces`, `collapses`, `resists`, `costs` (reports/exhibits/verdicts.py)
method = "lambda-darts"
against = ["darts-1st"]
"""

import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from reports.exhibits.metrics import DATASETS, known_metric
from reports.published.published_numbers import EXHIBITS, PAPERS, genotypes, names, numbers
from spaces.common.errors import InputError, unknown
from spaces.common.toml import read_toml

CATALOGUE = Path(__file__).parent

Layout = Literal["methods", "grid", "sweep", "trajectory", "cells", "scatter"]
Kind = Literal["beats", "matches", "reproduces", "collapses", "resists", "costs"]


class Trials(BaseModel):
    """What is run: of a study's block, that which tells its records from others."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    methods: list[str] = Field(min_length=1)
    spaces: list[str] = Field(min_length=1)
    datasets: list[str] = Field(min_length=1)
    seeds: list[int] = Field(min_length=1)
    settings: dict[str, Any] = Field(default_factory=dict, alias="set")


class Row(BaseModel):
    """Which trials fill a row of the published table, or make a line of a figure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    settings: dict[str, Any] = Field(default_factory=dict)


class Claim(BaseModel):
    """One thing that the paper says there, so that it can be tested (`reports.exhibits.verdicts`).

    `metric` is one of `reports.published.published_numbers.METRICS` or "last COLUMN", a history's column at the last epoch. Space and
    data set are those searched on; they need to be said only where the exhibit's trials have several.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    says: str
    kind: Kind
    method: str
    against: list[str] = Field(default_factory=list)
    settings: dict[str, Any] = Field(default_factory=dict)
    against_settings: dict[str, Any] = Field(default_factory=dict)
    space: str = ""
    dataset: str = ""
    metric: str = "test accuracy"
    evaluated_on: str = ""  # the data set of the accuracy, where it is not the one searched on
    higher: bool | None = None  # is more of it better? Asked where the metric does not say
    within: float | None = Field(default=None, gt=0)  # of the metric's unit; of `costs`, the factor on either side
    value: float | None = None  # what is to be reproduced, or the ratio of costs

    @property
    def bounds(self) -> tuple[float, float]:
        """`value` and `within`, which a claim has that needs them: `read` has seen to it."""
        if self.value is None or self.within is None:
            raise InputError(f"the claim {self.says!r} needs value and within")
        return self.value, self.within


class Exhibit(BaseModel):
    """One exhibit's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paper: str
    number: str
    layout: Layout
    title: str
    caption: str
    note: str = ""
    published: str = ""  # the exhibit of `reports.published.published_numbers`, where it is not `number`
    searched_on: str = ""
    lacks: list[str] = Field(default_factory=list)
    trials: list[Trials] = Field(default_factory=list)
    rows: dict[str, Row] = Field(default_factory=dict)
    x: str = ""  # of a sweep, the setting; of a scatter, a metric
    y: list[str] = Field(default_factory=list)  # metrics, or a trajectory's columns of the history
    genotypes: list[str] = Field(default_factory=list)  # published ones that are drawn
    claims: list[Claim] = Field(default_factory=list)
    name: str = Field(default="", exclude=True)  # PAPER/NAME, from the file's place
    file: str = Field(default="", exclude=True)  # where it stands, if not in the catalogue

    @property
    def methods(self) -> list[str]:
        """The methods of its trials, each once."""
        return list(dict.fromkeys(method for block in self.trials for method in block.methods))

    @property
    def slug(self) -> str:
        """Its name as an anchor and a file's name."""
        return self.name.replace("/", "-")

    def cells(self, published: pd.DataFrame) -> pd.DataFrame:
        """The rows of `reports.published.published_numbers.numbers` that stand in it."""
        return published[(published["paper"] == self.paper) & (published["exhibit"] == (self.published or self.number))]

    def row_methods(self, published: pd.DataFrame) -> dict[str, str]:
        """The method that fills each row of its published cells: label → name, empty for a bound."""
        cells = self.cells(published).drop_duplicates("label")
        found = {str(row["label"]): str(row["method"]) for row in cells.to_dict("records") if row["role"] != "bound"}
        return found | {label: row.method for label, row in self.rows.items() if label in found}

    def without_recipe(self, published: pd.DataFrame, known: Collection[str]) -> list[str]:
        """Which of its rows none of the `known` recipes can fill, in words; empty if all can be."""
        missing = {method for method in self.row_methods(published).values() if method and method not in known}
        return [f"no recipe here of {', '.join(sorted(missing))}"] if missing else []


def catalogue(folder: Path = CATALOGUE) -> dict[str, Exhibit]:
    """Every exhibit by name, papers in the order of `PAPERS`, tables before figures, in the papers' order."""
    found = [(path, read(path)) for path in folder.glob("*/*.toml")]
    order = list(PAPERS)
    ranked = sorted(found, key=lambda pair: (order.index(pair[1].paper), *_place(pair[1].number), pair[1].name))
    return {exhibit.name: exhibit for _, exhibit in ranked}


def read(path: Path) -> Exhibit:
    """The exhibit in the file `path`, checked. Raises `InputError`: which file, which key, what to do."""
    exhibit = read_toml(path, Exhibit)
    exhibit = exhibit.model_copy(update={"name": f"{exhibit.paper}/{path.stem}"})
    try:
        _check(exhibit)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return exhibit


def own(path: Path) -> Exhibit:
    """The exhibit in a file that stands anywhere: PAPER/own-NAME, its number with the file's name behind.

    Raises `InputError` as `read`, and for a file's name that could not be an address.
    """
    exhibit = read(path)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", path.stem):
        raise InputError(f"{path}: an exhibit's file has a name of letters, digits and hyphens: rename it")
    return exhibit.model_copy(
        update={
            "name": f"{exhibit.paper}/own-{path.stem}",
            "number": f"{exhibit.number} ({path.name})",
            "published": exhibit.published or exhibit.number,
            "file": str(path),
        }
    )


def _place(number: str) -> tuple[int, bool, int, str]:
    kind, _, which = number.partition(" ")
    kinds = ["Table", "Figure"]
    first = re.search(r"\d+", which)
    rank = kinds.index(kind.removesuffix("s")) if kind.removesuffix("s") in kinds else len(kinds)
    return rank, which.startswith("S"), int(first[0]) if first else 0, number


@cache
def _published() -> tuple[pd.DataFrame, pd.DataFrame, set[str]]:
    """The published numbers, what their labels mean, the published genotypes' names: read once for all exhibits."""
    return numbers(), names(), set(genotypes()["name"])


def _check(exhibit: Exhibit) -> None:
    if exhibit.paper not in PAPERS:
        raise InputError(f"paper: {unknown('paper', exhibit.paper, PAPERS)}")
    if exhibit.published and exhibit.published not in EXHIBITS[exhibit.paper]:
        raise InputError(f"published: {unknown('exhibit', exhibit.published, EXHIBITS[exhibit.paper])}")
    if exhibit.searched_on and exhibit.searched_on not in DATASETS.values():
        raise InputError(f"searched_on: {unknown('data set', exhibit.searched_on, DATASETS.values())}")
    published, of_papers, known = _published()
    cells = exhibit.cells(published)
    for label in exhibit.rows:
        if not cells.empty and label not in set(cells["label"]):
            raise InputError(f"rows: {unknown('row', label, set(cells['label']))}")
    if exhibit.layout in ("methods", "grid") and cells.empty:
        raise InputError(f"layout: {exhibit.layout} needs published cells, and there are none of {exhibit.number}")
    if exhibit.layout in ("sweep", "scatter") and not (exhibit.x and exhibit.y):
        raise InputError(f"x, y: a {exhibit.layout} needs both")
    if exhibit.layout == "trajectory" and not exhibit.y:
        raise InputError("y: a trajectory needs the columns of the history to draw")
    if exhibit.layout != "trajectory":
        for metric in [*exhibit.y, *([exhibit.x] if exhibit.layout == "scatter" else [])]:
            known_metric(metric, "y")
    for name in exhibit.genotypes:
        if name not in known:
            raise InputError(f"genotypes: {unknown('genotype', name, known)}")
    methods = {*exhibit.methods, *(row.method for row in exhibit.rows.values())}
    methods |= set(of_papers[of_papers["paper"] == exhibit.paper]["method"])
    for place, claim in enumerate(exhibit.claims, 1):
        for method in (claim.method, *claim.against):
            if method not in methods:
                raise InputError(f"claims.{place}: {unknown('method', method, methods)}")
        known_metric(claim.metric, f"claims.{place}.metric")
        _check_claim(claim, place)


def _check_claim(claim: Claim, place: int) -> None:
    needs: dict[str, tuple[str, ...]] = {
        "beats": ("against",),
        "matches": ("against", "within"),
        "reproduces": ("value", "within"),
        "costs": ("against", "value", "within"),
    }
    for key in needs.get(claim.kind, ()):
        if getattr(claim, key) in (None, []):
            raise InputError(f"claims.{place}: a claim that {claim.kind} needs {key}")
    if claim.kind == "costs" and not (claim.within or 0) > 1:
        raise InputError(f"claims.{place}: within = {claim.within} must be a factor above 1")
