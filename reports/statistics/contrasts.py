"""Whether two methods differ in how often they collapse: shares of a few searches, by Fisher's exact test."""

from math import nan
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import fisher_exact

from reports.statistics.significance import ALPHA, holm
from reports.statistics.verdict import ABSENT, INSIGNIFICANT, UNCORRECTED, UNDECIDABLE
from spaces.common.plural import counted

MORE, LESS = "collapses significantly more often", "collapses significantly less often"
COLUMNS = ["label", "against", "collapsed", "n", "collapsed_against", "n_against", "p", "p_holm", "family", "verdict"]


def compare_shares(shares: pd.DataFrame, baseline: str | None = None) -> pd.DataFrame:
    """Every method against `baseline`, or every pair if that is `None`; `shares` has columns label, collapsed and n.

    A row for each comparison, with `COLUMNS`: how many of how many searches collapsed on either side, `p` of Fisher's
    exact test (NaN if a side has no search), `p_holm` after Holm's correction over the `family` in words, and a
    `verdict`. The test assumes independent searches; if seeds pair, it is conservative.
    Fisher, Statistical Methods for Research Workers, 1934, section 21.02.
    """
    rows = shares.to_dict("records")
    if baseline is None:
        pairs = [(later, earlier) for place, later in enumerate(rows) for earlier in rows[:place]]
    else:
        pairs = [(row, other) for row in rows for other in rows if other["label"] == baseline and other is not row]
    made = [_compared(*pair) for pair in pairs]
    p, least = (holm(np.array([row[name] for row in made], dtype=float)) for name in ("p", "least"))
    size = sum(row["p"] == row["p"] for row in made)
    family = counted(size, "comparison") + (f" with {baseline}" if baseline is not None else " of all pairs")
    for row, corrected, smallest in zip(made, p, least, strict=True):
        row |= {"p_holm": float(corrected), "family": family}
        row["verdict"] = _verdict(row, float(smallest))
    return pd.DataFrame(made, columns=COLUMNS)


def _compared(ours: dict[Any, Any], theirs: dict[Any, Any]) -> dict[str, Any]:
    (a, n), (b, m) = ((int(side["collapsed"]), int(side["n"])) for side in (ours, theirs))
    tested = n > 0 and m > 0
    return {
        "label": ours["label"],
        "against": theirs["label"],
        "collapsed": a,
        "n": n,
        "collapsed_against": b,
        "n_against": m,
        "p": float(fisher_exact([[a, n - a], [b, m - b]]).pvalue) if tested else nan,
        "least": float(fisher_exact([[n, 0], [0, m]]).pvalue) if tested else nan,
    }


def _verdict(row: dict[str, Any], smallest: float) -> str:
    if row["p"] != row["p"]:
        return ABSENT
    if row["p_holm"] <= ALPHA:
        return MORE if row["collapsed"] * row["n_against"] > row["collapsed_against"] * row["n"] else LESS
    if row["p"] <= ALPHA:
        return UNCORRECTED
    return UNDECIDABLE if smallest > ALPHA else INSIGNIFICANT
