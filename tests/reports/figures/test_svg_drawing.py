"""Sketches: the same marks as SVG and as a matplotlib figure."""

import math
import re
from xml.etree import ElementTree

import numpy as np

from reports.figures.svg_drawing import Box, Dot, Label, Line, SvgDrawing


def sketch() -> SvgDrawing:
    made = SvgDrawing(2.0, 1.0)
    made.add(
        Line([0, 1], [0, 0.5], "#0072b2", 1.4),
        Line([1, 2], [0.5, 1], "#0072b2", 1.4),
        Line([0, 2], [1, 1], "#d55e00", 1.0, (5, 2)),
        Box(0.5, 0.25, 0.5, 0.25, "#020202", radius=0.05),
        Dot(0.25, 0.75, 1.5, "#020202"),
        Label(0.75, 0.5, "<a & b>", 9, "#020202", anchor="start", bold=True),
    )
    return made


def test_svg_has_every_mark_in_points() -> None:
    root = ElementTree.fromstring(sketch().svg())
    assert root.attrib["viewBox"] == "0 0 144 72"
    joined, dashed, box, dot, name = root
    assert joined.attrib["d"] == "M0 0L72 36M72 36L144 72"
    assert dashed.attrib["stroke-dasharray"] == "5 2"
    assert [box.attrib[key] for key in ("x", "y", "width", "height", "rx")] == ["36", "18", "36", "18", "3.6"]
    assert [dot.attrib[key] for key in ("cx", "cy", "r")] == ["18", "54", "1.5"]
    assert (name.text, name.attrib["text-anchor"], name.attrib["font-weight"]) == ("<a & b>", "start", "bold")
    assert "id=" not in sketch().svg()


def test_figure_has_every_mark_in_inches() -> None:
    figure = sketch().figure()
    assert tuple(figure.get_size_inches()) == (2.0, 1.0)
    joined, dashed, box, dot, name = figure.artists
    assert np.array_equal(joined.get_xdata(), [0, 1, math.nan, 1, 2, math.nan], equal_nan=True)
    assert dashed.get_color() == "#d55e00"
    assert dot.get_xdata()[0] == 0.25
    assert (box.get_x(), box.get_y()) == (0.5, 0.25)
    assert name.get_text() == "<a & b>"
    # Downwards is positive: the dot is a quarter of an inch from the left and from below, in a figure one inch high.
    assert np.allclose(dot.get_transform().transform((0.25, 0.75)) / figure.dpi, (0.25, 0.25))


def test_a_missing_value_is_no_point() -> None:
    made = SvgDrawing(1, 1)
    made.add(Line([0, 0.5, 1], [0, math.nan, 1], "#020202", 1))
    assert re.search(r'd="M0 0L72 72"', made.svg())
