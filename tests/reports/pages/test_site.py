"""The report as a site: what holds of every page, where links lead, and what stands in the files beside the pages."""

import csv as reader
import io
import json
import re
from base64 import b64encode
from hashlib import sha256
from itertools import pairwise
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from reports.figures.palette import HUES, NIGHT, PAPER, adapted
from reports.output.atomic_output import MANIFEST
from reports.output.exports import FORMULA, csv
from reports.pages.site import Site
from reports.records.results import Results
from reports.render import build


@pytest.fixture(scope="module")
def pages(report, page_of):
    """Every page of the report by its address."""
    out = report[0]
    return {path.relative_to(out).as_posix(): page_of(path) for path in sorted(out.rglob("*.html"))}


def addresses(page, *names):
    return [value for _, name, value in page.attributes if name in names]


def test_there_is_a_page_a_block_a_method_and_a_trial(report, pages):
    records = report[1]
    folders = [address.rpartition("/")[0] for address in pages]
    assert folders.count("results") == 2
    assert folders.count("methods") == records["method"].nunique() + 1
    assert folders.count("trials") == len(records) + 1
    assert {"index.html", "collapse.html", "how.html", "audit.html"} <= set(pages)


def test_every_link_leads_somewhere(report, pages):
    for address, page in pages.items():
        for target in addresses(page, "href", "xlink:href", "src"):
            if target == "data:,":
                continue
            if target.startswith("data:"):
                assert target.startswith("data:image/png;base64,")
                continue
            path, _, anchor = unquote(target).partition("#")
            file = (report[0] / address).parent / path if path else report[0] / address
            page_of_it = file.resolve().relative_to(report[0].resolve()).as_posix()
            assert file.is_file(), (address, target)
            if anchor:
                assert anchor in pages[page_of_it].ids, (address, target)


def test_every_page_is_reached_from_the_first(report, pages):
    reached, waiting = set(), ["index.html"]
    while waiting:
        address = waiting.pop()
        if address in reached:
            continue
        reached.add(address)
        for target in addresses(pages[address], "href"):
            path = unquote(target.partition("#")[0])
            if path.endswith(".html"):
                file = ((report[0] / address).parent / path).resolve()
                waiting.append(file.relative_to(report[0].resolve()).as_posix())
    assert reached == set(pages)


def test_nothing_is_asked_of_anybody(pages):
    for page in pages.values():
        assert "://" not in page.text
        assert "@import" not in page.text
        assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page.text))
        assert not any(tag in ("iframe", "object", "embed", "img", "form") for tag, _, _ in page.attributes)
        assert not any(name.startswith("on") for _, name, _ in page.attributes)


def test_the_policy_allows_the_one_script_and_no_other(pages):
    for page in pages.values():
        (script,) = re.findall(r"<script>(.*?)</script>", page.text, flags=re.DOTALL)
        assert page.text.count("<script") == 1
        digest = b64encode(sha256(script.encode()).digest()).decode()
        (policy,) = (value for _, name, value in page.attributes if name == "content" and "default-src" in value)
        assert f"script-src 'sha256-{digest}';" in policy
        assert policy.startswith("default-src 'none';")


def test_ids_are_unique_and_named(pages):
    for page in pages.values():
        assert len(page.ids) == len(set(page.ids))
        for value in addresses(page, "aria-labelledby"):
            assert value in page.ids
        for target in re.findall(r"url\(#([^)]*)\)", page.text):
            assert target in page.ids


def test_pages_are_accessible(pages):
    for address, page in pages.items():
        assert page.headings.count(1) == 1, address
        assert page.headings[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(page.headings)), address
        assert '<html lang="en">' in page.text
        assert page.text.index('class="skip" href="#main"') < page.text.index('<main id="main"')
        assert page.text.count("<main") == 1
        assert not re.search(r"<th(?![^>]*scope=)[ >]", page.text)
        assert page.text.count("<caption") == page.text.count("<table")
        assert page.text.count('class="scroll" role="region" tabindex="0"') == page.text.count('class="scroll"')
        assert page.text.count('role="img" aria-label="') == page.text.count("<svg") == page.text.count("<figure")
        assert not re.search(r'role="img" aria-label="\s*"', page.text)
        here = re.findall(r'<a href="[^"]*" aria-current="page">', page.text)
        assert len(here) == (address in ("index.html", *(f"{name}.html" for name in ("collapse", "how", "audit")))) + (
            address in ("methods/index.html", "trials/index.html", "papers/index.html")
        )


