"""`dartboard audit`: which claims of the papers their own numbers support, and where papers disagree."""

from typing import TYPE_CHECKING, Annotated

import typer

from suite.terminal.console import Json, console, emit, plain_errors, table

if TYPE_CHECKING:
    from reports.pages.audit_page import Audit

# The columns that fit a terminal; the report's `audit.html` and --json have all of them.
OVERVIEW = ("Paper, table", "Compared", "Ahead", "Supported", "Not supported", "Cannot be judged")
TESTED = ("Paper, table", "Column", "Against", "Own", "Other", "p (Holm)", "Verdict")


def register(app: typer.Typer) -> None:
    """Put `audit` on `app`."""
    app.command()(plain_errors(audit))


def audit(
    paper: Annotated[
        str | None, typer.Option(help="One of lambda-darts, amended-darts, darts-prime, pr-darts, rarts [all].")
    ] = None,
    assume_n: Annotated[
        int | None,
        typer.Option(min=2, help="The number of runs to assume where a paper states none [such wins are not judged]."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Audit the published tables: claimed wins against their own numbers, and numbers that contradict each other."""
    from reports.pages.audit_page import audited
    from reports.published.published_numbers import PAPERS
    from suite.terminal.tables import rows

    found = audited(tuple(PAPERS) if paper is None else (paper,), assume_n)
    document = {
        "headline": found.headline,
        "assumed_n": assume_n,
        "claims": rows(found.claims),
        "disagreements": rows(found.disagreements),
        "doubts": [vars(doubt) for doubt in found.doubts],
    }
    emit(document, as_json, lambda: _show(found))


def _show(found: "Audit") -> None:
    from suite.terminal.tables import print_table

    console.print(found.headline, markup=False, highlight=False)
    console.print()
    print_table(found.overview, OVERVIEW)
    if len(found.tested.frame):
        print_table(found.tested, TESTED)
    differing = [
        {
            "quantity": f"{group.method}, {group.quantity}\n({group.dataset}, space {group.space})",
            "numbers and their sources": "\n".join(
                f"{number}  {'; '.join(places)}" for number, places in group.numbers
            ),
            "likely reason": group.reason,
        }
        for group in found.differing
    ]
    console.print(table("Where tables disagree (errors turned into accuracies)", differing))
    for doubt in found.doubts:
        console.print(f"In doubt: {doubt.where} ({doubt.printed}): {doubt.note}.", markup=False, highlight=False)
