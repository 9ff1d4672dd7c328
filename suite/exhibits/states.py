"""The state of each exhibit, for `dartboard list exhibits`: what can be run here and what is missing."""

from typing import TYPE_CHECKING, Any

from methods import METHODS

if TYPE_CHECKING:
    from pandas import DataFrame

    from reports.exhibits.exhibit import Exhibit


def states() -> list[dict[str, Any]]:
    """Every exhibit: name, paper, number, title, layout, its state in words, rows, claims, and what it lacks."""
    from reports.exhibits.catalogue import catalogue
    from reports.published.published_numbers import numbers

    published = numbers()
    return [_state(exhibit, published) for exhibit in catalogue().values()]


def _state(exhibit: "Exhibit", published: "DataFrame") -> dict[str, Any]:
    rows = exhibit.row_methods(published)
    lacks = missing(exhibit, published)
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


def missing(exhibit: "Exhibit", published: "DataFrame") -> list[str]:
    """The parts of the exhibit that no trial here can fill, in words."""
    return [*exhibit.without_recipe(published, METHODS), *exhibit.lacks]
