"""LaTeX: specials, numbers, and that it compiles where a pdflatex is at hand."""

import re
import shutil
import subprocess

import pandas as pd
import pytest

from reports.core.latex import escape, tabular
from reports.published import PAPERS
from reports.tables import Column, Table


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
    lines = tabular(table).splitlines()
    assert r"\begin{tabular}{@{}lrr@{}}" in lines
    assert r"\multicolumn{1}{c}{} & \multicolumn{2}{c}{Group\_\allowbreak{}1} \\" in lines
    assert r"\cmidrule(lr){2-3}" in lines
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert body == [r"x\_\allowbreak{}1 & 1 & 3 \\", r"{[}y{]} & 2 & 4 \\"]
    assert r"\caption{50 \%}" in lines


def test_report_numbers_equal_the_records(report):
    out, records, _ = report
    lines = (out / "tables" / "darts-digits-quick-main.tex").read_text(encoding="utf-8").splitlines()
    for method in ("darts-1st", "random"):
        accuracy = records[(records["space"] == "darts") & (records["method"] == method)]["accuracy"]
        (row,) = (line for line in lines if line.startswith(escape(method) + " &"))
        assert row.split(" & ")[2] == f"{accuracy.mean():.2f} \\ensuremath{{\\pm}} {accuracy.std(ddof=1):.2f}"


def test_every_input_and_figure_is_there(report):
    out = report[0]
    text = (out / "report.tex").read_text(encoding="utf-8")
    inputs = set(re.findall(r"\\input\{(.*?)\}", text))
    figures = set(re.findall(r"\\includegraphics\[.*?\]\{(.*?)\}", text))
    assert inputs <= {f"tables/{path.name}" for path in (out / "tables").glob("*.tex")}
    assert figures == {f"figures/{path.name}" for path in (out / "figures").glob("*.pdf")}
    for path in inputs:
        (caption,) = (line for line in (out / path).read_text("utf-8").splitlines() if line.startswith(r"\caption"))
        # The papers' tables and claims stand there whether or not a trial of these tells of them.
        if not any(word in path for word in (*PAPERS, "claims", "verdicts")):
            assert "protocol quick (4 channels, 3 cells, 4 epochs, all of the data)" in caption


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_report_compiles_as_it_stands(report, tmp_path):
    folder = tmp_path / "report"
    shutil.copytree(report[0], folder)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert (folder / "report.pdf").stat().st_size > 10_000
