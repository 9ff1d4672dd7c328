"""LaTeX: specials, numbers, and that it compiles where a pdflatex is at hand."""

import re
import shutil
import subprocess

import pandas as pd
import pytest

from reports.latex.latex import escape, latex_table
from reports.latex.layout import table_parts
from reports.latex.text_width import line_count, width
from reports.published.published_numbers import PAPERS
from reports.tables.tables import Column, Table


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a_b", r"a\_\allowbreak{}b"),
        ("50 % & #1", r"50 \% \& \#1"),
        ("$x^2$ ~ {y}", r"\$x\textasciicircum{}2\$ \textasciitilde{} \{y\}"),
        ("<a\\b>", r"\textless{}a\textbackslash{}b\textgreater{}"),
        ("Λ-DARTS, β", r"\ensuremath{\Lambda}-{}DARTS, \ensuremath{\beta}"),
        ("Αο", "Ao"),  # Greek letters without a command
        ("−1.0 ± 2 ≤ 3×3", r"\ensuremath{-}1.0 \ensuremath{\pm} 2 \ensuremath{\leq} 3\ensuremath{\times}3"),
        ("Müller", "Müller"),
        ("中\n\n\t文", "{[}U+4E2D{]} {[}U+6587{]}"),
        ("[1]*", "{[}1{]}{*}"),
    ],
)
def test_escaping(text, latex):
    assert escape(text) == latex


def test_table_holds_its_cells_in_order():
    columns = (
        Column("Method", lambda row: row["m"], numeric=False),
        Column("A", lambda row: str(row["a"]), "Group_1"),
        Column("B", lambda row: str(row["b"]), "Group_1"),
    )
    table = Table(pd.DataFrame({"m": ["x_1", "[y]"], "a": [1, 2], "b": [3, 4]}), columns, "50 %", "some")
    lines = latex_table(table).splitlines()
    assert r"\begin{tabular}{@{}lrr@{}}" in lines
    assert r"\multicolumn{1}{c}{} & \multicolumn{2}{c}{Group\_\allowbreak{}1} \\" in lines
    assert r"\cmidrule(lr){2-3}" in lines
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert body == [r"x\_\allowbreak{}1 & 1 & 3 \\", r"{[}y{]} & 2 & 4 \\"]
    assert r"\caption{50 \%}" in lines


def column(heading, group="", *, numeric=True):
    return Column(heading, lambda row: str(row[heading]), group, numeric)


def wide(rows=4):
    """A table three lines wide: two columns name a row, numbers in two groups, and a text of several lines."""
    numbers = [f"Number {at}" for at in range(24)]
    frame = pd.DataFrame(
        [
            {
                "Method": f"method-{at // 2}",
                "Against": f"other-{at % 2}",
                **{name: f"{at}.{place} ± 0.0123" for place, name in enumerate(numbers)},
                "Why": f"because of row {at} and of much else " * 6,
            }
            for at in range(rows)
        ]
    )
    columns = (
        column("Method", numeric=False),
        column("Against", numeric=False),
        *(column(name, "Left" if at < 12 else "Right") for at, name in enumerate(numbers)),
        column("Why", numeric=False),
    )
    return Table(frame, columns, "What was measured: protocol quick.", "some")


def test_a_wide_table_is_divided_into_parts_that_hold_all_cells():
    table = wide()
    found = table_parts(table)
    assert len(found) >= 3
    held = {}
    for part in found:
        headings = [each.heading for each in part.table.columns]
        assert headings[:2] == ["Method", "Against"]  # which tell rows apart only together
        for at, row in enumerate(part.table.rows()):
            held |= {(at, heading): cell for heading, cell in zip(headings, row, strict=True)}
    whole = {
        (at, each.heading): cell
        for at, row in enumerate(table.rows())
        for each, cell in zip(table.columns, row, strict=True)
    }
    assert held == whole
    assert found[0].contents == "Left"
    assert found[-1].contents.endswith("Why")


def test_parts_are_one_table_and_say_how_they_continue():
    text = latex_table(wide())
    captions = re.findall(r"\\caption\{(.*)\}", text)
    count = len(table_parts(wide()))
    assert text.count(r"\begin{table}") == len(captions) == count
    assert text.count(r"\label{tab:some}") == 1
    assert text.count(r"\addtocounter{table}{-1}") == count - 1
    assert captions[0] == f"What was measured: protocol quick. Part 1 of {count}: Left."
    for number, caption in enumerate(captions[1:], 2):
        assert caption.startswith(f"Continued. What was measured: protocol quick. Part {number} of {count}: ")


def test_a_tall_table_is_cut_between_rows():
    frame = pd.DataFrame({"Method": [f"m{at}" for at in range(120)], "n": range(120)})
    table = Table(frame, (column("Method", numeric=False), column("n")), "Many", "many")
    found = table_parts(table)
    assert [part.contents for part in found] == [
        "rows 1 to 51 of 120",
        "rows 52 to 102 of 120",
        "rows 103 to 120 of 120",
    ]
    assert [row for part in found for row in part.table.rows()] == table.rows()


