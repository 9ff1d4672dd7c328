"""A figure of a report with its caption and its numbers, and how it is written: into a page, and as files beside it."""

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
    """A figure of a report: `slug` is its file name and anchor, `alt` its alternative text.

    `data` holds the numbers that it shows, a row a point. An `SvgDrawing` is written a hundred times faster than a
    matplotlib figure.
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
        """Write the figure to `path` as a self-contained file, in the colours in which it was drawn."""
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
        # The layout is computed once: for every further format it would take as long as the drawing itself.
        self._figure.set_layout_engine(None)

    @cached_property
    def _figure(self) -> "Figure":
        return self.figure.figure() if isinstance(self.figure, SvgDrawing) else self.figure

    @cached_property
    def _source(self) -> str:
        """The `<svg>` element with its name space, drawn once for pages and files."""
        if isinstance(self.figure, SvgDrawing):
            return self.figure.svg().replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        stream = io.StringIO()
        self._save(stream, format="svg", metadata={"Date": None}, transparent=True)
        svg = stream.getvalue()
        svg = svg[svg.index("<svg") :].strip()
        return re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)


@contextmanager
def _settings() -> Iterator[None]:
    # Names are printed unchanged, even if the font lacks a glyph; text in the SVG stays text.
    settings: Any = {"svg.hashsalt": "dartboard", "svg.fonttype": "none", "pdf.fonttype": 3}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield
