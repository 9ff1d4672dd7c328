"""The pages of a report: where each lies, what leads from one to another, and how a template becomes a file."""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports.figures.palette import declarations
from reports.latex import latex
from reports.output.exports import Exports
from reports.records.blocks import Block, slug
from reports.tables.tables import Table

TEMPLATES = Path(__file__).with_name("templates")

NAVIGATION = (
    ("Overview", "index.html"),
    ("Papers", "papers/index.html"),
    ("Methods", "methods/index.html"),
    ("Trials", "trials/index.html"),
    ("Collapse", "collapse.html"),
    ("Published numbers", "audit.html"),
    ("How it is made", "how.html"),
)
"""The head of every page: a title and an address below the report's folder."""

Crumbs = Sequence[tuple[str, str]]


class Site:
    """Addresses of pages, below the report's folder, by what they are about.

    A method's or a trial's name is its file's where it may be one, else a slug of it; no two share one.
    """

    def __init__(self, found: Sequence[Block], methods: Iterable[str]) -> None:
        self.results = {block.slug: f"results/{block.slug}.html" for block in found}
        self._methods = _files("methods", methods)
        self._trials = _files("trials", (str(key) for block in found for key in block.records["key"]))
        labels = {str(row["label"]): str(row["method"]) for b in found for row in b.records.to_dict("records")}
        self._labels = {**{name: name for name in self._methods}, **labels}

    def method(self, label: str) -> str | None:
        """The page of the method called `label`, or of which that is one configuration; `None` where there is none."""
        return self._methods.get(self._labels.get(label, label))

    def trial(self, key: str) -> str | None:
        """The page of the trial with that key."""
        return self._trials.get(key)

    def links(self, table: Table) -> list[str | None]:
        """For each row of `table` the page that it leads to: its exhibit's, trial's, block's or first cell's."""
        frame = table.frame
        if "exhibit" in frame and frame["exhibit"].str.contains("/").all():
            pairs = zip(frame["paper"], frame["exhibit"], strict=True)
            return [f"papers/{paper}.html#{str(name).replace('/', '-')}" for paper, name in pairs]
        if "key" in frame:
            return [self.trial(str(key)) for key in frame["key"]]
        if "block" in frame:
            return [self.results.get(str(name)) for name in frame["block"]]
        return [self.method(row[0]) for row in table.rows()]


def _files(folder: str, names: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    taken = {"index"}
    for name in dict.fromkeys(names):
        stem = name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,180}", name) else slug(name)[:180]
        own, count = stem, 1
        while own.lower() in taken:  # some file systems take a and A for one
            count += 1
            own = f"{stem}-{count}"
        taken.add(own.lower())
        found[name] = f"{folder}/{own}.html"
    return found


class Pages:
    """Writes pages below `exports.folder`, with links from each to the files of its tables and figures."""

    def __init__(self, site: Site, exports: Exports) -> None:
        self.site, self.exports = site, exports
        self._html = _environment(autoescape=True)
        script = (TEMPLATES / "static" / "site.js").read_text(encoding="utf-8").strip()
        self._html.filters["address"] = lambda path: quote(path, safe="/+.#")
        self._html.globals |= {
            "site": site,
            "exports": exports,
            "navigation": NAVIGATION,
            "light": declarations(dark=False),
            "dark": declarations(dark=True),
            "script": script,
            "script_digest": b64encode(sha256(script.encode()).digest()).decode(),
        }

    def write(self, template: str, address: str, crumbs: Crumbs = (), **content: Any) -> None:
        """Render `template` to the page at `address`; `crumbs` are the pages above it, titles and addresses."""
        path = self.exports.folder / address
        path.parent.mkdir(exist_ok=True)
        root = "../" * address.count("/")
        text = self._html.get_template(template).render(content, root=root, here=address, crumbs=crumbs)
        path.write_text(text, encoding="utf-8")

    def write_latex(self, template: str, address: str, **content: Any) -> None:
        """Render a LaTeX `template` to the file at `address`."""
        # LaTeX's own braces and percent signs stay free; nothing is printed but through the filter `tex`.
        environment = _environment(
            autoescape=False,
            block_start_string="<%",
            block_end_string="%>",
            variable_start_string="<<",
            variable_end_string=">>",
            comment_start_string="<#",
            comment_end_string="#>",
        )
        environment.filters["tex"] = latex.escape
        text = environment.get_template(template).render(content)
        (self.exports.folder / address).write_text(text, encoding="utf-8")


def _environment(**options: Any) -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, **options
    )
