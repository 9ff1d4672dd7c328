"""The results of `dartboard compare`: the statistics of each space and data set, and the rankings across them."""

from collections.abc import Hashable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from suite.commands.results.compared_values import ProtocolValues
from suite.terminal.console import console
from suite.terminal.tables import plain, print_table, rows

if TYPE_CHECKING:
    from pandas import DataFrame

    from reports.statistics.rankings import Rankings

# The columns that fit a terminal.
MEANS = ("Method", "n", "Mean ± std", "95 % interval", "Convention", "Spread is of")
BESTS = ("Method", "Convention", "Value", "Expected")
PLANNED = ("Method", "Against", "TOST p (Holm)", "Within", "Shown from", "Seeds")
VERSUS = ("Method", "n", "Difference", "95 % interval", "p", "p (Holm)", "A12", "Verdict")
PAIRS = ("Method", "Against", "Difference", "95 % interval", "p", "p (Holm)", "A12", "Verdict")


@dataclass(frozen=True)
class SpaceComparison:
    """The statistics of one space and data set under one set of conditions."""

    space: str
    dataset: str
    better: str
    conditions: str
    summary: "DataFrame"
    pairs: "DataFrame"
    bests: "DataFrame"
    baseline: str | None
    versus: "DataFrame | None"

    @property
    def told(self) -> "DataFrame":
        """The comparisons that get sentences: those with the baseline if there is one, else all pairs."""
        return self.pairs if self.versus is None else self.versus

    def document(self) -> dict[str, Any]:
        """The comparison for machines; `against_baseline` is null where no baseline ran."""
        return {
            "space": self.space,
            "dataset": self.dataset,
            "conditions": self.conditions,
            "better": self.better,
            "pairing": self.pairing(),
            "methods": rows(self.summary),
            "bests": rows(self.bests),
            "pairs": rows(self.pairs),
            "baseline": self.baseline,
            "against_baseline": None if self.versus is None else rows(self.versus),
            "statements": self.statements(),
        }

    def pairing(self) -> list[str]:
        """Sentences on what paired methods share, and whether pairing narrowed the intervals."""
        from reports.sentences import pairing_sentences

        return pairing_sentences.statements(self.told)

    def statements(self) -> list[str]:
        """Sentences on the comparisons, then on the values that were not compared."""
        from reports.sentences import best_sentences

        said = [str(words) for words in self.told["statement"]] or [_uncompared(len(self.summary))]
        return said + best_sentences.statements(self.bests)

    def show(self) -> None:
        """Print the comparison for a person."""
        from reports.statistics.values.frame import place
        from reports.tables import tables

        title = f"{place(self.space, self.dataset)}: {self.conditions}, {self.better} is better"
        print_table(tables.summary(self.summary, title), MEANS)
        print_table(tables.best(self.bests, f"Best of k searches, {title}"), BESTS)
        if self.versus is not None and len(self.versus):
            print_table(tables.compared(self.versus, f"Against {self.baseline}, {title}"), VERSUS)
        if len(self.pairs) > (0 if self.versus is None else len(self.versus)):
            print_table(tables.compared(self.pairs, f"All pairs, {title}"), PAIRS)
        if len(self.told):
            print_table(tables.planned(self.told, f"Equivalence and power, {title}"), PLANNED)
        print_statements([*self.pairing(), *self.statements()])


@dataclass(frozen=True)
class CrossBlockRanking:
    """The rankings of methods across the spaces and data sets of one protocol."""

    conditions: str
    rankings: "Rankings"

    @classmethod
    def of(cls, values: ProtocolValues) -> "CrossBlockRanking":
        """The ranking over all of the values."""
        from reports.statistics.rankings import rank_methods

        return cls(values.conditions, rank_methods(values.whole))

    def document(self) -> dict[str, Any]:
        """The ranking for machines; `friedman` is null for fewer than three methods or two blocks."""
        from reports.sentences import ranking_sentences

        friedman = self.rankings.friedman
        return {
            "conditions": self.conditions,
            "blocks": self.rankings.blocks,
            "methods": rows(self.rankings.frame),
            "pairs": rows(self.rankings.pairs),
            "friedman": friedman
            and {name: plain(value) for name, value in asdict(friedman).items() if name != "ranks"},
            "critical_difference": plain(self.rankings.critical),
            "statements": ranking_sentences.statements(self.rankings),
        }

    def show(self) -> None:
        """Print the ranking for a person."""
        from reports.sentences import ranking_sentences
        from reports.tables import tables

        for shown in tables.ranked(self.rankings, self.conditions, "across"):
            print_table(shown)
        print_statements(ranking_sentences.statements(self.rankings))


def compare_spaces(
    conditions: str, values: "DataFrame", baseline: str | None, margin: float | None
) -> list[SpaceComparison]:
    """The comparisons of `values` on each space and data set, against `baseline` or else the usual one if it ran."""
    from reports.records.blocks import BASELINE
    from reports.sentences.comparisons import with_statements
    from reports.statistics import comparison
    from reports.statistics.best_of_k import bests
    from reports.statistics.values.frame import split

    summary, best = comparison.summarise(values), bests(values)
    pairs = with_statements(comparison.compare(values, None, margin), values)
    chosen = baseline or BASELINE
    ran = chosen in set(split(values)[0]["method"])
    versus = with_statements(comparison.compare(values, chosen, margin), values) if ran else None
    return [
        SpaceComparison(
            str(space),
            str(dataset),
            str(own["better"].iloc[0]),
            conditions,
            _at(summary, space, dataset),
            _at(pairs, space, dataset),
            _at(best, space, dataset),
            None if versus is None else chosen,
            None if versus is None else _at(versus, space, dataset),
        )
        for (space, dataset), own in values.groupby(["space", "dataset"], sort=True)
    ]


def _at(frame: "DataFrame", space: Hashable, dataset: Hashable) -> "DataFrame":
    return frame[(frame["space"] == space) & (frame["dataset"] == dataset)]


def _uncompared(methods: int) -> str:
    if methods:
        return "One method ran here, so nothing is compared."
    return "Only bests of several searches are known here, so nothing is compared."


def print_statements(statements: list[str]) -> None:
    """Print `statements`, a line each, and an empty line."""
    for words in statements:
        console.print(words, markup=False, highlight=False)
    console.print()
