"""Panels of lines as sketches: the weights of every edge, and a trial's own curves.

They are drawn for every trial of a study, so without matplotlib (`spaces.core.sketch`).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from spaces.core.drawing import GLYPH, INK, QUIET, colour
from spaces.core.sketch import Box, Dot, Line, Name, Sketch

Curves = Mapping[str, tuple[Sequence[float], str, tuple[float, ...]]]
"""From a curve's name to its values, colour and dashes."""

PANEL, ACROSS, DOWN = (1.3, 0.8), 0.16, 0.3
LEFT, TOP, BOTTOM = 0.42, 0.3, 0.3
"""Inches: a panel of the grid, the space between two, the room around for names."""

CHART, ROW, SAMPLE = (3.5, 1.75), 0.19, 0.3
"""Inches: a chart, a line of its legend, the piece of line in it."""


def grid(epochs: Any, values: Any, edges: Sequence[tuple[int, int]], operations: Sequence[str], top: float) -> Sketch:
    """Weights [epochs, edges, operations] over epochs: a panel an edge, from 0 to `top`, a line an operation."""
    first = edges[0][1]
    columns, rows = 1 + max(source for source, _ in edges), 1 + max(target for _, target in edges) - first
    width = LEFT + columns * (PANEL[0] + ACROSS)
    sketch = Sketch(width, TOP + rows * (PANEL[1] + DOWN) - DOWN + BOTTOM)
    across = (epochs - epochs[0]) / max(1.0, epochs[-1] - epochs[0])
    corners = [(LEFT + source * (PANEL[0] + ACROSS), TOP + (to - first) * (PANEL[1] + DOWN)) for source, to in edges]
    for (source, target), (x, y) in zip(edges, corners, strict=True):
        sketch.add(Box(x, y, *PANEL, QUIET, line=0.6))
        sketch.add(Name(x, y - 0.1, f"{source} → {target}", 8, INK, anchor="start"))
    names = [name for name, lines in zip(operations, values.transpose(2, 1, 0), strict=True) if np.any(lines)]
    for name in names:  # one after another: lines of one style are one path
        for (x, y), line in zip(corners, values[:, :, operations.index(name)].T, strict=True):
            if np.any(line):
                sketch.add(*_curve(x + PANEL[0] * across, y + PANEL[1] * (1 - line / top), colour(name), dashes(name)))
    low = TOP + (rows - 1) * (PANEL[1] + DOWN) + PANEL[1]
    sketch.add(
        Name(LEFT, low + 0.12, f"epoch {epochs[0]:.0f}", 8, INK, anchor="start"),
        Name(LEFT + PANEL[0], low + 0.12, f"{epochs[-1]:.0f}", 8, INK, anchor="end"),
        Name(LEFT - 0.06, low, "0", 8, INK, anchor="end"),
        Name(LEFT - 0.06, low - PANEL[1], f"{top:g}", 8, INK, anchor="end"),
    )
    # The upper right corner is free: an edge only leads to a later node.
    room = GLYPH * max(map(len, names), default=0) + SAMPLE + 0.1
    for place, name in enumerate(names):
        y = 0.1 + ROW * place
        sketch.add(
            Line([width - room, width - room + SAMPLE], [y, y], colour(name), 2, dashes(name)),
            Name(width - room + SAMPLE + 0.08, y, name, 9, INK, anchor="start"),
        )
    return sketch


def charts(epochs: Sequence[float], panels: Mapping[str, Curves]) -> Sketch:
    """Curves over `epochs` [n], a chart a panel side by side under its heading; NaN is a gap."""
    rows = max(map(len, panels.values()))
    head = TOP + ROW * rows + 0.1
    sketch = Sketch(len(panels) * (CHART[0] + LEFT + 0.35), head + CHART[1] + 0.45)
    for place, (heading, curves) in enumerate(panels.items()):
        x = LEFT + 0.15 + place * (CHART[0] + LEFT + 0.35)
        sketch.add(Name(x, 0.12, heading, 10, INK, anchor="start", bold=True))
        for row, (name, (_, hue, dash)) in enumerate(curves.items()):
            y = TOP + ROW * row + 0.04
            sketch.add(
                Line([x, x + SAMPLE], [y, y], hue, 2, dash),
                Name(x + SAMPLE + 0.08, y, name, 9, INK, anchor="start"),
            )
        _chart(sketch, x, head, np.asarray(epochs, dtype=float), curves)
    return sketch


def _chart(sketch: Sketch, x: float, y: float, epochs: Any, curves: Curves) -> None:
    values = np.concatenate([np.asarray(line, dtype=float) for line, _, _ in curves.values()])
    marks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(*_spread(np.nanmin(values), np.nanmax(values)))
    bottom, top = marks[0], marks[-1]
    width, height = CHART
    for mark in marks:
        at = y + height * (1 - (mark - bottom) / (top - bottom))
        sketch.add(Line([x, x + width], [at, at], QUIET, 0.3), Name(x - 0.07, at, f"{mark:.6g}", 8, INK, anchor="end"))
    first, last = epochs[0], epochs[-1]
    ticks = MaxNLocator(6, integer=True).tick_values(first, last) if last > first else epochs[:1]
    for tick in (tick for tick in ticks if first <= tick <= last):
        at = x + width * (tick - first) / max(1.0, last - first)
        sketch.add(Line([at, at], [y + height, y + height + 0.04], INK, 0.8))
        sketch.add(Name(at, y + height + 0.14, f"{tick:.0f}", 8, INK))
    sketch.add(
        Line([x, x, x + width], [y, y + height, y + height], INK, 0.8),
        Name(x + width / 2, y + height + 0.33, "Epoch", 9, INK),
    )
    across = x + width * (epochs - first) / max(1.0, last - first)
    for line, hue, dash in curves.values():
        up = y + height * (1 - (np.asarray(line, dtype=float) - bottom) / (top - bottom))
        sketch.add(*_curve(across, up, hue, dash, width=1.6))


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
    """Dashes tell what colour may not: convolutions are solid, pooling dashed, operations without weights dotted."""
    if "pool" in operation:
        return (5.0, 2.0)
    return (1.5, 1.5) if operation in ("none", "skip_connect", "noise") else ()
