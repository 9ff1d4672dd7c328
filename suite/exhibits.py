"""The papers' exhibits as studies: what of each can be run here, and the trials that fill it."""

import tomllib
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from methods import METHODS
from spaces.common.errors import InputError, unknown
from suite.data.sets import available
from suite.study import Study, find, read_exhibit

if TYPE_CHECKING:
    from pandas import DataFrame

    from reports.exhibits.exhibit import Exhibit

RUNS = Path("runs/exhibits")
"""Where the trials of all exhibits lie together, so that none is run twice."""

SOLVABLE = "analytic"
"""The space whose searches are over in a second: they leave no records, a report makes them (`suite.disk_cache`)."""

DRAWN = 400
"""Steps of such a search that are kept for a figure, at most."""

CHECK = "quick"
"""The protocol that only checks that everything runs, so that bundled images may stand in for the papers'."""


def states() -> list[dict[str, Any]]:
    """Every exhibit: name, paper, number, title, layout, its state in words, rows, claims, and what it lacks."""
    from reports.exhibits.catalogue import catalogue
    from reports.published.published_numbers import numbers

    published = numbers()
    return [_state(exhibit, published) for exhibit in catalogue().values()]


def _state(exhibit: "Exhibit", published: "DataFrame") -> dict[str, Any]:
    rows = exhibit.row_methods(published)
    lacks = [*exhibit.without_recipe(published, METHODS), *exhibit.lacks]
    runs = sum(method in METHODS for method in rows.values())
    if not exhibit.trials:
        state = "published numbers only" if rows else "described only"
    else:
        state = "runs" if not lacks else "runs in part"
    return {
        "name": exhibit.name,
        "paper": exhibit.paper,
        "number": exhibit.number,
        "title": exhibit.title,
        "layout": exhibit.layout,
        "state": state,
        "rows": f"{runs} of {len(rows)}" if rows and exhibit.trials else "",
        "claims": len(exhibit.claims),
        "lacks": "; ".join(lacks),
    }


def study_of(name: str) -> tuple[Path, Study] | None:
    """The file of the exhibit `name` (PAPER/NAME, or a file with the key `paper`) and its trials as a study.

    None where `name` is no exhibit. Raises `InputError` for a file that is not one, and where nothing can be run.
    """
    from reports.exhibits.catalogue import CATALOGUE, read
    from reports.published.published_numbers import PAPERS, numbers

    paper = name.partition("/")[0]
    path = CATALOGUE / f"{name}.toml"
    if not path.is_file() or not bundled(path):
        if paper in PAPERS and not Path(name).is_file():
            raise unknown("exhibit", name, (f"{p.parent.name}/{p.stem}" for p in CATALOGUE.glob("*/*.toml")))
        path = find(name)
        if "paper" not in _keys(path):
            return None
    exhibit = read(path)
    if exhibit.trials and all(block.spaces == [SOLVABLE] for block in exhibit.trials):
        raise InputError(f"{exhibit.name}: nothing to run: every report solves it anew (`dartboard report RUNS`)")
    _check_columns(exhibit, path)
    if not exhibit.trials:
        lacks = [*exhibit.without_recipe(numbers(), METHODS), *exhibit.lacks]
        raise InputError(f"{exhibit.name}: nothing can be run for it here: {'; '.join(lacks) or 'no trials'}")
    return path, read_exhibit(path)


def bundled(path: Path) -> bool:
    """Does the exhibit's file stand in the catalogue?"""
    from reports.exhibits.catalogue import CATALOGUE

    return path.parent.parent == CATALOGUE


