"""What the rankings across blocks support, in words."""

from collections.abc import Callable
from math import factorial, isnan

import pandas as pd

from reports.sentences.numbers import p_is, p_value, signed, two_decimals
from reports.statistics.rankings import Rankings
from reports.statistics.significance import ALPHA
from reports.statistics.values.direction import HIGHER, LOWER
from reports.statistics.values.frame import place


def statements(rankings: Rankings) -> list[str]:
    """Mixed directions, what was left out, then the ranks and the interquartile means, or why there are none."""
    said = _mixed(rankings) + _left_out(rankings)
    if rankings.frame.empty:
        return [*said, _nothing(*rankings.means.shape)]
    return [*said, *_ranks(rankings), _middle(rankings.frame)]


def _left_out(rankings: Rankings) -> list[str]:
    means, complete = rankings.means, rankings.complete
    said = []
    for method in means.columns.difference(complete.columns):
        lacking = [place(*names) for names in means.index[means[method].isna()]]
        said.append(f"{method} is left out across blocks: it has no trial on {', '.join(lacking)}.")
    for names in means.index.difference(complete.index):
        lacking = [str(method) for method in means.columns[means.loc[names].isna()]]
        said.append(f"{place(*names)} is left out across blocks: it has no trial of {', '.join(lacking)}.")
    return said


def _mixed(rankings: Rankings) -> list[str]:
    sides: dict[str, list[str]] = {HIGHER: [], LOWER: []}
    for names, better in zip(rankings.better.index, rankings.better, strict=True):
        sides[better].append(place(*names))
    if not all(sides.values()):
        return []
    return [
        f"Higher is better on {', '.join(sides[HIGHER])}, lower on {', '.join(sides[LOWER])}: ranks may be compared "
        "across them, scores mix two metrics."
    ]


def _nothing(blocks: int, methods: int) -> str:
    """Why there are no rankings."""
    if not blocks:
        return "No value is of a single search, so nothing is ranked."
    if blocks < 2:
        return "There is one space and data set, so nothing is ranked across several."
    if methods < 2:
        return "There is one method, so nothing is ranked."
    return "No two methods share two spaces and data sets, so nothing is ranked across them."


def _ranks(rankings: Rankings) -> list[str]:
    frame, pairs, friedman = rankings.frame, rankings.pairs, rankings.friedman
    methods, blocks, critical = len(frame), len(rankings.blocks), rankings.critical
    over = f"{methods} methods over {blocks} blocks"
    if friedman is None:
        pair = pairs.iloc[0]
        return [
            f"{over}: Friedman's test needs three methods, so there is no critical difference. {pair['method']} "
            f"improves on {pair['baseline']} with probability {two_decimals(pair['improvement'])}"
            f"{_interval(pair, two_decimals)}."
        ]
    tested = f"Friedman {p_is(friedman.p)}, {over}"
    if friedman.smallest > ALPHA:
        return [
            f"{over}: the smallest p that Friedman's test can give is {p_value(friedman.smallest)}, so no difference "
            f"of ranks could have been significant; with {methods} methods that takes {_blocks_needed(methods)} blocks."
        ]
    if friedman.p > ALPHA:
        return [f"The methods do not rank significantly differently ({tested})."]
    said = [f"The methods rank significantly differently ({tested})."]
    apart = pairs[pairs["nemenyi_p"] <= ALPHA]
    mean_rank = dict(zip(frame["method"], frame["rank"], strict=True))
    said += [
        f"{pair['method']} ranks ahead of {pair['baseline']}: mean ranks {two_decimals(mean_rank[pair['method']])} and "
        f"{two_decimals(mean_rank[pair['baseline']])} (Nemenyi {p_is(pair['nemenyi_p'])})."
        for pair in apart.to_dict("records")
    ]
    rank = f"differ by less than the critical difference of {two_decimals(critical)}"
    if critical > methods - 1:
        said.append(f"No two of {over} could have differed significantly: all mean ranks {rank}.")
    elif len(apart) < len(pairs):
        rest = len(pairs) - len(apart)
        some = "The other pair does not" if rest == 1 else f"The other {rest} of {len(pairs)} pairs do not"
        word = "No pairs of methods" if rest == len(pairs) else some
        said.append(f"{word} differ significantly: their mean ranks {rank}.")
    return said


def _middle(frame: pd.DataFrame) -> str:
    best = frame.sort_values(["iqm", "method"], ascending=[False, True], ignore_index=True).iloc[0]
    said = f"The best interquartile mean is {best['method']}'s, {signed(best['iqm'])}{_interval(best, signed)}"
    if isnan(best["low"]):
        return f"{said}; a method with a single seed in some block gets no interval."
    others = frame[(frame["method"] != best["method"]) & (frame["high"] >= best["low"])]["method"]
    word = "interval of {} overlaps" if len(others) == 1 else "intervals of {} overlap"
    reach = f"the {word.format(', '.join(others))} with it" if len(others) else "no other interval reaches it"
    return f"{said}; {reach}."


def _interval(row: "pd.Series", write: Callable[[float], str]) -> str:
    return "" if isnan(row["low"]) else f", 95 % interval {write(row['low'])} to {write(row['high'])}"


def _blocks_needed(methods: int) -> int:
    """The fewest blocks with which Friedman's permutation test of so many methods can reach `ALPHA`."""
    blocks = 2
    while 1 / factorial(methods) ** (blocks - 1) > ALPHA:
        blocks += 1
    return blocks
