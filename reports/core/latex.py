"""Tables and text as LaTeX that compiles under pdflatex with booktabs and graphicx, whatever a name holds."""

import unicodedata

from reports.tables import Table

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


def tabular(table: Table) -> str:
    r"""The table as a `table` environment with caption and label, for `\input`; scaled down if wider than the line."""
    columns = table.columns
    align = "".join("r" if column.numeric else "l" for column in columns)
    lines = [r"\begin{table}[htbp]", r"\centering", rf"\caption{{{escape(table.caption)}}}"]
    lines += [
        rf"\label{{tab:{table.slug}}}",
        r"\small",
        r"\sbox0{%",
        rf"\begin{{tabular}}{{@{{}}{align}@{{}}}}",
        r"\toprule",
    ]
    lines += _groups(table)
    lines += [_row([escape(column.heading) for column in columns]), r"\midrule"]
    lines += [_row([escape(cell) for cell in row]) for row in table.rows()]
    lines += [r"\bottomrule", r"\end{tabular}}%"]
    lines += [r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _groups(table: Table) -> list[str]:
    groups = table.groups()
    if len(groups) == 1:
        return []
    heads, rules, start = [], [], 1
    for name, span in groups:
        heads.append(rf"\multicolumn{{{span}}}{{c}}{{{escape(name)}}}")
        if name:
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
