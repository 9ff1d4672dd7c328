"""The width of a text as LaTeX sets it, from the widths of its letters, to lay out a table before it is compiled."""

import re
from functools import cache

# Computer Modern, whose letters are as wide as Latin Modern's; its smaller designs are wider than scaled letters.
FONT, DESIGN = "cmr10", 100
WIDER = {8: 1.0625, 9: 1.028}
BASELINES = {8: 9.5, 9: 11.0}
"""Points from one baseline to the next, by font size."""

# Characters that the font has at other code points or lacks, in em; other letters that it lacks are about 0.75 em.
SYMBOL_WIDTHS = {
    "|": 0.278,
    "_": 0.5,
    "<": 0.778,
    ">": 0.778,
    "{": 0.5,
    "}": 0.5,
    "\\": 0.5,
    "–": 0.5,
    "—": 1.0,
    "…": 1.0,
}
SYMBOL_WIDTHS |= {"·": 0.278, "\u202f": 0.167} | dict.fromkeys("−±×≤≥", 0.778)
OTHER_WIDTH = 0.75
LINE_ENDS = re.compile(r"(?<=[-_])|\s+")


def width(text: str, size: int) -> float:
    """The width of `text` on one line, in points, at the size of 8 or 9 points."""
    return WIDER[size] * size * sum(map(_em, text))


def breakable_parts(text: str) -> list[str]:
    """The parts of `text` between which a line may end: at white space, behind a hyphen or an underscore."""
    return [part for part in LINE_ENDS.split(text) if part]


def line_count(text: str, room: float, size: int) -> int:
    """The number of lines of `room` points that `text` fills."""
    lines, used = 1, 0.0
    for word in text.split():
        gap = width(" ", size) if used else 0.0
        for part in breakable_parts(word):
            own = width(part, size)
            if used and used + gap + own > room:
                lines, used = lines + 1, own
            else:
                used += gap + own
            gap = 0.0
    return lines


def broken(text: str, room: float, size: int) -> list[str]:
    """`text` in lines of at most `room` points, broken only at spaces; a wider word has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        if lines and width(f"{lines[-1]} {word}", size) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]


@cache
def _em(character: str) -> float:
    """The width of a character in em."""
    from matplotlib.font_manager import findfont, get_font

    if character in SYMBOL_WIDTHS:
        return SYMBOL_WIDTHS[character]
    if not character.isascii():
        european = character.isalpha() and ("À" <= character <= "ž" or "Α" <= character <= "ω")
        # A character that pdflatex lacks is written as its code point.
        return OTHER_WIDTH if european else sum(map(_em, f"[U+{ord(character):04X}]"))
    font = get_font(findfont(FONT))
    font.set_size(DESIGN, 72)
    return float(font.load_char(ord(character)).linearHoriAdvance) / 65536 / DESIGN
