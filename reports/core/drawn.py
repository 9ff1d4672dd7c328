"""A drawn figure with its words, and how it is written: SVG inside a page, PDF beside a LaTeX file, always the same."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from spaces.core.drawing import INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawn:
    """A figure, its file name and anchor `slug`, its `caption`, and `alt`: its message for whoever cannot see it."""

    figure: "Figure"
    slug: str
    caption: str
    alt: str

    def svg(self) -> str:
        """The `<svg>` element alone, for a page: no header, no metadata, no name space, ids prefixed by the slug.

        Ink becomes `currentColor`, so that names and axes follow the page's own colour, light or dark.
        """
        with _settings():
            stream = io.StringIO()
            self.figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=True)
        svg = stream.getvalue()
        svg = svg[svg.index("<svg") :].strip()
        svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
        svg = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", svg)
        svg = re.sub(r'\bid="', f'id="{self.slug}.', svg)
        svg = re.sub(r'href="#', f'href="#{self.slug}.', svg)
        svg = re.sub(r"url\(#", f"url(#{self.slug}.", svg)
        svg = svg.replace(INK, "currentColor")
        return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)

    def save_pdf(self, path: Path) -> None:
        """Write the figure to `path`, without a date, so that the same records give the same bytes."""
        with _settings():
            self.figure.savefig(path, format="pdf", metadata={"CreationDate": None}, transparent=True)


@contextmanager
def _settings() -> Iterator[None]:
    # Names are printed as they are, whatever glyphs the font lacks; text in the SVG stays text.
    settings: Any = {"svg.hashsalt": "dartboard", "svg.fonttype": "none", "pdf.fonttype": 3}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield
