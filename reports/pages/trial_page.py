"""One trial, gathered for its page: every field of its record in groups, its cell, its curves, its weights."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from reports.figures import search_figures
from reports.figures.axes import METHOD_COLOURS
from reports.figures.report_figure import ReportFigure
from reports.figures.svg_charts import line_charts
from reports.pages import rerun_command
from reports.records.blocks import Block, SpaceOf, slug
from reports.sentences.numbers import sentence, two_decimals
from reports.tables.tables import Column, Row, Table
from spaces.cells.genotype import Genotype
from spaces.common.errors import InputError

LOSSES = {"train_loss": "training", "valid_loss": "architecture split"}
SCORES = {
    "train": "training",
    "valid": "architecture split",
    "discrete": "architecture split, discretized",
    "tabular": "test, in the table",
}
"""What a column of the history with the metric is of, by how its name begins."""

DASHES: tuple[tuple[float, ...], ...] = ((), (6, 2), (2, 2), (6, 2, 2, 2))
MOST = 12
"""Seconds of so many epochs are listed; of more, their range."""


@dataclass(frozen=True)
class Pictures:
    """A trial's cell and its weights, a figure a kind of cell. `missing` says in words what could not be drawn."""

    cells: list[ReportFigure] = field(default_factory=list)
    weights: list[ReportFigure] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Trial:
    """All that a trial's page shows."""

    key: str
    title: str
    block: Block
    record: Row
    groups: list[tuple[str, list[tuple[str, str]]]]
    settings: Table
    recipe: list[tuple[str, str]]
    command: str
    doubts: list[str]
    curves: ReportFigure | None
    pictures: Pictures


def gather(block: Block, record: Row, history: pd.DataFrame, pictures: Pictures, *, known: bool) -> Trial:
    """The page of the trial `record` of `block`, `history` being its epochs; `known`: its method is in the registry."""
    return Trial(
        key=str(record["key"]),
        title=f"{record['label']}, seed {record['seed']}",
        block=block,
        record=record,
        groups=_groups(block, record),
        settings=_settings(block, record),
        recipe=[(str(name), words(value)) for name, value in record["recipe"].items()],
        command=rerun_command.search_command(record),
        doubts=rerun_command.doubts(record, known),
        curves=_curves(block, record, history) if len(history) else None,
        pictures=pictures,
    )


def draw(block: Block, record: Row, history: pd.DataFrame, space_of: SpaceOf) -> Pictures:
    """The trial's cell and weights. Raises `InputError` where the record's genotype is none."""
    space = space_of(block.space)
    try:
        genotype = space.parse(record["genotype"])
    except InputError as error:
        raise InputError(f"record {record['key']}: column 'genotype': {error}") from error
    found = Pictures()
    for kind in genotype.kinds:
        found.cells.append(search_figures.found_cell(block, record, genotype, kind))
        if _recorded(history, f"weights.{kind}"):
            edges = genotype.possible_edges()
            found.weights.append(search_figures.weight_panels(block, record, history, kind, edges, space.operations))
        else:
            cell = search_figures.cell_name(kind)
            found.missing.append(f"No weights of the {cell} were recorded for {record['label']}.")
    for name, own in (record.get("parameters") or {}).items():
        if own["of"] != "operations" and _recorded(history, f"alpha.{name}"):
            entries = _entries(own, genotype)
            found.weights.append(search_figures.parameter_panels(block, record, history, name, entries))
    return found


def _entries(parameter: Mapping[str, Any], genotype: Genotype) -> list[str]:
    """What the entries of an architecture parameter are called: edges by their nodes, others by their number."""
    edges, count = genotype.possible_edges(), math.prod(parameter["shape"])
    if parameter["of"] == "inputs" and count == len(edges):
        return [f"edge {source} to {target}" for source, target in edges]
    return [f"entry {number}" for number in range(count)]


def _recorded(history: pd.DataFrame, column: str) -> bool:
    return len(history) > 0 and column in history and all(isinstance(x, list | np.ndarray) for x in history[column])


