"""What the pages say: their numbers against numbers computed here; and where a report may be written."""

import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit

from reports.output.atomic_output import MANIFEST, check_out
from reports.records.blocks import blocks
from reports.records.results import Results
from reports.render import build
from reports.statistics.best_of_k import bounded_best
from spaces.common.errors import InputError

SMALL = {"methods": ("random",), "spaces": ("nats-tss",), "seeds": range(1)}


@pytest.fixture(scope="module")
def small(tmp_path_factory, study, space_of):
    """A report of one trial, to be copied by tests of the folder that it is written to."""
    out = tmp_path_factory.mktemp("small") / "report"
    build(Results.of(*study(**SMALL)), out, space_of=space_of)
    return out


@pytest.fixture(scope="module")
def html(report):
    return (report[0] / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def results(report, page_of):
    """The pages of the blocks by their space."""
    return {space: page_of(report[0] / "results" / f"{space}-digits-quick.html") for space in ("nats-tss", "darts")}


def two(value):
    return f"{value:.2f}".replace("-", "−")


def two_signed(value):
    return f"{value:+.2f}".replace("-", "−")


@pytest.mark.parametrize("space", ["nats-tss", "darts"])
@pytest.mark.parametrize("name", ["darts-1st", "random", "nasty"])
def test_main_table_shows_the_numbers_of_the_records(report, results, page_of, space, name, nasty):
    method = nasty if name == "nasty" else name
    records = report[1]
    trials = records[(records["space"] == space) & (records["method"] == method)]
    accuracy = trials["accuracy"].to_numpy()
    row = next(row for row in results[space].tables[f"{space}-digits-quick-main"] if row[0] == method)
    short = page_of(report[0] / "index.html").tables[f"{space}-digits-quick-results"]
    assert [row[place] for place in (0, 1, 2, 4, 5, 6, 8, 9, 11)] in short
    # Accuracies are percentages: the interval is that of the logit of the mean.
    share = accuracy.mean() / 100
    reach = stats.sem(accuracy / 100) * stats.t.ppf(0.975, len(accuracy) - 1) / (share * (1 - share))
    assert row[1] == "3"
    assert row[2] == f"{two(accuracy.mean())} ± {two(accuracy.std(ddof=1))}"
    assert row[3] == two(np.median(accuracy))
    assert row[4] == " to ".join(two(100 * expit(logit(share) + side)) for side in (-reach, reach))
    assert row[5] == two(trials["skip_share"].mean())
    assert float(row[6]) == pytest.approx(trials["params"].mean() / 1e6, abs=5.1e-3)
    assert float(row[7]) == pytest.approx(trials["macs"].mean() / 1e6, abs=5.1e-3)
    assert float(row[8].replace("\u202f", "")) == pytest.approx(trials["search_seconds"].mean(), abs=0.51)
    baseline = records[(records["space"] == space) & (records["method"] == "darts-1st")]["accuracy"].to_numpy()
    if method == "darts-1st":
        assert row[9:12] == ["–", "–", "baseline"]
    else:
        assert row[9] == two_signed((accuracy - baseline).mean())
        assert row[11] == "too few seeds"
    assert row[12] == f"mean, {'search noise' if space == 'nats-tss' else 'search and retraining noise'}"


def test_comparisons_and_bests_show_their_numbers(report, results, nasty):
    records, page = report[1], results["darts"]
    own = {
        method: records[(records["space"] == "darts") & (records["method"] == method)]["accuracy"].to_numpy()
        for method in ("darts-1st", "random", nasty)
    }
    difference = own["random"] - own["darts-1st"]
    row = next(row for row in page.tables["darts-digits-quick-comparisons"] if row[0] == "random")
    assert row[1:6] == ["darts-1st", "3, 3", two_signed(difference.mean()), row[4], "paired t, logit"]
    assert float(row[10]) == pytest.approx(stats.ttest_1samp(difference, 0).pvalue, rel=0.06)
    row = next(row for row in page.tables["darts-digits-quick-equivalence-and-power"] if row[0] == "random")
    assert row[2] == "0.50"
    reach = abs(difference.mean()) + stats.sem(difference) * stats.t.ppf(0.95, 2)
    assert row[5] == two(reach)
    assert row[7] == "none"  # three seeds cannot show anything
    row = next(row for row in page.tables["darts-digits-quick-bests"] if row[0] == "random")
    expected = bounded_best(own["random"].mean(), own["random"].std(ddof=1), 3, (0.0, 100.0))
    assert row[1:4] == ["best of 3 searches, observed", two(own["random"].max()), two(expected)]


def test_two_blocks_are_too_few_for_a_diagram_and_that_is_said(report, html, page_of):
    assert "the smallest p that Friedman&#39;s test can give is 0.17" in html
    assert "across-quick-critical-difference" not in html
    assert "across-quick-profiles" in html
    rows = page_of(report[0] / "index.html").tables["across-quick-rankings"][1:]
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)


