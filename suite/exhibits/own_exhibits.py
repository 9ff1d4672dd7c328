"""A user's own exhibits, and the checks of an exhibit that need to know what a search records."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from spaces.common.errors import InputError, unknown

if TYPE_CHECKING:
    from reports.exhibits.exhibit import Exhibit

HISTORY_COLUMNS = (
    *("train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "discrete_accuracy", "tabular_accuracy"),
    *("skip_share", "alpha", "w", "y"),
)
"""The columns of a history that hold one number for each epoch, apart from those of probes."""


def read_own(files: Iterable[Path]) -> "list[Exhibit]":
    """The exhibits in `files`, which a report shows beside the bundled ones.

    Raises `InputError`, one line: which file, which key, what to do.
    """
    from reports.exhibits import catalogue

    found: dict[str, Exhibit] = {}
    for path in files:
        exhibit = catalogue.read_own(path)
        check_columns(exhibit, path)
        if exhibit.name in found:
            raise InputError(f"{path}: {found[exhibit.name].file} has the same name: rename one, or name it once")
        found[exhibit.name] = exhibit
    return list(found.values())


def check_columns(exhibit: "Exhibit", path: Path) -> None:
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
        if kind not in ("probe", "fimt") and column not in HISTORY_COLUMNS:
            raise InputError(f"{path}: {unknown('column of the history', column, HISTORY_COLUMNS)}")
