"""The keys of an exhibit's file, `exhibits/PAPER/NAME.toml`: a table or figure of a paper.

paper = "lambda-darts"
number = "Table 1"                  # as in the paper; selects its cells of `reports.published`
layout = "methods"                  # methods, grid, sweep, trajectory, cells or scatter
title = "…"
caption = "…"                       # in our own words, plain text
searched_on = "cifar10"             # where the data sets of the cells are only evaluated on
lacks = ["…"]                       # what cannot be run here, in words

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
kind = "beats"                      # matches, reproduces, collapses, resists, costs (claim_tests.py)
method = "lambda-darts"
against = ["darts-1st"]
"""

from collections.abc import Collection
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from spaces.common.errors import InputError

Layout = Literal["methods", "grid", "sweep", "trajectory", "cells", "scatter"]
Kind = Literal["beats", "matches", "reproduces", "collapses", "resists", "costs"]


class TrialBlock(BaseModel):
    """A block of trials: the keys of a study's block that identify its records."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    methods: list[str] = Field(min_length=1)
    spaces: list[str] = Field(min_length=1)
    datasets: list[str] = Field(min_length=1)
    seeds: list[int] = Field(min_length=1)
    settings: dict[str, Any] = Field(default_factory=dict, alias="set")


class RowTrials(BaseModel):
    """The trials that fill a row of the published table, or are a line of a figure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    settings: dict[str, Any] = Field(default_factory=dict)


class Claim(BaseModel):
    """A claim of the paper in a form that can be tested (`reports.exhibits.verdicts`).

    `metric` is one of `reports.published.published_numbers.METRICS`, or "last COLUMN" for a history's column at the
    last epoch. Space and data set are those searched on; they may be omitted where the exhibit's trials have only one.
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
    higher: bool | None = None  # whether higher is better, for a metric that does not declare it
    within: float | None = Field(default=None, gt=0)  # in the metric's unit; for `costs` a factor
    value: float | None = None  # the number to be reproduced, or the ratio of costs

    @property
    def bounds(self) -> tuple[float, float]:
        """`value` and `within` of a claim that needs both. Raises `InputError` where one is missing."""
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
    published: str = ""  # the exhibit whose published cells are shown, where it is not `number`
    searched_on: str = ""
    lacks: list[str] = Field(default_factory=list)
    trials: list[TrialBlock] = Field(default_factory=list)
    rows: dict[str, RowTrials] = Field(default_factory=dict)
    x: str = ""  # the setting of a sweep, or a metric of a scatter
    y: list[str] = Field(default_factory=list)  # metrics, or a trajectory's columns of the history
    genotypes: list[str] = Field(default_factory=list)  # published ones that are drawn
    claims: list[Claim] = Field(default_factory=list)
    name: str = Field(default="", exclude=True)  # PAPER/NAME, from the file's place
    file: str = Field(default="", exclude=True)  # its path, if it is not in the catalogue

    @property
    def methods(self) -> list[str]:
        """The methods of its trials, each once."""
        return list(dict.fromkeys(method for block in self.trials for method in block.methods))

    @property
    def slug(self) -> str:
        """Its name as an anchor and a file's name."""
        return self.name.replace("/", "-")

    def cells(self, published: pd.DataFrame) -> pd.DataFrame:
        """Its rows of `reports.published.published_numbers.numbers`."""
        return published[(published["paper"] == self.paper) & (published["exhibit"] == (self.published or self.number))]

    def row_methods(self, published: pd.DataFrame) -> dict[str, str]:
        """The method that fills each row of its published cells: label → name, empty for a bound."""
        cells = self.cells(published).drop_duplicates("label")
        found = {str(row["label"]): str(row["method"]) for row in cells.to_dict("records") if row["role"] != "bound"}
        return found | {label: row.method for label, row in self.rows.items() if label in found}

    def without_recipe(self, published: pd.DataFrame, known: Collection[str]) -> list[str]:
        """Which methods of its rows are not among the `known` recipes, in words; empty if all are."""
        missing = {method for method in self.row_methods(published).values() if method and method not in known}
        return [f"no recipe here of {', '.join(sorted(missing))}"] if missing else []