def test_a_diagram_across_enough_blocks(tmp_path, study, space_of, page_of):
    methods = ("darts-1st", "random", "b", "c")
    parts = [study(methods, ("nats-tss",), range(2), epochs=1, effect=9.0) for _ in range(2)]
    renamed = [
        (records.assign(dataset=name, key=records["key"] + name), histories.assign(key=histories["key"] + name))
        for name, (records, histories) in zip(("one", "two"), parts, strict=True)
    ]
    records, histories = (pd.concat(frames) for frames in zip(*renamed, strict=True))
    html = build(Results.of(records, histories), tmp_path / "out", space_of=space_of).read_text(encoding="utf-8")
    assert 'id="across-quick-critical-difference"' in html
    assert "The methods rank significantly differently (Friedman p = " in html
    page = page_of(tmp_path / "out" / "index.html")
    assert len(page.tables["across-quick-rankings"]) == 5
    assert len(page.tables["across-quick-pairs"]) == 7
    names = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    for name in ("across-quick-critical-difference", "across-quick-profiles"):
        assert {f"{name}.{ending}" for ending in ("svg", "csv", "pdf", "png")} <= names


def test_two_conditions_of_one_block_are_told_apart_across(tmp_path, study, space_of):
    records, histories = study(methods=("darts-1st", "random"), spaces=("nats-tss",))
    other = records.assign(key=records["key"] + "x", scale="more channels")
    both = pd.concat([records, other])
    html = build(Results.of(both, histories), tmp_path / "out", space_of=space_of).read_text(encoding="utf-8")
    assert "nats-tss / digits (more channels, tabular, digest 3a1f5c9e)" in html
    assert "2 methods over 2 blocks" in html


def test_two_precisions_are_never_in_one_mean(tmp_path, study, space_of, page_of):
    """Records from before there was a column are in fp32."""
    records, histories = study(methods=("darts-1st",), spaces=("nats-tss",))
    assert [block.scale for block in blocks(records)] == [records["scale"].iloc[0]]
    other = records.assign(key=records["key"] + "x", precision="tf32")
    both = pd.concat([records.assign(precision="fp32"), other])
    html = build(Results.of(both, histories), tmp_path / "out", space_of=space_of).read_text(encoding="utf-8")
    assert "all of the data, in tf32" in html
    for name in ("nats-tss-digits-quick", "nats-tss-digits-quick-2"):
        page = page_of(tmp_path / "out" / "results" / f"{name}.html")
        assert page.tables[f"{name}-main"][2][1] == "3"


def test_every_trial_has_its_row(report, results):
    tables = [(name, table) for page in results.values() for name, table in page.tables.items()]
    rows = [row for name, table in tables if name.endswith("-trials") for row in table[1:]]
    assert len(rows) == len(report[1])
    by_key = {row[-1]: row for row in rows}
    for record in report[1].to_dict("records"):
        (row,) = (row for key, row in by_key.items() if record["key"] in key)
        assert (row[0], row[1], row[2]) == (record["method"], str(record["seed"]), two(record["accuracy"]))
        assert row[3] == record["convention"]
        assert record["genotype"] in row[9]


def test_conditions_stand_before_results(html):
    for words in ("digits (digest 3a1f5c9e)", "cpu, threads 1", "dartboard 0.1.0", "torch 2.15.0"):
        assert words in html
    assert html.index("Conditions</h2>") < html.index('id="results"') < html.index('id="collapse"')
    assert "<strong" not in html


def test_same_records_give_the_same_bytes(tmp_path, study, space_of, small):
    again = tmp_path / "again"
    build(Results.of(*study(**SMALL)), again, space_of=space_of)
    paths = [path for path in small.rglob("*") if path.is_file()]
    assert len(paths) > 40
    for path in paths:
        assert (again / path.relative_to(small)).read_bytes() == path.read_bytes(), path


def test_mixed_protocols_are_never_in_one_mean(tmp_path, study, space_of, page_of):
    quick, more = (
        study(methods=("darts-1st",), spaces=("nats-tss",)),
        study(methods=("darts-1st",), spaces=("nats-tss",), protocol="cpu"),
    )
    records, histories = pd.concat([quick[0], more[0]]), pd.concat([quick[1], more[1]])
    build(Results.of(records, histories), tmp_path / "out", space_of=space_of)
    for protocol in ("quick", "cpu"):
        page = page_of(tmp_path / "out" / "results" / f"nats-tss-digits-{protocol}.html")
        assert page.tables[f"nats-tss-digits-{protocol}-main"][2][1] == "3"


