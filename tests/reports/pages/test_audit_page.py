"""The audit's page: whole, linked with the report, asking nobody for anything, and with the numbers of the audit."""

import html
import re

import pandas as pd
import pytest

from reports.output.atomic_output import MANIFEST
from reports.pages.audit_page import NOTES, audited
from reports.published import audit


@pytest.fixture(scope="module")
def page(report):
    return (report[0] / "audit.html").read_text(encoding="utf-8")


def rows(page, slug):
    body = re.search(rf'<table id="{slug}".*?</table>', page, re.DOTALL).group()
    found = re.findall(r"<tr>(.*?)</tr>", body.split("<tbody>")[1], re.DOTALL)
    return [
        [html.unescape(cell.strip()) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in found
    ]


def test_the_page_is_a_file_of_the_report_and_linked(report, page):
    assert "audit.html" in (report[0] / MANIFEST).read_text().splitlines()
    assert '<a href="audit.html">' in (report[0] / "index.html").read_text(encoding="utf-8")
    assert '<a href="index.html">' in page
    differing = pd.read_csv(report[0] / "tables" / "differing.csv")
    assert len(differing) == len(audited().disagreements)


def test_overview_adds_up_to_the_headline(page):
    found = audited()
    assert html.escape(found.headline, quote=True) in page
    sums = [sum(int(row[column]) for row in rows(page, "overview")) for column in range(1, 6)]
    assert f"another {sums[0]} times and are ahead {sums[1]} times" in found.headline
    assert f"support {sums[2]} of these wins, {sums[3]} are not supported, {sums[4]} cannot be judged" in found.headline
    assert sum(sums[2:]) == sums[1]


def test_every_win_stands_in_one_of_two_tables(page):
    tested, untested = rows(page, "tested"), rows(page, "untested")
    wins = (audited().claims["outcome"] == "ahead").sum()
    assert len(tested) + len(untested) == wins
    assert {row[-1] for row in tested} == {audit.SUPPORTED, audit.UNSUPPORTED}
    assert {row[-1] for row in untested} == set(audit.OBSTACLES)
    (minus,) = (row for row in tested if row[1] == "CIFAR-10 Test" and row[3] == "DARTS-")
    assert minus[:7] == [
        *("Λ-DARTS, Table 1", "CIFAR-10 Test", "Λ-DARTS - Λ(ω, α)", "DARTS-", "94.36 ± 0.00", "93.80 ± 0.40", "4, 4"),
    ]


def test_disagreements_name_who_prints_what(page):
    found = rows(page, "differing")
    assert len(found) == len(audited().differing)
    (row,) = (row for row in found if row[0].startswith("pc-darts, test accuracy <small>CIFAR-10"))
    assert "<dt>97.19</dt><dd>PR-DARTS Table 1 (as 2.81 error)</dd>" in row[1]
    assert "Amended-DARTS Table 1 (as 2.57 ± 0.07 error)" in row[1]
    assert "misprint" in row[2]


def test_doubts_and_conventions_are_said(page):
    assert "RARTS, Table 4, DARTS-1 and DARTS-2" in page
    for note in NOTES:
        assert html.escape(note, quote=False).replace("'", "&#39;") in page
