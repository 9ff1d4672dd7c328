"""An exhibit's figures, a function a layout: each takes the exhibit and its part of the records."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reports.exhibits.exhibit import Exhibit
from reports.exhibits.exhibit_data import Part
from reports.exhibits.metrics import course, limits, measured, named
from reports.figures.axes import Style, canvas, legend, over_epochs, styles
from reports.figures.axes import plain as plain_axes
from reports.figures.cell_drawing import INK, QUIET
from reports.figures.figure import Drawn
from reports.figures.search_figures import cell_name, drawn_cell
from reports.published.published_numbers import METRICS, PAPERS, genotypes
from reports.records.blocks import SpaceOf, slug
from reports.sentences.numbers import two_decimals
from reports.statistics import intervals
from spaces.cells.genotype import Genotype

PANELS = 3  # of a trajectory side by side
MARKERS = "osD^vP"


def figures(exhibit: Exhibit, cells: pd.DataFrame, part: Part | None, space_of: SpaceOf) -> list[Drawn]:
    """What the exhibit's layout draws of `part`, or, without one, of what is published; `found_cells` draws cells."""
    if exhibit.layout == "cells":
        return [*_published(exhibit, space_of)] if part is None else []
    if part is None:
        return []
    if exhibit.layout == "trajectory":
        return [drawn for column in exhibit.y if (drawn := trajectory(exhibit, part, column, space_of))]
    if exhibit.layout == "sweep":
        return [drawn for metric in exhibit.y if (drawn := sweep(exhibit, part, metric, space_of))]
    if exhibit.layout == "scatter":
        return [drawn for metric in exhibit.y if (drawn := scatter(exhibit, part, metric, space_of))]
    return [drawn] if (drawn := beside(exhibit, cells, part)) else []


def trajectory(exhibit: Exhibit, part: Part, column: str, space_of: SpaceOf) -> Drawn | None:
    """A column of the history over epochs: a panel a space and data set, a line a method, the mean bold."""
    rows = course(part.histories, column, space_of)
    rows = rows.assign(label=rows["key"].map(_labels(exhibit, part)))
    if rows.empty:
        return None
    method_styles = styles([str(label) for label in rows["label"].unique()])
    places = [(f"{space} / {dataset}", group) for (space, dataset), group in rows.groupby(["space", "dataset"])]
    figure, axes = _panels(len(places))
    ends = []
    entries: dict[str, Style] = {}
    for (where, group), panel in zip(places, axes, strict=True):
        for label, mine in group.groupby("label", sort=True):
            style = method_styles[str(label)]
            curves = mine.pivot(index="epoch", columns="key", values="value")
            dot: Style = {"marker": "o", "markersize": 3} if len(curves) == 1 else {}
            panel.plot(
                curves.index, curves.to_numpy(dtype=float), linewidth=0.8, alpha=0.5, color=style["color"], **dot
            )
            mean = curves.dropna().mean(axis=1)
            panel.plot(mean.index, mean.to_numpy(dtype=float), linewidth=2.2, **style, **dot)
            entries[f"{label} (n = {curves.shape[1]})"] = style
            if len(mean):
                ends.append(f"{label} on {where} {two_decimals(mean.iloc[-1])} after epoch {mean.index[-1]}")
        panel.set_title(where, fontsize=9, color=INK)
    _finish(axes, lambda panel, shown: over_epochs(panel, named(column), shown), entries)
    words = f"{named(column)} over epochs; bold: mean over seeds, thin: each seed"
    data = rows[["label", "space", "dataset", "seed", "epoch", "value", "key"]]
    return _drawn(exhibit, part, figure, words, ends, column, data)


