"""The landscape of `nats-tss`: what skip-connections and `none` cost, over all 15,625 architectures of the table.

Everything is read off the table alone (`Table.frame`), as test accuracy after 200 epochs in %. What the landscape says
is a ground for the definition of collapse (docs/collapse.md), and a scale for what a method's result is worth.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from reports.records.blocks import Block
from spaces.common.errors import InputError
from spaces.nats.genotype import NatsGenotype

TABULAR_DATASETS = {
    "cifar10": ("cifar10.test.200", "cifar10-valid.valid.12"),
    "cifar100": ("cifar100.test.200", "cifar100.valid.12"),
    "imagenet16-120": ("imagenet16-120.test.200", "imagenet16-120.valid.12"),
}
"""Data set → the columns that an architecture is judged by, and that random search ranks by: validation, 12 epochs."""

OPERATIONS = ("skip_connect", "none")
ALL_SKIP = str(NatsGenotype(("skip_connect",) * 6))


RESULTS = ["dataset", "conditions", "label", "epochs", "n", "accuracy", "percentile", "random"]


def composition(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the number of skip-connections and `none` and the six operations of each architecture.

    Columns `skip_connect`, `none` (counts), and `0->1` … `2->3`, besides the table's own.
    Raises `InputError` where the table is not whole.
    """
    if len(table) != 5**6:
        raise InputError(
            f"the tabular benchmark has {len(table):,} of {5**6:,} architectures: a landscape needs all of them"
        )
    edges = [f"{source}->{target}" for source, target in NatsGenotype.possible_edges()]
    cells = pd.DataFrame([NatsGenotype.parse(text).cell for text in table["architecture"]], columns=edges)
    counts = {operation: (cells == operation).sum(axis=1) for operation in OPERATIONS}
    return pd.concat([table.reset_index(drop=True), cells, pd.DataFrame(counts)], axis=1)


def accuracies(composed: pd.DataFrame, dataset: str) -> "tuple[pd.Series[float], pd.Series[float]]":
    """Test accuracy, and the validation accuracy that random search ranks by.

    Raises `InputError` where the table lacks one of them.
    """
    for column in TABULAR_DATASETS[dataset]:
        if column not in composed or composed[column].isna().any():
            raise InputError(f"the tabular benchmark lacks numbers of {column}: import the whole table for a landscape")
    test, validation = (composed[column].astype(float) for column in TABULAR_DATASETS[dataset])
    return test, validation


def by_count(composed: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Accuracy against the number of one operation: operation, count, n, low (5 %), median, mean, high (95 %), best."""
    accuracy, _ = accuracies(composed, dataset)
    rows = []
    for operation in OPERATIONS:
        for count, values in accuracy.groupby(composed[operation]):
            low, median, high = values.quantile([0.05, 0.5, 0.95])
            rows.append((operation, int(count), len(values), low, median, values.mean(), high, values.max()))
    return pd.DataFrame(rows, columns=["operation", "count", "n", "low", "median", "mean", "high", "best"])


def by_place(composed: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """What an operation on an edge costs: the median over architectures that have it there, less that of the others.

    A row an operation and edge: operation, edge, difference (percentage points).
    """
    accuracy, _ = accuracies(composed, dataset)
    rows = []
    for operation in OPERATIONS:
        for source, target in NatsGenotype.possible_edges():
            here = composed[f"{source}->{target}"] == operation
            rows.append((operation, f"{source}->{target}", accuracy[here].median() - accuracy[~here].median()))
    return pd.DataFrame(rows, columns=["operation", "edge", "difference"])


def percentile(composed: pd.DataFrame, dataset: str, accuracy: float) -> float:
    """The share of all architectures, in %, that are no better than `accuracy`."""
    # A record's accuracy is the table's own number, but may have been through text.
    return float(100 * (accuracies(composed, dataset)[0] <= accuracy + 1e-9).mean())


def random_search(composed: pd.DataFrame, dataset: str, budget: int) -> float:
    """The expected accuracy of the best of `budget` random architectures, ranked by validation accuracy.

    Exact: of n architectures in the order of their rank, drawn with replacement, the i-th is the best of k draws with
    probability (i/n)^k - ((i-1)/n)^k. Architectures of one rank share theirs.
    """
    accuracy, ranks = accuracies(composed, dataset)
    groups = accuracy.groupby(ranks).agg(["mean", "size"])
    below = groups["size"].cumsum() / groups["size"].sum()
    chance = (below**budget).diff().fillna(below.iloc[0] ** budget)
    return float((groups["mean"] * chance).sum())


def all_skip(composed: pd.DataFrame, dataset: str, budgets: Sequence[int]) -> pd.DataFrame:
    """How far the cell of skip-connections lies below random search: budget, random, all_skip, difference."""
    own = float(accuracies(composed, dataset)[0][composed["architecture"] == ALL_SKIP].iloc[0])
    found = [(budget, random_search(composed, dataset, budget)) for budget in budgets]
    return pd.DataFrame(
        [(budget, value, own, own - value) for budget, value in found],
        columns=["budget", "random", "all_skip", "difference"],
    )


def results(composed: pd.DataFrame, found: Sequence[Block]) -> pd.DataFrame:
    """Where the tabular trials of blocks lie: mean accuracy, mean percentile, what random search is expected to find.

    A row a block, label and number of epochs: dataset, conditions, label, epochs, n, accuracy, percentile, random
    (search of equal budget: one architecture an epoch).
    """
    rows = []
    for block in found:
        if block.evaluation != "tabular" or block.dataset not in TABULAR_DATASETS:
            continue
        for (label, epochs), group in block.records.groupby(["label", "epochs"], sort=True):
            places = [percentile(composed, block.dataset, value) for value in group["accuracy"]]
            rows.append(
                {
                    "dataset": block.dataset,
                    "conditions": block.conditions,
                    "label": str(label),
                    "epochs": int(str(epochs)),
                    "n": len(group),
                    "accuracy": float(group["accuracy"].mean()),
                    "percentile": float(np.mean(places)),
                    "random": random_search(composed, block.dataset, int(str(epochs))),
                }
            )
    return pd.DataFrame(rows, columns=RESULTS)


def statements(composed: pd.DataFrame, dataset: str, budgets: Sequence[int] = (1, 15, 50, 100)) -> list[str]:
    """The landscape in words."""
    counts = by_count(composed, dataset).set_index(["operation", "count"])
    everything = accuracies(composed, dataset)[0].median()
    skips, none = (counts.loc[operation]["median"] for operation in OPERATIONS)
    harmful = next(
        (f"from {count} skip-connections on" for count in range(7) if (skips[count:] < everything).all()), ""
    )
    places = by_place(composed, dataset)
    worst = places.loc[places.groupby("operation")["difference"].idxmin()].to_dict("records")
    costly = [f"`{row['operation']}` on {row['edge']} ({row['difference']:+.2f} points in the median)" for row in worst]
    far = all_skip(composed, dataset, budgets).to_dict("records")
    return [
        f"The median of all architectures on {dataset} is {everything:.2f} %"
        + (f"; {harmful} it is lower" if harmful else "")
        + f". It is {skips[4]:.2f} % with four skip-connections and {skips[6]:.2f} % with six; with four times `none` "
        f"{none[4]:.2f} %, and {none[6]:.2f} % with six, where nothing reaches the output.",
        f"The places that cost most: {' and '.join(costly)}.",
        "The cell of skip-connections alone lies below random search of "
        + ", ".join(f"{row['budget']} by {-row['difference']:.2f}" for row in far)
        + " points.",
    ]
