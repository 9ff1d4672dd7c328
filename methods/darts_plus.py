"""DARTS stopped early, after DARTS+ (Liang et al., 2019): searches collapse late, so they end before that.

DARTS+ itself stops at a number of skip-connections; this baseline stops at a fixed epoch, whatever the search does.
The share 0.5 is ours: no paper of the field gives one for every space.
"""

from dataclasses import replace
from math import ceil

from methods.darts import DARTS_1ST
from methods.search.options import Option
from methods.search.pieces import History
from methods.search.settings import Settings

STOP_SHARE = Option("stop_share", 0.5, "Share of the planned epochs after which the search stops.", above=0, at_most=1)


def fixed_epoch(history: History, settings: Settings) -> bool:
    """Stop after a fixed share of the planned epochs, rounded up; the learning rate keeps its full plan."""
    return len(history) >= ceil(STOP_SHARE.of(settings) * settings.epochs)


DARTS_ES = replace(
    DARTS_1ST,
    name="darts+es",
    title="DARTS, first order, stopped at a fixed epoch",
    source="after Liang et al., DARTS+, arXiv:1909.06035, 2019 (fixed epoch: ours)",
    stop=fixed_epoch,
    options=(STOP_SHARE,),
)