def test_columns_are_numbered_for_sorting(pages):
    for page in pages.values():
        for table in re.findall(r"<table id.*?</table>", page.text, flags=re.DOTALL):
            columns = [int(number) for number in re.findall(r'data-column="(\d+)"', table)]
            row = re.search(r"<tbody>\s*<tr>(.*?)</tr>", table, flags=re.DOTALL)
            if columns:
                assert sorted(columns) == list(range(len(re.findall(r"<t[hd][ >]", row[1]))))


def test_names_are_escaped_everywhere(pages):
    for page in pages.values():
        assert "<b>" not in page.text
    assert any("&lt;script&gt;alert" in page.text for page in pages.values())
    assert "λ_{x}^2~&amp;%#$y$ &lt;b&gt;&#34;q&#34;&lt;/b&gt;" in pages["index.html"].text


def test_scale_stands_with_every_table_of_measurements(pages):
    for address, page in pages.items():
        if address == "audit.html" or address.startswith("papers/"):
            continue
        for caption in re.findall(r"<caption.*?</caption>", page.text, flags=re.DOTALL):
            if "claims-by-verdict-caption" in caption or "verdicts-caption" in caption:
                continue  # claims have theirs in a column
            assert "protocol quick (4 channels, 3 cells, 4 epochs, all of the data)" in caption, address


def test_a_trials_page_has_every_field_of_its_record(report, pages):
    records = report[1]
    record = records[records["method"] == "darts-1st"].iloc[0].to_dict()
    page = pages[f"trials/{record['key']}.html"]
    shown = re.sub(r"\s+", " ", page.text)
    for column in ("key", "method", "space", "dataset", "convention", "scale", "device", "engine", "version"):
        assert str(record[column]) in shown, column
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.text))
    assert facts["Accuracy"] == f"{record['accuracy']:.2f} %"
    assert facts["Parameters"].replace("\u202f", "") == str(record["params"])
    assert facts["Search"] == f"{record['search_seconds']:.2f} s"
    assert facts["torch"] == "2.15.0"
    (settings,) = (table for name, table in page.tables.items() if name.startswith("settings-"))
    assert [row[0] for row in settings[1:]] == list(record["settings"])
    assert {row[2] for row in settings[1:]} == {"not recorded"}
    assert "does not say which settings were given" in shown


def test_a_column_that_nobody_knows_is_shown(tmp_path, study, space_of, page_of):
    records, histories = study(methods=("random",), spaces=("nats-tss",), seeds=range(1))
    build(Results.of(records.assign(weather="rain"), histories), tmp_path / "out", space_of=space_of)
    page = page_of(tmp_path / "out" / "trials" / f"{records['key'].iloc[0]}.html")
    assert "<dt>weather</dt><dd>rain</dd>" in page.text


def test_a_methods_page_has_its_results_and_its_trials(report, pages):
    records = report[1]
    own = records[records["method"] == "random"]
    page = pages["methods/random.html"]
    rows = page.tables["results-random"][2:]
    assert [row[0] for row in rows] == ["darts on digits", "nats-tss on digits"]
    for row, space in zip(rows, ("darts", "nats-tss"), strict=True):
        accuracy = own[own["space"] == space]["accuracy"]
        assert row[2] == f"{accuracy.mean():.2f} ± {accuracy.std(ddof=1):.2f}"
        shares = pages["collapse.html"].tables[f"{space}-digits-quick-collapse"]
        assert row[-4:-1] == next(own[2:5] for own in shares if own[0] == "random")
        assert row[-1] == ("quick, tabular" if space == "nats-tss" else "quick, retrained")
    assert len(page.tables["trials-random"]) == 1 + len(own)
    for key in own["key"]:
        assert f'href="../trials/{key}.html"' in page.text


def test_a_method_that_did_not_run_has_a_page_that_says_so(tmp_path, study, space_of, page_of):
    registry = pd.DataFrame(
        [
            {"name": "idle", "title": "Idle one", "source": "Nobody, 2020", "spaces": ["darts"]}
            | {"options": {"rate": 0.5, "exact": True}, "declaration": {"title": "Idle one", "gradient": "none: idle"}}
        ]
    )
    records, histories = study(methods=("random",), spaces=("nats-tss",), seeds=range(1))
    build(Results.of(records, histories), tmp_path / "out", space_of=space_of, recipes=registry)
    page = page_of(tmp_path / "out" / "methods" / "idle.html")
    assert "It has no trials here." in page.text
    assert "<dt>gradient</dt><dd>none: idle</dd>" in page.text
    assert page.tables["options-idle"][1:] == [["rate", "0.5"], ["exact", "yes"]]
    listed = page_of(tmp_path / "out" / "methods" / "index.html").tables["methods"][1:]
    assert [(row[0], row[-1]) for row in listed] == [("idle", "0"), ("random", "1")]
    trial = page_of(tmp_path / "out" / "trials" / f"{records['key'].iloc[0]}.html")
    assert "random is not a registered method" in trial.text


