"""A cell drawn: as a figure for pages and papers, as text for a terminal.

Each operation has a row of its own and each node a column of its own, further down and to the right than its inputs.
Lines leave a node downwards and enter an operation from the left, so neither boxes nor names can ever overlap,
whatever the cell.
"""

from typing import TYPE_CHECKING, Any

from spaces.core.genotype import Edge, Genotype

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#020202"
"""The colour of names and lines. A report shows it as its own text colour, so it is used for nothing else."""
QUIET = "#8a8a8a"

# Okabe and Ito's colours (2008), which colour-blind readers can tell apart, without the black and yellow that vanish
# on a dark or a light page. Operations that no space has together may share one.
COLOURS = {
    "none": QUIET,
    "skip_connect": "#d55e00",
    "sep_conv_3x3": "#0072b2",
    "nor_conv_3x3": "#0072b2",
    "sep_conv_5x5": "#56b4e9",
    "nor_conv_1x1": "#56b4e9",
    "dil_conv_3x3": "#009e73",
    "dil_conv_5x5": "#7fbf3f",
    "avg_pool_3x3": "#cc79a7",
    "max_pool_3x3": "#e69f00",
    "noise": "#9467bd",
}
UNNAMED = "#8c6d46"

# Inches: the distance of rows, the width of a glyph at 9 points, the height of a box, the space between things.
ROW, GLYPH, BOX, GAP = 0.31, 0.072, 0.23, 0.14


def colour(operation: str) -> str:
    """The colour of `operation` in every figure."""
    return COLOURS.get(operation, UNNAMED)


def text(genotype: Genotype, kind: str) -> str:
    """The cell as one line a node: `2 = sep_conv_3x3(c_{k-2}) + skip_connect(c_{k-1})`."""
    names = _names(genotype)
    lines = []
    for node in range(genotype.inputs, genotype.inputs + genotype.nodes):
        terms = [f"{operation}({names[source]})" for source, _, operation in _into(genotype, kind, node)]
        lines.append(f"{names[node]} = {' + '.join(terms)}")
    if len(genotype.outputs) > 1:
        lines.append(f"output = concat({', '.join(names[node] for node in genotype.outputs)})")
    return "\n".join(lines)


def figure(genotype: Genotype, kind: str) -> "Figure":
    """The cell `kind` as a directed graph: inputs at the left, nodes, output at the right; operations name the edges.

    Inches as wide and high as the cell needs, on a transparent ground.
    """
    from matplotlib.figure import Figure

    names, concat = _names(genotype), len(genotype.outputs) > 1
    rows, height = _rows(genotype, kind)
    right: dict[int, float] = {}
    drawing = Figure()
    axes = drawing.add_axes((0, 0, 1, 1))
    x = 0.0
    for node, name in enumerate(names):
        edges = _into(genotype, kind, node)
        box = max(BOX, GLYPH * len(name) + 0.08)
        label = max((GLYPH * len(operation) + 0.1 for _, _, operation in edges), default=0.0)
        start = x + label + (GAP if edges else 0.0)
        for row, edge in zip(rows[node], edges, strict=False):  # an input has a row, but no edge
            _edge(axes, edge, (right[edge[0]], rows[edge[0]]), (x, row, label), (start, rows[node]))
        middle = _centre(rows[node])
        _box(axes, start, middle, box, name, INK, weight="bold")
        right[node] = start + box
        x = right[node] + 1.6 * GAP
    if concat:
        _concat(axes, [(right[node], _centre(rows[node])) for node in genotype.outputs], x, height)
        x += BOX + GLYPH
    axes.set_xlim(-0.05, x + 0.05 - (0 if concat else 1.6 * GAP))
    axes.set_ylim(height + 0.1, -0.1)
    axes.axis("off")
    drawing.set_size_inches(axes.get_xlim()[1] + 0.05, height + 0.2)
    drawing.patch.set_alpha(0)
    return drawing


def _names(genotype: Genotype) -> list[str]:
    inputs = ["c_{k-2}", "c_{k-1}"] if genotype.inputs == 2 else [str(node) for node in range(genotype.inputs)]
    return inputs + [str(node) for node in range(genotype.inputs, genotype.inputs + genotype.nodes)]


def _into(genotype: Genotype, kind: str, node: int) -> list[Edge]:
    return [edge for edge in genotype.edges(kind) if edge[1] == node]


def _rows(genotype: Genotype, kind: str) -> tuple[list[list[float]], float]:
    """For each node the heights of its edges' rows (an input has one row, its own), and the height of all."""
    rows, y = [], ROW / 2
    for node in range(genotype.inputs + genotype.nodes):
        count = max(1, len(_into(genotype, kind, node)))
        rows.append([y + ROW * index for index in range(count)])
        y += ROW * count + (0.08 if node >= genotype.inputs else 0.0)
    return rows, y - ROW / 2


def _centre(rows: list[float]) -> float:
    return sum(rows) / len(rows)


def _edge(
    axes: "Axes",
    edge: Edge,
    source: tuple[float, list[float]],
    label: tuple[float, float, float],
    target: tuple[float, list[float]],
) -> None:
    """From the source's right side down its own bus to the row of the edge, through the label, into the target."""
    operation = edge[2]
    dashes = (0, (1, 2)) if operation == "none" else "solid"
    (x0, rows), (x, y, width), (end, into) = source, label, target
    style: dict[str, Any] = {
        "color": colour(operation),
        "linewidth": 1.4,
        "linestyle": dashes,
        "solid_capstyle": "round",
    }
    bus = x0 + 0.7 * GAP
    axes.plot([x0, bus], [_centre(rows)] * 2, color=QUIET, linewidth=1.1, zorder=1)
    axes.plot([bus, bus], [_centre(rows), y], color=QUIET, linewidth=1.1, zorder=1)
    # A dot where a line branches off; lines that only cross have none.
    axes.plot([bus], [y], marker="o", markersize=3.2, color=style["color"], zorder=3)
    axes.plot([bus, x], [y, y], **style, zorder=2)
    axes.plot([x + width, end], [y, _centre(into) + 0.3 * (y - _centre(into))], **style, zorder=2)
    _box(axes, x, y, width, operation, colour(operation))


def _box(axes: "Axes", x: float, y: float, width: float, name: str, edge: str, weight: str = "normal") -> None:
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            (x, y - BOX / 2), width, BOX, boxstyle="round,pad=0,rounding_size=0.06", facecolor="none", edgecolor=edge
        )
    )
    shown = name.replace("c_{k-2}", "c(k−2)").replace("c_{k-1}", "c(k−1)")
    place: dict[str, Any] = {"ha": "center", "va": "center_baseline", "parse_math": False}
    axes.text(x + width / 2, y, shown, fontsize=9, color=INK, weight=weight, **place)


def _concat(axes: "Axes", nodes: list[tuple[float, float]], x: float, height: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    top = nodes[0][1] - BOX / 2
    for right, y in nodes:
        axes.plot([right, x], [y, y], color=QUIET, linewidth=1.1, zorder=1)
    axes.add_patch(
        FancyBboxPatch(
            (x, top), BOX, height - top, boxstyle="round,pad=0,rounding_size=0.06", facecolor="none", edgecolor=INK
        )
    )
    axes.text(x + BOX / 2, (top + height) / 2, "concat", rotation=90, ha="center", va="center", fontsize=9, color=INK)
