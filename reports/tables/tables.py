"""Tables: a data frame of numbers, and how each column is headed and written. HTML, LaTeX and terminal share one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isinf, isnan
from typing import Any

import pandas as pd

from reports.records.blocks import BASELINE, Block
from reports.sentences.numbers import p_value, signed, two_decimals
from reports.statistics.power import MOST
from reports.statistics.rankings import Rankings

SCORES = "Rank 1 is the best; a score is how much a value is better than the block's mean."

Row = dict[str, Any]
NOTHING = "–"


@dataclass(frozen=True)
class Column:
    """One column: its heading, the group heading above it, the cell's text from a row, whether it holds numbers."""

    heading: str
    text: Callable[[Row], str]
    group: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """A table: `frame` holds the numbers, `columns` say how a row of it is written, `slug` names its file."""

    frame: pd.DataFrame
    columns: tuple[Column, ...]
    caption: str
    slug: str

    def rows(self) -> list[list[str]]:
        """The cells as text [rows][columns]; a number that does not exist is an en dash."""
        return [[column.text(row) for column in self.columns] for row in named_rows(self.frame)]

    def groups(self) -> list[tuple[str, int]]:
        """The group headings from left to right, each with the number of columns that it spans."""
        return [(group, len(list(columns))) for group, columns in groupby(self.columns, lambda column: column.group)]


