"""The figures of the collapse analysis: survival curves, and what one watched trial looked like."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.figures.axes import Style, curves, legend
from reports.figures.cell_drawing import INK, operation_colour
from reports.figures.report_figure import ReportFigure
from reports.figures.search_figures import cell_name, cell_report_figure, weight_rows
from reports.figures.svg_charts import small_charts
from reports.records.blocks import Block, slug
from reports.sentences.numbers import sentence
from reports.statistics.significance import LEVEL
from spaces.cells.genotype import Genotype
from spaces.common.plural import counted

WEIGHT_COLOUR_MAP = "cividis"

SHARED_DASH = 3.0
"""Length of a dash of a line that several curves share, in widths of the line."""


def survival_curves(block: Block, survivals: pd.DataFrame, method_styles: dict[str, Style]) -> ReportFigure:
    """The share of trials not yet collapsed over epochs, of every label of `reports.collapse.definition.survival`.

    A curve begins at epoch 0 and ends with its last row; a bar marks each row in which a trial is censored, a light
    band the interval where there is one. Curves that coincide throughout share a line, a dash each in turn.
    """
    shared = _coinciding(survivals)
    drawn_styles = {**method_styles, **_in_turn(shared, method_styles)}
    # What ends first lies on top, and dashes on what is solid, so that what coincides for a while is seen.
    last = survivals.groupby("label", sort=True)["epoch"].max()
    over = sorted(last.index, key=lambda label: (-last[label], drawn_styles[str(label)]["linestyle"] != "solid"))

    def draw(axes: Any, curve: pd.DataFrame, style: Style, _: int) -> tuple[int, str]:
        epochs, left = (curve[name].to_numpy(dtype=float) for name in ("epoch", "survival"))
        above = 2 + over.index(curve["label"].iloc[0]) / len(over)
        _band(axes, curve, style["color"])
        axes.step(epochs, left, where="post", linewidth=1.8, zorder=above, dash_capstyle="butt", **style)
        ended = curve["censored"].to_numpy() > 0
        mark: Style = {"marker": "|", "markersize": 9, "markeredgewidth": 1.6, "linestyle": "none"}
        axes.plot(epochs[ended], left[ended], color=style["color"], zorder=above + 1, **mark)
        axes.set_ylim(-0.05, 1.05)
        return int(curve["at_risk"].iloc[0]), f"{100 * left[-1]:.0f} % after epoch {epochs[-1]:.0f}"

    figure, ends = curves(3.0, survivals, "Not yet collapsed", drawn_styles, draw)
    figure.axes[0].set_xlim(left=0)
    coincide = f" One line, a dash each in turn: {'; '.join(', '.join(labels) for labels in shared)}." if shared else ""
    caption = (
        f"{block.title}, share of searches not yet collapsed (Kaplan-Meier). A bar marks where a search that ended "
        "healthy is censored: at the epoch whose architecture it returned. A curve ends with the last search that it "
        f"counts. Light: pointwise {100 * LEVEL:g} % interval, which a share of 0 or 1 does not have.{coincide} "
        f"{sentence(block.conditions)}"
    )
    alt = f"Survival over {counted(int(last.max()), 'epoch')} on {block.title}; at the end: {'; '.join(ends)}."
    return ReportFigure(figure, f"{block.slug}-survival", caption, alt, survivals)


def _coinciding(survivals: pd.DataFrame) -> list[list[str]]:
    """The labels whose curves are the same line, for each such line of two or more."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for label, curve in survivals.groupby("label", sort=True):
        # Where nothing but censoring happened, a line goes on.
        corners = curve[(curve["events"] > 0) | (curve["epoch"] == curve["epoch"].max())]
        line = tuple(zip(corners["epoch"], corners["survival"], strict=True))
        found.setdefault(line, []).append(str(label))
    return [labels for labels in found.values() if len(labels) > 1]


def _in_turn(shared: Sequence[Sequence[str]], method_styles: dict[str, Style]) -> dict[str, Style]:
    """Styles of labels that share a line: each has a dash of its own colour where the others have gaps."""
    return {
        label: {
            **method_styles[label],
            "linestyle": (SHARED_DASH * place, (SHARED_DASH, SHARED_DASH * (len(labels) - 1))),
        }
        for labels in shared
        for place, label in enumerate(labels)
    }


def _band(axes: Any, curve: pd.DataFrame, colour: str) -> None:
    """Fill the interval from low to high, of each row until the next one."""
    starts, low, high = (curve[name].to_numpy(dtype=float) for name in ("epoch", "low", "high"))
    corners = np.stack([starts[:-1], starts[1:]], 1).ravel()
    low, high = np.repeat(low[:-1], 2), np.repeat(high[:-1], 2)
    axes.fill_between(corners, low, high, where=np.isfinite(low), color=colour, alpha=0.12, linewidth=0)


