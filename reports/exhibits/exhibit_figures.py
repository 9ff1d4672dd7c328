"""An exhibit's charts, a function for each layout, of one scale group of its records.

`reports.exhibits.exhibit_cells` draws the layout `cells`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reports.exhibits.exhibit import Exhibit
from reports.exhibits.metrics import history_values, metric_limits, metric_values, named
from reports.exhibits.scale_groups import ScaleGroup
from reports.figures.axes import METHOD_COLOURS, METHOD_MARKERS, Style, canvas, finish_axes, legend, over_epochs, styles
from reports.figures.cell_drawing import INK, QUIET
from reports.figures.report_figure import ReportFigure
from reports.published.published_numbers import METRICS, PAPERS
from reports.records.blocks import SpaceOf, slug
from reports.sentences.numbers import two_decimals
from reports.statistics import intervals

PANELS = 3
"""Panels of a trajectory side by side."""

Chart = Callable[[Exhibit, ScaleGroup, str, SpaceOf], ReportFigure | None]
"""A chart of one of an exhibit's `y`; None where the records have nothing to draw."""


def charts(exhibit: Exhibit, cells: pd.DataFrame, group: ScaleGroup, space_of: SpaceOf) -> list[ReportFigure]:
    """The charts that the exhibit's layout asks for; `cells` are those of `reports.exhibits.measured_cells`."""
    if exhibit.layout == "cells":
        return []
    if exhibit.layout in CHARTS:
        drawn = [CHARTS[exhibit.layout](exhibit, group, metric, space_of) for metric in exhibit.y]
    else:
        drawn = [published_beside_measured(exhibit, cells, group)]
    return [figure for figure in drawn if figure is not None]


def trajectory_chart(exhibit: Exhibit, group: ScaleGroup, column: str, space_of: SpaceOf) -> ReportFigure | None:
    """A column of the history over epochs: a panel a space and data set, a line a method, the mean bold."""
    rows = history_values(group.histories, column, space_of)
    rows = rows.assign(label=rows["key"].map(trial_labels(exhibit, group)))
    if rows.empty:
        return None
    method_styles = styles([str(label) for label in rows["label"].unique()])
    places = [(f"{space} / {dataset}", own) for (space, dataset), own in rows.groupby(["space", "dataset"])]
    figure, axes = _panels(len(places))
    ends: list[str] = []
    entries: dict[str, Style] = {}
    for (where, own), panel in zip(places, axes, strict=True):
        entries |= _draw_trajectories(panel, own, method_styles, where, ends)
        panel.set_title(where, fontsize=9, color=INK)
    _finish_panels(axes, named(column), entries)
    words = f"{named(column)} over epochs; bold: mean over seeds, thin: each seed"
    data = rows[["label", "space", "dataset", "seed", "epoch", "value", "key"]]
    return _report_figure(exhibit, group, figure, words, ends, column, data)


def _draw_trajectories(
    panel: Any, rows: pd.DataFrame, method_styles: dict[str, Style], where: str, ends: list[str]
) -> dict[str, Style]:
    """Draw each label's seeds and mean; append to `ends` where each mean ends, and return the legend's entries."""
    entries: dict[str, Style] = {}
    for label, own in rows.groupby("label", sort=True):
        style = method_styles[str(label)]
        seeds = own.pivot(index="epoch", columns="key", values="value")
        dot: Style = {"marker": "o", "markersize": 3} if len(seeds) == 1 else {}
        panel.plot(seeds.index, seeds.to_numpy(dtype=float), linewidth=0.8, alpha=0.5, color=style["color"], **dot)
        mean = seeds.dropna().mean(axis=1)
        panel.plot(mean.index, mean.to_numpy(dtype=float), linewidth=2.2, **style, **dot)
        entries[f"{label} (n = {seeds.shape[1]})"] = style
        if len(mean):
            ends.append(f"{label} on {where} {two_decimals(mean.iloc[-1])} after epoch {mean.index[-1]}")
    return entries


