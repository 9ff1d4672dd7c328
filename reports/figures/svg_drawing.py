"""Drawings of lines, boxes and labels, written as SVG without a plotting library, or converted to a matplotlib figure.

A report has several for each trial. For some twenty lines and labels matplotlib takes 0.2 s and 30 kB, this module
1 ms and 3 kB.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from math import nan
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

POINTS = 72
"""Points an inch: an SVG's unit is the point."""

Anchor = Literal["start", "middle", "end"]
MATPLOTLIB_ANCHOR = {"start": "left", "middle": "center", "end": "right"}


@dataclass(frozen=True)
class Line:
    """A line through points; `dash` holds the lengths of strokes and gaps in points, and is empty for a solid line."""

    x: Sequence[float]
    y: Sequence[float]
    colour: str
    width: float
    dash: tuple[float, ...] = ()


@dataclass(frozen=True)
class Dot:
    """A filled circle, its `radius` in points."""

    x: float
    y: float
    radius: float
    colour: str


@dataclass(frozen=True)
class Box:
    """The outline of a rectangle with corners rounded by `radius`; (x, y) is its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    edge: str
    radius: float = 0.0
    line: float = 1.0


@dataclass(frozen=True)
class Label:
    """Text, printed literally; y is the middle of its height. `turned` text reads upwards."""

    x: float
    y: float
    words: str
    size: float
    colour: str
    anchor: Anchor = "middle"
    bold: bool = False
    turned: bool = False


Mark = Line | Dot | Box | Label


@dataclass
class SvgDrawing:
    """Marks on an area of `width` by `height` inches; x to the right, y downwards, later marks above earlier ones."""

    width: float
    height: float
    marks: list[Mark] = field(default_factory=list)

    def add(self, *marks: Mark) -> None:
        """Put `marks` on top."""
        self.marks += marks

    def svg(self) -> str:
        """The `<svg>` element, without ids and name space; coordinates are in points, rounded to a twentieth."""
        size = f"{_points(self.width)} {_points(self.height)}"
        width, height = size.split()
        head = f'<svg viewBox="0 0 {size}" width="{width}pt" height="{height}pt" font-family="sans-serif">'
        return head + "".join(self._elements()) + "</svg>"

    def figure(self) -> "Figure":
        """The drawing as a matplotlib figure on a transparent ground, without axes, which take long to draw."""
        from matplotlib.figure import Figure
        from matplotlib.transforms import Affine2D

        figure = Figure(figsize=(self.width, self.height))
        figure.patch.set_alpha(0)
        inches = Affine2D().scale(1, -1).translate(0, self.height) + figure.dpi_scale_trans
        for level, (_, marks) in enumerate(groupby(self.marks, _style), start=2):
            for artist in _artists(list(marks)):
                artist.set(transform=inches, zorder=level)
                figure.add_artist(artist)
        return figure

    def _elements(self) -> Iterator[str]:
        """The elements; consecutive lines of one style become one path."""
        for style, marks in groupby(self.marks, _style):
            if isinstance(style, str):
                yield from (_element(mark) for mark in marks)
            else:
                colour, width, dash = style
                path = "".join(_path(mark) for mark in marks if isinstance(mark, Line))
                dashes = f' stroke-dasharray="{" ".join(map(_short, dash))}"' if dash else ""
                yield f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{_short(width)}"{dashes}/>'


def _style(mark: Mark) -> Any:
    return (mark.colour, mark.width, mark.dash) if isinstance(mark, Line) else "each by itself"


def _path(line: Line) -> str:
    points = [f"{_points(x)} {_points(y)}" for x, y in zip(line.x, line.y, strict=True) if x == x and y == y]
    return "M" + "L".join(points) if points else ""


def _element(mark: Mark) -> str:
    if isinstance(mark, Dot):
        place = f'cx="{_points(mark.x)}" cy="{_points(mark.y)}"'
        return f'<circle {place} r="{_short(mark.radius)}" fill="{mark.colour}"/>'
    if isinstance(mark, Box):
        place = f'x="{_points(mark.x)}" y="{_points(mark.y)}"'
        size = f'width="{_points(mark.width)}" height="{_points(mark.height)}" rx="{_points(mark.radius)}"'
        return f'<rect {place} {size} fill="none" stroke="{mark.edge}" stroke-width="{_short(mark.line)}"/>'
    assert isinstance(mark, Label)
    x, y = _points(mark.x), _points(mark.y)
    turn = f' transform="rotate(-90 {x} {y})"' if mark.turned else ""
    weight = ' font-weight="bold"' if mark.bold else ""
    # A third of the size below the middle is where a line of capitals and ascenders looks centred.
    return (
        f'<text x="{x}" y="{y}" dy="{_short(0.34 * mark.size)}" font-size="{_short(mark.size)}" '
        f'text-anchor="{mark.anchor}" fill="{mark.colour}"{weight}{turn}>{escape(mark.words)}</text>'
    )


def _artists(marks: list[Mark]) -> Iterator["Artist"]:
    """The artists of marks of one style. Lines become one line with gaps, since an artist takes a millisecond."""
    lines = [mark for mark in marks if isinstance(mark, Line)]
    if lines:
        yield _joined_lines(lines)
    yield from (_artist(mark) for mark in marks if not isinstance(mark, Line))


def _joined_lines(lines: list[Line]) -> "Artist":
    from matplotlib.lines import Line2D

    x, y = ([value for line in lines for value in (*getattr(line, axis), nan)] for axis in "xy")
    colour, width, dash = lines[0].colour, lines[0].width, lines[0].dash
    pattern: Any = (0, tuple(length / width for length in dash)) if dash else "solid"
    return Line2D(x, y, color=colour, linewidth=width, linestyle=pattern)


def _artist(mark: Dot | Box | Label) -> "Artist":
    from matplotlib.lines import Line2D

    if isinstance(mark, Box):
        return _patch(mark)
    if isinstance(mark, Label):
        return _text(mark)
    size = 2 * mark.radius
    return Line2D([mark.x], [mark.y], marker="o", color=mark.colour, markersize=size, markeredgewidth=0)


def _text(label: Label) -> "Artist":
    from matplotlib.text import Text

    return Text(
        label.x,
        label.y,
        label.words,
        fontsize=label.size,
        color=label.colour,
        weight="bold" if label.bold else "normal",
        ha=MATPLOTLIB_ANCHOR[label.anchor],
        va="center" if label.turned else "center_baseline",
        rotation=90 if label.turned else 0,
        parse_math=False,
    )


def _patch(box: Box) -> "Patch":
    from matplotlib.patches import FancyBboxPatch, Rectangle

    look: Any = {"facecolor": "none", "edgecolor": box.edge, "linewidth": box.line}
    if not box.radius:
        return Rectangle((box.x, box.y), box.width, box.height, **look)
    style = f"round,pad=0,rounding_size={box.radius}"
    return FancyBboxPatch((box.x, box.y), box.width, box.height, boxstyle=style, **look)


def _points(inches: float) -> str:
    return _short(round(inches * POINTS * 20) / 20)


def _short(number: float) -> str:
    return f"{number + 0.0:.2f}".rstrip("0").rstrip(".")
