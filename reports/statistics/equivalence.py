"""Whether two methods are equally good: a separate claim, which "no significant difference" does not support."""

from dataclasses import dataclass

from scipy import stats

from reports.statistics.significance import ALPHA, Estimate


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests of one estimate.

    `p` for the margin asked for (NaN without one, or without spread); `within` is the smallest margin at which p would
    be `ALPHA`; `attainable` the smallest at which it could have been, had the difference been exactly zero.
    """

    p: float
    within: float
    attainable: float


def tost(estimate: Estimate, margin: float) -> Equivalence:
    """Whether the difference lies within plus or minus `margin` (its own unit; NaN asks for no test).

    p is the larger of the two one-sided t tests. Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987.
    """
    reach = estimate.reach(1 - 2 * ALPHA)
    within = abs(estimate.difference) + reach
    if not estimate.error:
        # Without spread there is no t statistic, so no p.
        return Equivalence(float("nan"), within, reach)
    p = float(stats.t.sf((margin - abs(estimate.difference)) / estimate.error, estimate.freedom))
    return Equivalence(p, within, reach)