def named_rows(frame: pd.DataFrame) -> list[Row]:
    """The rows of `frame` as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def main(block: Block) -> Table:
    """The block's main table: a row for each method, sorted by name, its score and cost as means over seeds.

    The frame has the columns method, n, mean, std, median, low, high, convention, noise, skip_share, params, macs,
    search_seconds and, against `BASELINE`, difference, p_holm, verdict (NaN and empty in the baseline's own row).
    """
    costs = block.records.groupby("label")[["skip_share", "params", "macs", "search_seconds"]].mean()
    frame = block.summary.drop(columns=["space", "dataset", "min", "max"])
    frame = frame.merge(costs, left_on="method", right_index=True)
    columns = main_columns(block.metric.heading)
    conventions = "; ".join(block.conventions)
    caption = f"{block.title}: {block.conditions}. {block.metric.title}: {conventions}. Costs are means over seeds."
    if BASELINE in block.methods:
        versus = block.comparison[["method", "difference", "p_holm", "verdict"]]
        frame = frame.merge(versus, on="method", how="left")
        frame["verdict"] = frame["verdict"].astype(object).where(frame["method"] != BASELINE, "baseline")
        columns += VERSUS
    columns += (Column("Convention", lambda row: f"mean, {row['noise']}", numeric=False),)
    return Table(frame.reset_index(drop=True), columns, caption, f"{block.slug}-main")


def summary(frame: pd.DataFrame, caption: str) -> Table:
    """Rows of `summarise` as a table."""
    return Table(frame, SUMMARY, caption, "summary")


def compared(frame: pd.DataFrame, caption: str, slug: str = "comparisons") -> Table:
    """Rows of `compare` as a table; the families over which p was corrected are added to the caption."""
    families = " and ".join(sorted(set(frame["family"])))
    better = " and ".join(sorted(set(frame["better"])))
    legend = (
        f"p is Holm-corrected over {families}. A12, Cliff's δ and Improves measure how often the "
        f"method is better; {better} is better."
    )
    return Table(frame, COMPARISON, f"{caption}. {legend}", slug)


def planned(frame: pd.DataFrame, caption: str, slug: str = "equivalence-and-power") -> Table:
    """Rows of `compare` as a table: equivalence and power."""
    legend = (
        "Within: the smallest margin for which the data support equivalence, uncorrected. Attainable: the smallest "
        "margin they could have supported, had there been no difference. Shown from: the true difference detected "
        "with 80 % power. Seeds: how many of each method detect the observed difference."
    )
    return Table(frame, PLANNED, f"{caption}. {legend}", slug)


def comparisons(block: Block, comparison: pd.DataFrame) -> list[Table]:
    """Every row of the block's `comparison`, with its statements, as two tables; none if only one method ran."""
    if comparison.empty:
        return []
    return [
        compared(
            comparison,
            f"{block.title}, comparisons of {block.metric.name}: {block.conditions}",
            f"{block.slug}-comparisons",
        ),
        planned(
            comparison,
            f"{block.title}, equivalence and power: {block.conditions}",
            f"{block.slug}-equivalence-and-power",
        ),
    ]


def best(frame: pd.DataFrame, caption: str, slug: str = "bests") -> Table:
    """Rows of `reports.statistics.best_of_k.bests` as a table."""
    legend = (
        "Expected: the expected best of k, from the searches' mean and standard deviation (of a normal distribution; "
        "of a beta distribution for percentages and fractions). Exact: the mean best over all subsets of k searches, "
        "for the same k."
    )
    return Table(frame, BEST, f"{caption}. {legend}", slug)


def score_heading(blocks: Sequence[Block]) -> str:
    """The heading of the blocks' scores: their metric, or `Score` where they have several."""
    headings = {block.metric.heading for block in blocks}
    return headings.pop() if len(headings) == 1 else "Score"


def trial_columns(heading: str) -> tuple[Column, ...]:
    """The columns of a trial, its score under `heading`."""
    return (*TRIAL[:2], Column(heading, _written("score", two_decimals)), *TRIAL[2:])


def main_columns(heading: str) -> tuple[Column, ...]:
    """The columns of a method's scores, under `heading`, and of its costs."""
    return (
        Column("Method", _written("method", str), numeric=False),
        Column("n", _written("n", str), heading),
        Column("Mean ± std", _mean, heading),
        Column("Median", _written("median", two_decimals), heading),
        Column("95 % interval", _interval(two_decimals), heading),
        *COSTS,
    )


def ranked(rankings: Rankings, conditions: str, slug: str) -> list[Table]:
    """The rankings across blocks: a table of methods and a table of pairs; none if nothing was ranked."""
    if rankings.frame.empty:
        return []
    over = f"over {len(rankings.blocks)} blocks ({'; '.join(rankings.blocks)})"
    critical = "" if rankings.friedman is None else f" Critical difference of ranks: {two_decimals(rankings.critical)}."
    return [
        Table(rankings.frame, RANKED, f"Methods {over}: {conditions}. {SCORES}{critical}", f"{slug}-rankings"),
        Table(rankings.pairs, RANKED_PAIR, f"Pairs of methods {over}: {conditions}.", f"{slug}-pairs"),
    ]


def trials(block: Block) -> Table:
    """Every trial of the block, a row each."""
    columns = trial_columns(block.metric.heading)
    return Table(block.records, columns, f"{block.title}, every trial: {block.conditions}.", f"{block.slug}-trials")


def _written(name: str, write: Callable[[Any], str]) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        value = row[name]
        return NOTHING if value is None or (isinstance(value, float) and isnan(value)) else write(value)

    return text


def _mean(row: Row) -> str:
    spread = NOTHING if isnan(row["std"]) else two_decimals(row["std"])
    return f"{two_decimals(row['mean'])} ± {spread}"


def _interval(write: Callable[[float], str], low: str = "low", high: str = "high") -> Callable[[Row], str]:
    def text(row: Row) -> str:
        return NOTHING if isnan(row[low]) else f"{write(row[low])} to {write(row[high])}"

    return text


def _seeds(value: float) -> str:
    return f"> {MOST}" if isinf(value) else f"{value:.0f}"


def _shown(value: float) -> str:
    return "none" if isinf(value) else two_decimals(value)


def _millions(value: float) -> str:
    millions = value / 1e6
    return f"{millions:.2f}" if millions >= 1 else f"{millions:.3f}"


def _seconds(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u202f") if value >= 10 else f"{value:.1f}"


FINAL, SEARCH = "Final architecture", "Search"
AGAINST = f"Against {BASELINE}"


COSTS = (
    Column("Skip share", _written("skip_share", two_decimals), FINAL),
    Column("Params (M)", _written("params", _millions), FINAL),
    Column("MACs (M)", _written("macs", _millions), FINAL),
    Column("Seconds", _written("search_seconds", _seconds), SEARCH),
)
VERSUS = (
    Column("Difference", _written("difference", signed), AGAINST),
    Column("p (Holm)", _written("p_holm", p_value), AGAINST),
    Column("Verdict", _written("verdict", str), AGAINST, numeric=False),
)
SUMMARY = (
    Column("Method", _written("method", str), numeric=False),
    Column("n", _written("n", str)),
    Column("Mean ± std", _mean),
    Column("Median", _written("median", two_decimals)),
    Column("95 % interval", _interval(two_decimals)),
    Column("Min", _written("min", two_decimals)),
    Column("Max", _written("max", two_decimals)),
    Column("Convention", _written("convention", str), numeric=False),
    Column("Spread is of", _written("noise", str), numeric=False),
)
PAIR = (
    Column("Method", _written("method", str), numeric=False),
    Column("Against", _written("baseline", str), numeric=False),
)
COMPARISON = (
    *PAIR,
    Column("n", lambda row: f"{row['n_method']}, {row['n_baseline']}"),
    Column("Difference", _written("difference", signed)),
    Column("95 % interval", _interval(signed)),
    Column("By", _written("interval", str), numeric=False),
    Column("BCa", _interval(signed, "bca_low", "bca_high")),
    Column("p", _written("p", p_value)),
    Column("p (Holm)", _written("p_holm", p_value)),
    Column("Smallest p", _written("smallest_p", p_value)),
    Column("t p", _written("t_p", p_value)),
    Column("Wilcoxon p", _written("wilcoxon_p", p_value)),
    Column("r over seeds", _written("correlation", two_decimals)),
    Column("A12", _written("a12", two_decimals)),
    Column("Cliff's δ", _written("cliffs_delta", signed)),
    Column("Improves", _written("improvement", two_decimals)),
    Column("Verdict", _written("verdict", str), numeric=False),
)
PLANNED = (
    *PAIR,
    Column("Margin", _written("margin", two_decimals), "Equivalence"),
    Column("TOST p", _written("tost_p", p_value), "Equivalence"),
    Column("TOST p (Holm)", _written("tost_p_holm", p_value), "Equivalence"),
    Column("Within", _written("equivalent_within", two_decimals), "Equivalence"),
    Column("Attainable", _written("attainable_margin", two_decimals), "Equivalence"),
    Column("Shown from", _written("detectable", _shown), "Difference"),
    Column("Seen", _written("difference", signed), "Difference"),
    Column("Seeds", _written("n_needed", _seeds), "Difference"),
)
BEST = (
    Column("Method", _written("method", str), numeric=False),
    Column("Convention", _written("convention", str), numeric=False),
    Column("Value", _written("value", two_decimals)),
    Column("Expected", _written("expected", two_decimals)),
    Column("k", _written("common_k", "{:g}".format), "Same k for all"),
    Column("Exact", _written("expected_common", two_decimals), "Same k for all"),
    Column("n", _written("n", str), "Searches"),
    Column("Mean", _written("mean", two_decimals), "Searches"),
)
RANKED = (
    Column("Method", _written("method", str), numeric=False),
    Column("Mean rank", _written("rank", two_decimals)),
    Column("IQM of scores", _written("iqm", signed)),
    Column("95 % interval", _interval(signed)),
    Column("Convention", _written("convention", str), numeric=False),
)
RANKED_PAIR = (
    *PAIR,
    Column("Difference of ranks", _written("rank_difference", two_decimals)),
    Column("p (Nemenyi)", _written("nemenyi_p", p_value)),
    Column("Improves", _written("improvement", two_decimals)),
    Column("95 % interval", _interval(two_decimals)),
)
TRIAL = (
    Column("Method", _written("label", str), numeric=False),
    Column("Seed", _written("seed", str)),
    Column("Convention", _written("convention", str), numeric=False),
    Column("Skip share", _written("skip_share", two_decimals)),
    Column("Params (M)", _written("params", _millions)),
    Column("MACs (M)", _written("macs", _millions)),
    Column("Epochs", _written("epochs", str)),
    Column("Search (s)", _written("search_seconds", _seconds)),
    Column("Genotype", _written("genotype", str), numeric=False),
    Column("Key", _written("key", str), numeric=False),
)
