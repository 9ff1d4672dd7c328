"""A CSV of results as its rows of text, with the lines on which they stand."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from spaces.common.errors import InputError

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

    from pandas import DataFrame


def read_csv(path: Path) -> "DataFrame":
    """The rows of the CSV file `path`, all text, indexed by the lines of the file on which they stand.

    Raises `InputError` naming the file, the line and the remedy.
    """
    import pandas as pd

    from reports.statistics.values.frame import LINE

    try:
        # Not by pandas, which takes surplus fields for an index and renames a column that stands there twice.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True, strict=True)
            lines = list(_lines(reader))
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
            raise InputError(f"{path}: column {column!r} occurs twice: rename or remove one")
    for number, fields in lines[1:]:
        if len(fields) != len(columns):
            raise InputError(
                f"{path}: line {number} has {len(fields)} fields, the first line names {len(columns)} columns: make "
                "them agree"
            )
    # Names such as NA or none are names here, so nothing but the numbers is interpreted.
    numbers = pd.Index([number for number, _ in lines[1:]], name=LINE)
    return pd.DataFrame([fields for _, fields in lines[1:]], numbers, columns, dtype=str)


def _lines(reader: "CsvReader") -> Iterator[tuple[int, list[str]]]:
    """Every row that is not blank, with the line of the file on which it begins: a quoted field may hold more."""
    before = 0
    for fields in reader:
        if any(field.strip() for field in fields):
            yield before + 1, fields
        before = reader.line_num
