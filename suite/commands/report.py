"""`dartboard report` and `dartboard compare`: what the records say, as a page and in the terminal."""

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spaces.core.errors import InputError, unknown
from suite.console import Json, console, emit, plain_errors

if TYPE_CHECKING:
    from pandas import DataFrame

    from reports.tables import Table

ACCURACY = "accuracy"
# What a terminal has room for, of the main table and of the comparisons.
MAIN = ("Method", "n", "Mean ± std", "95 % interval", "Skip share", "Difference", "Verdict")
VERSUS = ("Method", "n", "Difference", "95 % interval", "p", "p (Holm)", "A12", "Verdict")
PAIRS = ("Method", "Against", "Difference", "95 % interval", "p", "p (Holm)", "A12", "Verdict")


def register(app: typer.Typer) -> None:
    """Put `report` and `compare` on `app`."""
    app.command()(plain_errors(report))
    app.command()(plain_errors(compare))


def report(
    runs: Annotated[Path, typer.Argument(help="The folder of a study's runs.")],
    out: Annotated[Path, typer.Option(help="The report's folder; an earlier report there is replaced.")],
    as_json: Json = False,
) -> None:
    """Write a study's report: one offline page, and LaTeX with its tables and figures."""
    document, show = build_report(runs, out)
    emit(document, as_json, show)


def build_report(runs: Path, out: Path, root: Path | None = None) -> tuple[dict[str, Any], Callable[[], None]]:
    """Report the records below `runs` to `out`; the page's path and main tables for JSON, and what prints them.

    The tabular benchmark is looked for in the data root `root`.

    Raises `InputError` as `suite.store.load_frames` and `reports.render.build`.
    """
    from reports import tables
    from reports.core.blocks import blocks
    from reports.render import build
    from spaces.core.tabular import Table
    from spaces.core.tabular_files import ARCHITECTURES
    from suite.core.root import data_root as root_of
    from suite.store import load_frames

    records, histories = load_frames(runs)
    # Where something was looked up in the table, and that is still here, its landscape is shown.
    table = Table.open(root or root_of(None)) if "tabular" in set(records["evaluation"]) else None
    page = build(records, histories, out, table=table.frame if table and len(table) == ARCHITECTURES else None)
    mains = [tables.main(block, tables.comparison(block)) for block in blocks(records)]
    document = {
        "report": str(page),
        "tables": [{"caption": main.caption, "rows": rows_of(main.frame)} for main in mains],
    }

    def show() -> None:
        for main in mains:
            print_table(main, MAIN)
        console.print(f"report: {page}", markup=False, highlight=False, soft_wrap=True)

    return document, show


def compare(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUNS_OR_CSV",
            help="A folder of runs, or a CSV with the columns method, space, dataset, seed, value.",
        ),
    ],
    baseline: Annotated[
        str | None, typer.Option(help="The method to compare the others with [darts-1st, where it ran].")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help=f"For a folder of runs, the records' column to compare [{ACCURACY}].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what the differences between methods support: means, intervals, corrected tests, in words."""
    frames = _frames(source, metric)
    if baseline is not None:
        methods = {str(method) for _, values in frames for method in values["method"]}
        if baseline not in methods:
            raise unknown("baseline", baseline, methods)
    groups = [group for conditions, values in frames for group in _groups(conditions, values, baseline)]
    document = {"source": str(source), "groups": [group.document() for group in groups]}

    def show() -> None:
        for group in groups:
            _print_group(group)

    emit(document, as_json, show)


def read_csv(path: Path) -> "DataFrame":
    """The values in the CSV file `path`, as `reports.statistics` wants them; all five columns are needed.

    Raises `InputError` naming the file, the column and the remedy.
    """
    import pandas as pd

    from reports.core.values import checked

    try:
        # Not by pandas, which takes surplus fields for an index and renames a column that stands there twice.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True, strict=True)
            # A blank line is none.
            lines = [(reader.line_num, fields) for fields in reader if any(field.strip() for field in fields)]
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file or folder") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a CSV file that can be read ({reason}): save it as UTF-8 text") from error
    if not lines:
        raise InputError(f"{path}: not a CSV file that can be read (it is empty): give the columns and a row a value")
    columns = [field.strip() for field in lines[0][1]]
    for column in columns:
        if columns.count(column) > 1:
            raise InputError(f"{path}: column {column!r} stands there twice: rename or remove one")
    for number, fields in lines[1:]:
        if len(fields) != len(columns):
            raise InputError(
                f"{path}: line {number} has {len(fields)} fields, the first line names {len(columns)} columns: make "
                "them agree"
            )
    # Names such as NA or none are names here, so nothing but the numbers is interpreted.
    return checked(pd.DataFrame([fields for _, fields in lines[1:]], columns=columns, dtype=str), str(path))


