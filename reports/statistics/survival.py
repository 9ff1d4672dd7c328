"""Survival over epochs, with censoring (Kaplan & Meier, JASA 53, 1958)."""

from math import exp, log

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight

from reports.statistics.significance import LEVEL


def kaplan_meier(times: "pd.Series[float]", events: "pd.Series[bool]") -> pd.DataFrame:
    """The share not yet collapsed from each epoch on at which something happened, with its pointwise `LEVEL` interval.

    `times` [n] are the epochs of collapse, or the last epoch seen of a trial that never did, `events` [n] which of
    them are collapses. A row each: epoch, at_risk, events, censored, survival, low, high; the first is epoch 0, before
    anything happened. A trial that is censored in an epoch is at risk in it. Beyond the last epoch no trial is, so the
    share is not known there, unless it is 0. The interval is of log(-log S) by Greenwood's variance, so it stays within
    0 and 1; where S is 0 or 1 it has no width that could be computed, and low and high are NaN.
    """
    level: dict[str, float] = {"survival": 1.0, "low": np.nan, "high": np.nan}
    levels = _levels(times, events) if events.any() else {}
    rows = [{"epoch": 0.0, "at_risk": len(times), "events": 0, "censored": 0, **level}]
    for epoch in sorted({float(time) for time in times}):
        level = levels.get(epoch, level)
        now = times == epoch
        happened = {"events": int((now & events).sum()), "censored": int((now & ~events).sum())}
        rows.append({"epoch": epoch, "at_risk": int((times >= epoch).sum()), **happened, **level})
    return pd.DataFrame(rows)


def _levels(times: "pd.Series[float]", events: "pd.Series[bool]") -> dict[float, dict[str, float]]:
    """Epoch of a collapse -> the share from then on, and its interval."""
    curve = SurvfuncRight(times.to_numpy(dtype=float), events.to_numpy(dtype=int))
    found = {}
    for epoch, survival, error in zip(curve.surv_times, curve.surv_prob, curve.surv_prob_se, strict=True):
        low, high = _interval(float(survival), float(error))
        found[float(epoch)] = {"survival": float(survival), "low": low, "high": high}
    return found


def _interval(survival: float, error: float) -> tuple[float, float]:
    if not 0 < survival < 1:
        return np.nan, np.nan
    reach = float(stats.norm.ppf((1 + LEVEL) / 2)) * error / (survival * abs(log(survival)))
    return survival ** exp(reach), survival ** exp(-reach)
