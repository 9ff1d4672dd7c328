"""A study's records as a site of offline pages in a folder, and as LaTeX, `report.tex` with its tables and figures."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from reports.collapse.definition import COLLAPSED, HEALTHY, UNKNOWN
from reports.exhibits.catalogue import catalogue
from reports.exhibits.exhibit import Exhibit
from reports.output import exports
from reports.output.atomic_output import check_out, replaced
from reports.output.exports import Exports
from reports.pages import (
    audit_page,
    block_page,
    checklist,
    collapse_page,
    landscape_page,
    method_page,
    overview,
    papers_page,
    provenance_page,
    trial_page,
)
from reports.pages.block_page import Section
from reports.pages.collapse_page import Collapse
from reports.pages.cross_block import across
from reports.pages.site import Pages, Site
from reports.records.blocks import SpaceOf
from reports.records.results import Results
from reports.sentences.notes import METHOD_NOTES, RANKING_NOTES
from reports.tables.tables import named_rows
from spaces import get_space


def build(
    results: Results,
    out: Path,
    *,
    space_of: SpaceOf = get_space,
    table: pd.DataFrame | None = None,
    recipes: pd.DataFrame | None = None,
    solved: tuple[pd.DataFrame, pd.DataFrame] | None = None,
    own: Iterable[Exhibit] = (),
) -> Path:
    """Write the report of `results` (docs/architecture.md) to the folder `out`; returns the path of its first page.

    `out` gets `index.html` and the pages that it leads to (a page a block in `results/`, a method in `methods/`, a
    trial in `trials/`, a paper in `papers/`), which need nothing else and ask for nothing; the numbers of every table
    and figure as CSV in `tables/` and `figures/`; and `report.tex`, which compiles as it stands. It is written beside
    `out` and then put in its place, so `out` holds a whole report or what it held before. An earlier report there is
    replaced, which its manifest tells from anybody's files.

    With the whole tabular benchmark (`spaces.tabular.table.Table.frame`) as `table`, the landscape of it is shown;
    `recipes` is the registry of methods (`reports.pages.method_page.catalogue`), known ones that did not run included;
    `solved` are records and histories that only exhibits show, of problems that leave none; `own` are exhibits that
    stand behind those of the catalogue.

    Raises `InputError` if a value is not finite or a genotype does not parse, or as `check_out`.
    """
    check_out(out)
    records, histories = results.records, results.histories
    sections = block_page.sections(results, space_of)
    views = across(results)
    collapse = collapse_page.gather(results, space_of)
    landscape = None if table is None else landscape_page.gather(table, results)
    declared = block_page.recipes(records)
    methods = method_page.catalogue(records, recipes)
    known = None if recipes is None else set(recipes["name"])
    solved_records, solved_histories = solved or (records.iloc[:0], histories.iloc[:0])
    papers = papers_page.gather(
        pd.concat([records, solved_records], ignore_index=True),
        pd.concat([histories, solved_histories], ignore_index=True),
        space_of,
        known,
        [*catalogue().values(), *own],
    )
    content: dict[str, Any] = {
        "sections": sections,
        "overviews": [overview.results(section) for section in sections],
        "views": views,
        "conditions": block_page.conditions(records),
        "recipes": declared,
        "notes": METHOD_NOTES + RANKING_NOTES,
        "landscape": landscape,
        "papers": papers,
        "collapse": collapse,
        "shares": overview.shares(collapse),
        "summary": overview.summary(records),
    }
    with replaced(out) as folder:
        files = Exports(folder)
        pages = Pages(Site(results.blocks, methods["name"]), files)
        _print(files, pages, content)
        pages.write("index.html.j2", "index.html", **content)
        pages.write("papers.html.j2", "papers/index.html", [HOME], papers=papers, notes=papers_page.NOTES)
        for paper in papers.papers:
            address = f"papers/{paper.key}.html"
            pages.write("paper.html.j2", address, [HOME, ("Papers", "papers/index.html")], paper=paper)
        for section, part in zip(sections, collapse.parts, strict=True):
            address = pages.site.results[section.block.slug]
            pages.write("result.html.j2", address, [HOME], section=section, part=part)
        pages.write("collapse.html.j2", "collapse.html", [HOME], collapse=collapse)
        _methods(pages, methods, content)
        _trials(pages, results, space_of, collapse, sections, None if recipes is None else {*recipes["name"]})
        pages.write(
            "how.html.j2",
            "how.html",
            [HOME],
            notes=content["notes"],
            checklist=checklist.table(results),
            locks=provenance_page.locks(records),
            data=provenance_page.data(records),
            rule=exports.RULE,
        )
        pages.write("audit.html.j2", "audit.html", [HOME], audit=audit_page.audited(), notes=audit_page.NOTES)
    return out.resolve() / "index.html"


HOME = ("Overview", "index.html")
JUDGED = {
    COLLAPSED: "Its search collapsed",
    HEALTHY: "Its search did not collapse",
    UNKNOWN: "Whether its search collapsed is not known",
}


def _print(files: Exports, pages: Pages, content: dict[str, Any]) -> None:
    """LaTeX, with its tables and figures."""
    for section in content["sections"]:
        files.printable(section.curves, pixels=True)
        files.printable([*section.weights, *section.cells], pixels=False)
    files.printable(content["papers"].cells, pixels=True)
    parts = [*content["views"], content["collapse"], content["papers"]]
    parts += [content["landscape"]] if content["landscape"] else []
    for part in parts:
        files.printable(part.drawn, pixels=True)
    for part in [*content["sections"], *parts]:
        for table in part.tables:
            files.table(table)
    pages.write_latex("report.tex.j2", "report.tex", **content)


def _methods(pages: Pages, methods: pd.DataFrame, content: dict[str, Any]) -> None:
    sections, collapse = content["sections"], content["collapse"]
    held = "; ".join(dict.fromkeys(section.block.conditions for section in sections))
    pages.write("methods.html.j2", "methods/index.html", [HOME], methods=method_page.listed(methods, held))
    pictures = {key: found for section in sections for key, found in section.pictures.items()}
    for row in named_rows(methods):
        gathered = method_page.gather(row, sections, collapse, content["recipes"], pictures)
        address = pages.site.method(str(row["name"]))
        assert address is not None
        pages.write("method.html.j2", address, [HOME, ("Methods", "methods/index.html")], method=gathered)


def _trials(
    pages: Pages,
    results: Results,
    space_of: SpaceOf,
    collapse: Collapse,
    sections: list[Section],
    registry: set[str] | None,
) -> None:
    """A page a trial, drawn, written and let go one after another; figures that a section has are its own."""
    crumbs = [HOME, ("Trials", "trials/index.html")]
    pages.write("trials.html.j2", "trials/index.html", [HOME], trials=overview.trials(sections, collapse))
    watched = {trial.key: trial for trial in collapse.pages}
    for section, part in zip(sections, collapse.parts, strict=True):
        verdicts = {str(row["key"]): row for row in named_rows(part.verdicts.frame)}
        for record in named_rows(section.block.records):
            key = str(record["key"])
            history = results.history(key)
            pictures = section.pictures.get(key) or trial_page.draw(section.block, record, history, space_of)
            known = registry is None or str(record["method"]) in registry
            pages.write(
                "trial.html.j2",
                str(pages.site.trial(key)),
                crumbs,
                trial=trial_page.gather(section.block, record, history, pictures, known=known),
                verdict=verdicts[key],
                judged=JUDGED,
                watched=watched.get(key),
            )
