"""Published rules that call a collapse while it comes, read off a history after the fact: when would they have?"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spaces.cells.genotype import Genotype

EIGENVALUE = "probe.hessian.dominant_decayed"


@dataclass(frozen=True)
class EigenvalueRule:
    """R-DARTS (Zela et al., ICLR 2020, section 4): the dominant eigenvalue's local average has grown too fast.

    It reads the eigenvalue after every second epoch, as published, whatever was measured in between: `every`, `window`,
    `delta` and `start` are epochs. The average is over a `window` (less at the start, at least half); the alarm is that
    of `delta` ago, divided by the present one, below `ratio`, and the epoch that it would go back to not before
    `start`. The recipe `r-darts-es` stops at the first.
    """

    every: int = 2
    window: int = 10
    delta: int = 8
    ratio: float = 0.75
    start: int = 10

    name = "eigenvalue (R-DARTS)"

    @property
    def reads(self) -> str:
        """What it takes for the rule to call, in words."""
        epochs = self.start + self._reach() * self.every
        return f"the dominant eigenvalue after every second epoch, for {epochs} epochs or more"

    def alarm(self, history: pd.DataFrame, genotypes: list[Genotype]) -> float:
        """The epoch of the first alarm, NaN for none. `history` is one trial's, by epoch."""
        if not self.applies(history):
            return np.nan
        measured = self._read(history)
        window = self.window // self.every
        averages = measured[EIGENVALUE].rolling(window, min_periods=-(-window // 2)).mean()
        ratios = (averages.shift(self.delta // self.every) / averages).where(averages > 0)
        calls = measured["epoch"][(ratios < self.ratio) & (self._back(measured) >= self.start)]
        return float(calls.iloc[0]) if len(calls) else np.nan

    def applies(self, history: pd.DataFrame) -> bool:
        """Was what the rule reads measured, and long enough for it to have called at all?"""
        if EIGENVALUE not in history:
            return False
        measured = self._read(history)
        return bool(measured[EIGENVALUE].notna().all() and (self._back(measured) >= self.start).any())

    def _read(self, history: pd.DataFrame) -> pd.DataFrame:
        return history[history["epoch"] % self.every == 0]

    def _back(self, measured: pd.DataFrame) -> "pd.Series[float]":
        """The epoch that an alarm at each measurement would go back to, NaN where there is none."""
        return measured["epoch"].shift(self._reach())

    def _reach(self) -> int:
        """How many of the measurements that it reads an alarm goes back by."""
        # An average is centred half a window back, and the alarm goes back by `delta` more.
        return self.window // self.every // 2 + self.delta // self.every


@dataclass(frozen=True)
class SkipRule:
    """DARTS+ (Liang et al., arXiv:1909.06035, 2019, criterion 1): `skips` skips or more in the normal cell."""

    skips: int = 2

    name = "skips (DARTS+)"
    reads = "the genotype after every epoch"

    def alarm(self, history: pd.DataFrame, genotypes: list[Genotype]) -> float:
        """The epoch of the first alarm, NaN for none."""
        for epoch, genotype in zip(history["epoch"], genotypes, strict=True):
            if genotype.count(genotype.kinds[0], "skip_connect") >= self.skips:
                return float(epoch)
        return np.nan

    def applies(self, history: pd.DataFrame) -> bool:
        """Every history has its genotypes."""
        return True


RULES = (EigenvalueRule(), SkipRule())