def test_settings_tell_configurations_of_a_method_apart(tmp_path, study, space_of, page_of):
    records, histories = study(methods=("darts-1st",), spaces=("nats-tss",))
    other = records.assign(key=records["key"] + "x", settings=[{"alpha": {"lr": 0.1}, "batch": 64}] * len(records))
    build(Results.of(pd.concat([records, other]), histories), tmp_path / "out", space_of=space_of)
    rows = page_of(tmp_path / "out" / "index.html").tables["nats-tss-digits-quick-results"][2:]
    assert [row[0] for row in rows] == ["darts-1st [alpha.lr = 0.0003]", "darts-1st [alpha.lr = 0.1]"]


def test_no_history_is_said_not_drawn(tmp_path, study, space_of):
    records, histories = study(methods=("random",), spaces=("nats-tss",))
    build(Results.of(records, histories.iloc[:0]), tmp_path / "out", space_of=space_of)
    html = (tmp_path / "out" / "results" / "nats-tss-digits-quick.html").read_text(encoding="utf-8")
    assert "No trajectory is drawn" in html
    assert "No weights of the cell were recorded for random." in html
    assert "Only one method ran, so there are no comparisons." in html


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.iloc[:0], "no records"),
        (lambda r: r.drop(columns="scale"), "column 'scale' is missing"),
        (lambda r: r.assign(accuracy=np.nan), r"record \S+: accuracy is nan, not a finite number"),
        (lambda r: r.assign(genotype="|skip~0|"), "record .*: column 'genotype'"),
        (lambda r: r.assign(seed=0), "same trial with the same settings"),
    ],
)
def test_bad_records_leave_no_report(tmp_path, change, words, study, space_of):
    records, histories = study(methods=("darts-1st",), spaces=("nats-tss",))
    with pytest.raises(InputError, match=words):
        build(Results.of(change(records), histories), tmp_path / "out", space_of=space_of)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_report_leaves_the_earlier_one(tmp_path, monkeypatch, study, space_of, small):
    out = shutil.copytree(small, tmp_path / "out")
    before = (out / "index.html").read_bytes()

    def fail(*_):
        raise RuntimeError("no LaTeX today")

    monkeypatch.setattr("reports.latex.latex.latex_table", fail)
    with pytest.raises(RuntimeError):
        build(Results.of(*study(**SMALL)), out, space_of=space_of)
    assert (out / "index.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_somebody_elses_folder_is_left_alone(tmp_path, study, space_of):
    records, histories = study(methods=("random",), spaces=("nats-tss",), seeds=range(1))
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds 'thesis\.tex'"):
        build(Results.of(records, histories), tmp_path, space_of=space_of)
    with pytest.raises(InputError, match="is a file"):
        build(Results.of(records, histories), tmp_path / "thesis.tex", space_of=space_of)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    "mine", ["figures/mine.pdf", "tables/main.tex", "report.docx", "index.html", "notes/", MANIFEST]
)
def test_a_folder_that_is_no_report_is_left_alone(tmp_path, mine, study, space_of):
    """Names like a report's own make no report: nothing but the manifest does."""
    path = tmp_path / "out" / mine
    path.parent.mkdir(parents=True, exist_ok=True)
    if mine == "notes/":
        path.mkdir()
    else:
        path.write_text("years of work\n")
    records, histories = study(methods=("random",), spaces=("nats-tss",), seeds=range(1))
    if mine == MANIFEST:
        (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="is no part of a report"):
        build(Results.of(records, histories), tmp_path / "out", space_of=space_of)
    assert path.is_dir() or path.read_text() == "years of work\n"


def test_the_manifest_names_every_file(small):
    files = {path.relative_to(small).as_posix() for path in small.rglob("*") if path.is_file()}
    assert files == {MANIFEST, *(small / MANIFEST).read_text().splitlines()}


def test_an_earlier_report_is_replaced(tmp_path, study, space_of, small):
    out = shutil.copytree(small, tmp_path / "out")
    (out / "index.html").write_text("an earlier report")
    build(Results.of(*study(**SMALL)), out, space_of=space_of)
    assert (out / "index.html").read_bytes() == (small / "index.html").read_bytes()


@pytest.mark.parametrize("mine", ["figures/mine.pdf", "notes.txt", "tables/mine"])
def test_what_was_added_to_a_report_is_not_replaced(tmp_path, mine, study, space_of, small):
    out = shutil.copytree(small, tmp_path / "out")
    (out / mine).symlink_to(tmp_path)
    with pytest.raises(InputError, match=f"holds '{mine}'"):
        build(Results.of(*study(**SMALL)), out, space_of=space_of)
    assert (out / mine).is_symlink()


def test_an_out_folder_is_checked_without_a_trace(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "new" / "deep", tmp_path / "empty"):
        check_out(out)
    for out, words in (
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "below", "cannot be written"),
        (tmp_path / ("x" * 300), "cannot be written"),
        (tmp_path.__class__("/proc/report"), "cannot be written"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            check_out(out)
        assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]
