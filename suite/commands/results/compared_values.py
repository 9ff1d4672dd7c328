"""What `dartboard compare` compares: the values of a CSV or of a folder of runs, by protocol."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spaces.common.errors import InputError

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

    from pandas import DataFrame


@dataclass(frozen=True)
class ProtocolValues:
    """Values under one protocol: `whole` to compare across blocks, `parts` (conditions in words, values) within them.

    `margin`: values that differ by at most this much count as equally good, unless the user gives a margin.
    """

    conditions: str
    parts: "list[tuple[str, DataFrame]]"
    whole: "DataFrame"
    margin: float | None = None


def read_values(
    source: Path, metric: str | None, better: str | None, paired: bool | None
) -> tuple[list[ProtocolValues], list[str], list[str]]:
    """The values of a CSV or of a folder of runs, by protocol; how they are read, in words; and warnings about them.

    Raises `InputError` for a source, a metric or a direction that cannot be used.
    """
    from reports.sentences import declared_sentences
    from reports.statistics.values import declared

    if not source.is_dir():
        found = declared.declare(read_csv(source), str(source), metric, better, paired)
        given = "values as given"
        said, warnings = declared_sentences.said(found), declared_sentences.warnings(found)
        return [ProtocolValues(given, [(given, found.values)], found.values)], said, warnings
    from reports.pages.cross_block import conditions, values_of
    from reports.records.results import Results
    from suite.store import load_frames

    results = Results.of(*load_frames(source))
    protocols = []
    for own in results.protocols():
        parts = [(block.conditions, declared.pair(block.values(metric, better), paired)) for block in own]
        whole = declared.pair(values_of(own, metric, better), paired)
        margin = own[0].margin if metric in (None, own[0].metric.name) else None
        protocols.append(ProtocolValues(conditions(own), parts, whole, margin))
    first, name = protocols[0].whole, metric or results.blocks[0].metric.name
    said = declared_sentences.directions(
        first,
        declared_sentences.BY_OPTION if better else declared_sentences.by_name(name),
    )
    if paired is not None:
        said += declared_sentences.pairing(first, paired)
    alike = [group for values in protocols for group in declared.look_alikes(values.whole)]
    return protocols, said, list(dict.fromkeys(declared_sentences.look_alikes(alike)))


def read_csv(path: Path) -> "DataFrame":
    """The rows of the CSV file `path` as text, indexed by the number of the line on which each begins.

    Raises `InputError` naming the file, the line and the remedy.
    """
    import pandas as pd

    from reports.statistics.values.frame import LINE

    try:
        # pandas would read surplus fields as an index and rename a repeated column.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True, strict=True)
            lines = list(_lines(reader))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file or folder") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a CSV file that can be read ({reason}): save it as UTF-8 text") from error
    if not lines:
        raise InputError(f"{path}: not a CSV file that can be read (it is empty): name the columns and give a value")
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
    # NA and none may be names of methods, so text stays text.
    numbers = pd.Index([number for number, _ in lines[1:]], name=LINE)
    return pd.DataFrame([fields for _, fields in lines[1:]], numbers, columns, dtype=str)


def _lines(reader: "CsvReader") -> Iterator[tuple[int, list[str]]]:
    """Every row that is not blank, with the number of its first line: a quoted field may span several."""
    before = 0
    for fields in reader:
        if any(field.strip() for field in fields):
            yield before + 1, fields
        before = reader.line_num