def words(value: Any) -> str:
    """A value of a record, for a reader."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if value is None or (isinstance(value, float) and value != value):
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {words(own)}" for name, own in value.items()) or "none"
    if isinstance(value, list | tuple | np.ndarray):
        return ", ".join(words(item) for item in value) or "none"
    return str(value)


def _count(value: float) -> str:
    return f"{int(value):,}".replace(",", "\u202f")


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


def _epochs(value: Any) -> str:
    """Seconds of each epoch."""
    seconds = [float(second) for second in value]
    if len(seconds) > MOST:
        middle = float(np.median(seconds))
        return f"{min(seconds):.2f} to {max(seconds):.2f} s, in the median {middle:.2f} s"
    return f"{', '.join(f'{second:.2f}' for second in seconds)} s" if seconds else "none"


def _parameters(value: Any) -> str:
    """Names, shapes and roles of the architecture parameters."""
    if value is None:
        return "not recorded"
    roles = [f"{own['of']} {own['kind']}".strip() for own in value.values()]
    shapes = [f"{name} [{', '.join(map(str, own['shape']))}]" for name, own in value.items()]
    return "; ".join(f"{shape}: {role}" for shape, role in zip(shapes, roles, strict=True)) or "none"


Field = tuple[str, str, Callable[[Any], str]]
GROUPS: dict[str, tuple[Field, ...]] = {
    "Identity": (
        ("method", "Method", str),
        ("space", "Space", str),
        ("dataset", "Data set", str),
        ("task", "Task", str),
        ("seed", "Seed", str),
        ("protocol", "Protocol", str),
        ("study", "Study", str),
        ("key", "Key", str),
    ),
    "Result": (
        ("evaluation", "Evaluation", str),
        ("convention", "Convention", str),
        ("genotype", "Genotype", str),
        ("skip_share", "Skip share", two_decimals),
        ("params", "Parameters", _count),
        ("macs", "Multiply-adds", _count),
        ("answer_epoch", "Epoch returned", words),
    ),
    "Cost": (
        ("search_seconds", "Search", _seconds),
        ("epoch_seconds", "Of each epoch", _epochs),
        ("warm_up_seconds", "Warm-up, no part of them", _seconds),
        ("evaluate_seconds", "Evaluation", _seconds),
        ("probe_seconds", "Probes asked for", _seconds),
        ("epochs", "Epochs", str),
        ("search_steps", "Steps", _count),
    ),
    "Scale": (
        ("scale", "Scale", str),
        ("parameters", "Architecture parameters", _parameters),
        ("probes", "Probes and strides", words),
    ),
    "Data": (
        ("dataset_digest", "Digest of the data", str),
        ("dataset_source", "Source", str),
        ("augmentation", "Augmentation", words),
        ("table_digest", "Digest of the table", words),
        ("history_digest", "Digest of the history", str),
    ),
    "Environment": (
        ("device", "Device", str),
        ("threads", "Threads", str),
        ("engine", "Engine", str),
        ("precision", "Precision", str),
        ("version", "Dartboard", str),
    ),
}
ELSEWHERE = ("label", "accuracy", "score", "metric", "better", "unit", "recipe", "settings", "origin", "environment")
"""Columns that a page shows in a way of their own."""


def _groups(block: Block, record: Row) -> list[tuple[str, list[tuple[str, str]]]]:
    groups = [
        (group, [(name, write(record[column])) for column, name, write in fields if column in record])
        for group, fields in GROUPS.items()
    ]
    dict(groups)["Result"].insert(0, (block.metric.title, block.metric.words(float(record["score"]))))
    groups[-1][1].extend((str(name), words(value)) for name, value in record["environment"].items())
    shown = {column for fields in GROUPS.values() for column, _, _ in fields}
    rest = [(column, words(value)) for column, value in record.items() if column not in (*shown, *ELSEWHERE)]
    return [*groups, ("Other", rest)] if rest else groups


SETTINGS = (
    Column("Setting", lambda row: str(row["setting"]), numeric=False),
    Column("Value", lambda row: words(row["value"]), numeric=False),
    Column("Set by", lambda row: str(row["origin"]), numeric=False),
)


def _settings(block: Block, record: Row) -> Table:
    rows = [
        {"setting": name, "value": value, "origin": rerun_command.set_by(record, str(name))}
        for name, value in record["settings"].items()
    ]
    return Table(
        pd.DataFrame(rows, columns=["setting", "value", "origin"]),
        SETTINGS,
        f"Every setting of {record['label']}, seed {record['seed']}, and the layer that set it: {block.conditions}.",
        f"settings-{slug(str(record['key']))}",
    )


def _curves(block: Block, record: Row, history: pd.DataFrame) -> ReportFigure | None:
    """Losses and scores over epochs, of what the history holds."""
    scores = {f"{start}_{block.metric.name}": name for start, name in SCORES.items()}
    ordered = history.sort_values("epoch")
    panels: dict[str, dict[str, tuple[Any, str, tuple[float, ...]]]] = {}
    ends, columns = [], ["epoch"]
    for heading, curves in (("Loss", LOSSES), (block.metric.heading, scores)):
        present = {
            column: name for column, name in curves.items() if column in ordered and ordered[column].notna().any()
        }
        if present:
            panels[heading] = {
                name: (ordered[column].to_numpy(dtype=float), METHOD_COLOURS[place], DASHES[place])
                for place, (column, name) in enumerate(present.items())
            }
            columns += present
            last = [
                f"{name} {two_decimals(float(ordered[column].dropna().iloc[-1]))}" for column, name in present.items()
            ]
            ends.append(f"{heading.lower()}: {', '.join(last)}")
    if not panels:
        return None
    name = f"{record['label']}, seed {record['seed']}"
    return ReportFigure(
        line_charts([float(epoch) for epoch in ordered["epoch"]], panels),
        f"curves-{slug(str(record['key']))}",
        f"{block.title}, {name}: loss and {block.metric.name} over epochs. {sentence(block.conditions)}",
        f"Curves of {name}; in the last epoch {'; '.join(ends)}.",
        ordered[columns],
    )
