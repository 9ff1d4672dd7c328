"""The published numbers: every cell of every table of five papers, typed in from their texts, as one checked frame.

The data are in CSV files beside this module: one file a paper, one line a cell. `names.csv` maps labels to methods,
`genotypes.csv` holds published architectures. docs/audit.md says how they were typed and checked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spaces.common.errors import InputError

DATA = Path(__file__).parent

PAPERS = {
    "lambda-darts": "Λ-DARTS",
    "amended-darts": "Amended-DARTS",
    "darts-prime": "DARTS-PRIME",
    "pr-darts": "PR-DARTS",
    "rarts": "RARTS",
}
"""The papers, by the name of the method that each introduces."""

EXHIBITS = {
    "lambda-darts": tuple(f"Table {number}" for number in range(1, 12)),
    "amended-darts": ("Table 1", "Table 2", "Section 4.1.2", "Section 4.1.3", "Appendix A.3", "Appendix A.4"),
    "darts-prime": ("Table 1", "Table 2", "Table S1"),
    "pr-darts": ("Table 1", "Table 2"),
    "rarts": tuple(f"Table {number}" for number in range(1, 7)),
}
"""Each paper's tables in its order, and the lists in running text that could be tables."""

CSV_COLUMNS = (
    *("paper", "exhibit", "row", "column", "value", "spread", "n", "unit", "metric", "convention", "space"),
    *("dataset", "split", "cited", "flag", "note"),
)
CELL_KEY = ["paper", "exhibit", "row", "column", "space", "dataset"]


@dataclass(frozen=True)
class PublishedMetric:
    """What a cell measures: its units, the range of plausible numbers, and which way is better.

    `better` is +1 where higher is better, -1 where lower is, 0 where neither is claimed. A metric without a range is
    text. `quantity` is the name under which papers are compared, for which errors become accuracies. `words` are the
    texts that may replace a number.
    """

    units: tuple[str, ...] = ("",)
    low: float = -np.inf
    high: float = np.inf
    better: int = 0
    quantity: str = ""
    words: tuple[str, ...] = ()


METRICS = {
    "test error": PublishedMetric(("%",), 1, 80, -1, "test accuracy"),
    "test accuracy": PublishedMetric(("%",), 10, 99, 1, "test accuracy"),
    "validation accuracy": PublishedMetric(("%",), 10, 99, 1, "validation accuracy"),
    "top-5 test error": PublishedMetric(("%",), 5, 12, -1, "top-5 test accuracy"),
    "top-5 test accuracy": PublishedMetric(("%",), 88, 95, 1, "top-5 test accuracy"),
    "validation perplexity": PublishedMetric(("perplexity",), 50, 80, -1, "validation perplexity"),
    "test perplexity": PublishedMetric(("perplexity",), 50, 80, -1, "test perplexity"),
    "deficit": PublishedMetric(("points",), 0, 5),
    "search cost": PublishedMetric(("GPU-days",), 0.05, 10_000, quantity="search cost"),
    "parameters": PublishedMetric(("M",), 1, 30, quantity="parameters"),
    "multiply-adds": PublishedMetric(("M",), 300, 1_500, quantity="multiply-adds"),
    "latency": PublishedMetric(("ms",), 10, 30),
    "parametric operations": PublishedMetric(("operations",), 0, 8),
    "skip ratio": PublishedMetric(("%",), 0, 100),
    "pruning ratio": PublishedMetric(("%",), 0, 100),
    "candidate operations": PublishedMetric(("operations",), 5, 20, words=("hierarchical",)),
    "evaluation epochs": PublishedMetric(("epochs",), 100, 10_000),
    "latency weight": PublishedMetric(("",), 1e-5, 1),
    "learning rate": PublishedMetric(("",), 1e-5, 1),
    "weight decay": PublishedMetric(("",), 1e-5, 1),
    "batch size": PublishedMetric(("images",), 8, 1_024),
    "search method": PublishedMetric(),
    "V100": PublishedMetric(),
    "searched directly": PublishedMetric(),
}
CONVENTIONS = (
    *("mean over searches", "best of searches", "mean over retrainings", "mean over runs", "optimum", "unstated"),
    "setting",
)
VOCABULARY: dict[str, Iterable[str]] = {
    "paper": PAPERS,
    "metric": METRICS,
    "convention": CONVENTIONS,
    "space": ("nats-tss", "darts", "s1", "s2", "s3", "s4", "s1*", "s2*", "darts-rnn", "width", "other"),
    "dataset": ("CIFAR-10", "CIFAR-100", "SVHN", "ImageNet16-120", "ImageNet", "ImageNet-R", "PTB"),
    "split": ("test", "validation", ""),
    "flag": ("", "damaged", "ambiguous", "misprint"),
}
ROLES = ("", "own", "variant", "bound")