def _frames(source: Path, metric: str | None) -> "list[tuple[str, DataFrame]]":
    """The plain frames that may be compared within, each with its conditions in words."""
    if not source.is_dir():
        if metric is not None:
            raise InputError(f"{source}: --metric is for a folder of runs: a CSV's numbers stand in its column 'value'")
        return [("values as given", read_csv(source))]
    from reports.core.blocks import blocks
    from suite.store import load_frames

    records, _ = load_frames(source)
    return [(block.conditions, block.values(metric or ACCURACY)) for block in blocks(records)]


@dataclass(frozen=True)
class Group:
    """The statistics of one space and data set under one set of conditions."""

    space: str
    dataset: str
    conditions: str
    summary: "DataFrame"
    pairs: "DataFrame"
    baseline: str | None
    versus: "DataFrame | None"

    def document(self) -> dict[str, Any]:
        """The group for machines; `against_baseline` is null where no baseline ran."""
        return {
            "space": self.space,
            "dataset": self.dataset,
            "conditions": self.conditions,
            "methods": rows_of(self.summary),
            "pairs": rows_of(self.pairs),
            "baseline": self.baseline,
            "against_baseline": None if self.versus is None else rows_of(self.versus),
            "statements": self.statements(),
        }

    def statements(self) -> list[str]:
        """In words: against the baseline where there is one, else all pairs."""
        frame = self.pairs if self.versus is None else self.versus
        return [str(words) for words in frame["statement"]] or ["One method ran here, so nothing is compared."]


def _groups(conditions: str, values: "DataFrame", baseline: str | None) -> list[Group]:
    from reports import statistics
    from reports.tables import BASELINE

    frames = [statistics.summarise(values), statistics.compare(values)]
    chosen = baseline or BASELINE
    if chosen in set(values["method"]):
        frames.append(statistics.compare(values, chosen))
    groups = []
    for (space, dataset), _ in values.groupby(["space", "dataset"], sort=True):
        here = [frame[(frame["space"] == space) & (frame["dataset"] == dataset)] for frame in frames]
        versus = here[2] if len(here) > 2 else None
        name = None if versus is None else chosen
        groups.append(Group(str(space), str(dataset), conditions, here[0], here[1], name, versus))
    return groups


def rows_of(frame: "DataFrame") -> list[dict[str, Any]]:
    """The rows of `frame` for JSON: plain numbers, and null where there is none."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(shown: "Table", headings: tuple[str, ...] = ()) -> None:
    """Print a table; `headings`, if any, select the columns, as a terminal is narrower than a page."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    picked = [index for index, column in enumerate(shown.columns) if not headings or column.heading in headings]
    printed = Table(
        title=Text(shown.caption), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    for column in (shown.columns[index] for index in picked):
        # Numbers are never broken; names are, but keep a width in which they can be read.
        place: dict[str, Any] = {"justify": "right", "no_wrap": True} if column.numeric else {"min_width": 9}
        printed.add_column(Text(column.heading), overflow="fold", **place)
    for row in shown.rows():
        printed.add_row(*(Text(row[index]) for index in picked))
    console.print(printed)


def _print_group(group: Group) -> None:
    from reports import tables

    title = f"{group.space} on {group.dataset}: {group.conditions}"
    print_table(tables.summary(group.summary, title))
    if group.versus is not None and len(group.versus):
        print_table(tables.compared(group.versus, f"Against {group.baseline}, {title}"), VERSUS)
    if len(group.pairs) > (0 if group.versus is None else len(group.versus)):
        print_table(tables.compared(group.pairs, f"All pairs, {title}"), PAIRS)
    for words in group.statements():
        console.print(words, markup=False, highlight=False)
    console.print()
