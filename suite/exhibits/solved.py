"""Searches of spaces without trials, which a report runs itself: each ends within seconds and leaves no record."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from spaces import get_space

if TYPE_CHECKING:
    from pandas import DataFrame

    from reports.exhibits.exhibit import Exhibit

MOST_STEPS = 400
"""Steps of such a search that are kept for a figure, at most."""


def is_solved(spaces: Sequence[str]) -> bool:
    """Whether searches of these `spaces` are solved by the report: none of them has trials."""
    return not any(get_space(space).trials for space in spaces)


def solved(more: "Iterable[Exhibit]" = ()) -> "tuple[DataFrame, DataFrame]":
    """The searches without trials that bundled exhibits and `more` name, as records and histories.

    An epoch is a step. Results come from the user's cache if they are there.
    """
    import pandas as pd

    from reports.exhibits.catalogue import catalogue
    from reports.exhibits.scale_groups import EXACT, FULL
    from suite.exhibits.disk_cache import kept

    records, histories = [], []
    blocks = [
        block for exhibit in (*catalogue().values(), *more) for block in exhibit.trials if is_solved(block.spaces)
    ]
    for block in blocks:
        for space in block.spaces:
            for method in block.methods:
                asked = {"space": space, "method": method, "settings": block.settings, "steps": MOST_STEPS}
                row, steps = kept(asked, partial(_solve, space, method, block.settings))
                names = {"space": space, "dataset": block.datasets[0], "seed": 0, "protocol": FULL}
                records.append({**row, **names, "evaluation": EXACT})
                histories += [{**names, **step, "key": row["key"], "method": method} for step in steps]
    return pd.DataFrame(records), pd.DataFrame(histories)


def _solve(space: str, method: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One search as a record, with the fields that an exhibit reads, and at most `MOST_STEPS` of its steps."""
    from suite import analytic

    found = analytic.solve(method, settings)
    steps = found["course"]
    kept = [*steps[: -1 : max(1, len(steps) // MOST_STEPS)], steps[-1]]
    words = ", ".join(f"{name} = {value:g}" for name, value in settings.items())
    return {
        "key": f"{method}--{space}--{words}",
        "method": method,
        "device": "cpu",
        "engine": "closed form beside",
        "scale": f"{found['steps']} steps, until nothing moves",
        "settings": found["settings"],
        "origin": dict.fromkeys(settings, "settings"),
        "search_seconds": float("nan"),
    }, [{"epoch": row["epoch"], **{k: row[k] for k in ("alpha", "w", "y") if k in row}} for row in kept]
