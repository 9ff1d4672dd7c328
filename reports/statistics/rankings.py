"""Rankings of methods across blocks (a block is one space and data set): ranks, interquartile means, profiles.

Only complete data are compared, every method in every block: methods and blocks with gaps are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import fsum, nan
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from reports.statistics import effects, intervals, ranks
from reports.statistics.ranks import Friedman
from reports.statistics.significance import ALPHA, Values
from reports.statistics.values.direction import SIGNS
from reports.statistics.values.frame import checked, place, split

TRIM = 0.25
"""The share cut from each end for an interquartile mean."""


@dataclass(frozen=True)
class Rankings:
    """The ranks and scores of `methods`, best rank first, over `blocks` (in words); empty frames for too little data.

    - `frame`, a row for each method, best rank first: `method`, `rank` (mean), `iqm` of its scores with `low` and
      `high`, `n` scores, `convention` in words
    - `pairs`, a row for each pair: `method`, `baseline`, `rank_difference`, `nemenyi_p`, `improvement` with `low` and
      `high`
    - `friedman`, or `None` for fewer than three methods; `critical`, the critical difference of mean ranks
    - `scores`, a row for each search: `method`, `space`, `dataset`, `seed`, `score`: how much its value is better than
      the mean of the block's methods
    - `means` [blocks, methods] with gaps, more is better, and `complete`, the part without gaps that was compared
    - `better` [blocks]: "higher" or "lower", by (space, dataset)

    `reports.sentences.ranking_sentences.statements` says what the rankings support and what was left out.
    """

    methods: list[str]
    blocks: list[str]
    frame: pd.DataFrame
    pairs: pd.DataFrame
    friedman: Friedman | None
    critical: float
    scores: pd.DataFrame
    means: pd.DataFrame
    complete: pd.DataFrame
    better: "pd.Series[str]"

    @property
    def enough(self) -> bool:
        """Whether there are blocks enough for Friedman's test to have rejected."""
        return self.friedman is not None and self.friedman.smallest <= ALPHA


FRAME = ["method", "rank", "iqm", "low", "high", "n", "convention"]
PAIRS = ["method", "baseline", "rank_difference", "nemenyi_p", "improvement", "low", "high"]


def rank_methods(values: pd.DataFrame) -> Rankings:
    """The rankings of all methods over the blocks that they share.

    Raises `InputError` as `reports.statistics.values.frame.checked`.
    """
    searches, _ = split(checked(values))
    better = searches.groupby(["space", "dataset"])["better"].first()
    # From here on more is better.
    searches = searches.assign(value=searches["better"].map(SIGNS).astype(float) * searches["value"])
    means = searches.groupby(["space", "dataset", "method"])["value"].agg(_mean).unstack("method")
    complete = _complete(means)
    blocks = [place(*names) for names in complete.index]
    if min(complete.shape) < 2:
        frame, pairs = pd.DataFrame(columns=FRAME), pd.DataFrame(columns=PAIRS)
        none = searches.iloc[:0]
        return Rankings(list(complete.columns), blocks, frame, pairs, None, nan, none, means, complete, better)
    scores = _scores(searches, complete)
    samples = {str(method): _strata(scores, str(method)) for method in complete.columns}
    matrix = complete.to_numpy(dtype=float)
    count, size = matrix.shape
    friedman = ranks.friedman(matrix) if size > 2 else None
    mean_ranks = stats.rankdata(-matrix, axis=1).mean(axis=0)
    frame = pd.DataFrame(
        [_ranked(str(method), rank, samples) for method, rank in zip(complete.columns, mean_ranks, strict=True)]
    ).sort_values(["rank", "method"], ignore_index=True)
    pairs = pd.DataFrame(list(_pairs(frame, samples)), columns=PAIRS)
    critical = ranks.critical_difference(size, count)
    return Rankings(list(frame["method"]), blocks, frame, pairs, friedman, critical, scores, means, complete, better)


def profile(rankings: Rankings, method: str) -> tuple[Values, Values]:
    """(scores in rising order, share of the method's searches with at least that score), for a step function."""
    scores = np.sort(rankings.scores.loc[rankings.scores["method"] == method, "score"].to_numpy(dtype=float))
    return scores, 1 - np.arange(len(scores)) / len(scores)


def _mean(sample: "pd.Series[float]") -> float:
    # Correctly rounded in any order of the values, so that methods with the same results at other seeds tie.
    return fsum(sample) / len(sample)


def _complete(means: pd.DataFrame) -> pd.DataFrame:
    """The part of `means` [blocks, methods] without gaps: what has the largest share of gaps is left out first."""
    while means.isna().to_numpy().any():
        gaps = means.isna()
        methods, blocks = gaps.mean(axis=0), gaps.mean(axis=1)
        if methods.max() >= blocks.max():
            means = means.drop(columns=methods.idxmax())
        else:
            means = means.drop(index=[blocks.idxmax()])
    return means


def _scores(searches: pd.DataFrame, complete: pd.DataFrame) -> pd.DataFrame:
    centre = complete.mean(axis=1).rename("centre").reset_index()
    kept = searches[searches["method"].isin(complete.columns)].merge(centre, on=["space", "dataset"])
    kept = kept.assign(score=kept["value"] - kept["centre"])
    return kept[["method", "space", "dataset", "seed", "score"]]


def _strata(scores: pd.DataFrame, method: str) -> list[Values]:
    """The method's scores [n], an array a block, blocks in order."""
    own = scores[scores["method"] == method]
    return [group["score"].to_numpy(dtype=float) for _, group in own.groupby(["space", "dataset"], sort=True)]


def _ranked(method: str, rank: float, samples: dict[str, list[Values]]) -> dict[str, Any]:
    strata = samples[method]
    low, high = intervals.stratified(strata, _iqm)
    n = sum(map(len, strata))
    return {
        "method": method,
        "rank": float(rank),
        "iqm": float(_iqm(*strata, axis=-1)),
        "low": low,
        "high": high,
        "n": n,
        "convention": f"interquartile mean of {n} scores over {len(strata)} blocks; rank of means over searches",
    }


def _pairs(frame: pd.DataFrame, samples: dict[str, list[Values]]) -> Iterator[dict[str, Any]]:
    blocks = len(next(iter(samples.values())))
    mean_ranks = dict(zip(frame["method"], frame["rank"], strict=True))
    for first, second in combinations(mean_ranks, 2):
        difference = mean_ranks[second] - mean_ranks[first]
        strata = [*samples[first], *samples[second]]
        low, high = intervals.stratified(strata, _improvement)
        yield {
            "method": first,
            "baseline": second,
            "rank_difference": difference,
            "nemenyi_p": ranks.nemenyi(difference, len(mean_ranks), blocks),
            "improvement": float(_improvement(*strata, axis=-1)),
            "low": low,
            "high": high,
        }


def _iqm(*strata: Values, axis: int) -> Values:
    return np.asarray(stats.trim_mean(np.concatenate(strata, axis=axis), TRIM, axis=axis))


def _improvement(*strata: Values, axis: int) -> Values:
    """The mean over blocks of A12; the first half of `strata` is the first method's. Axis: the last."""
    half = len(strata) // 2
    return np.mean([effects.a12(*pair) for pair in zip(strata[:half], strata[half:], strict=True)], axis=0)
