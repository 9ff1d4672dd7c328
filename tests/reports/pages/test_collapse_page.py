"""The report's part on collapse: pages of watched trials, offline, under a strict policy."""

import re

import numpy as np
import pandas as pd
import pytest

from reports.figures.svg_drawing import Dot, Label, Line
from reports.pages.collapse_page import gather
from reports.records.results import Results
from reports.render import build

IDLE = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|none~2|"


@pytest.fixture(scope="module")
def watched(study):
    """A study in which seed 0 of one method collapses at epoch 3 and is watched."""
    records, histories = study(methods=("darts-1st", "random"), spaces=("nats-tss", "darts"))
    key = records["key"].iloc[0]
    own = histories["key"] == key
    histories.loc[own & (histories["epoch"] >= 3), "genotype"] = IDLE
    histories.loc[own, "probe.alignment.cosine.valid"] = [0.3, 0.2, np.nan, 0.1]
    spectra = pd.Series([[1.0, 2.0]] * int(own.sum()), index=histories.index[own])
    histories["probe.hessian.spectrum"] = spectra.reindex(histories.index)
    return records, histories, key


@pytest.fixture(scope="module")
def site(watched, space_of, tmp_path_factory):
    records, histories, _ = watched
    out = tmp_path_factory.mktemp("collapse") / "report"
    build(Results.of(records, histories), out, space_of=space_of)
    return out


def test_a_page_for_each_watched_trial_and_no_other(watched, space_of) -> None:
    records, histories, key = watched
    found = gather(Results.of(records, histories), space_of)
    (page,) = found.pages
    assert page.key == key
    assert [drawn.slug.split("-")[-1] for drawn in page.films] == ["cell"]
    assert "returned" in page.cells[-1].caption
    assert not gather(Results.of(records, histories), space_of, pages=False).pages


def test_lists_have_no_panel(watched, space_of) -> None:
    records, histories, _ = watched
    (page,) = gather(Results.of(records, histories), space_of).pages
    assert page.timeline.alt.startswith("1 quantity of darts-1st")
    assert "from epoch 3 on" in page.timeline.caption


def test_a_quantity_is_drawn_where_it_was_measured(watched, space_of) -> None:
    """Measured 0.3, 0.2 and 0.1 after epochs 1, 2 and 4 of 4, a collapse from epoch 3 on: places in the panel."""
    records, histories, _ = watched
    (page,) = gather(Results.of(records, histories), space_of).pages
    marks = page.timeline.figure.marks
    dots = [mark for mark in marks if isinstance(mark, Dot)]
    (onset,) = [mark for mark in marks if isinstance(mark, Line) and mark.dash]
    (first, second, last), right = (dot.x for dot in dots), dots[-1].x
    assert (second - first) / (last - first) == pytest.approx(1 / 3)
    assert (onset.x[0] - first) / (right - first) == pytest.approx(2 / 3)
    assert dots[1].y - dots[0].y == pytest.approx(dots[2].y - dots[1].y)
    assert dots[2].y > dots[0].y  # downwards
    names = [mark.words for mark in marks if isinstance(mark, Label)]
    assert names[0] == "alignment.cosine.valid"
    assert {"1", "4", "Epoch"} <= set(names)


def test_the_trials_page_shows_it(site, watched) -> None:
    overview = (site / "collapse.html").read_text(encoding="utf-8")
    (address,) = re.findall(r'href="(trials/[^"]*)"', overview[overview.index('id="watched"') :])
    assert watched[2] in overview
    assert "1 of 3 trials collapsed, with a median onset at epoch 3" in overview
    page = (site / address).read_text(encoding="utf-8")
    idle = "6 of 6 edges are idle (5 skip_connect, 1 none) after epoch 4, enough of them from epoch 3 on"
    assert f"Its search collapsed: {idle}" in page
    assert "data:image/png;base64," in page[page.index('id="watched"') :]  # the film
    others = [
        path for path in (site / "trials").iterdir() if path.name not in (address.rpartition("/")[2], "index.html")
    ]
    assert len(others) == 11
    assert not any('id="watched"' in path.read_text(encoding="utf-8") for path in others)


def test_nothing_watched_nothing_shown(report) -> None:
    out, *_ = report
    assert 'id="watched"' not in (out / "collapse.html").read_text(encoding="utf-8")
    assert (out / "tables" / "collapse-rules.tex").is_file()
    assert "No probe is scored" in (out / "report.tex").read_text(encoding="utf-8")


def test_every_film_row_is_an_operation_that_has_a_weight(watched, space_of) -> None:
    records, histories, key = watched
    (page,) = gather(Results.of(records, histories), space_of).pages
    (picture, *_) = page.films[0].figure.axes[1].images
    flat = np.array(histories[histories["key"] == key]["weights.cell"].tolist()).T
    np.testing.assert_allclose(picture.get_array(), flat)


@pytest.mark.slow
def test_the_same_films_are_the_same_bytes(watched, space_of, site, tmp_path) -> None:
    records, histories, _ = watched
    build(Results.of(records, histories), tmp_path / "again", space_of=space_of)
    for path in (site / "trials").iterdir():
        assert (tmp_path / "again" / "trials" / path.name).read_bytes() == path.read_bytes()
