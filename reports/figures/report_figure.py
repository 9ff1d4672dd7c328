"""A drawn figure with its words and its numbers, and how it is written: into a page, and as files beside it."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pandas as pd

from reports.figures.palette import adapted
from reports.figures.svg_drawing import SvgDrawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DENSITY = 200
"""Dots an inch of a figure as pixels."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure, its file name and anchor `slug`, its `caption`, and `alt`: its message for whoever cannot see it.

    `data` are the numbers that it shows, a row a point. A `SvgDrawing` is drawn for a page a hundred times faster.
    """

    figure: "Figure | SvgDrawing"
    slug: str
    caption: str
    alt: str
    data: pd.DataFrame

    def svg(self) -> str:
        """The `<svg>` element alone, for a page: no header, no metadata, no name space, ids prefixed by the slug.

        Its colours are the page's own, light or dark (`reports.figures.palette`).
        """
        svg = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", self._source)
        svg = re.sub(r'\bid="', f'id="{self.slug}.', svg)
        svg = re.sub(r'href="#', f'href="#{self.slug}.', svg)
        svg = re.sub(r"url\(#", f"url(#{self.slug}.", svg)
        return adapted(svg).replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)

    def save_svg(self, path: Path) -> None:
        """Write the figure to `path` as a file that stands by itself, in the colours in which it was drawn."""
        path.write_text(self._source + "\n", encoding="utf-8")

    def save_pdf(self, path: Path) -> None:
        """Write the figure to `path`, without a date, so that the same records give the same bytes."""
        self._save(path, format="pdf", metadata={"CreationDate": None}, transparent=True)

    def save_png(self, path: Path) -> None:
        """Write the figure to `path` on white, `DENSITY` dots an inch."""
        self._save(path, format="png", dpi=DENSITY, facecolor="white", metadata={"Software": None})

    def _save(self, target: Any, **how: Any) -> None:
        with _settings():
            self._figure.savefig(target, **how)
        # It is laid out now, and for the next format it would be once more, which takes as long as all the rest.
        self._figure.set_layout_engine(None)

    @cached_property
    def _figure(self) -> "Figure":
        return self.figure.figure() if isinstance(self.figure, SvgDrawing) else self.figure

    @cached_property
    def _source(self) -> str:
        """The `<svg>` element with its name space: what pages and files are made of is drawn once."""
        if isinstance(self.figure, SvgDrawing):
            return self.figure.svg().replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        stream = io.StringIO()
        self._save(stream, format="svg", metadata={"Date": None}, transparent=True)
        svg = stream.getvalue()
        svg = svg[svg.index("<svg") :].strip()
        return re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)


@contextmanager
def _settings() -> Iterator[None]:
    # Names are printed as they are, whatever glyphs the font lacks; text in the SVG stays text.
    settings: Any = {"svg.hashsalt": "dartboard", "svg.fonttype": "none", "pdf.fonttype": 3}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield
