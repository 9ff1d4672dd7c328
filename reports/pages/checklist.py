"""The NAS best-practice checklist, answered from the records (Lindauer & Hutter, JMLR 21(243), 2020).

Nobody fills it in: an answer is a function of the records, its evidence the numbers that decided it. What records
cannot know is "not known".
"""

from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from reports.pages.rerun_command import OWN
from reports.records.blocks import Block, flat
from reports.records.results import Results
from reports.sentences.numbers import ranged
from reports.tables.tables import Column, Table
from spaces.common.plural import counted

YES, NO, PARTLY, UNKNOWN = "yes", "no", "partly", "not known"

Answer = tuple[str, str]
"""One of the four words, and the evidence."""

RANDOM = "random"
"""The method that searches nothing."""


def checklist(results: Results) -> pd.DataFrame:
    """A row an item: `item`, `asked` (what it asks, in words), `answer` (yes, no, partly, not known), `evidence`."""
    found = results.blocks
    records = pd.concat([block.records for block in found], ignore_index=True)
    rows = [(item, asked, *answer(found, records, results.histories)) for item, asked, answer in ITEMS]
    return pd.DataFrame(rows, columns=["item", "asked", "answer", "evidence"])


def table(results: Results) -> Table:
    """The checklist as a table."""
    columns = tuple(
        Column(heading, lambda row, name=name: str(row[name]), numeric=False)  # type: ignore[misc]
        for heading, name in (("Item", "item"), ("Asked", "asked"), ("Answer", "answer"), ("Evidence", "evidence"))
    )
    return Table(
        checklist(results), columns, f"Best practices, as these records have them: {results.conditions}.", "checklist"
    )


