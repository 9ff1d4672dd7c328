"""What the papers' pages gather: exhibits with their tables, cells and verdicts, counted and listed."""

import re
from typing import Any

import pytest

from reports.exhibits.catalogue import catalogue, read_own
from reports.latex import latex
from reports.pages import papers_page
from reports.published.published_numbers import EXHIBITS
from spaces import get_space


def test_beside_cells_stand_the_numbers_that_their_claims_are_judged_by(exhibit, cells_head, frames, runs):
    """Errors of 40, 39 and 35 % against 7, 5.5 and 6.5 %: their means, and of each drawn cell its own trial's."""
    made = exhibit(
        """
[[claims]]
says = "Λ-DARTS errs less"
kind = "beats"
method = "lambda-darts"
against = ["darts-1st", "darts-minus"]
metric = "test error"

[[claims]]
says = "its layers agree more"
kind = "beats"
method = "lambda-darts"
against = ["darts-1st"]
metric = "last probe.alignment.cosine.valid"
higher = true
""",
        cells_head,
    )
    given = {"darts-1st": [60.0, 61.0, 65.0], "lambda-darts": [93.0, 94.5, 93.5]}
    found = papers_page.gather(*frames(runs(given)), get_space, exhibits=[made])
    ((shown,),) = [paper.exhibits for paper in found.papers]
    (told,) = shown.tables
    rows = {row[0]: row[1:] for row in told.rows()}
    error, aligned = "6.33 ± 0.76", "0.10 ± 0.10"
    scale = "cpu: 2 epochs, C 8, 2 cells a stage, 500 images, cifar10, cpu"
    assert rows == {
        "lambda-darts": [error, "3", aligned, "3", scale],
        "darts-1st": ["38.00 ± 2.65", "3", aligned, "3", scale],
    }
    headings = [column.heading for column in told.columns]
    assert headings == ["Method", "Test error (%)", "Seeds", "Alignment, cosine, valid", "Seeds", "Scale"]
    assert "by which its claims are judged" in told.caption
    captions = {drawn.caption.partition(" of ")[2].partition(",")[0]: drawn.caption for drawn in shown.cells}
    assert ", test error (%) 40.00, alignment, cosine, valid 0.00 (protocol cpu" in captions["darts-1st"]
    assert ", test error (%) 7.00, " in captions["lambda-darts"]


def test_cells_whose_claims_are_on_no_number_have_no_table(exhibit, cells_head, frames, runs):
    claim = """
[[claims]]
says = "DARTS collapses"
kind = "collapses"
method = "darts-1st"
"""
    found = papers_page.gather(*frames(runs({"darts-1st": [60.0]})), get_space, exhibits=[exhibit(claim, cells_head)])
    ((shown,),) = [paper.exhibits for paper in found.papers]
    assert (shown.tables, len(shown.cells)) == ([], 1)


def test_names_are_escaped_everywhere(exhibit, frames, runs, claim):
    nasty = r"""<b>&"x"</b> 100 % $y$ =1+1 \input{x}"""
    made = exhibit(claim("beats", against=["darts-1st"]).replace("So it is", "<i>So</i> it is 100 % _so_"))
    made = made.model_copy(update={"title": nasty})
    records, histories = frames(runs({"lambda-darts": [94.0, 93.5, 93.9], "darts-1st": [60.0, 61.0, 65.0]}))
    found = papers_page.gather(records, histories, get_space, {"darts-1st"}, [made])
    text = "".join(latex.latex_table(shown) for shown in found.tables)
    assert r"\input{x}" not in text
    assert "100 %" not in text.replace(r"\%", "")
    assert r"\textless{}i\textgreater{}So" in text


def test_every_table_of_the_papers_is_an_exhibit():
    found = {(made.paper, made.published or made.number) for made in catalogue().values()}
    listed = {(paper, name) for paper, exhibits in EXHIBITS.items() for name in exhibits}
    assert listed <= found
    assert sum(made.number.startswith("Table") for made in catalogue().values()) >= 24


