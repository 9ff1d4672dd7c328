"""Tables of the documentation that are made from declarations. `--add-golden` and `--update-golden` write them anew."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from methods import METHODS
from methods.search.options import Option
from methods.search.piece_forms import describe
from methods.search.pieces import FORMS, Pieces
from methods.search.settings import COMMON
from suite.data.registry import DATASETS
from suite.evaluation import RETRAINING
from suite.trial_options import OF_TRIALS

DOCS = Path(__file__).parents[3] / "docs"
CARDS = {path.stem for path in (DOCS / "methods").glob("*.md")}


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def methods() -> str:
    """Name, title and file of every method; with a link to the card of its paper, if there is one."""
    rows = []
    for name, method in METHODS.items():
        module = METHODS.module(name)
        paper = module.split(".")[1]
        card = f" ([card](methods/{paper}.md))" if paper in CARDS else ""
        rows.append((f"`{name}`", method.title, f"`{module.replace('.', '/')}.py`{card}"))
    return table(("method", "what it is", "where"), rows)


def pieces() -> str:
    """Every piece: its arguments, when it is called, what it returns, and its default."""
    defaults = {own.name: own.default for own in fields(Pieces)}
    rows = []
    for name, form in FORMS.items():
        default = defaults[name]
        said = "required" if default is MISSING else describe(default).replace(": ", ", ") if default else "none"
        rows.append(
            (
                f"`{name}`{', any number' if form.several else ''}",
                f"({', '.join(form.given)})",
                form.called,
                form.returns,
                said,
            )
        )
    return table(("piece", "arguments", "called", "returns", "default"), rows)


def row(option: Option[Any], prefix: str = "") -> tuple[str, ...]:
    default = f"`{option.default!r}`" if option.default != "" else "none"
    return f"`{prefix}{option.name}`", option.kind, default, option.allowed, option.words


HEADS = ("setting", "type", "default", "allowed", "what it is")


def options() -> str:
    """The options of all methods; those that several methods share stand once."""
    having: dict[Option[Any], list[str]] = {}
    for name, method in METHODS.items():
        for option in method.options:
            having.setdefault(option, []).append(f"`{name}`")
    return table(("methods", *HEADS), ((", ".join(names), *row(option)) for option, names in having.items()))


def datasets() -> str:
    """Name, title, content, numbers, and how every official data set is got."""
    rows = []
    for name, entry in DATASETS.items():
        channels = {1: "grey", 3: "colour"}[entry.channels]
        got = f"bundled with {entry.package}" if entry.package else "by hand: `dartboard data status` says how"
        if entry.downloadable and not entry.package:
            got = f"`dartboard data fetch {name}`, or `--download`"
        numbers = (f"{entry.train_images:,} + {entry.test_images:,}", str(entry.classes))
        rows.append(
            (f"`{name}`", f"{entry.title}: {entry.content}", *numbers, f"{entry.size} × {entry.size}, {channels}", got)
        )
    return table(("data set", "what it is", "training + test images", "classes", "images", "how to get it"), rows)


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "methods.md": {"methods": methods},
    "adding-a-method.md": {"pieces": pieces},
    "data.md": {"data sets": datasets},
    "settings.md": {
        "search settings": lambda: table(HEADS, map(row, COMMON)),
        "options": options,
        "retraining settings": lambda: table(HEADS, (row(option, "evaluate.") for option in RETRAINING)),
        "trial settings": lambda: table(HEADS, map(row, OF_TRIALS)),
    },
}


@pytest.mark.known
@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_is_declared(page: str, request: pytest.FixtureRequest) -> None:
    path = DOCS / page
    text = before = path.read_text(encoding="utf-8")
    for section, make in PAGES[page].items():
        head, start, rest = text.partition(f"<!-- generated: {section} -->\n")
        _, end, tail = rest.partition("<!-- end -->")
        assert start
        assert end
        text = f"{head}{start}\n{make()}\n\n{end}{tail}"
    if text == before:
        return
    if not (request.config.getoption("--add-golden") or request.config.getoption("--update-golden")):
        pytest.fail(f'{path} does not say what is declared: pytest -m known --add-golden "why"', pytrace=False)
    path.write_text(text, encoding="utf-8")
    request.node.user_properties.append(("renewed", f"{page}: tables of declarations"))
