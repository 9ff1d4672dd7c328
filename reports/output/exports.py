"""Tables and figures as files beside the pages: the numbers as CSV, tables as LaTeX, figures as SVG, PDF and PNG."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reports.figures.report_figure import ReportFigure
from reports.latex import latex
from reports.tables.tables import Table

RULE = (
    "Spreadsheets read a text that begins with =, +, -, @, a tab or a line break as a formula. In the CSV files such "
    "a text (a cell or a column's name, never a number) is preceded by an apostrophe. Lists and dictionaries are "
    "JSON, and a missing number is an empty cell."
)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv(frame: pd.DataFrame) -> str:
    """`frame` as CSV (RFC 4180) with a header line and without its index; a missing number is an empty cell."""
    shown = frame.copy()
    shown.columns = pd.Index([_inert(str(name)) for name in frame.columns])
    for position, kind in enumerate(shown.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            shown.isetitem(position, shown.iloc[:, position].map(_cell).to_numpy())
    return shown.to_csv(index=False, lineterminator="\r\n")


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return _inert(value)
    if isinstance(value, dict | list | tuple | np.ndarray):
        return _inert(json.dumps(value, default=_plain, ensure_ascii=False))
    return value


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


class Exports:
    """The files of a report's tables and figures in `folder`, each written once, no matter how many pages show it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written: dict[str, list[tuple[str, str]]] = {}
        for name in ("tables", "figures"):
            (folder / name).mkdir(parents=True)

    def table(self, table: Table) -> list[tuple[str, str]]:
        """The formats of the table's files, and their addresses below the report's folder."""
        path = f"tables/{table.slug}"
        if path not in self._written:
            self._written[path] = [("CSV", f"{path}.csv"), ("LaTeX", f"{path}.tex")]
            (self.folder / f"{path}.csv").write_text(csv(table.frame), encoding="utf-8", newline="")
            (self.folder / f"{path}.tex").write_text(latex.latex_table(table), encoding="utf-8")
        return self._written[path]

    def numbers(self, slug: str, frame: pd.DataFrame) -> list[tuple[str, str]]:
        """The format and address of the CSV file of a table that a template lays out itself."""
        (self.folder / f"tables/{slug}.csv").write_text(csv(frame), encoding="utf-8", newline="")
        return [("CSV", f"tables/{slug}.csv")]

    def figure(self, figure: ReportFigure) -> list[tuple[str, str]]:
        """The formats of the figure's files, and their addresses; drawings of single trials have no PNG or PDF."""
        path = f"figures/{figure.slug}"
        if path not in self._written:
            self._written[path] = [("SVG", f"{path}.svg"), ("CSV", f"{path}.csv")]
            figure.save_svg(self.folder / f"{path}.svg")
            (self.folder / f"{path}.csv").write_text(csv(figure.data), encoding="utf-8", newline="")
        return self._written[path]

    def printable(self, figures: Iterable[ReportFigure], *, pixels: bool) -> None:
        """Write `figures` as PDF for LaTeX, and with `pixels` as PNG too."""
        for figure in figures:
            found = self.figure(figure)
            path = f"figures/{figure.slug}"
            figure.save_pdf(self.folder / f"{path}.pdf")
            found.append(("PDF", f"{path}.pdf"))
            if pixels:
                figure.save_png(self.folder / f"{path}.png")
                found.append(("PNG", f"{path}.png"))
