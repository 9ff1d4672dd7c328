"""The trials of an exhibit as a study, which `dartboard run PAPER/NAME` runs."""

import tomllib
from pathlib import Path

from spaces.common.errors import InputError, unknown
from suite.data.sets import available
from suite.exhibits.own_exhibits import check_columns
from suite.exhibits.solved import is_solved
from suite.exhibits.states import missing
from suite.study import Study, find, read_exhibit

RUNS = Path("runs/exhibits")
"""The one folder of the trials of all exhibits, so that none is run twice."""

CHECK = "quick"
"""The protocol that only checks that everything runs, so that bundled images may replace the papers'."""


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
    if exhibit.trials and all(is_solved(block.spaces) for block in exhibit.trials):
        raise InputError(f"{exhibit.name}: nothing to run: every report solves it (`dartboard report RUNS`)")
    check_columns(exhibit, path)
    if not exhibit.trials:
        lacks = missing(exhibit, numbers())
        raise InputError(f"{exhibit.name}: nothing can be run for it here: {'; '.join(lacks) or 'no trials'}")
    return path, read_exhibit(path)


def bundled(path: Path) -> bool:
    """Whether the exhibit's file is in the catalogue."""
    from reports.exhibits.catalogue import CATALOGUE

    return path.parent.parent == CATALOGUE


def _keys(path: Path) -> set[str]:
    try:
        return set(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return set()  # reading it as a study says what is wrong


def with_stand_ins(study: Study, protocol: str, root: Path) -> tuple[Study, list[str]]:
    """The study with bundled images in place of its first data set, if that is not in the data root; and what changed.

    Other missing data sets are left out: one search is no evidence about three (`reports.exhibits.scale_groups`).
    Only under the protocol `CHECK`: trials of any other say something about methods and need the paper's own data.
    """
    from reports.exhibits.metrics import STAND_IN

    first = study.trials[0].datasets[0]
    named = dict.fromkeys(dataset for grid in study.trials for dataset in grid.datasets)
    absent = [dataset for dataset in named if not available(dataset, root)] if protocol == CHECK else []
    if not absent:
        return study, []
    taken = {dataset: dataset for dataset in named if dataset not in absent}
    if first in absent:
        taken[first] = STAND_IN
    here = [(grid, [taken[dataset] for dataset in grid.datasets if dataset in taken]) for grid in study.trials]
    grids = [grid.model_copy(update={"datasets": datasets}) for grid, datasets in here if datasets]
    told = [
        f"{dataset} is not in the data root {root}: {f'{STAND_IN} stands in' if dataset == first else 'left out'}"
        for dataset in absent
    ]
    return study.model_copy(update={"trials": grids}), told
