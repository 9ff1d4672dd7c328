"""The figures of the collapse analysis: survival curves, and what one watched trial looked like."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.figures import cell_drawing
from reports.figures.axes import Style, curves, legend
from reports.figures.cell_drawing import INK
from reports.figures.figure import Drawn
from reports.figures.search_figures import cell_name, drawn_cell, weight_rows
from reports.figures.svg_charts import strips
from reports.records.blocks import Block, slug
from reports.sentences.numbers import sentence
from reports.statistics.significance import LEVEL
from spaces.cells.genotype import Genotype
from spaces.common.plural import counted

COLOURS = "cividis"

DASH = 3.0
"""Length of a dash of a line that several curves share, in widths of the line."""


def survival(block: Block, survivals: pd.DataFrame, method_styles: dict[str, Style]) -> Drawn:
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
    return Drawn(figure, f"{block.slug}-survival", caption, alt, survivals)


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
        label: {**method_styles[label], "linestyle": (DASH * place, (DASH, DASH * (len(labels) - 1)))}
        for labels in shared
        for place, label in enumerate(labels)
    }


def _band(axes: Any, curve: pd.DataFrame, colour: str) -> None:
    """Fill the interval from low to high, of each row until the next one."""
    starts, low, high = (curve[name].to_numpy(dtype=float) for name in ("epoch", "low", "high"))
    corners = np.stack([starts[:-1], starts[1:]], 1).ravel()
    low, high = np.repeat(low[:-1], 2), np.repeat(high[:-1], 2)
    axes.fill_between(corners, low, high, where=np.isfinite(low), color=colour, alpha=0.12, linewidth=0)


def film(
    trial: dict[str, Any],
    history: pd.DataFrame,
    kind: str,
    edges: Sequence[tuple[int, int]],
    operations: Sequence[str],
) -> Drawn:
    """One trial's weights over epochs as a picture: a row an operation of an edge, a column an epoch.

    `history` has flat lists [edges * operations] in `weights.<kind>`. Operations whose weight is zero throughout are
    left out; a strip at the left has the operations' colours.
    """
    ordered = history.sort_values("epoch")
    flat = np.array([np.asarray(row, dtype=float) for row in ordered[f"weights.{kind}"]]).T
    shown = [index for index in range(len(flat)) if flat[index].any()]
    names = [operations[index % len(operations)] for index in shown]
    rows = flat[shown]
    figure = Figure(figsize=(9.2, 0.8 + max(1.6, 0.085 * len(shown))))
    height = figure.get_size_inches()[1]
    strip = figure.add_axes((0.075, 0.45 / height, 0.012, 1 - 0.55 / height))
    axes = figure.add_axes((0.095, 0.45 / height, 0.62, 1 - 0.55 / height))
    first, last = float(ordered["epoch"].iloc[0]), float(ordered["epoch"].iloc[-1])
    picture = axes.imshow(
        rows, aspect="auto", interpolation="none", cmap=COLOURS, extent=(first - 0.5, last + 0.5, len(rows), 0)
    )
    strip.imshow(
        np.array([[_rgb(cell_drawing.colour(name))] for name in names]),
        aspect="auto",
        interpolation="none",
        extent=(0, 1, len(rows), 0),
    )
    places, labels = [], []
    for number, (source, target) in enumerate(edges):
        own = [place for place, index in enumerate(shown) if index // len(operations) == number]
        if own:
            places.append((own[0] + own[-1] + 1) / 2)
            labels.append(f"{source} → {target}")
            axes.axhline(own[0], color="white", linewidth=0.8)
    strip.set_xticks([])
    strip.set_yticks(places, labels)
    strip.tick_params(colors=INK, labelsize=8, length=0)
    axes.set_yticks([])
    axes.set_xlabel("Epoch", color=INK, fontsize=9)
    axes.tick_params(colors=INK, labelsize=8, length=3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for side in (axes, strip):
        side.spines[:].set_visible(False)
    bar = figure.colorbar(picture, cax=figure.add_axes((0.725, 0.45 / height, 0.012, 1 - 0.55 / height)))
    bar.ax.tick_params(colors=INK, labelsize=8, length=3)
    bar.outline.set_visible(False)
    present = [name for name in operations if name in names]
    legend(
        axes,
        {name: {"color": cell_drawing.colour(name)} for name in present},
        loc="upper left",
        bbox_to_anchor=(1.1, 1),
    )
    name = f"{trial['label']}, seed {trial['seed']}, {cell_name(kind)}"
    strongest = [operations[int(index)] for index in flat[:, -1].reshape(len(edges), -1).argmax(1)]
    return Drawn(
        figure,
        f"film-{slug(str(trial['key']))}-{slug(kind)}",
        f"{name}: operation weights over epochs, a row an operation of an edge.",
        f"Weights of {name} over epochs. In the last the strongest are, edge by edge: {', '.join(strongest)}.",
        weight_rows(ordered["epoch"].tolist(), flat.T, edges, operations),
    )


def timeline(trial: dict[str, Any], history: pd.DataFrame, columns: Sequence[str], onset: float) -> Drawn:
    """One trial's probes over its epochs, a panel each, with the onset of its collapse where it has one."""
    ordered = history.sort_values("epoch")
    lines = {name.removeprefix("probe."): pd.to_numeric(ordered[name]).to_numpy(dtype=float) for name in columns}
    name = f"{trial['label']}, seed {trial['seed']}"
    dashed = f"; dashed: its collapse, from epoch {onset:.0f} on" if onset == onset else ""
    return Drawn(
        strips(ordered["epoch"].tolist(), lines, onset),
        f"probes-{slug(str(trial['key']))}",
        f"{name}: what was watched, over epochs{dashed}.",
        f"{counted(len(columns), 'quantity', 'quantities')} of {name} over epochs{dashed}.",
        ordered[["epoch", *columns]],
    )


def moment(trial: dict[str, Any], genotype: Genotype, kind: str, when: str) -> Drawn:
    """A cell of one trial at one moment, `when` in words."""
    slugged = f"moment-{slug(str(trial['key']))}-{slug(kind)}-{slug(when)}"
    caption = f"{trial['label']}, seed {trial['seed']}, {cell_name(kind)}: {when}."
    return drawn_cell(genotype, kind, slugged, caption, f"{trial['label']}, {when}")


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
