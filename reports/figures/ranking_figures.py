"""The figures of the rankings across blocks: the critical-difference diagram and the performance profiles."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reports.figures.axes import Style, canvas_for, finish_axes, legend, styles
from reports.figures.cell_drawing import GLYPH_WIDTH, INK, SPACING
from reports.figures.report_figure import ReportFigure
from reports.sentences.numbers import sentence
from reports.sentences.numbers import two_decimals as number
from reports.statistics.rankings import Rankings, profile
from reports.statistics.ranks import alike
from reports.statistics.significance import ALPHA, Values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEP, LEAD = 0.24, 0.35
"""Inches between two lines of text, and from the ruler's end to a name."""


def critical_difference_diagram(standing: Rankings, slug: str, conditions: str) -> ReportFigure | None:
    """Mean ranks on a line, best to the left; a bar joins methods that Nemenyi's test does not tell apart.

    `None` where Friedman's test could not have rejected its hypothesis. After Demšar 2006, figure 1.
    """
    if not standing.enough or standing.friedman is None:
        return None
    names, ranks = standing.methods, standing.frame["rank"].to_numpy(dtype=float)
    bars = alike(ranks, standing.critical)
    figure, axes = _canvas(names, standing.critical, 3 * STEP, STEP * (len(bars) * 0.6 + (len(names) + 1) // 2 + 1))
    _ruler(axes, len(names), standing.critical)
    for level, (first, last) in enumerate(bars):
        y = -STEP * (0.6 + 0.6 * level)
        axes.plot([ranks[first], ranks[last]], [y, y], color=INK, linewidth=3.2, solid_capstyle="round")
    _names(figure, axes, names, ranks, STEP * (0.6 * len(bars) + 1))
    over = f"{len(names)} methods over {len(standing.blocks)} blocks ({'; '.join(standing.blocks)})"
    caption = (
        f"Critical-difference diagram of {over}: mean ranks, 1 the best mean. A bar joins methods whose ranks "
        f"differ by less than the critical difference of Nemenyi's test at {ALPHA:g}. {sentence(conditions)}"
    )
    listed = "; ".join(f"{name} {number(rank)}" for name, rank in zip(names, ranks, strict=True))
    joined = "; ".join(", ".join(names[first : last + 1]) for first, last in bars)
    alt = f"Mean ranks: {listed}. Not told apart: {joined or 'none'}."
    return ReportFigure(figure, f"{slug}-critical-difference", caption, alt, standing.frame)


def performance_profiles(
    standing: Rankings, slug: str, conditions: str, method_styles: dict[str, Style] | None = None
) -> ReportFigure:
    """The share of each method's searches, over all blocks, that score at least so much; of a non-empty standing.

    Agarwal et al. 2021, section 4.2: a curve above another everywhere is stochastic dominance.
    """
    figure, axes = canvas_for(len(standing.methods), 3.6)
    scores = standing.scores["score"]
    reach = 0.02 * max(1e-9, float(np.ptp(scores)))
    entries, medians, points = {}, [], []
    for method in standing.methods:
        style = (method_styles or styles(standing.methods))[method]
        own, share = profile(standing, method)
        x = np.concatenate([[scores.min() - reach], own, [own[-1], scores.max() + reach]])
        axes.step(x, np.concatenate([[1.0], share, [0.0, 0.0]]), where="pre", linewidth=1.8, **style)
        entries[f"{method} (n = {len(own)})"] = style
        medians.append(f"{method} {number(float(np.median(own)))}")
        points.append(pd.DataFrame({"method": method, "score": own, "share": share}))
    finish_axes(
        axes, "Score: by how much better than the block's mean over methods", "Share of searches at least so good"
    )
    axes.set_ylim(-0.02, 1.02)
    legend(axes, entries, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    caption = (
        f"Performance profiles over {len(standing.blocks)} blocks ({'; '.join(standing.blocks)}): the share of a "
        f"method's searches whose score is at least the one below. {sentence(conditions)}"
    )
    alt = f"Performance profiles; median scores: {'; '.join(medians)}."
    return ReportFigure(figure, f"{slug}-profiles", caption, alt, pd.concat(points, ignore_index=True))


def _canvas(names: list[str], critical: float, top: float, depth: float) -> tuple[Figure, "Axes"]:
    """A figure with room for every name; its axes are in ranks horizontally and inches vertically, the ruler at 0."""
    count, half = len(names), (len(names) + 1) // 2
    unit = max(4.0, 0.7 * (count - 1)) / (count - 1)
    left, right = (
        2 * SPACING + LEAD + GLYPH_WIDTH * (6 + max(map(len, side))) for side in (names[:half], names[half:])
    )
    right = max(right, unit * (critical - count + 1) + SPACING)  # the bar above may be longer than the ruler
    width = left + unit * (count - 1) + right
    figure = Figure(figsize=(width, top + depth))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(1 - left / unit, count + right / unit)
    axes.set_ylim(-depth, top)
    axes.axis("off")
    return figure, axes


def _ruler(axes: "Axes", count: int, critical: float) -> None:
    axes.plot([1, count], [0, 0], color=INK, linewidth=1.0)
    for rank in range(1, count + 1):
        axes.plot([rank, rank], [0, 0.25 * STEP], color=INK, linewidth=1.0)
        axes.text(rank, 0.35 * STEP, str(rank), fontsize=9, color=INK, ha="center", va="bottom")
    axes.plot([1, 1 + critical], [2 * STEP] * 2, color=INK, linewidth=1.6)
    axes.text(1, 2.15 * STEP, f"critical difference {number(critical)}", fontsize=9, color=INK, va="bottom")


def _names(figure: Figure, axes: "Axes", names: list[str], ranks: Values, below: float) -> None:
    """Each name with its rank, the better half to the left, a line leading to its place on the ruler."""
    count, half = len(names), (len(names) + 1) // 2
    lead = LEAD * (axes.get_xlim()[1] - axes.get_xlim()[0]) / figure.get_figwidth()
    for place, (name, rank) in enumerate(zip(names, ranks, strict=True)):
        left = place < half
        y = -below - STEP * (place if left else count - 1 - place)
        end = 1 - lead if left else count + lead
        axes.plot([rank, rank, end], [0, y, y], color=INK, linewidth=0.9)
        words, align = (f"{name}  {number(rank)} ", "right") if left else (f" {number(rank)}  {name}", "left")
        axes.text(end, y, words, fontsize=9, color=INK, ha=align, va="center", parse_math=False)
