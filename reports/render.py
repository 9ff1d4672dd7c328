"""A study's records as one offline page, `index.html`, and as LaTeX, `report.tex` with its tables and figures.

Beside it stands `audit.html`, the audit of the published numbers, which depends on no run.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports import landscape_page
from reports.core import audit_page, collapse_page, latex, page
from reports.core.across import Across, across
from reports.core.blocks import SpaceOf
from reports.core.collapse_page import Collapse
from reports.core.page import Section
from reports.landscape_page import Landscape
from reports.standings import STANDING_NOTES
from reports.statistics import METHOD_NOTES
from spaces import get_space
from spaces.core.errors import InputError

TEMPLATES = Path(__file__).parent / "templates"
MANIFEST = ".dartboard-report"
"""The file that lists the files of a report, a line each; a folder with others is somebody's and is left alone."""


def build(
    records: pd.DataFrame,
    histories: pd.DataFrame,
    out: Path,
    *,
    space_of: SpaceOf = get_space,
    table: pd.DataFrame | None = None,
) -> Path:
    """Write the report of `records` and `histories` (docs/architecture.md) to the folder `out`; its page's path.

    `out` gets `index.html` and, of no run, `audit.html`, which need nothing else and ask for nothing, and `report.tex`,
    which compiles as it stands, with `tables/*.tex` for input elsewhere and `figures/*.pdf`. It is written beside `out`
    and then put in its place, so `out` holds a whole report or what it held before. An earlier report there is
    replaced, which its `MANIFEST` tells from anybody's files. With the whole tabular benchmark
    (`spaces.core.tabular.Table.frame`) as `table`, the landscape of it is shown.

    Raises `InputError` when there are no records, a column is missing, a value is not finite, a trial stands there
    twice, a genotype does not parse, or as `check_out`.
    """
    check_out(out)
    out = out.resolve()
    sections = page.sections(records, histories, space_of)
    views = across(records)
    collapse = collapse_page.gather(records, histories, space_of)
    landscape = None if table is None else landscape_page.gather(table, records)
    content = {
        "sections": sections,
        "views": views,
        "conditions": page.conditions(records),
        "recipes": page.recipes(records),
        "notes": METHOD_NOTES + STANDING_NOTES,
        "landscape": landscape,
        "collapse": collapse,
        "summary": _summary(records),
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".report-", dir=out.parent) as scratch:
            new = Path(scratch) / "new"
            _write(new, [*sections, *views, collapse, *([landscape] if landscape else [])], content)
            if out.exists():
                out.rename(Path(scratch) / "old")
            new.rename(out)
    except OSError as error:
        raise InputError(f"{out}: the report cannot be written: {error.strerror or error}") from error
    return out / "index.html"


def check_out(out: Path) -> None:
    """Raise `InputError` unless `build` can write a report to the folder `out`; nothing is changed.

    It cannot where `out` is a file, holds a file that is no part of an earlier report, or cannot be made or replaced.
    """
    try:
        out = out.resolve()
        if out.exists() and not out.is_dir():
            raise InputError(f"{out}: is a file: name a folder for the report")
        if out.is_dir() and (foreign := _foreign(out)) is not None:
            raise InputError(f"{out}: holds {foreign!r}, which is no part of a report: name a new or an empty folder")
        if os.path.ismount(out):
            raise InputError(f"{out}: is a mounted folder, which cannot be replaced: name a folder in it")
        # Tried, not asked for: permissions do not tell of a file system that is read-only or full.
        with TemporaryDirectory(prefix=".report-", dir=next(path for path in out.parents if path.exists())):
            pass
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{out}: the report cannot be written: {reason}: name another folder") from error


def _foreign(out: Path) -> str | None:
    """The first entry of the folder `out` that no earlier report put there."""
    try:
        own = {MANIFEST, *(out / MANIFEST).read_text(encoding="utf-8").splitlines()}
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError):
        own = set()
    own |= {parent.as_posix() for name in own for parent in Path(name).parents}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if name not in own or path.is_symlink():
            return name
    return None


def _write(folder: Path, parts: Sequence[Section | Across | Collapse | Landscape], content: dict[str, Any]) -> None:
    for name in ("tables", "figures"):
        (folder / name).mkdir(parents=True)
    for part in parts:
        for table in part.tables:
            (folder / "tables" / f"{table.slug}.tex").write_text(latex.tabular(table), encoding="utf-8")
        for drawn in part.drawn:
            drawn.save_pdf(folder / "figures" / f"{drawn.slug}.pdf")
    (folder / "index.html").write_text(_html().get_template("index.html.j2").render(content), encoding="utf-8")
    published = {"audit": audit_page.audited(), "notes": audit_page.NOTES}
    (folder / "audit.html").write_text(_html().get_template("audit.html.j2").render(published), encoding="utf-8")
    (folder / "report.tex").write_text(_latex().get_template("report.tex.j2").render(content), encoding="utf-8")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    (folder / MANIFEST).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _html() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _latex() -> Environment:
    # LaTeX's own braces and percent signs stay free; nothing is printed but through the filter `tex`.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    environment.filters["tex"] = latex.escape
    return environment


def _summary(records: pd.DataFrame) -> str:
    counts = [
        (len(records), "trial"),
        (records["method"].nunique(), "method"),
        (records["space"].nunique(), "space"),
        (records["dataset"].nunique(), "data set"),
        (records["seed"].nunique(), "seed"),
    ]
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)