def sweep_chart(exhibit: Exhibit, group: ScaleGroup, metric: str, space_of: SpaceOf) -> ReportFigure | None:
    """A metric against the setting that the exhibit varies: means with 95 % intervals, a line a method."""
    known = group.records[[exhibit.x in found for found in group.records["settings"]]]
    if known.empty:
        return None
    values = metric_values(known, group.histories, metric, _evaluated_on(exhibit, group), space_of)
    rows = known.assign(x=[found[exhibit.x] for found in known["settings"]], value=values).dropna(subset=["value"])
    if rows.empty:
        return None
    figure, axes = canvas(7.2, 3.6)
    method_styles = styles(list(rows["method"]))
    ticks = sorted(rows["x"].unique())
    ends: list[str] = []
    for method, own in rows.groupby("method", sort=True):
        _draw_sweep(axes, own, metric, ticks, method_styles[str(method)], ends)
    finish_axes(axes, exhibit.x.replace("_", " "), named(metric))
    axes.set_xticks(range(len(ticks)), [f"{tick:g}" if isinstance(tick, float) else str(tick) for tick in ticks])
    legend(axes, {name: method_styles[name] for name in sorted(method_styles)}, **BESIDE_AXES)
    words = f"{named(metric)} against {exhibit.x}; bars: 95 % intervals"
    data = rows[["method", "seed", "x", "value", "key"]]
    return _report_figure(exhibit, group, figure, words, ends, metric, data)


def _draw_sweep(axes: Any, rows: pd.DataFrame, metric: str, ticks: list[Any], style: Style, ends: list[str]) -> None:
    """Draw one method's means with their intervals, and append each mean to `ends` in words."""
    positions, means, reach = [], [], []
    for x, own in rows.groupby("x", sort=True):
        mean, low, high = intervals.of_mean(own["value"].to_numpy(dtype=np.float64), metric_limits(metric))
        positions.append(ticks.index(x))
        means.append(mean)
        reach.append((0.0, 0.0) if np.isnan(low) else (mean - low, high - mean))
        ends.append(f"{own['method'].iloc[0]} at {x} {two_decimals(mean)} (n = {len(own)})")
    bars: Style = {"marker": "o", "markersize": 4, "capsize": 3, "linewidth": 1.6}
    axes.errorbar(positions, means, yerr=np.transpose(reach), **bars, **style)


def scatter_chart(exhibit: Exhibit, group: ScaleGroup, metric: str, space_of: SpaceOf) -> ReportFigure | None:
    """A point a trial, one metric against another."""
    dataset = _evaluated_on(exhibit, group)
    x, y = (metric_values(group.records, group.histories, name, dataset, space_of) for name in (exhibit.x, metric))
    rows = group.records.assign(x=x, y=y).dropna(subset=["x", "y"])
    if rows.empty:
        return None
    figure, axes = canvas(7.2, 3.6)
    method_styles, entries, ends = styles(list(rows["method"])), {}, []
    for number, (method, own) in enumerate(rows.groupby("method", sort=True)):
        marker = METHOD_MARKERS[number % len(METHOD_MARKERS)]
        style: Style = {"color": method_styles[str(method)]["color"], "marker": marker, "linestyle": "none"}
        axes.plot(own["x"], own["y"], markersize=5, **style)
        entries[f"{method} (n = {len(own)})"] = style
        ends.append(f"{method} {two_decimals(own['x'].mean())}, {two_decimals(own['y'].mean())}")
    finish_axes(axes, named(exhibit.x), named(metric))
    legend(axes, entries, **BESIDE_AXES)
    words = f"{named(metric)} against {named(exhibit.x)}, a point a trial"
    return _report_figure(exhibit, group, figure, words, ends, metric, rows[["method", "seed", "x", "y", "key"]])


CHARTS: dict[str, Chart] = {"trajectory": trajectory_chart, "sweep": sweep_chart, "scatter": scatter_chart}
"""The layouts with a chart for each of the exhibit's `y`."""

BESIDE_AXES: Style = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
"""The place of a legend: at the right of the axes."""


def published_beside_measured(exhibit: Exhibit, cells: pd.DataFrame, group: ScaleGroup) -> ReportFigure | None:
    """The first accuracy that was measured, published at the left and measured at the right.

    The two panels share an axis only where the numbers are comparable.
    """
    judged = cells[[METRICS[name].better != 0 for name in cells["metric"]]]
    measured = judged[judged["n_measured"] > 0]
    if measured.empty:
        return None
    first = measured.iloc[0]
    column = judged[(judged["heading"] == first["heading"]) & (judged["dataset"] == first["dataset"])]
    column = column[column["published"].notna() | (column["n_measured"] > 0)].iloc[::-1]
    comparable = bool(measured["difference"].notna().all())
    figure = _two_panels(column, comparable, named(str(first["metric"])))
    column = column.iloc[::-1]
    ends = [
        f"{row['label']} {two_decimals(row['measured'])} measured, {row['printed'] or 'nothing'} published"
        for row in column.to_dict("records")
        if row["n_measured"]
    ]
    words = f"{first['heading']} ({first['dataset']}), published at the left, measured at the right"
    return _report_figure(exhibit, group, figure, words, ends, "beside", column)


def _two_panels(column: pd.DataFrame, comparable: bool, metric: str) -> Figure:
    """`column`, rows of measured cells from the lowest to the highest, as points with bars; NaN is left out."""
    figure = Figure(figsize=(9.2, 1.1 + 0.27 * len(column)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, sharex=comparable)
    places = np.arange(len(column))
    spread = column["spread"].fillna(0)
    left.errorbar(column["published"], places, xerr=spread, fmt="D", markerfacecolor="none", color=INK, capsize=2)
    sides = (column["measured"] - column["low"], column["high"] - column["measured"])
    reach = np.array([side.fillna(0) for side in sides])
    right.errorbar(column["measured"], places, xerr=reach, fmt="o", color=METHOD_COLOURS[0], capsize=2)
    for panel, title in ((left, "published (bars: printed spread)"), (right, "measured (bars: 95 % interval)")):
        finish_axes(panel, metric, "")
        panel.grid(axis="x", color=QUIET, alpha=0.3, linewidth=0.7)
        panel.set_title(title, fontsize=9, color=INK)
    left.set_yticks(places, [str(label) for label in column["label"]], parse_math=False)
    return figure


def _evaluated_on(exhibit: Exhibit, group: ScaleGroup) -> str:
    """The data set of the chart's accuracies: the one that the exhibit searches on, else that of the first record."""
    return group.searched(exhibit.searched_on) or str(group.records["dataset"].iloc[0])


def trial_labels(exhibit: Exhibit, group: ScaleGroup) -> dict[str, str]:
    """Key → the method, with the settings of the exhibit's trials that vary in this group."""
    rows = group.records.to_dict("records")
    set_by_trials = {name for block in exhibit.trials for name in block.settings}
    varied = sorted(name for name in set_by_trials if len({str(row["settings"].get(name)) for row in rows}) > 1)
    return {
        str(row["key"]): str(row["method"])
        + "".join(f", {name} = {row['settings'][name]}" for name in varied if name in row["settings"])
        for row in rows
    }


def _panels(count: int) -> tuple[Figure, Sequence[Any]]:
    columns = min(PANELS, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(3.2 * columns + 2.6 if columns > 1 else 7.2, 2.9 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel in axes[count:]:
        panel.axis("off")
    return figure, list(axes[:count])


def _finish_panels(axes: Sequence[Any], y: str, entries: dict[str, Style]) -> None:
    """Name every panel's axes; one legend, at the right of the first row's last panel."""
    last = min(PANELS, len(axes)) - 1
    for place, panel in enumerate(axes):
        over_epochs(panel, y, entries)
        if place != last and panel.get_legend():
            panel.get_legend().remove()


def _report_figure(
    exhibit: Exhibit,
    group: ScaleGroup,
    figure: Figure,
    words: str,
    ends: Sequence[str],
    what: str,
    data: pd.DataFrame,
) -> ReportFigure:
    caption = (
        f"{PAPERS[exhibit.paper]}, {exhibit.number}. {words[:1].upper()}{words[1:]}. Measured: {group.conditions}."
    )
    alt = f"{words}: {'; '.join(ends)}."
    return ReportFigure(figure, f"{exhibit.slug}-{group.slug}-{slug(what)}", caption, alt, data)
