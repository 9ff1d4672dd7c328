"""Charts as SVG drawings: the weights of every edge, and a trial's own curves.

A report has them for every trial, so they are drawn without matplotlib (`reports.figures.svg_drawing`).
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from reports.figures.cell_drawing import GLYPH_WIDTH, INK, QUIET, operation_colour
from reports.figures.svg_drawing import Box, Dot, Label, Line, SvgDrawing

Curves = Mapping[str, tuple[Sequence[float], str, tuple[float, ...]]]
"""From a curve's name to its values, colour and dashes."""

PANEL, ACROSS, DOWN = (1.3, 0.8), 0.16, 0.3
LEFT, TOP, BOTTOM = 0.42, 0.3, 0.3
"""Inches: a panel of the grid, the space between two, the room around for names."""

CHART, LEGEND_ROW, SAMPLE = (3.5, 1.75), 0.19, 0.3
"""Inches: a chart, a line of its legend, the piece of line in it."""

ABREAST, STRIP, BESIDE, BELOW = 3, (2.4, 0.75), 0.65, 0.5
"""Small panels side by side; inches: one of them, the room at the left of it for numbers, below it for its name."""

Place = Callable[[Any], Any]
"""From an epoch or a value to inches."""


def weight_grid(
    epochs: Any, values: Any, edges: Sequence[tuple[int, int]], operations: Sequence[str], top: float
) -> SvgDrawing:
    """Weights [epochs, edges, operations] over epochs: a panel an edge, from 0 to `top`, a line an operation."""
    first = edges[0][1]
    columns, rows = 1 + max(source for source, _ in edges), 1 + max(target for _, target in edges) - first
    width = LEFT + columns * (PANEL[0] + ACROSS)
    drawing = SvgDrawing(width, TOP + rows * (PANEL[1] + DOWN) - DOWN + BOTTOM)
    across = (epochs - epochs[0]) / max(1.0, epochs[-1] - epochs[0])
    corners = [(LEFT + source * (PANEL[0] + ACROSS), TOP + (to - first) * (PANEL[1] + DOWN)) for source, to in edges]
    for (source, target), (x, y) in zip(edges, corners, strict=True):
        drawing.add(Box(x, y, *PANEL, QUIET, line=0.6))
        drawing.add(Label(x, y - 0.1, f"{source} → {target}", 8, INK, anchor="start"))
    names = [name for name, lines in zip(operations, values.transpose(2, 1, 0), strict=True) if np.any(lines)]
    for name in names:  # one after another: lines of one style are one path
        for (x, y), line in zip(corners, values[:, :, operations.index(name)].T, strict=True):
            if np.any(line):
                drawing.add(
                    *_curve(
                        x + PANEL[0] * across, y + PANEL[1] * (1 - line / top), operation_colour(name), dashes(name)
                    )
                )
    low = TOP + (rows - 1) * (PANEL[1] + DOWN) + PANEL[1]
    drawing.add(
        Label(LEFT, low + 0.12, f"epoch {epochs[0]:.0f}", 8, INK, anchor="start"),
        Label(LEFT + PANEL[0], low + 0.12, f"{epochs[-1]:.0f}", 8, INK, anchor="end"),
        Label(LEFT - 0.06, low, "0", 8, INK, anchor="end"),
        Label(LEFT - 0.06, low - PANEL[1], f"{top:g}", 8, INK, anchor="end"),
    )
    # The upper right corner is free: an edge only leads to a later node.
    room = GLYPH_WIDTH * max(map(len, names), default=0) + SAMPLE + 0.1
    for place, name in enumerate(names):
        y = 0.1 + LEGEND_ROW * place
        drawing.add(
            Line([width - room, width - room + SAMPLE], [y, y], operation_colour(name), 2, dashes(name)),
            Label(width - room + SAMPLE + 0.08, y, name, 9, INK, anchor="start"),
        )
    return drawing


def line_charts(epochs: Sequence[float], panels: Mapping[str, Curves]) -> SvgDrawing:
    """Curves over `epochs` [n], panels side by side with headings; NaN is a gap."""
    rows = max(map(len, panels.values()))
    head = TOP + LEGEND_ROW * rows + 0.1
    drawing = SvgDrawing(len(panels) * (CHART[0] + LEFT + 0.35), head + CHART[1] + 0.45)
    for place, (heading, curves) in enumerate(panels.items()):
        x = LEFT + 0.15 + place * (CHART[0] + LEFT + 0.35)
        drawing.add(Label(x, 0.12, heading, 10, INK, anchor="start", bold=True))
        for row, (name, (_, hue, dash)) in enumerate(curves.items()):
            y = TOP + LEGEND_ROW * row + 0.04
            drawing.add(
                Line([x, x + SAMPLE], [y, y], hue, 2, dash),
                Label(x + SAMPLE + 0.08, y, name, 9, INK, anchor="start"),
            )
        _chart(drawing, x, head, np.asarray(epochs, dtype=float), curves)
    return drawing