def test_an_exhibit_of_ones_own_stands_on_its_papers_page(tmp_path, head, frames, runs, claim):
    path = tmp_path / "mine.toml"
    path.write_text(head + claim("resists").replace("'lambda-darts'", "'darts-1st'"), encoding="utf-8")
    records, histories = frames(runs({"darts-1st": [60.0, 61.0, 65.0]}))
    found = papers_page.gather(
        records, histories, get_space, None, [catalogue()["lambda-darts/table1"], read_own(path)]
    )
    (paper,) = found.papers
    bundled, mine = paper.exhibits
    assert mine.exhibit.slug == "lambda-darts-own-mine"
    assert mine.measured
    assert mine.commands[0] == f"dartboard run {path} --protocol cpu --report report"
    assert "Λ-DARTS, Table 1 (mine.toml)" in [row[0] for row in found.listed.rows()]
    assert "Table 1 (mine.toml)" in [row[0] for row in paper.verdicts.rows()]
    # The same cells of the same trials are the same rows.
    assert mine.tables[0].rows() == bundled.tables[0].rows()
    assert mine.tables[0].slug != bundled.tables[0].slug


@pytest.fixture
def solved_beside(trial, frames):
    """From rows of trials to the papers' pages with two solved searches besides: one ends where it is claimed."""

    def gather(rows: list[dict[str, Any]]) -> papers_page.Papers:
        solved = {"space": "analytic", "dataset": "two losses", "protocol": "paper", "evaluation": "exact"}
        searches = [
            trial(method, 0, 0.0, settings={}, key=f"solved {method}", **solved) for method in ("darts-1st", "milenas")
        ]
        records, histories = frames([*rows, *searches])
        # As in a report: records of trials have a task, what the report solves has none.
        records["task"] = records["evaluation"].map(lambda how: None if how == "exact" else "image-classification")
        ends = {"solved darts-1st": 2.0, "solved milenas": 1.0}
        made = [catalogue()["lambda-darts/table1"], catalogue()["rarts/figure1"]]
        return papers_page.gather(records, histories.assign(alpha=histories["key"].map(ends)), get_space, None, made)

    return gather


def numbers_in(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def test_what_the_report_solved_is_not_counted_as_what_runs_tell(runs, solved_beside):
    """Trials of one method tell of Λ-DARTS's Table 1; the two searches of the model are the report's own."""
    found = solved_beside(runs({"darts-1st": [60.0, 61.0, 65.0]}))
    runs_tell, _, solves = found.headline.partition(papers_page.SOLVED)
    (judged_by_runs,) = (paper.verdicts.frame for paper in found.papers if paper.key == "lambda-darts")
    assert len(judged_by_runs)
    assert f"These runs tell of {len(judged_by_runs)}, " in runs_tell
    assert numbers_in(solves) == [2, 1, 1, 0]  # claims, supported, not supported, undecided
    rows = {(row[0], row[1]): row[2:] for row in found.counts.rows()}
    assert rows["RARTS", "none: solved by the report"][:4] == ["–", "1", "1", "0"]
    assert ("RARTS", "paper") not in rows
    states = {row[0]: row[2] for row in found.listed.rows()}
    assert states == {"Λ-DARTS, Table 1": "measured", "RARTS, Figure 1": "solved by the report"}


def test_runs_that_tell_nothing_are_said_to_although_the_report_solved_something(runs, solved_beside):
    found = solved_beside(runs({"random": [60.0, 61.0]}))
    runs_tell, _, solves = found.headline.partition(papers_page.SOLVED)
    assert "These runs tell of none" in runs_tell
    assert numbers_in(solves) == [2, 1, 1, 0]
    (paper,) = (paper for paper in found.papers if paper.key == "rarts")
    assert "These runs tell of none" in paper.headline
    assert [row[3] for row in paper.verdicts.rows()] == ["–", "–"]  # seeds: nothing is drawn


def test_without_anything_solved_nothing_is_said_of_it(exhibit, frames, runs, claim):
    found = papers_page.gather(
        *frames(runs({"darts-1st": [60.0]})), get_space, exhibits=[exhibit(claim("resists").replace("lambda-", ""))]
    )
    assert papers_page.SOLVED not in found.headline
