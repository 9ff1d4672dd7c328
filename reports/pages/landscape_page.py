"""The landscape as a report shows it: a figure and words a data set, and where the results lie."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from reports.collapse import landscape
from reports.collapse.landscape import OPERATIONS, TABULAR_DATASETS
from reports.figures.axes import METHOD_COLOURS, METHOD_DASHES, finish_axes, legend
from reports.figures.report_figure import ReportFigure
from reports.records.results import Results
from reports.sentences.numbers import two_decimals as number
from reports.tables.tables import Column, Table


@dataclass(frozen=True)
class Landscape:
    """What the table says of collapse, and of the results."""

    statements: list[str]
    drawn: list[ReportFigure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


RESULTS = (
    Column("Data set", lambda row: str(row["dataset"]), numeric=False),
    Column("Method", lambda row: str(row["label"]), numeric=False),
    Column("n", lambda row: str(row["n"])),
    Column("Mean accuracy (%)", lambda row: number(row["accuracy"])),
    Column("Mean percentile", lambda row: number(row["percentile"])),
    Column("Epochs", lambda row: str(row["epochs"])),
    Column("Random search, as many (%)", lambda row: number(row["random"])),
)


def gather(table: pd.DataFrame, results: Results) -> Landscape | None:
    """The landscape on the data sets of the tabular results; `None` if there are none. `table` is the whole table.

    Raises `InputError` as `reports.collapse.landscape.composition`.
    """
    composed = landscape.composition(table)
    found = landscape.results(composed, results.blocks)
    datasets = [dataset for dataset in TABULAR_DATASETS if dataset in set(found["dataset"])]
    if not datasets:
        return None
    return Landscape(
        statements=[words for dataset in datasets for words in landscape.statements(composed, dataset)],
        drawn=[figure(landscape.by_count(composed, dataset), dataset) for dataset in datasets],
        tables=[results_table(found)],
    )


def results_table(found: pd.DataFrame) -> Table:
    """Where each method's trials lie among all architectures."""
    caption = (
        "Results among all 15,625 architectures of nats-tss: the percentile is the share of architectures that are no "
        "better. Random search draws one architecture an epoch and keeps the best by the table's validation accuracy "
        f"after 12 epochs. Test accuracies after 200 epochs; the searches: {'; '.join(found['conditions'].unique())}."
    )
    several = (Column("Searches", lambda row: str(row["conditions"]), numeric=False),)
    columns = RESULTS + (several if found["conditions"].nunique() > 1 else ())
    return Table(found, columns, caption, "landscape-results")


def figure(counts: pd.DataFrame, dataset: str) -> ReportFigure:
    """Accuracy against the number of skip-connections and of `none`: the median, and a band from 5 to 95 %."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(9.2, 3.0), layout="constrained")
    for axes, operation, colour in zip(drawing.subplots(1, 2, sharey=True), OPERATIONS, METHOD_COLOURS, strict=False):
        rows = counts[counts["operation"] == operation]
        axes.fill_between(rows["count"], rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
        axes.plot(rows["count"], rows["median"], color=colour, linewidth=2, marker="o", markersize=4)
        axes.plot(rows["count"], rows["best"], color=colour, linewidth=1.2, linestyle=METHOD_DASHES[1])
        finish_axes(
            axes, f"Edges with {operation}", f"Test accuracy on {dataset} (%)" if operation == OPERATIONS[0] else ""
        )
        entries = {"median, 5 to 95 %": {"color": colour}, "best": {"color": colour, "linestyle": METHOD_DASHES[1]}}
        legend(axes, entries, loc="lower left")
    medians = {name: list(group["median"]) for name, group in counts.groupby("operation")}
    alt = "; ".join(f"{name} {_listed(medians[name])}" for name in OPERATIONS)
    return ReportFigure(
        drawing,
        f"landscape-{dataset}",
        f"All 15,625 architectures of nats-tss on {dataset}: test accuracy after 200 epochs (mean of the table's "
        "training seeds) against the number of edges with an operation.",
        f"Median accuracy with none to six edges: {alt}.",
        counts,
    )


def _listed(values: Sequence[float]) -> str:
    return ", ".join(number(value) for value in values)