def small_charts(epochs: Sequence[float], lines: Mapping[str, Any], mark: float) -> SvgDrawing:
    """Quantities [n] over `epochs` [n], each in a small panel with its own scale; a dashed line at epoch `mark`.

    A quantity that was not measured after every epoch (NaN) has a dot where it was.
    """
    wide, high = STRIP
    rows = -(-len(lines) // ABREAST)
    drawing = SvgDrawing(ABREAST * (wide + BESIDE) + 0.15, rows * (high + BELOW) + 0.3)
    moments = np.asarray(epochs, dtype=float)
    for place, (name, line) in enumerate(lines.items()):
        x, y = BESIDE + place % ABREAST * (wide + BESIDE), 0.3 + place // ABREAST * (high + BELOW)
        drawing.add(Label(x, y - 0.15, name, 8, INK, anchor="start"))
        values = np.asarray(line, dtype=float)
        there = np.isfinite(values)
        last = place + ABREAST >= len(lines)  # of its column
        across, up = _axes(drawing, (x, y), STRIP, moments, values, (4, 2), "Epoch" if last else "")
        xs, ys = across(moments[there]), up(values[there])
        drawing.add(*_curve(xs, ys, INK, (), width=1.2))
        if not there.all():
            drawing.add(*(Dot(float(x), float(y), 1.5, INK) for x, y in zip(xs, ys, strict=True)))
        if mark == mark:
            at = float(across(mark))
            drawing.add(Line([at, at], [y, y + high], operation_colour("skip_connect"), 1, (2, 2)))
    return drawing


def _chart(drawing: SvgDrawing, x: float, y: float, epochs: Any, curves: Curves) -> None:
    values = np.concatenate([np.asarray(line, dtype=float) for line, _, _ in curves.values()])
    across, up = _axes(drawing, (x, y), CHART, epochs, values, (6, 4), "Epoch")
    for line, hue, dash in curves.values():
        drawing.add(*_curve(across(epochs), up(np.asarray(line, dtype=float)), hue, dash, width=1.6))


def _axes(
    drawing: SvgDrawing,
    corner: tuple[float, float],
    size: tuple[float, float],
    epochs: Any,
    values: Any,
    most: Any,
    name: str,
) -> tuple[Place, Place]:
    """Draw axes of `size` inches for `values` over `epochs`; return the positions of an epoch and of a value.

    `corner` is the upper left one, `most` the approximate numbers of ticks (x, y). Without a `name` the epochs are not
    labelled, since another panel below has them.
    """
    (x, y), (width, height) = corner, size
    finite = values[np.isfinite(values)]
    low, high = _spread(finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    marks = MaxNLocator(most[1], steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    bottom, top = marks[0], marks[-1]
    first, last = epochs[0], epochs[-1]

    def up(value: Any) -> Any:
        return y + height * (1 - (value - bottom) / (top - bottom))

    def across(epoch: Any) -> Any:
        return x + width * (epoch - first) / max(1.0, last - first)

    for mark in marks:
        at = up(mark)
        drawing.add(
            Line([x, x + width], [at, at], QUIET, 0.3), Label(x - 0.07, at, f"{mark:.6g}", 8, INK, anchor="end")
        )
    ticks = MaxNLocator(most[0], integer=True).tick_values(first, last) if last > first else epochs[:1]
    for tick in (tick for tick in ticks if first <= tick <= last):
        at = across(tick)
        drawing.add(Line([at, at], [y + height, y + height + 0.04], INK, 0.8))
        if name:
            drawing.add(Label(at, y + height + 0.14, f"{tick:.0f}", 8, INK))
    drawing.add(Line([x, x, x + width], [y, y + height, y + height], INK, 0.8))
    if name:
        drawing.add(Label(x + width / 2, y + height + 0.33, name, 9, INK))
    return across, up


def _spread(low: float, high: float) -> tuple[float, float]:
    """The interval, or one around a single value."""
    return (low, high) if high > low else (low - max(0.5, abs(low) / 10), high + max(0.5, abs(high) / 10))


def _curve(x: Any, y: Any, hue: str, dash: tuple[float, ...], width: float = 1.3) -> list[Line | Dot]:
    """A line, cut where a value is missing; a value without neighbours is a dot."""
    there = np.isfinite(y)
    cuts = [0, *(np.flatnonzero(there[1:] != there[:-1]) + 1), len(y)]
    pieces = [(start, end) for start, end in pairwise(cuts) if end > start and there[start]]
    return [
        Line(x[start:end].tolist(), y[start:end].tolist(), hue, width, dash)
        if end - start > 1
        else Dot(float(x[start]), float(y[start]), 1.5, hue)
        for start, end in pieces
    ]


def dashes(operation: str) -> tuple[float, ...]:
    """The dashes of an operation's line: convolutions solid, pooling dashed, operations without weights dotted."""
    if "pool" in operation:
        return (5.0, 2.0)
    return (1.5, 1.5) if operation in ("none", "skip_connect", "noise") else ()
