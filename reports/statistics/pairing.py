"""Whether two methods are paired by seed, which depends on what their values share, and what pairing gained."""

from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd

from reports.statistics.significance import LEVEL, Values, estimate
from reports.statistics.values.frame import NOTHING

FEWEST = 3
"""The fewest pairs for which a correlation is not always 1 or -1."""


@dataclass(frozen=True)
class Gain:
    """Pearson's correlation of the paired values, and the paired interval's width divided by the unpaired one's.

    A width below 1 is a gain. Both are NaN for fewer than `FEWEST` pairs, or without spread.
    """

    correlation: float
    width: float


UNKNOWN = Gain(nan, nan)


def shared(ours: pd.DataFrame, theirs: pd.DataFrame) -> str:
    """What the values of one seed share in both frames, in words; `NOTHING` where they do not all name the same."""
    named = set(ours["shared"]) | set(theirs["shared"])
    return named.pop() if len(named) == 1 else NOTHING


def paired(ours: pd.DataFrame, theirs: pd.DataFrame) -> bool:
    """Whether rows of two methods pair by seed: they share something, and ran exactly the same seeds."""
    return shared(ours, theirs) != NOTHING and set(ours["seed"]) == set(theirs["seed"])


def gain(first: Values, second: Values) -> Gain:
    """The gain of pairing two samples [n]."""
    if len(first) < FEWEST or not np.ptp(first) or not np.ptp(second):
        return UNKNOWN
    # Scaled to unit size, because squares of very small values underflow.
    ours, theirs = ((sample - sample.mean()) / np.abs(sample - sample.mean()).max() for sample in (first, second))
    reach, apart = (estimate(first, second, way).reach(LEVEL) for way in (True, False))
    return Gain(float(np.corrcoef(ours, theirs)[0, 1]), reach / apart)