HISTORY = (
    *("train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "discrete_accuracy", "tabular_accuracy"),
    *("skip_share", "alpha", "w", "y"),
)
"""The columns of a history that have a number an epoch, those of probes apart."""


def _check_columns(exhibit: "Exhibit", path: Path) -> None:
    """Raise `InputError` for a column of the history that no search has."""
    from methods.probes import PROBES
    from reports.exhibits.metrics import LAST

    columns = list(exhibit.y) if exhibit.layout == "trajectory" else []
    columns += [claim.metric.removeprefix(LAST) for claim in exhibit.claims if claim.metric.startswith(LAST)]
    for column in columns:
        kind, _, rest = column.partition(".")
        probe = rest.partition(".")[0]
        if kind == "probe" and probe not in PROBES:
            raise InputError(f"{path}: {column}: {unknown('probe', probe, PROBES)}")
        if kind not in ("probe", "fimt") and column not in HISTORY:
            raise InputError(f"{path}: {unknown('column of the history', column, HISTORY)}")


def _keys(path: Path) -> set[str]:
    try:
        return set(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return set()  # whoever reads it as a study says what is wrong with it


def with_stand_ins(study: Study, protocol: str, root: Path) -> tuple[Study, list[str]]:
    """The study with bundled images in place of its first data set, if that is not in the data root, and in words what.

    Other data sets that are not there are left out: one search is no evidence about three
    (`reports.exhibits.scale_groups`). Only for
    the protocol `CHECK`: any other says something about methods, and is run on the paper's data or not.
    """
    from reports.exhibits.metrics import STAND_IN

    first = study.trials[0].datasets[0]
    named = dict.fromkeys(dataset for block in study.trials for dataset in block.datasets)
    missing = [dataset for dataset in named if not available(dataset, root)] if protocol == CHECK else []
    if not missing:
        return study, []
    stands = {dataset: dataset for dataset in named if dataset not in missing}
    if first in missing:
        stands[first] = STAND_IN
    here = [(block, [stands[dataset] for dataset in block.datasets if dataset in stands]) for block in study.trials]
    blocks = [block.model_copy(update={"datasets": datasets}) for block, datasets in here if datasets]
    told = [
        f"{dataset} is not in the data root {root}: {f'{STAND_IN} stands in' if dataset == first else 'left out'}"
        for dataset in missing
    ]
    return study.model_copy(update={"trials": blocks}), told


def own(files: Iterable[Path]) -> "list[Exhibit]":
    """The exhibits in `files`, which a report shows beside the bundled ones.

    Raises `InputError`, one line: which file, which key, what to do.
    """
    from reports.exhibits.catalogue import read_own

    found: dict[str, Exhibit] = {}
    for path in files:
        exhibit = read_own(path)
        _check_columns(exhibit, path)
        if exhibit.name in found:
            raise InputError(f"{path}: {found[exhibit.name].file} is called the same: rename one, or give it once")
        found[exhibit.name] = exhibit
    return list(found.values())


def solved(more: "Iterable[Exhibit]" = ()) -> "tuple[DataFrame, DataFrame]":
    """The searches of the solvable model that exhibits name, `more` among them, as records and histories.

    An epoch is a step.
    """
    import pandas as pd

    from reports.exhibits.catalogue import catalogue
    from reports.exhibits.scale_groups import EXACT, FULL
    from suite.disk_cache import kept

    records, histories = [], []
    for exhibit in (*catalogue().values(), *more):
        for block in exhibit.trials:
            if block.spaces != [SOLVABLE]:
                continue
            for method in block.methods:
                asked = {"method": method, "settings": block.settings, "steps": DRAWN}
                row, steps = kept(asked, partial(_solved, method, block.settings))
                names = {"space": SOLVABLE, "dataset": block.datasets[0], "seed": 0, "protocol": FULL}
                records.append({**row, **names, "evaluation": EXACT})
                histories += [{**names, **step, "key": row["key"], "method": method} for step in steps]
    return pd.DataFrame(records), pd.DataFrame(histories)


def _solved(method: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One search as a record, with what an exhibit needs of it, and its steps, thinned out."""
    from suite import analytic

    found = analytic.solve(method, settings)
    steps = found["course"]
    kept = [*steps[: -1 : max(1, len(steps) // DRAWN)], steps[-1]]
    words = ", ".join(f"{name} = {value:g}" for name, value in settings.items())
    return {
        "key": f"{method}--{SOLVABLE}--{words}",
        "method": method,
        "device": "cpu",
        "engine": "closed form beside",
        "scale": f"{found['steps']} steps, until nothing moves",
        "settings": found["settings"],
        "origin": dict.fromkeys(settings, "settings"),
        "search_seconds": float("nan"),
    }, [{"epoch": row["epoch"], **{k: row[k] for k in ("alpha", "w", "y") if k in row}} for row in kept]
