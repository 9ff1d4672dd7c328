"""The figures of a report, one function a figure. Each takes a block's rows and returns a `ReportFigure`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reports.figures import cell_drawing
from reports.figures.axes import Style, curves, styles
from reports.figures.report_figure import ReportFigure
from reports.figures.svg_charts import small_charts, weight_grid
from reports.records.blocks import Block, slug
from reports.sentences.numbers import sentence
from reports.sentences.numbers import two_decimals as number
from spaces.cells.genotype import Genotype
from spaces.common.metric import IMAGE_CLASSIFICATION, Metric


def _architecture_columns(metric: Metric) -> dict[str, tuple[str, str]]:
    """Columns with the metric of an epoch's architecture: the axis, and what it is of, in words."""
    name, unit = metric.name.replace("_", " "), f" ({metric.unit})" if metric.unit else ""
    return {
        f"tabular_{metric.name}": (
            f"Test {name} in the table{unit}",
            f"test {name} of the epoch's architecture in the table",
        ),
        f"discrete_{metric.name}": (
            f"Supernet {name}, discretized{unit}",
            f"{name} on the architecture split of the supernet restricted to the epoch's architecture, weights "
            "inherited",
        ),
    }


MOST_PANELS = 32
"""Entries of an architecture parameter that are drawn one by one."""


def cell_name(kind: str) -> str:
    """What a kind of cell is called: `cell` where a space has one kind, else `normal cell` or `reduce cell`."""
    return kind if kind == "cell" else f"{kind} cell"


def accuracy_trajectory(
    block: Block, histories: pd.DataFrame, method_styles: dict[str, Style] | None = None
) -> ReportFigure | None:
    """The metric of the discretized architecture over epochs: a bold mean and a thin line a seed, for each method.

    `histories` holds the epochs of the block's trials. The table's value is shown where every epoch has one, else
    the supernet's; the axis says which. A mean ends where the first of its seeds does. `None` without any epoch.
    """
    rows = _epochs(block, histories)
    columns = _architecture_columns(block.metric)
    column = next((name for name in columns if name in rows.columns and rows[name].notna().all()), None)
    if rows.empty or column is None:
        return None
    axis, words = columns[column]
    unit = f" {block.metric.unit}" if block.metric.unit else ""
    figure, ends = _curves(block, rows, column, axis, unit, method_styles)
    return ReportFigure(
        figure,
        f"{block.slug}-trajectory",
        f"{block.title}, trajectories: {words}. Bold: mean over seeds; thin: each seed. {sentence(block.conditions)}",
        f"{block.metric.title} over epochs on {block.title}; mean over seeds: {'; '.join(ends)}.",
        rows[["label", "seed", "epoch", column, "key"]],
    )


def loss_curves(
    block: Block, histories: pd.DataFrame, method_styles: dict[str, Style] | None = None
) -> ReportFigure | None:
    """The training loss over epochs, a bold mean and a thin line a seed for each method. `None` without any epoch."""
    rows = _epochs(block, histories)
    if rows.empty or "train_loss" not in rows.columns:
        return None
    axis = "Training loss (cross-entropy)" if block.task == IMAGE_CLASSIFICATION else "Training loss"
    figure, ends = _curves(block, rows, "train_loss", axis, "", method_styles)
    return ReportFigure(
        figure,
        f"{block.slug}-losses",
        f"{block.title}, convergence: mean training loss over each epoch's weight steps. Bold: mean over seeds; thin: "
        f"each seed. {sentence(block.conditions)}",
        f"Training loss over epochs on {block.title}; mean over seeds: {'; '.join(ends)}.",
        rows[["label", "seed", "epoch", "train_loss", "key"]],
    )


def _epochs(block: Block, histories: pd.DataFrame) -> pd.DataFrame:
    """The epochs of the block's trials, each with its method's label."""
    labels = block.records.set_index("key")["label"]
    return histories[histories["key"].isin(labels.index)].assign(label=lambda frame: frame["key"].map(labels))


def _curves(
    block: Block, rows: pd.DataFrame, column: str, axis: str, unit: str, method_styles: dict[str, Style] | None
) -> tuple[Figure, list[str]]:
    """`column` over epochs, each method's mean bold and each seed thin; and where each mean ends, in words."""

    def draw(axes: Any, group: pd.DataFrame, style: Style, _: int) -> tuple[int, str]:
        seeds = group.pivot(index="epoch", columns="key", values=column)
        marker: Style = {"marker": "o", "markersize": 3} if len(seeds) == 1 else {}
        axes.plot(seeds.index, seeds.to_numpy(dtype=float), linewidth=0.8, alpha=0.6, color=style["color"], **marker)
        mean = seeds.dropna().mean(axis=1)
        axes.plot(mean.index, mean.to_numpy(dtype=float), linewidth=2.2, **style, **marker)
        return seeds.shape[1], f"{number(mean.iloc[-1])}{unit} after epoch {mean.index[-1]}"

    return curves(3.6, rows, axis, method_styles or styles(block.methods), draw)