def sweep(exhibit: Exhibit, part: Part, metric: str, space_of: SpaceOf) -> Drawn | None:
    """A metric against the setting that the exhibit varies: means with 95 % intervals, a line a method."""
    settings = part.records["settings"]
    known = part.records[[exhibit.x in found for found in settings]]
    if known.empty:
        return None
    values = measured(known, part.histories, metric, part.searched(exhibit.searched_on) or _dataset(known), space_of)
    rows = known.assign(x=[found[exhibit.x] for found in known["settings"]], value=values).dropna(subset=["value"])
    if rows.empty:
        return None
    figure, axes = canvas(7.2, 3.6)
    method_styles, entries, ends = styles(list(rows["method"])), {}, []
    ticks = sorted(rows["x"].unique())
    for method, mine in rows.groupby("method", sort=True):
        xs, middles, reach = [], [], []
        for x, group in mine.groupby("x", sort=True):
            mean, low, high = intervals.of_mean(group["value"].to_numpy(dtype=np.float64), limits(metric))
            xs.append(ticks.index(x))
            middles.append(mean)
            reach.append((0.0, 0.0) if np.isnan(low) else (mean - low, high - mean))
            ends.append(f"{method} at {x} {two_decimals(mean)} (n = {len(group)})")
        style = method_styles[str(method)]
        axes.errorbar(
            xs, middles, yerr=np.transpose(reach), marker="o", markersize=4, capsize=3, linewidth=1.6, **style
        )
        entries[str(method)] = style
    plain_axes(axes, exhibit.x.replace("_", " "), named(metric))
    axes.set_xticks(range(len(ticks)), [f"{tick:g}" if isinstance(tick, float) else str(tick) for tick in ticks])
    legend(axes, entries, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    words = f"{named(metric)} against {exhibit.x}; bars: 95 % intervals"
    return _drawn(exhibit, part, figure, words, ends, metric, rows[["method", "seed", "x", "value", "key"]])


def scatter(exhibit: Exhibit, part: Part, metric: str, space_of: SpaceOf) -> Drawn | None:
    """A point a trial, one metric against another."""
    dataset = part.searched(exhibit.searched_on) or _dataset(part.records)
    x, y = (measured(part.records, part.histories, name, dataset, space_of) for name in (exhibit.x, metric))
    rows = part.records.assign(x=x, y=y).dropna(subset=["x", "y"])
    if rows.empty:
        return None
    figure, axes = canvas(7.2, 3.6)
    method_styles, entries, ends = styles(list(rows["method"])), {}, []
    for number, (method, mine) in enumerate(rows.groupby("method", sort=True)):
        style: Style = {
            "color": method_styles[str(method)]["color"],
            "marker": "osD^vP"[number % 6],
            "linestyle": "none",
        }
        axes.plot(mine["x"], mine["y"], markersize=5, **style)
        entries[f"{method} (n = {len(mine)})"] = style
        ends.append(f"{method} {two_decimals(mine['x'].mean())}, {two_decimals(mine['y'].mean())}")
    plain_axes(axes, named(exhibit.x), named(metric))
    legend(axes, entries, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    words = f"{named(metric)} against {named(exhibit.x)}, a point a trial"
    return _drawn(exhibit, part, figure, words, ends, metric, rows[["method", "seed", "x", "y", "key"]])


def beside(exhibit: Exhibit, cells: pd.DataFrame, part: Part) -> Drawn | None:
    """The first accuracy that was measured, published and measured in panels of their own: their scales differ."""
    judged = cells[[METRICS[name].better != 0 for name in cells["metric"]]]
    told = judged[judged["n_measured"] > 0]
    if told.empty:
        return None
    first = told.iloc[0]
    column = judged[(judged["heading"] == first["heading"]) & (judged["dataset"] == first["dataset"])]
    column = column[column["published"].notna() | (column["n_measured"] > 0)].iloc[::-1]
    figure = Figure(figsize=(9.2, 1.1 + 0.27 * len(column)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, sharex=bool(told["difference"].notna().all()))
    places = np.arange(len(column))
    spread = column["spread"].fillna(0)
    left.errorbar(column["published"], places, xerr=spread, fmt="D", markerfacecolor="none", color=INK, capsize=2)
    sides = (column["measured"] - column["low"], column["high"] - column["measured"])
    reach = np.array([side.fillna(0) for side in sides])
    right.errorbar(column["measured"], places, xerr=reach, fmt="o", color="#0072b2", capsize=2)
    for panel, title in ((left, "published (bars: printed spread)"), (right, "measured (bars: 95 % interval)")):
        plain_axes(panel, named(str(first["metric"])), "")
        panel.grid(axis="x", color=QUIET, alpha=0.3, linewidth=0.7)
        panel.set_title(title, fontsize=9, color=INK)
    left.set_yticks(places, [str(label) for label in column["label"]], parse_math=False)
    ends = [
        f"{row['label']} {two_decimals(row['measured'])} measured, {row['printed'] or 'nothing'} published"
        for row in column.iloc[::-1].to_dict("records")
        if row["n_measured"]
    ]
    words = f"{first['heading']} ({first['dataset']}), published at the left, measured at the right"
    return _drawn(exhibit, part, figure, words, ends, "beside", column.iloc[::-1])


def _published(exhibit: Exhibit, space_of: SpaceOf) -> Iterator[Drawn]:
    known = genotypes().set_index("name")
    for name in exhibit.genotypes:
        row = known.loc[name]
        genotype = space_of(str(row["space"])).parse(str(row["genotype"]))
        for kind in genotype.kinds:
            words = ("Published", f"the published {name}", f" ({row['source']})")
            yield _cell(exhibit, genotype, kind, name, *words)


def found_cells(exhibit: Exhibit, part: Part, numbers: pd.DataFrame, space_of: SpaceOf) -> Iterator[Drawn]:
    """The cells that the first seed of each method found, with what `reports.exhibits.verdicts.compared` has of that
    trial.
    """
    labels = part.records["key"].map(_labels(exhibit, part))
    first = part.records.assign(label=labels).sort_values("seed").drop_duplicates(["label", "space", "dataset"])
    for trial in first.to_dict("records"):
        genotype = space_of(trial["space"]).parse(trial["genotype"])
        name = f"{trial['label']}, {trial['space']}, {trial['dataset']}, seed {trial['seed']}"
        own = numbers[numbers["key"] == trial["key"]].drop_duplicates(["metric", "where"])
        words = [
            f", {m[:1].lower()}{m[1:]} {two_decimals(v)}"
            for m, v in zip(own["metric"].map(named), own["value"], strict=True)
        ]
        where = f"{''.join(words)} ({part.conditions})"
        for kind in genotype.kinds:
            yield _cell(exhibit, genotype, kind, str(trial["key"]), "Measured", name, where)


def _cell(exhibit: Exhibit, genotype: Genotype, kind: str, key: str, found: str, name: str, where: str) -> Drawn:
    share = f"skip share {two_decimals(genotype.skip_share(kind))}"
    caption = f"{found}: {cell_name(kind)} of {name}, {share}{where}."
    return drawn_cell(genotype, kind, f"{exhibit.slug}-{slug(key)}-{slug(kind)}", caption, f"{name}, {share}")


def _dataset(records: pd.DataFrame) -> str:
    return str(records["dataset"].iloc[0])


def _labels(exhibit: Exhibit, part: Part) -> dict[str, str]:
    """Key → the method, with the settings of the exhibit's trials that vary in this part."""
    rows = part.records.to_dict("records")
    named = {name for block in exhibit.trials for name in block.settings}
    varied = sorted(name for name in named if len({str(row["settings"].get(name)) for row in rows}) > 1)
    return {
        str(row["key"]): str(row["method"])
        + "".join(f", {name} = {row['settings'][name]}" for name in varied if name in row["settings"])
        for row in rows
    }


def _panels(count: int) -> tuple[Figure, Sequence[Any]]:
    across = min(PANELS, count)
    down = -(-count // across)
    figure = Figure(figsize=(3.2 * across + 2.6 if across > 1 else 7.2, 2.9 * down + 0.3), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).flatten()
    for panel in axes[count:]:
        panel.axis("off")
    return figure, list(axes[:count])


def _finish(axes: Sequence[Any], finish: Any, entries: dict[str, Style]) -> None:
    """Name every panel's axes; one legend, at the right of the first row's last panel."""
    last = min(PANELS, len(axes)) - 1
    for place, panel in enumerate(axes):
        finish(panel, entries)
        if place != last and panel.get_legend():
            panel.get_legend().remove()


def _drawn(
    exhibit: Exhibit, part: Part, figure: Figure, words: str, ends: Sequence[str], what: str, data: pd.DataFrame
) -> Drawn:
    caption = f"{PAPERS[exhibit.paper]}, {exhibit.number}. {words[:1].upper()}{words[1:]}. Measured: {part.conditions}."
    alt = f"{words}: {'; '.join(ends)}."
    return Drawn(figure, f"{exhibit.slug}-{part.slug}-{slug(what)}", caption, alt, data)
