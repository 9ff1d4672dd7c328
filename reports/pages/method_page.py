"""One method, gathered for its page: what it declares, its results wherever it ran, its trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.pages.block_page import MethodDeclaration, Section
from reports.pages.collapse_page import Collapse
from reports.pages.trial_page import Pictures, words
from reports.records.blocks import flat, slug
from reports.tables import tables
from reports.tables.collapse_tables import SHARES
from reports.tables.tables import Column, Row, Table, named_rows


@dataclass(frozen=True)
class MethodPage:
    """All that a method's page shows; `results` and `trials` are None where it did not run."""

    name: str
    title: str
    source: str
    spaces: str
    options: Table | None
    common: list[tuple[str, str]]
    variants: list[tuple[str, list[tuple[str, str]]]]
    results: Table | None
    trials: Table | None
    pictures: list[Pictures]


def catalogue(records: pd.DataFrame, recipes: pd.DataFrame | None) -> pd.DataFrame:
    """Every method that ran or is in the registry, sorted: name, title, source, spaces, options, declaration, trials.

    `recipes` is the registry, with the first six of these columns; a method from outside it, or all of them without
    it, are known by their records alone.
    """
    known = {} if recipes is None else {str(row["name"]): row for row in named_rows(recipes)}
    ran = records.drop_duplicates("method").set_index("method")["recipe"].to_dict()
    rows = []
    for name in sorted({*known, *map(str, ran)}):
        declared = flat(ran.get(name, {}))
        own = known.get(name, {})
        rows.append(
            {
                "name": name,
                "title": own.get("title", declared.get("title", name)),
                "source": own.get("source", declared.get("source", "not stated")),
                "spaces": list(own.get("spaces", ())) or sorted(set(records[records["method"] == name]["space"])),
                "options": dict(own.get("options", {})),
                "declaration": dict(own.get("declaration", declared)),
                "trials": int((records["method"] == name).sum()),
            }
        )
    return pd.DataFrame(rows)


CATALOGUE = (
    Column("Method", lambda row: str(row["name"]), numeric=False),
    Column("What it is", lambda row: str(row["title"]), numeric=False),
    Column("Paper", lambda row: str(row["source"]), numeric=False),
    Column("Spaces", lambda row: ", ".join(row["spaces"]), numeric=False),
    Column("Own options", lambda row: words(row["options"]), numeric=False),
    Column("Trials here", lambda row: str(row["trials"])),
)
OPTIONS = (
    Column("Option", lambda row: str(row["option"]), numeric=False),
    Column("Default", lambda row: words(row["default"]) or "empty", numeric=False),
)
PLACE = Column("Space and data set", lambda row: str(row["place"]), numeric=False)
CONDITIONS = Column("Under", lambda row: f"{row['protocol']}, {row['evaluation']}", numeric=False)
LABEL = Column("Configuration", lambda row: str(row["method"]), numeric=False)
COLLAPSED = tuple(Column(own.heading, own.text, "Collapse", own.numeric) for own in SHARES[2:5])


def listed(found: pd.DataFrame, conditions: str) -> Table:
    """The catalogue as a table."""
    caption = f"Every method of the registry, and those that ran: as their recipes declare. Trials: {conditions}."
    return Table(found, CATALOGUE, caption, "methods")


def gather(
    row: Row,
    sections: Sequence[Section],
    collapse: Collapse,
    declared: Sequence[MethodDeclaration],
    pictures: Mapping[str, Pictures],
) -> MethodPage:
    """The page of the method in `row` of `catalogue`; `pictures` are those of every block's first seeds, by key."""
    name = str(row["name"])
    own = [recipe for recipe in declared if recipe.method == name]
    common, variants = _split(own)
    if not own:
        common = [(str(key), words(value)) for key, value in row["declaration"].items()]
    options = pd.DataFrame(list(row["options"].items()), columns=["option", "default"])
    trials = [block.block.records[block.block.records["method"] == name] for block in sections]
    keys = [str(key) for frame in trials for key in frame["key"]]
    return MethodPage(
        name=name,
        title=str(row["title"]),
        source=str(row["source"]),
        spaces=", ".join(row["spaces"]),
        options=Table(options, OPTIONS, f"The options of {name} and their defaults.", f"options-{slug(name)}")
        if len(options)
        else None,
        common=[(key, value) for key, value in common if key not in ("title", "source")],
        variants=variants,
        results=_results(name, sections, collapse),
        trials=_trials(name, sections, trials),
        pictures=[pictures[key] for key in keys if key in pictures],
    )


