"""The difference that a number of seeds can detect, and the number of seeds that a difference needs.

Both depend on the observed spread, which a few seeds estimate poorly: at n = 3 the true standard deviation may be half
or six times the sample's. They are for planning, not for a second judgement of the result.
"""

from math import comb, inf, isnan, nan, sqrt

from scipy.optimize import brentq
from statsmodels.stats.power import TTestIndPower, TTestPower

from reports.statistics.significance import RESAMPLES, Estimate

POWER = 0.8
MOST = 10_000
"""The largest number of seeds that `needed` returns."""


def detectable(estimate: Estimate, sizes: tuple[int, int], paired: bool, alpha: float) -> float:
    """The smallest true difference that a t test at `alpha` finds with probability `POWER`, at the observed spread.

    `sizes` are the numbers of values of the two samples. `inf` if a permutation test of that size cannot reach `alpha`
    for any values, NaN without spread.
    """
    if isnan(estimate.error) or not estimate.error:
        return nan
    if floor(sizes, paired) > alpha:
        return inf

    def excess(effect: float) -> float:
        return _power(effect, sizes, paired, alpha) - POWER

    # Not by statsmodels' own solve_power, which silently stops at a wrong effect for few seeds and a small alpha.
    upper = 1.0
    while excess(upper) < 0:
        upper *= 2
    return float(brentq(excess, 0, upper)) * _spread(estimate, sizes, paired)


def needed(estimate: Estimate, sizes: tuple[int, int], paired: bool, alpha: float) -> float:
    """How many seeds of each method find the difference seen with probability `POWER`, at the observed spread.

    No fewer than a permutation test needs to reach `alpha` at all. `inf` beyond `MOST` seeds or for a difference of
    zero, NaN without spread.
    """
    if isnan(estimate.error) or not estimate.error:
        return nan
    effect = abs(estimate.difference) / _spread(estimate, sizes, paired)

    def enough(n: int) -> bool:
        return floor((n, n), paired) <= alpha and _power(effect, (n, n), paired, alpha) >= POWER

    # Upwards, because the non-central t is hard to compute where the power is far above `POWER`.
    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
        if low > MOST:
            return inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def floor(sizes: tuple[int, int], paired: bool) -> float:
    """The smallest two-sided p that a permutation test of samples of these `sizes` can give; 1 for a size below 2."""
    first, second = sizes
    if min(sizes) < 2:
        return 1.0
    ways = 2**first if paired else comb(first + second, first)
    return 2 / min(ways, RESAMPLES + 1)


def _spread(estimate: Estimate, sizes: tuple[int, int], paired: bool) -> float:
    """The standard deviation that goes with the estimate's error: of the differences, or common to both samples."""
    first, second = sizes
    return estimate.error / (sqrt(1 / first) if paired else sqrt(1 / first + 1 / second))


def _power(effect: float, sizes: tuple[int, int], paired: bool, alpha: float) -> float:
    # A two-sided test's upper half: finding the difference the wrong way round is no success, and statsmodels loses
    # the lower half's minute probability to NaN.
    first, second = sizes
    if paired:
        return float(TTestPower().power(effect, first, alpha / 2, alternative="larger"))
    return float(TTestIndPower().power(effect, first, alpha / 2, ratio=second / first, alternative="larger"))