def test_every_table_and_figure_has_its_files(report, pages):
    for page in pages.values():
        for name in page.tables:
            assert (report[0] / "tables" / f"{name}.csv").is_file()
            assert (report[0] / "tables" / f"{name}.tex").is_file() or name == "differing"
        for slug in re.findall(r'<figure id="([^"]*)"', page.text):
            assert (report[0] / "figures" / f"{slug}.svg").read_text(encoding="utf-8").startswith("<svg ")
            assert (report[0] / "figures" / f"{slug}.csv").is_file()


def test_a_tables_csv_holds_the_raw_numbers(report):
    out, records, _ = report
    frame = pd.read_csv(out / "tables" / "darts-digits-quick-main.csv")
    for method in ("darts-1st", "random"):
        accuracy = records[(records["space"] == "darts") & (records["method"] == method)]["accuracy"]
        assert frame.set_index("method").loc[method, "mean"] == pytest.approx(accuracy.mean(), rel=1e-12)
    trials = pd.read_csv(out / "tables" / "trials.csv")
    assert sorted(trials["key"]) == sorted(records["key"])
    assert json.loads(trials["settings"].iloc[0]) == records["settings"].iloc[0]


def test_a_figures_csv_holds_its_numbers(report):
    out, _, histories = report
    shown = pd.read_csv(out / "figures" / "nats-tss-digits-quick-trajectory.csv")
    for row in histories[histories["space"] == "nats-tss"].to_dict("records"):
        (own,) = shown[(shown["key"] == row["key"]) & (shown["epoch"] == row["epoch"])]["tabular_accuracy"]
        assert own == pytest.approx(row["tabular_accuracy"])


def test_text_in_a_csv_is_no_formula():
    texts = ['=HYPERLINK("x")', "+1", "-1 and", "@cmd", "\tx", "\rx", "\nx", "plain", "5 = 5"]
    frame = pd.DataFrame({"=name": texts, "number": np.arange(len(texts)) - 4.5, "list": [["-a"]] * len(texts)})
    rows = list(reader.reader(io.StringIO(csv(frame), newline="")))
    assert rows[0] == ["'=name", "number", "list"]
    found = [row[0] for row in rows[1:]]
    assert found == [f"'{text}" if text.startswith(FORMULA) else text for text in texts]
    assert sum(text.startswith("'") for text in found) == 7
    assert [float(row[1]) for row in rows[1:]] == list(frame["number"])
    assert rows[1][2] == '["-a"]'


def test_the_manifest_names_every_file(report):
    out = report[0]
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files == {MANIFEST, *(out / MANIFEST).read_text(encoding="utf-8").splitlines()}


def test_no_two_names_share_a_page():
    site = Site([], ["darts+es", "darts-es", "Darts-ES", "index", "a/b", "a b", "../x", ""])
    found = [site.method(name) for name in ("darts+es", "darts-es", "Darts-ES", "index", "a/b", "a b", "../x", "")]
    assert len({address.lower() for address in found}) == len(found)
    assert all(re.fullmatch(r"methods/[A-Za-z0-9][A-Za-z0-9.+_-]*\.html", address) for address in found)
    assert found[0] == "methods/darts+es.html"
    assert "methods/index.html" not in found


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_lines_and_words_stand_out_in_both_schemes(pages):
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for light, dark in HUES.values():
        assert contrast(light, PAPER) >= 3
        assert contrast(dark, NIGHT) >= 4.5
    style = pages["index.html"].text
    blocks = re.findall(r":root \{\s+(--paper.*?)\}", style, re.DOTALL)
    schemes = [dict(re.findall(r"--(\w+): (#\w{6})", words)) for words in blocks]
    assert [scheme["paper"] for scheme in schemes[:2]] == [PAPER, NIGHT]
    for scheme in schemes[:2]:
        for words in ("ink", "soft", "accent"):
            for ground in ("paper", "raised"):
                assert contrast(scheme[words], scheme[ground]) >= 4.5, (words, ground)


def test_a_drawing_takes_the_pages_colours():
    assert adapted('<a fill="#020202" stroke="#0072b2"/>') == '<a fill="currentColor" stroke="var(--hue-0072b2)"/>'
