"""How methods stand across blocks, a block being one space and data set: ranks, interquartile means, profiles.

What is compared is complete: every method in every block. Methods and blocks that would leave a gap are left out by
name, in the statements.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import fsum, nan
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from reports.sentences import rankings
from reports.statistics import effects, intervals, ranks
from reports.statistics.direction import SIGNS
from reports.statistics.ranks import Friedman
from reports.statistics.significance import ALPHA, Values
from reports.statistics.values import checked, place, split

TRIM = 0.25
"""The share cut from each end for an interquartile mean."""

STANDING_NOTES = (
    "Across blocks, that is spaces with data sets, a score says by how much a value is better than the mean of all "
    "methods' means in the block, in the values' unit, so that an easy data set counts no more than a hard one; a "
    "higher score is better, whichever way the values are. The interquartile "
    "mean (IQM) is the mean of the middle half of all of a method's scores; its 95 % interval is the stratified "
    "bootstrap's by percentiles, resampling seeds within each block: of normal scores it covers 94 % and more, of a "
    "method that collapses in three searches of ten some 70 % at n = 3. A performance profile shows, for each score, "
    "the share of a method's searches that score at least so much.",
    "Ranks are of the means in each block, 1 the best. Friedman's test permutes them within blocks, exactly up to "
    "9,999 arrangements; Nemenyi's test corrects for all pairs of methods and is asymptotic in the number of blocks. "
    "The probability of improvement across blocks is the mean of A12 over blocks, with the stratified bootstrap's "
    "interval; neither it nor the IQM is corrected for the number of methods.",
)


@dataclass(frozen=True)
class Standings:
    """What can be said of `methods` over `blocks` (in words); empty frames where there is too little.

    - `frame`, a row a method, best rank first: `method`, `rank` (mean), `iqm` of its scores with `low` and `high`, `n`
      scores, `convention` in words
    - `pairs`, a row a pair: `method`, `baseline`, `rank_difference`, `nemenyi_p`, `improvement` with `low` and `high`
    - `friedman`, or `None` for fewer than three methods; `critical`, the critical difference of mean ranks
    - `scores`, a row a search: `method`, `space`, `dataset`, `seed`, `score`, by how much its value is better than the
      mean of the block's methods
    - `enough`: whether Friedman's test could have rejected at all
    - `statements`: what is supported, what not, what could not have been, and what was left out
    """

    methods: list[str]
    blocks: list[str]
    frame: pd.DataFrame
    pairs: pd.DataFrame
    friedman: Friedman | None
    critical: float
    scores: pd.DataFrame
    statements: list[str]

    @property
    def enough(self) -> bool:
        """Whether there are blocks enough for Friedman's test to have rejected."""
        return self.friedman is not None and self.friedman.smallest <= ALPHA


FRAME = ["method", "rank", "iqm", "low", "high", "n", "convention"]
PAIRS = ["method", "baseline", "rank_difference", "nemenyi_p", "improvement", "low", "high"]


def standings(values: pd.DataFrame) -> Standings:
    """The standings of all methods that share blocks. Raises `InputError` as `reports.statistics.values.checked`."""
    searches, _ = split(checked(values))
    # From here on more is better.
    sign = searches["better"].map(SIGNS).astype(float)
    mixed = rankings.mixed(searches, place)
    searches = searches.assign(value=sign * searches["value"])
    means = searches.groupby(["space", "dataset", "method"])["value"].agg(_mean).unstack("method")
    whole = _complete(means)
    blocks = [place(*names) for names in whole.index]
    left_out = mixed + rankings.left_out(means, whole, place)
    if min(whole.shape) < 2:
        empty = pd.DataFrame(columns=FRAME), pd.DataFrame(columns=PAIRS)
        said = [*left_out, rankings.nothing(*means.shape)]
        return Standings(list(whole.columns), blocks, *empty, None, nan, searches.iloc[:0], said)
    scores = _scores(searches, whole)
    samples = {str(method): _strata(scores, str(method)) for method in whole.columns}
    matrix = whole.to_numpy(dtype=float)
    count, size = matrix.shape
    friedman = ranks.friedman(matrix) if size > 2 else None
    mean_ranks = stats.rankdata(-matrix, axis=1).mean(axis=0)
    critical = ranks.critical_difference(size, count)
    frame = pd.DataFrame(
        [_standing(str(method), rank, samples) for method, rank in zip(whole.columns, mean_ranks, strict=True)]
    ).sort_values(["rank", "method"], ignore_index=True)
    pairs = pd.DataFrame(list(_pairs(frame, samples)), columns=PAIRS)
    said = left_out + rankings.statements(frame, pairs, friedman, critical, blocks)
    return Standings(list(frame["method"]), blocks, frame, pairs, friedman, critical, scores, said)


def profile(standing: Standings, method: str) -> tuple[Values, Values]:
    """(scores in rising order, share of the method's searches that score at least so much), for a step function."""
    scores = np.sort(standing.scores.loc[standing.scores["method"] == method, "score"].to_numpy(dtype=float))
    return scores, 1 - np.arange(len(scores)) / len(scores)


def _mean(sample: "pd.Series[float]") -> float:
    # Correctly rounded, whatever the order of the values: methods with the same results in other seeds tie.
    return fsum(sample) / len(sample)


def _complete(means: pd.DataFrame) -> pd.DataFrame:
    """The part of `means` [blocks, methods] without gaps, reached by taking out what lacks the largest share."""
    while means.isna().to_numpy().any():
        gaps = means.isna()
        methods, blocks = gaps.mean(axis=0), gaps.mean(axis=1)
        if methods.max() >= blocks.max():
            means = means.drop(columns=methods.idxmax())
        else:
            means = means.drop(index=[blocks.idxmax()])
    return means


def _scores(searches: pd.DataFrame, whole: pd.DataFrame) -> pd.DataFrame:
    centre = whole.mean(axis=1).rename("centre").reset_index()
    kept = searches[searches["method"].isin(whole.columns)].merge(centre, on=["space", "dataset"])
    kept = kept.assign(score=kept["value"] - kept["centre"])
    return kept[["method", "space", "dataset", "seed", "score"]]


def _strata(scores: pd.DataFrame, method: str) -> list[Values]:
    """The method's scores [n], an array a block, blocks in order."""
    own = scores[scores["method"] == method]
    return [group["score"].to_numpy(dtype=float) for _, group in own.groupby(["space", "dataset"], sort=True)]


def _standing(method: str, rank: float, samples: dict[str, list[Values]]) -> dict[str, Any]:
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
