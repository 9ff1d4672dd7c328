"""Tables and text as LaTeX that pdflatex compiles with array, booktabs and graphicx, whatever characters they hold."""

import unicodedata

from reports.latex.layout import GAPS, SMALL_SIZE, TablePart, table_parts
from reports.tables.tables import Column, Table

COMMANDS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_\allowbreak{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    # After a row's end or an \item these three would be read as arguments.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": "-{}",  # two hyphens in a name stay two hyphens
    "−": r"\ensuremath{-}",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "…": r"\ldots{}",
    "·": r"\textperiodcentered{}",
    "\u202f": r"\,",
}
# Greek capitals that look like Latin letters have no command of their own in TeX.
CAPITALS = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧ", "ABEZHIKMNOPTX", strict=True)) | {"ο": "o"}


def escape(text: str) -> str:
    """`text` so that LaTeX prints it: specials as commands, Greek as mathematics, white space as one space.

    A character that pdflatex's T1 fonts lack is written as its code point, [U+4E2D], rather than stop the compiler.
    """
    return "".join(_character(character) for character in " ".join(text.split()))


def latex_table(table: Table) -> str:
    r"""The table for `\input`: one `table` environment, or several with one number where one would not be readable.

    Each has the caption, followed by the number and contents of the part; the first has the label. Where the line is
    narrower than that of A4, the table is scaled down to it.
    """
    found = table_parts(table)
    return "\n".join(_environment(part, number, len(found)) for number, part in enumerate(found, 1))


def _environment(part: TablePart, number: int, count: int) -> str:
    table = part.table
    caption = table.caption
    if count > 1:
        caption = f"{caption.rstrip('.')}. Part {number} of {count}: {part.contents}."
    if number > 1:
        caption = f"Continued. {caption}"
    lines = [r"\begin{table}[htbp]", r"\centering"]
    lines += [r"\addtocounter{table}{-1}"] if number > 1 else []
    lines += [rf"\caption{{{escape(caption)}}}"]
    lines += [rf"\label{{tab:{table.slug}}}"] if number == 1 else []
    lines += [r"\footnotesize" if part.size == SMALL_SIZE else r"\small"]
    lines += [rf"\setlength{{\tabcolsep}}{{{GAPS[part.size] / 2:g}pt}}"] if part.size == SMALL_SIZE else []
    align = "".join(_alignment(column, wide) for column, wide in zip(table.columns, part.wrap_widths, strict=True))
    lines += [r"\sbox0{%", rf"\begin{{tabular}}{{@{{}}{align}@{{}}}}", r"\toprule"]
    lines += _groups(part)
    lines += [_row([_heading(part, at) for at in range(len(table.columns))]), r"\midrule"]
    lines += [_row([escape(cell) for cell in row]) for row in table.rows()]
    lines += [r"\bottomrule", r"\end{tabular}}%"]
    lines += [r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _alignment(column: Column, wrap_width: float) -> str:
    if not wrap_width:
        return "r" if column.numeric else "l"
    return rf">{{\ragged{'left' if column.numeric else 'right'}\arraybackslash}}p{{{wrap_width:.1f}pt}}"


def _heading(part: TablePart, at: int) -> str:
    side = "r" if part.table.columns[at].numeric else "l"
    head = _stacked(part.headings[at], side)
    if not part.wrap_widths[at]:
        return head
    first, last = ("@{}" if end else "" for end in (at == 0, at == len(part.wrap_widths) - 1))
    return rf"\multicolumn{{1}}{{{first}{side}{last}}}{{{head}}}"


def _stacked(lines: list[str], side: str) -> str:
    if len(lines) == 1:
        return escape(lines[0])
    return rf"\shortstack[{side}]{{" + r"\\".join(map(escape, lines)) + "}"


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _groups(part: TablePart) -> list[str]:
    if len(part.groups) == 1:
        return []
    heads, rules, start = [], [], 1
    for lines, span in part.groups:
        heads.append(rf"\multicolumn{{{span}}}{{c}}{{{_stacked(lines, 'c')}}}")
        if lines != [""]:
            rules.append(rf"\cmidrule(lr){{{start}-{start + span - 1}}}")
        start += span
    return [_row(heads), "".join(rules)]


def _character(character: str) -> str:
    if character in COMMANDS:
        return COMMANDS[character]
    if " " <= character <= "~" or (character.isalpha() and "\u00c0" <= character <= "\u017e"):
        return character
    return _greek(character) or f"{{[}}U+{ord(character):04X}{{]}}"


def _greek(character: str) -> str | None:
    if character in CAPITALS:
        return CAPITALS[character]
    if not ("Α" <= character <= "Ω" or "α" <= character <= "ω") or character == "ς":
        return None
    # Unicode spells lambda without its b.
    name = unicodedata.name(character).rsplit(" ", 1)[-1].lower().replace("lamda", "lambda")
    return rf"\ensuremath{{\{name.capitalize() if character.isupper() else name}}}"
