"""The values that a claim of an exhibit is judged by, read from the records of one scale."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.exhibits.exhibit import Claim, Exhibit
from reports.exhibits.metrics import metric_values
from reports.exhibits.scale_groups import ScaleGroup
from reports.published.published_numbers import METRICS, PublishedMetric
from reports.records.blocks import SpaceOf, shared
from reports.statistics.values.direction import HIGHER, LOWER
from reports.statistics.values.frame import UNSTATED, place


@dataclass(frozen=True)
class ClaimAtScale:
    """A claim at one scale, with the values of its method and of each method that it is compared with.

    `values` has the columns key, method (its label), seed, value, better, unit and shared; the claim's method is first.
    """

    claim: Claim
    group: ScaleGroup
    space: str
    dataset: str
    values: pd.DataFrame

    @property
    def labels(self) -> list[str]:
        """The claim's method and those that it is compared with, each with its settings."""
        return _labels(self.claim)

    @property
    def own(self) -> pd.DataFrame:
        """The values of the claim's method."""
        return self.of(self.labels[0])

    def of(self, label: str) -> pd.DataFrame:
        """The values of one of the labels."""
        return self.values[self.values["method"] == label]

    @property
    def missing(self) -> list[str]:
        """The labels without a value."""
        return [label for label in self.labels if self.of(label).empty]

    @property
    def seeds(self) -> int:
        """The smallest number of seeds of any of its methods."""
        return min(len(self.of(label)) for label in self.labels)

    @property
    def where(self) -> str:
        """The space and the data set searched on, in words."""
        return place(self.space, self.group.searched(self.dataset))

    @property
    def records(self) -> pd.DataFrame:
        """The records that the values come from."""
        return self.group.records[self.group.records["key"].isin(self.values["key"])]


def claim_at_scale(exhibit: Exhibit, claim: Claim, group: ScaleGroup, space_of: SpaceOf) -> ClaimAtScale:
    """The claim with its values in `group`."""
    space, dataset = claim_place(exhibit, claim)
    evaluated_on = claim.evaluated_on or dataset
    if evaluated_on == dataset:
        evaluated_on = group.searched(dataset)
    frames = []
    for position, (label, method) in enumerate(zip(_labels(claim), (claim.method, *claim.against), strict=True)):
        settings = claim.against_settings if position else claim.settings
        chosen = group.select(exhibit, method, settings, space, dataset)
        values = metric_values(chosen, group.histories, claim.metric, evaluated_on, space_of)
        own = chosen.assign(method=label, value=values, shared=shared(chosen))
        frames.append(own[["key", "method", "seed", "value", "shared"]].dropna().assign(**_declared(claim)))
    return ClaimAtScale(claim, group, space, dataset, pd.concat(frames, ignore_index=True))


def compared_values(exhibit: Exhibit, group: ScaleGroup, space_of: SpaceOf) -> pd.DataFrame:
    """The values of all claims on a number at one scale, each once: key, method, seed, value, metric and where.

    `method` holds the labels of the verdicts. `where` is the space and data set searched on, followed by the data set
    evaluated on where that is another.
    """
    frames = []
    for claim in exhibit.claims:
        if claim.kind in ("beats", "matches", "reproduces"):
            found = claim_at_scale(exhibit, claim, group, space_of)
            where = found.where + (f", evaluated on {claim.evaluated_on}" if claim.evaluated_on else "")
            frames.append(found.values.assign(metric=claim.metric, where=where))
    columns = ["key", "method", "seed", "value", "metric", "where"]
    return pd.concat(frames, ignore_index=True).drop_duplicates() if frames else pd.DataFrame(columns=columns)


def claim_place(exhibit: Exhibit, claim: Claim) -> tuple[str, str]:
    """The space and the data set that the claim is about: its own, else the first of the exhibit's trials."""
    spaces = [space for block in exhibit.trials for space in block.spaces]
    datasets = [dataset for block in exhibit.trials for dataset in block.datasets]
    return claim.space or next(iter(spaces), ""), claim.dataset or next(iter(datasets), "")


def _declared(claim: Claim) -> dict[str, str]:
    """The columns that say which way the claim's metric is better and what its unit is."""
    metric = METRICS.get(claim.metric, PublishedMetric())
    lower = metric.better < 0 or (not metric.better and claim.higher is False)
    return {"better": LOWER if lower else HIGHER, "unit": metric.units[0] or UNSTATED}


def _labels(claim: Claim) -> list[str]:
    own = claim.method + _settings(claim.settings)
    return [own, *(method + _settings(claim.against_settings) for method in claim.against)]


def _settings(settings: dict[str, Any]) -> str:
    return f" [{', '.join(f'{name} = {value}' for name, value in settings.items())}]" if settings else ""
