"""Published stopping rules, applied to a finished history: the epoch in which they would have stopped the search."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spaces.cells.genotype import Genotype
from spaces.common.eigenvalue_alarm import alarms, reach

EIGENVALUE = "probe.hessian.dominant_decayed"


@dataclass(frozen=True)
class EigenvalueRule:
    """R-DARTS (`spaces.common.eigenvalue_alarm`), as the recipe `r-darts-es` stops: at the first alarm.

    `every`, `window`, `delta` and `start` are epochs. The rule reads the eigenvalue after every second epoch, as
    published, even if it was measured more often; there is no alarm that leads to an epoch before `start`.
    """

    every: int = 2
    window: int = 10
    delta: int = 8
    ratio: float = 0.75
    start: int = 10

    name = "eigenvalue (R-DARTS)"

    @property
    def reads(self) -> str:
        """What the rule needs in a history, in words."""
        epochs = self.start + self._reach() * self.every
        return f"the dominant eigenvalue after every second epoch, for {epochs} epochs or more"

    def alarm(self, history: pd.DataFrame, genotypes: list[Genotype]) -> float:
        """The epoch of the first alarm, NaN for none. `history` is one trial's, by epoch."""
        if not self.applies(history):
            return np.nan
        measured = self._read(history)
        epochs, values = list(measured["epoch"]), list(measured[EIGENVALUE])
        found = alarms(values, self.window // self.every, self.delta // self.every, self.ratio)
        return next((float(epochs[now]) for now, back in found if epochs[back] >= self.start), np.nan)

    def applies(self, history: pd.DataFrame) -> bool:
        """Whether the history has what the rule reads, for long enough that it could have raised an alarm."""
        if EIGENVALUE not in history:
            return False
        measured = self._read(history)
        far_back = measured["epoch"].shift(self._reach())
        return bool(measured[EIGENVALUE].notna().all() and (far_back >= self.start).any())

    def _read(self, history: pd.DataFrame) -> pd.DataFrame:
        return history[history["epoch"] % self.every == 0]

    def _reach(self) -> int:
        return reach(self.window // self.every, self.delta // self.every)


@dataclass(frozen=True)
class SkipRule:
    """DARTS+ (Liang et al., arXiv:1909.06035, criterion 1): `skips` skip-connections or more in a normal cell."""

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
        """Always: every history has its genotypes."""
        return True


RULES = (EigenvalueRule(), SkipRule())
