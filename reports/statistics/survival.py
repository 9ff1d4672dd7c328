"""Survival over epochs, with censoring (Kaplan & Meier, JASA 53, 1958)."""

from math import exp, log

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight

from reports.statistics.significance import LEVEL


def kaplan_meier(times: "pd.Series[float]", events: "pd.Series[bool]") -> pd.DataFrame:
    """The share not yet collapsed after each epoch at which a trial collapsed, with its pointwise `LEVEL` interval.

    `times` [n] are the epochs of collapse, or the last epoch seen of a trial that never did, `events` [n] which of
    them are collapses. A row each: epoch, at_risk, events, survival, low, high; the first is epoch 0, before anything
    happened. The interval is of log(-log S) by Greenwood's variance, so it stays within 0 and 1; where S is 0 or 1 it
    has no width that could be computed, and low and high are NaN.
    """
    first = {"epoch": 0.0, "at_risk": len(times), "events": 0, "survival": 1.0, "low": np.nan, "high": np.nan}
    if not events.any():
        return pd.DataFrame([first])
    curve = SurvfuncRight(times.to_numpy(dtype=float), events.to_numpy(dtype=int))
    rows = [first]
    columns = (curve.surv_times, curve.n_risk, curve.n_events, curve.surv_prob, curve.surv_prob_se)
    for epoch, risk, dead, survival, error in zip(*columns, strict=True):
        low, high = _interval(float(survival), float(error))
        rows.append(
            {
                "epoch": float(epoch),
                "at_risk": int(risk),
                "events": int(dead),
                "survival": float(survival),
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(rows)


def _interval(survival: float, error: float) -> tuple[float, float]:
    if not 0 < survival < 1:
        return np.nan, np.nan
    reach = float(stats.norm.ppf((1 + LEVEL) / 2)) * error / (survival * abs(log(survival)))
    return survival ** exp(reach), survival ** exp(-reach)
