"""The colours of figures on a light and on a dark page.

Okabe and Ito (2008) chose their colours for areas on white paper; as lines some are too faint on it, others on a dark
ground. A page therefore shows each in two shades of its hue: lines have a contrast of at least 3 on the light ground
(WCAG 2.2, 1.4.11) and 4.5 on the dark one. A downloaded file has the original colours.
"""

import re

from reports.figures.cell_drawing import INK

PAPER, NIGHT = "#fcfbf8", "#16181c"
"""The background colours of a page, light and dark."""

HUES = {
    "#0072b2": ("#0072b2", "#4a9fdd"),
    "#d55e00": ("#d55e00", "#ec7a2c"),
    "#009e73": ("#00906a", "#1fb58a"),
    "#cc79a7": ("#b85f92", "#d68bb4"),
    "#e69f00": ("#b27a00", "#e9ab2b"),
    "#56b4e9": ("#2f93cc", "#7cc6f0"),
    "#7fbf3f": ("#5d9a22", "#93cf57"),
    "#9467bd": ("#8a5bb5", "#ad87d3"),
    "#8c6d46": ("#8c6d46", "#b9986c"),
    "#8a8a8a": ("#868686", "#9a9a9a"),
}
"""The original colour, and its shades on a light and on a dark page."""


def adapted(svg: str) -> str:
    """`svg` with colours that follow its page: the ink becomes the text colour, hues become variables."""
    svg = svg.replace(INK, "currentColor")
    return re.sub("|".join(HUES), lambda found: f"var({variable(found[0])})", svg)


def variable(colour: str) -> str:
    """The style sheet's name for a colour of `HUES`."""
    return f"--hue-{colour[1:]}"


def declarations(*, dark: bool) -> str:
    """The style sheet's variables, on a light or on a dark page."""
    return " ".join(f"{variable(colour)}: {shades[dark]};" for colour, shades in HUES.items())