def _seeds(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    counts = pd.concat([block.records.groupby("label")["seed"].nunique() for block in found])
    single = int((counts == 1).sum())
    seeds = ", ".join(str(seed) for seed in sorted(records["seed"].unique()))
    spread = f"{ranged(counts.min(), counts.max(), 'seed')} a method and block; {single} of {len(counts)} have one."
    return _of(len(counts) - single, len(counts)), f"{spread} Seeds: {seeds}."


def _benchmark(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    places = records.groupby(["space", "dataset", "protocol"])[["scale", "evaluation", "dataset_digest"]].nunique()
    mixed = int((places > 1).any(axis=1).sum())
    retraining = sum(_several(block, "evaluate.") for block in found)
    evidence = (
        f"{counted(len(places), 'combination')} of space, data set and protocol; in {mixed} of them sizes, evaluation "
        f"or data differ (each is reported by itself); in {retraining} of {counted(len(found), 'block')} methods were "
        "retrained under different settings."
    )
    return _of(len(found) - retraining, len(found)), evidence


def _budgets(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    equal = [block for block in found if block.records[["epochs", "search_steps"]].nunique().max() == 1]
    steps = [(block.records["search_steps"].min(), block.records["search_steps"].max(), block.title) for block in found]
    low, high, where = max(steps, key=lambda own: own[1] / max(1, own[0]))
    evidence = (
        f"All trials took the same epochs and steps in {len(equal)} of {counted(len(found), 'block')}; furthest "
        f"apart on {where}, {ranged(low, high, 'step')}. Seconds stand in every table of results."
    )
    return _of(len(equal), len(found)), evidence


def _hardware(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    devices, threads = set(map(str, records["device"])), sorted(records["threads"].unique())
    engines = set(map(str, records["engine"]))
    evidence = f"{_list(devices)}; threads a trial: {', '.join(map(str, threads))}; {_list(engines)}."
    return _single(devices, map(str, threads), engines), evidence


def _libraries(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    environments = {", ".join(f"{name} {value}" for name, value in own.items()) for own in records["environment"]}
    return _single(environments), f"{counted(len(environments), 'environment')}: listed below."


def _code(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    versions = set(map(str, records["version"]))
    edited = [version for version in versions if "dirty" in version]
    evidence = f"dartboard {_list(versions)}"
    evidence += ": with changes that no commit has." if edited else "."
    return PARTLY if edited and len(versions) == 1 else _single(versions), evidence


def _ablations(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    sources = records["recipe"].map(lambda recipe: str(flat(recipe).get("source", "")))
    if not sources.any():
        return UNKNOWN, "The records do not say which paper a method is of."
    stated = records.assign(source=sources)[sources != ""]
    most = stated.groupby(["source", "space", "dataset", "protocol"])["method"].nunique().groupby("source").max()
    several = int((most > 1).sum())
    evidence = f"Of {counted(len(most), 'paper')}, {several} ran with two or more of their recipes in one block."
    return _of(several, len(most)), evidence


def _cost(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    search, evaluate = records["search_seconds"].sum() / 3600, records["evaluate_seconds"].sum() / 3600
    looked = int((records["evaluation"] == "tabular").sum())
    evidence = f"{search:.3f} hours of searches and {evaluate:.3f} of retraining, stated for each trial."
    if looked:
        evidence += f" The accuracy of {_part(looked, records)} is looked up, so nothing is retrained."
    return (PARTLY if looked else YES), evidence


def _tuning(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    if "origin" not in records:
        return UNKNOWN, "The records do not say who set their settings."
    given = sum(isinstance(origin, dict) and OWN in origin.values() for origin in records["origin"])
    evidence = (
        f"Records hold no trials of tuning. Settings were given for {_part(given, records)}; "
        "all others are the recipes' and the protocols'."
    )
    return UNKNOWN, evidence


def _random(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    own = [block for block in found if RANDOM in set(block.records["method"])]
    return _of(len(own), len(found)), f"Random search ran in {len(own)} of {counted(len(found), 'block')}."


def _splits(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    test = int(records["convention"].astype(str).str.contains("test").sum())
    shares = sorted({f"{own['weights_share']:.3g}" for own in records["settings"] if "weights_share" in own})
    halves = f" The weights' share of the training images: {', '.join(shares)}." if shares else ""
    evidence = (
        f"By their convention the accuracies of {_part(test, records)} are of test images; a search is handed training "
        f"images only.{halves} Data sets by digest: {records.groupby('dataset')['dataset_digest'].nunique().sum()}."
    )
    return _of(test, len(records)), evidence


def _over_time(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    seen = set(histories["key"]) if len(histories) else set()
    count = int(records["key"].isin(seen).sum())
    return _of(count, len(records)), f"There is a history, epoch by epoch, of {_part(count, records)}."


def _tabular(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    count = int((records["evaluation"] == "tabular").sum())
    return _of(count, len(records)), f"A tabular benchmark evaluates {_part(count, records)}."


def _settings(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    counts = records["settings"].map(len)
    number = ranged(counts.min(), counts.max(), "setting")
    evidence = f"{number} a trial, on its page, with the command that runs it again."
    return (YES if counts.min() else NO), evidence


def _scale(found: list[Block], records: pd.DataFrame, histories: pd.DataFrame) -> Answer:
    full = int((records["protocol"] == "paper").sum())
    protocols = ", ".join(sorted(set(map(str, records["protocol"]))))
    return _of(full, len(records)), f"The papers' scale was that of {_part(full, records)}; protocols: {protocols}."


ITEMS: tuple[tuple[str, str, Callable[[list[Block], pd.DataFrame, pd.DataFrame], Answer]], ...] = (
    ("Same benchmark", "Do all methods of a comparison share data, splits, space and retraining?", _benchmark),
    ("Same budgets", "Did all methods of a comparison get the same epochs and steps?", _budgets),
    ("Same hardware", "Was there one kind of device, one number of threads, one engine?", _hardware),
    ("Same libraries", "Was there one set of versions?", _libraries),
    ("Same code", "Did one version of the code run all methods?", _code),
    ("Several seeds", "Was every method run more than once, and are the seeds stated?", _seeds),
    ("Data splits", "Is what is reported of images that no search saw?", _splits),
    ("Random search", "Did random search run beside the others?", _random),
    ("Ablations", "Did parts of a method run by themselves?", _ablations),
    ("Over time", "Is performance reported over the search, not only after it?", _over_time),
    ("Tabular benchmark", "Are results checked where every architecture is known?", _tabular),
    ("Whole cost", "Is the cost of search and retraining stated?", _cost),
    ("Cost of tuning", "Is what tuning took stated?", _tuning),
    ("Settings", "Are all hyper-parameters and the way to run a trial again stated?", _settings),
    ("Published scale", "Did trials run at the papers' own scale?", _scale),
)


def _several(block: Block, prefix: str) -> bool:
    """Do trials of the block differ in a setting whose name begins with `prefix`?"""
    own = [
        {name: value for name, value in trial.items() if name.startswith(prefix)} for trial in block.records["settings"]
    ]
    return any(trial != own[0] for trial in own)


def _of(count: int, total: int) -> str:
    if count == total:
        return YES
    return PARTLY if count else NO


def _single(*kinds: Iterable[Any]) -> str:
    return YES if all(len(set(kind)) == 1 for kind in kinds) else NO


def _list(names: set[str]) -> str:
    return "; ".join(sorted(names))


def _part(count: int, records: pd.DataFrame) -> str:
    return f"{count} of {counted(len(records), 'trial')}"