def numbers(folder: Path = DATA) -> pd.DataFrame:
    """Every cell of the papers' tables, in reading order: `CSV_COLUMNS` as typed, and columns derived from them.

    - `value` is the text as printed ("" for a dash), `printed` the same with its spread, `number` (float64) what it
      says, NaN where it is no number, `decimals` (int64) those printed; `spread` is float64, `n` Int64, all else text
    - `label` is the row or column heading that names a method, `heading` the other one
    - `method` and `role` come from `method_labels`: the method's canonical name, and "own" for what the paper
      proposes, "variant" for a part or another form of it, "bound" for what is no method

    Raises `InputError` naming the file, line and column of a cell that does not fit.
    """
    return _named(pd.concat([_paper(paper, folder) for paper in PAPERS], ignore_index=True), method_labels(folder))


def method_labels(folder: Path = DATA) -> pd.DataFrame:
    """The aliases, a row a label of a paper: paper, label, method, role, note."""
    path = folder / "names.csv"
    frame = _read(path, ("paper", "label", "method", "role", "note"))
    _vocabulary(path, frame, "paper", PAPERS)
    _vocabulary(path, frame, "role", ROLES)
    _once(path, frame, ["paper", "label"])
    return frame


def reasons(folder: Path = DATA) -> pd.DataFrame:
    """The known reasons why numbers of one method differ between tables: method … quantity, reason."""
    path = folder / "reasons.csv"
    frame = _read(path, ("method", "space", "dataset", "quantity", "reason"))
    _once(path, frame, ["method", "space", "dataset", "quantity"])
    return frame


def genotypes(folder: Path = DATA) -> pd.DataFrame:
    """Published architectures: paper, name, source, space and genotype, which that space's `parse` reads."""
    path = folder / "genotypes.csv"
    frame = _read(path, ("paper", "name", "source", "space", "genotype"))
    _once(path, frame, ["name"])
    return frame


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    if tuple(frame.columns) != columns:
        raise InputError(f"{path}: the columns are {', '.join(frame.columns)}: make them {', '.join(columns)}")
    return frame


def _paper(paper: str, folder: Path) -> pd.DataFrame:
    path = folder / f"{paper.replace('-', '_')}.csv"
    frame = _read(path, CSV_COLUMNS)
    for column, known in VOCABULARY.items():
        _vocabulary(path, frame, column, known)
    _refuse(path, frame, "paper", frame["paper"] != paper, f"write {paper}")
    _vocabulary(path, frame, "exhibit", EXHIBITS[paper])
    _once(path, frame, CELL_KEY)
    # "~5" is printed for an approximate number.
    frame["number"] = pd.to_numeric(frame["value"].str.removeprefix("~"), errors="coerce").astype("float64")
    frame["decimals"] = frame["value"].str.partition(".")[2].str.len().astype("int64")
    frame["printed"] = frame["value"] + (" ± " + frame["spread"]).where(frame["spread"] != "", "")
    for column, least in (("spread", 0), ("n", 1)):
        parsed = pd.to_numeric(frame[column], errors="coerce")
        _refuse(path, frame, column, parsed.isna() & (frame[column] != ""), "write a number or nothing")
        _refuse(path, frame, column, parsed < least, f"write a number from {least}")
        frame[column] = parsed
    frame = frame.astype({"spread": "float64", "n": "Int64"})
    for name, metric in METRICS.items():
        here = frame["metric"] == name
        _refuse(path, frame, "unit", here & ~frame["unit"].isin(metric.units), f"{name} is in {metric.units[0]!r}")
        if np.isfinite(metric.high):
            plausible = frame["number"].between(metric.low, metric.high) | frame["value"].isin(["", *metric.words])
            _refuse(path, frame, "value", here & ~plausible, f"{name} lies between {metric.low:g} and {metric.high:g}")
    return frame


def _named(frame: pd.DataFrame, aliases: pd.DataFrame) -> pd.DataFrame:
    known = aliases.set_index(["paper", "label"])
    in_row = pd.MultiIndex.from_frame(frame[["paper", "row"]]).isin(known.index)
    # Λ-DARTS's Table 3 and Amended-DARTS's appendix have a method a column.
    frame["label"] = frame["row"].where(in_row, frame["column"])
    frame["heading"] = frame["column"].where(in_row, frame["row"])
    found = known.reindex(pd.MultiIndex.from_frame(frame[["paper", "label"]]))
    for column in ("method", "role"):
        frame[column] = found[column].fillna("").to_numpy(dtype=object)
    return frame


def _vocabulary(path: Path, frame: pd.DataFrame, column: str, known: Iterable[str]) -> None:
    words = list(known)
    _refuse(path, frame, column, ~frame[column].isin(words), f"known: {', '.join(repr(word) for word in words)}")


def _once(path: Path, frame: pd.DataFrame, key: list[str]) -> None:
    _refuse(path, frame, key[-1], frame.duplicated(key), f"the line repeats another's {', '.join(key)}: keep one")


def _refuse(path: Path, frame: pd.DataFrame, column: str, bad: "pd.Series[Any]", remedy: str) -> None:
    if bad.any():
        line = int(bad.to_numpy().argmax())
        raise InputError(f"{path}, line {line + 2}: column {column!r} is {frame[column].iloc[line]!r}: {remedy}")