def weight_heatmap(
    trial: dict[str, Any],
    history: pd.DataFrame,
    kind: str,
    edges: Sequence[tuple[int, int]],
    operations: Sequence[str],
) -> ReportFigure:
    """One trial's weights over epochs as a picture: a row an operation of an edge, a column an epoch.

    `history` has flat lists [edges * operations] in `weights.<kind>`. Operations whose weight is zero throughout are
    left out; a strip at the left has the operations' colours.
    """
    ordered = history.sort_values("epoch")
    flat = np.array([np.asarray(row, dtype=float) for row in ordered[f"weights.{kind}"]]).T
    shown = [index for index in range(len(flat)) if flat[index].any()]
    names = [operations[index % len(operations)] for index in shown]
    figure, strip, axes, scale = _heatmap_axes(len(shown))
    first, last = float(ordered["epoch"].iloc[0]), float(ordered["epoch"].iloc[-1])
    extent = (first - 0.5, last + 0.5, len(shown), 0)
    picture = axes.imshow(flat[shown], extent=extent, cmap=WEIGHT_COLOUR_MAP, **PIXELS)
    colours = np.array([[_rgb(operation_colour(name))] for name in names])
    strip.imshow(colours, extent=(0, 1, len(shown), 0), **PIXELS)
    _name_edges(strip, axes, edges, [index // len(operations) for index in shown])
    bar = figure.colorbar(picture, cax=scale)
    bar.ax.tick_params(colors=INK, labelsize=8, length=3)
    bar.outline.set_visible(False)
    entries: dict[str, Style] = {name: {"color": operation_colour(name)} for name in operations if name in names}
    legend(axes, entries, loc="upper left", bbox_to_anchor=(1.1, 1))
    name = f"{trial['label']}, seed {trial['seed']}, {cell_name(kind)}"
    strongest = [operations[int(index)] for index in flat[:, -1].reshape(len(edges), -1).argmax(1)]
    return ReportFigure(
        figure,
        f"film-{slug(str(trial['key']))}-{slug(kind)}",
        f"{name}: operation weights over epochs, a row an operation of an edge.",
        f"Weights of {name} over epochs. In the last the strongest are, edge by edge: {', '.join(strongest)}.",
        weight_rows(ordered["epoch"].tolist(), flat.T, edges, operations),
    )


PIXELS: dict[str, Any] = {"aspect": "auto", "interpolation": "none"}
"""How a picture is drawn whose pixels are numbers."""


def _heatmap_axes(rows: int) -> tuple[Figure, Any, Any, Any]:
    """A figure for so many rows, with axes for the operations' colours, the picture and its scale."""
    figure = Figure(figsize=(9.2, 0.8 + max(1.6, 0.085 * rows)))
    height = figure.get_size_inches()[1]
    bottom, tall = 0.45 / height, 1 - 0.55 / height
    strip = figure.add_axes((0.075, bottom, 0.012, tall))
    axes = figure.add_axes((0.095, bottom, 0.62, tall))
    scale = figure.add_axes((0.725, bottom, 0.012, tall))
    strip.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("Epoch", color=INK, fontsize=9)
    axes.tick_params(colors=INK, labelsize=8, length=3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for side in (axes, strip):
        side.spines[:].set_visible(False)
    return figure, strip, axes, scale


def _name_edges(strip: Any, axes: Any, edges: Sequence[tuple[int, int]], edge_of: Sequence[int]) -> None:
    """Name each edge beside its rows, with a line above them; `edge_of` is the number of each row's edge."""
    places, labels = [], []
    for number, (source, target) in enumerate(edges):
        own = [place for place, edge in enumerate(edge_of) if edge == number]
        if own:
            places.append((own[0] + own[-1] + 1) / 2)
            labels.append(f"{source} → {target}")
            axes.axhline(own[0], color="white", linewidth=0.8)
    strip.set_yticks(places, labels)
    strip.tick_params(colors=INK, labelsize=8, length=0)


def probe_timeline(trial: dict[str, Any], history: pd.DataFrame, columns: Sequence[str], onset: float) -> ReportFigure:
    """One trial's probes over its epochs, a panel each, with the onset of its collapse where it has one."""
    ordered = history.sort_values("epoch")
    lines = {name.removeprefix("probe."): pd.to_numeric(ordered[name]).to_numpy(dtype=float) for name in columns}
    name = f"{trial['label']}, seed {trial['seed']}"
    dashed = f"; dashed: its collapse, from epoch {onset:.0f} on" if onset == onset else ""
    return ReportFigure(
        small_charts(ordered["epoch"].tolist(), lines, onset),
        f"probes-{slug(str(trial['key']))}",
        f"{name}: what was watched, over epochs{dashed}.",
        f"{counted(len(columns), 'quantity', 'quantities')} of {name} over epochs{dashed}.",
        ordered[["epoch", *columns]],
    )


def cell_at_epoch(trial: dict[str, Any], genotype: Genotype, kind: str, when: str) -> ReportFigure:
    """A cell of one trial at one moment, `when` in words."""
    slugged = f"moment-{slug(str(trial['key']))}-{slug(kind)}-{slug(when)}"
    caption = f"{trial['label']}, seed {trial['seed']}, {cell_name(kind)}: {when}."
    return cell_report_figure(genotype, kind, slugged, caption, f"{trial['label']}, {when}")


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
