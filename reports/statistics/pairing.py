"""Whether two methods are paired by seed, which what their values share decides, and whether that paid."""

from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd

from reports.statistics.significance import LEVEL, Values, estimate
from reports.statistics.values.frame import NOTHING

FEWEST = 3
"""Pairs below which a correlation is 1 or -1 whatever the values."""


@dataclass(frozen=True)
class Gain:
    """What pairing did: the correlation of the paired values (Pearson's), and the paired interval's width as a multiple
    of the unpaired one's. Below 1 it paid. NaN for fewer than `FEWEST` pairs, or without spread.
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
    """What pairing two samples [n] did."""
    if len(first) < FEWEST or not np.ptp(first) or not np.ptp(second):
        return UNKNOWN
    # Of values of unit size, as squares of the smallest ones underflow.
    ours, theirs = ((sample - sample.mean()) / np.abs(sample - sample.mean()).max() for sample in (first, second))
    reach, apart = (estimate(first, second, way).reach(LEVEL) for way in (True, False))
    return Gain(float(np.corrcoef(ours, theirs)[0, 1]), reach / apart)
