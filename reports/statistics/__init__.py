"""Statistics of repeated trials: pure functions of data frames, importable on their own (docs/statistics.md).

Each exported function takes a data frame and returns a data frame or a dataclass. The sentences about a result are
made by `reports.sentences`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.statistics.best_of_k import bests
    from reports.statistics.comparison import compare, summarise
    from reports.statistics.contrasts import compare_shares
    from reports.statistics.rankings import Rankings, rank_methods

__all__ = ["Rankings", "bests", "compare", "compare_shares", "rank_methods", "summarise"]

MODULES = {
    "bests": "best_of_k",
    "compare": "comparison",
    "compare_shares": "contrasts",
    "rank_methods": "rankings",
    "Rankings": "rankings",
    "summarise": "comparison",
}
"""The module of each exported name. It is imported on first use: scipy and statsmodels take a second to import."""


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
