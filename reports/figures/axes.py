"""Axes, colours and legends that every figure shares."""

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from reports.figures.cell_drawing import INK, QUIET

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008): as in reports.figures.cell_drawing, without the black and the yellow.
METHOD_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
METHOD_DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))
METHOD_MARKERS = "osD^vP"

Style = dict[str, Any]

LONG = 14
"""A legend with more entries has two columns."""


def styles(methods: Sequence[str]) -> dict[str, Style]:
    """A colour and dash pattern for each method, by its place in the sorted names: the same in every figure.

    Neighbours differ in both, so that no reader depends on colour alone.
    """
    pairs = zip(cycle(METHOD_COLOURS), cycle(METHOD_DASHES), strict=False)
    # Six colours and four patterns repeat after twelve methods; further methods differ only in the legend's order.
    return {
        method: {"color": colour, "linestyle": dash}
        for method, (colour, dash) in zip(sorted(set(methods)), pairs, strict=False)
    }


def canvas(width: float, height: float) -> tuple["Figure", "Axes"]:
    """An empty figure of `width` by `height` inches with one pair of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def finish_axes(axes: "Axes", x: str, y: str) -> None:
    """Label the axes, keep only the left and the lower spine, and draw a light horizontal grid."""
    axes.set_xlabel(x, color=INK, fontsize=10)
    axes.set_ylabel(y, color=INK, fontsize=10)
    axes.tick_params(colors=INK, labelsize=9, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.grid(axis="y", color=QUIET, alpha=0.3, linewidth=0.7)
    axes.set_axisbelow(True)


def canvas_for(entries: int, height: float) -> tuple["Figure", "Axes"]:
    """A wide figure of at least `height` inches with room for a legend of so many entries at the right of its axes."""
    return canvas(9.2, max(height, 0.19 * -(-entries // _columns(entries)) + 0.6))


def _columns(entries: int) -> int:
    return 1 if entries <= LONG else 2


def over_epochs(axes: "Axes", y: str, entries: Mapping[str, Style]) -> None:
    """Finish axes with curves over epochs: integer ticks, and the legend at the right."""
    from matplotlib.ticker import MaxNLocator

    finish_axes(axes, "Epoch", y)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(axes, entries, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def curves(
    height: float,
    frame: "pd.DataFrame",
    y: str,
    method_styles: Mapping[str, Style],
    draw: Callable[["Axes", "pd.DataFrame", Style, int], tuple[int, str]],
) -> tuple["Figure", list[str]]:
    """A figure, `height` inches high, with a curve over epochs for each label of `frame`; and each end in words.

    `draw` draws one label's rows on the axes in its style. Its last argument is the number of curves already drawn; it
    returns n and where the curve ends, in words.
    """
    figure, axes = canvas_for(frame["label"].nunique(), height)
    entries, ends = {}, []
    for number, (label, rows) in enumerate(frame.groupby("label", sort=True)):
        style = method_styles[str(label)]
        n, end = draw(axes, rows, style, number)
        entries[f"{label} (n = {n})"] = style
        ends.append(f"{label} {end}")
    over_epochs(axes, y, entries)
    return figure, ends


def legend(axes: "Axes", entries: Mapping[str, Style], **place: Any) -> None:
    """A legend of `entries`; names are printed literally, never as markup."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], linewidth=2, **style) for style in entries.values()]
    # matplotlib leaves out names that begin with an underscore: a space in front keeps them.
    names = [f" {name}" if name.startswith("_") else name for name in entries]
    look: dict[str, Any] = {"frameon": False, "fontsize": 9, "labelcolor": INK, "handlelength": 2.6}
    shown = axes.legend(handles, names, ncols=_columns(len(entries)), columnspacing=1.2, **look, **place)
    for entry in shown.get_texts():
        entry.set_parse_math(False)