def _split(own: Sequence[MethodDeclaration]) -> tuple[list[tuple[str, str]], list[tuple[str, list[tuple[str, str]]]]]:
    """What all declarations of a method share, and what the others say beside it, each with where it held."""
    if not own:
        return [], []
    shared = [pair for pair in own[0].declarations if all(pair in other.declarations for other in own)]
    rest = [(recipe.where, [pair for pair in recipe.declarations if pair not in shared]) for recipe in own]
    return shared, [(where, pairs) for where, pairs in rest if pairs]


def _results(name: str, sections: Sequence[Section], collapse: Collapse) -> Table | None:
    frames = []
    for section, part in zip(sections, collapse.parts, strict=True):
        labels = set(section.block.records[section.block.records["method"] == name]["label"])
        own = section.main.frame[section.main.frame["method"].isin(labels)]
        shares = part.shares.frame[["label", "n", "collapsed", "share", "low", "high"]]
        shares = shares.rename(columns={"n": "judged", "low": "share_low", "high": "share_high"})
        frames.append(
            own.merge(shares, left_on="method", right_on="label", how="left").assign(
                place=section.block.title,
                block=section.block.slug,
                conditions=section.block.conditions,
                protocol=section.block.protocol,
                evaluation=section.block.evaluation,
            )
        )
    frame = pd.concat(frames, ignore_index=True)
    if frame.empty:
        return None
    heading = tables.score_heading([section.block for section in sections])
    columns: tuple[Column, ...] = (
        PLACE,
        *([LABEL] if frame["method"].nunique() > 1 else []),
        *tables.main_columns(heading)[1:],
    )
    if "verdict" in frame:
        columns += tables.VERSUS
    columns += (*map(_renamed, COLLAPSED), CONDITIONS)
    held = "; ".join(dict.fromkeys(frame["conditions"]))
    caption = f"{name} wherever it ran, a row a space and data set: {held}. Costs are means over seeds."
    return Table(frame, columns, caption, f"results-{slug(name)}")


def _renamed(column: Column) -> Column:
    """A column of the shares, read from the merged frame, where n and the interval have other names."""
    names = {"judged": "n", "share_low": "low", "share_high": "high"}

    def text(row: Row) -> str:
        return column.text({**row, **{short: row[long] for long, short in names.items()}})

    return Column(column.heading, text, column.group, column.numeric)


def _trials(name: str, sections: Sequence[Section], trials: Sequence[pd.DataFrame]) -> Table | None:
    frame = pd.concat(
        [own.assign(place=section.block.title) for section, own in zip(sections, trials, strict=True)],
        ignore_index=True,
    )
    if frame.empty:
        return None
    conditions = "; ".join(
        dict.fromkeys(section.block.conditions for section, own in zip(sections, trials, strict=True) if len(own))
    )
    score = tables.score_heading([section.block for section in sections])
    shown = ("Seed", score, "Skip share", "Params (M)", "Epochs", "Search (s)")
    label = [LABELLED] if frame["label"].nunique() > 1 else []
    columns: tuple[Any, ...] = (PLACE, *label, *(own for own in tables.trial_columns(score) if own.heading in shown))
    return Table(frame, columns, f"The trials of {name}: {conditions}.", f"trials-{slug(name)}")


LABELLED = Column("Configuration", lambda row: str(row["label"]), numeric=False)