def test_a_table_that_fits_stays_as_it_is():
    frame = pd.DataFrame({"Method": ["a"], "n": [1]})
    (part,) = table_parts(Table(frame, (column("Method", numeric=False), column("n")), "Small", "small"))
    assert part.contents == ""
    assert part.wrap_widths == (0.0, 0.0)


def test_widths_are_those_of_the_fonts_metric_files():
    """cmr8.tfm and cmr9.tfm: a figure is 0.531259 and 0.513889 of an em wide."""
    assert width("0123456789", 8) == pytest.approx(8 * 5.31259, rel=1e-4)
    assert width("0123456789", 9) == pytest.approx(9 * 5.13889, rel=1e-3)


def test_a_text_takes_as_many_lines_as_its_words_fill():
    word = width("0000", 8)
    assert line_count("0000 0000 0000", word, 8) == 3
    assert line_count("0000 0000 0000", 3 * word, 8) == 2
    assert line_count("0000 0000 0000", 4 * word, 8) == 1
    assert line_count("0000-0000_0000", 2.5 * word, 8) == 2


def test_report_numbers_equal_the_records(report):
    out, records, _ = report
    lines = (out / "tables" / "darts-digits-quick-main.tex").read_text(encoding="utf-8").splitlines()
    for method in ("darts-1st", "random"):
        accuracy = records[(records["space"] == "darts") & (records["method"] == method)]["accuracy"]
        row = next(line for line in lines if line.startswith(escape(method) + " &"))
        assert row.split(" & ")[2] == f"{accuracy.mean():.2f} \\ensuremath{{\\pm}} {accuracy.std(ddof=1):.2f}"


def test_every_input_and_figure_is_there(report):
    out = report[0]
    text = (out / "report.tex").read_text(encoding="utf-8")
    inputs = set(re.findall(r"\\input\{(.*?)\}", text))
    figures = set(re.findall(r"\\includegraphics\[.*?\]\{(.*?)\}", text))
    assert inputs <= {f"tables/{path.name}" for path in (out / "tables").glob("*.tex")}
    assert figures == {f"figures/{path.name}" for path in (out / "figures").glob("*.pdf")}
    for path in inputs:
        captions = [line for line in (out / path).read_text("utf-8").splitlines() if line.startswith(r"\caption")]
        # The papers' tables and claims stand there whether or not a trial of these tells of them.
        if not any(word in path for word in (*PAPERS, "claims", "verdicts")):
            assert all("protocol quick (4 channels, 3 cells, 4 epochs, all of the data)" in each for each in captions)


compiler = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")


def pdflatex(folder, file):
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", file]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@compiler
def test_report_compiles_as_it_stands(report, tmp_path):
    folder = tmp_path / "report"
    shutil.copytree(report[0], folder)
    pdflatex(folder, "report.tex")
    assert (folder / "report.pdf").stat().st_size > 10_000


@compiler
def test_no_table_is_scaled_below_seven_points_or_taller_than_a_page(report, tmp_path):
    """Every table's box is measured by TeX itself: its width against the line, its height against the page."""
    preamble = (report[0] / "report.tex").read_text(encoding="utf-8").partition(r"\begin{document}")[0]
    tables = {path.name: path.read_text(encoding="utf-8") for path in sorted((report[0] / "tables").glob("*.tex"))}
    tables["wide.tex"], tables["tall.tex"] = latex_table(wide()), latex_table(wide(60))
    lines = [preamble, r"\begin{document}", r"\typeout{<<line \the\linewidth>>}", r"\typeout{<<page \the\textheight>>}"]
    for text in tables.values():
        measured = r"\typeout{<<\fontname\font: \the\wd0, \the\ht0, \the\dp0>>}\ifdim\wd0"
        lines.append(text.replace(r"\ifdim\wd0", measured) + r"\clearpage")
    (tmp_path / "measured.tex").write_text("\n".join([*lines, r"\end{document}"]), encoding="utf-8")
    out = pdflatex(tmp_path, "measured.tex").replace("\n", "")
    line, page = (float(re.search(rf"<<{name} ([\d.]+)pt>>", out)[1]) for name in ("line", "page"))
    boxes = re.findall(r"<<\S+?(8|9): ([\d.]+)pt, ([\d.]+)pt, ([\d.]+)pt>>", out)
    assert len(boxes) == sum(text.count(r"\begin{table}") for text in tables.values())
    for size, wide_, high, deep in boxes:
        scale = min(1.0, line / float(wide_))
        assert int(size) * scale >= 7
        assert (float(high) + float(deep)) * scale < page - 60  # of the caption
