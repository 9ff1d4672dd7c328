"""DARTS stopped early, after the idea of DARTS+ (Liang et al., 2019): collapse comes late, so end before it.

DARTS+ itself stops at a number of skip-connections; this baseline stops at a fixed epoch, whatever the search does.
The share of one half is ours: no paper of the field fixes one for every space.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

from methods.darts import DARTS_1ST
from methods.search.settings import Settings


def fixed_epoch(history: Sequence[Mapping[str, Any]], settings: Settings) -> bool:
    """Stop after a fixed share of the planned epochs, rounded up; the learning rate keeps its full plan."""
    return len(history) >= ceil(float(settings.options["stop_share"]) * settings.epochs)


DARTS_ES = replace(
    DARTS_1ST,
    name="darts+es",
    title="DARTS, first order, stopped at a fixed epoch",
    source="after Liang et al., DARTS+, arXiv:1909.06035, 2019 (fixed epoch: ours)",
    stop=fixed_epoch,
    options={"stop_share": 0.5},
)