def weight_panels(
    block: Block,
    trial: dict[str, Any],
    history: pd.DataFrame,
    kind: str,
    edges: Sequence[tuple[int, int]],
    operations: Sequence[str],
) -> ReportFigure:
    """One trial's operation weights over epochs: a panel an edge, sources across and targets down, a line an operation.

    `trial` is a record of `block`, `history` its epochs, whose `weights.<kind>` are flat lists [edges * operations];
    `edges` are (source, target).
    Operations that an edge never has (weight zero throughout) are left out.
    """
    ordered = history.sort_values("epoch")
    flat = np.array([np.asarray(row, dtype=float) for row in ordered[f"weights.{kind}"]])
    values = flat.reshape(len(ordered), len(edges), len(operations))
    epochs = ordered["epoch"].to_numpy(dtype=float)
    strongest = [operations[index] for index in values[-1].argmax(axis=1)]
    counts = ", ".join(f"{name} on {strongest.count(name)}" for name in sorted(set(strongest)))
    name = f"{trial['label']}, seed {trial['seed']}, {cell_name(kind)}"
    # All panels rise to the same weight, the largest of them rounded up to a twentieth.
    top = float(max(1, np.ceil(values.max() * 20 - 1e-9)) / 20)
    caption = (
        f"{block.title}, {name}: operation weights over epochs {epochs[0]:.0f} to {epochs[-1]:.0f}, a panel an edge, "
        f"0 to {top:g} upwards. {sentence(block.conditions)}"
    )
    alt = f"Weights of {name}. In the last epoch the strongest operation is: {counts} of {len(edges)} edges."
    return ReportFigure(
        weight_grid(epochs, values, edges, operations, top),
        f"{block.slug}-weights-{slug(str(trial['key']))}-{slug(kind)}",
        caption,
        alt,
        weight_rows(epochs.tolist(), values, edges, operations),
    )


def parameter_panels(
    block: Block, trial: dict[str, Any], history: pd.DataFrame, name: str, entries: Sequence[str]
) -> ReportFigure:
    """One trial's architecture parameter `name` over epochs, a small panel for each of its entries.

    `history` has its flat lists under `alpha.<name>`. Of more than `MOST_PANELS` entries, the least, the median and the
    largest are drawn.
    """
    ordered = history.sort_values("epoch")
    values = np.array([np.asarray(row, dtype=float) for row in ordered[f"alpha.{name}"]])
    if values.shape[1] > MOST_PANELS:
        lines = dict(zip(("least", "median", "largest"), np.quantile(values, (0, 0.5, 1), axis=1), strict=True))
    else:
        lines = dict(zip(entries, values.T, strict=True))
    epochs = ordered["epoch"].to_numpy(dtype=float)
    title = f"{trial['label']}, seed {trial['seed']}, {name}"
    ends = ", ".join(f"{entry} {number(line[-1])}" for entry, line in lines.items())
    return ReportFigure(
        small_charts(epochs.tolist(), lines, mark=np.nan),
        f"{block.slug}-parameter-{slug(str(trial['key']))}-{slug(name)}",
        f"{block.title}, {title}: the architecture parameter over epochs. {sentence(block.conditions)}",
        f"{title}; in the last epoch: {ends}.",
        pd.DataFrame({"epoch": epochs.astype(int), **lines}),
    )


def weight_rows(
    epochs: Sequence[float], values: Any, edges: Sequence[tuple[int, int]], operations: Sequence[str]
) -> pd.DataFrame:
    """Weights [epochs, edges, operations] as rows: epoch, source, target, operation, weight."""
    sources, targets = zip(*edges, strict=True)
    shape = (len(epochs), len(edges), len(operations))
    index = np.indices(shape).reshape(3, -1)
    return pd.DataFrame(
        {
            "epoch": np.asarray(epochs, dtype=int)[index[0]],
            "source": np.array(sources)[index[1]],
            "target": np.array(targets)[index[1]],
            "operation": np.array(operations, dtype=object)[index[2]],
            "weight": np.asarray(values).reshape(-1),
        }
    )


def found_cell(block: Block, trial: dict[str, Any], genotype: Genotype, kind: str) -> ReportFigure:
    """The cell that one trial found."""
    name = f"{trial['label']}, seed {trial['seed']}, {cell_name(kind)}"
    share = f"skip share {number(genotype.skip_share(kind))}"
    score = f"{block.metric.name} of this trial {block.metric.words(float(trial['score']))}"
    caption = f"{block.title}, {name}: {share}, {score}. "
    slugged = f"{block.slug}-cell-{slug(str(trial['key']))}-{slug(kind)}"
    return cell_report_figure(
        genotype, kind, slugged, caption + sentence(block.conditions), f"{trial['label']}, {share}"
    )


def cell_report_figure(genotype: Genotype, kind: str, slugged: str, caption: str, name: str) -> ReportFigure:
    """A cell of what is called `name`, with its edges in words and as numbers."""
    edges = "; ".join(f"{source} to {target} {operation}" for source, target, operation in genotype.edges(kind))
    alt = f"{cell_name(kind)} of {name}. Edges: {edges}."
    return ReportFigure(cell_drawing.draw_cell(genotype, kind), slugged, caption, alt, edge_rows(genotype, kind))


def edge_rows(genotype: Genotype, kind: str) -> pd.DataFrame:
    """The edges of a cell as rows: source, target, operation."""
    return pd.DataFrame(genotype.edges(kind), columns=["source", "target", "operation"])
