"""Drawings of cells: as a figure for pages and papers, as text for a terminal.

Each operation has its own row and each node its own column, below and to the right of its inputs. Lines leave a node
downwards and enter an operation from the left, so boxes and names never overlap, whatever the cell.
"""

from typing import TYPE_CHECKING

from reports.figures.svg_drawing import Box, Dot, Label, Line, SvgDrawing
from spaces.cells.genotype import Edge, Genotype

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#020202"
"""The colour of names and lines. On a page it becomes the text colour, so nothing else may use it."""
QUIET = "#8a8a8a"

# Okabe and Ito's colours (2008), which colour-blind readers can tell apart, without the black and yellow that vanish
# on a dark or a light page. Operations that no space has together may share one.
OPERATION_COLOURS = {
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

# Inches: the distance of rows, the width of a glyph at 9 points, the height of a box, the space between elements, and
# the border around the drawing.
ROW_HEIGHT, GLYPH_WIDTH, BOX_HEIGHT, SPACING, BORDER = 0.31, 0.072, 0.23, 0.14, 0.1


def operation_colour(operation: str) -> str:
    """The colour of `operation` in every figure."""
    return OPERATION_COLOURS.get(operation, UNNAMED)


def cell_text(genotype: Genotype, kind: str) -> str:
    """The cell as one line a node: `2 = sep_conv_3x3(c_{k-2}) + skip_connect(c_{k-1})`."""
    names = _names(genotype)
    lines = []
    for node in range(genotype.inputs, genotype.inputs + genotype.nodes):
        terms = [f"{operation}({names[source]})" for source, _, operation in _into(genotype, kind, node)]
        lines.append(f"{names[node]} = {' + '.join(terms)}")
    if len(genotype.outputs) > 1:
        lines.append(f"output = concat({', '.join(names[node] for node in genotype.outputs)})")
    return "\n".join(lines)


def cell_figure(genotype: Genotype, kind: str) -> "Figure":
    """`draw_cell` as a matplotlib figure."""
    return draw_cell(genotype, kind).figure()


def draw_cell(genotype: Genotype, kind: str) -> SvgDrawing:
    """The cell `kind` as a directed graph: inputs at the left, nodes, output at the right; operations name the edges.

    As wide and high as the cell needs.
    """
    names, concat = _names(genotype), len(genotype.outputs) > 1
    rows, height = _rows(genotype, kind)
    right: dict[int, float] = {}
    drawing = SvgDrawing(0.0, height + 0.2)
    x = BORDER
    for node, name in enumerate(names):
        edges = _into(genotype, kind, node)
        box = max(BOX_HEIGHT, GLYPH_WIDTH * len(name) + 0.08)
        label = max((GLYPH_WIDTH * len(operation) + 0.1 for _, _, operation in edges), default=0.0)
        start = x + label + (SPACING if edges else 0.0)
        for row, edge in zip(rows[node], edges, strict=False):  # an input has a row, but no edge
            _edge(drawing, edge, (right[edge[0]], rows[edge[0]]), (x, row, label), (start, rows[node]))
        _box(drawing, start, _centre(rows[node]), box, name, INK, bold=True)
        right[node] = start + box
        x = right[node] + 1.6 * SPACING
    if concat:
        _concat(drawing, [(right[node], _centre(rows[node])) for node in genotype.outputs], x, height)
        x += BOX_HEIGHT + GLYPH_WIDTH
    drawing.width = x + BORDER - (0 if concat else 1.6 * SPACING)
    return drawing


def _names(genotype: Genotype) -> list[str]:
    inputs = ["c_{k-2}", "c_{k-1}"] if genotype.inputs == 2 else [str(node) for node in range(genotype.inputs)]
    return inputs + [str(node) for node in range(genotype.inputs, genotype.inputs + genotype.nodes)]


def _into(genotype: Genotype, kind: str, node: int) -> list[Edge]:
    return [edge for edge in genotype.edges(kind) if edge[1] == node]


def _rows(genotype: Genotype, kind: str) -> tuple[list[list[float]], float]:
    """For each node the heights of its edges' rows (an input has one row, its own), and the height of all."""
    rows, y = [], BORDER + ROW_HEIGHT / 2
    for node in range(genotype.inputs + genotype.nodes):
        count = max(1, len(_into(genotype, kind, node)))
        rows.append([y + ROW_HEIGHT * index for index in range(count)])
        y += ROW_HEIGHT * count + (0.08 if node >= genotype.inputs else 0.0)
    return rows, y - BORDER - ROW_HEIGHT / 2


def _centre(rows: list[float]) -> float:
    return sum(rows) / len(rows)


def _edge(
    drawing: SvgDrawing,
    edge: Edge,
    source: tuple[float, list[float]],
    label: tuple[float, float, float],
    target: tuple[float, list[float]],
) -> None:
    """Draw an edge: from the source's right side down to the row of the edge, through the label, into the target."""
    operation = edge[2]
    hue, dash = operation_colour(operation), (1.4, 2.8) if operation == "none" else ()
    (x0, rows), (x, y, width), (end, into) = source, label, target
    bus = x0 + 0.7 * SPACING
    drawing.add(
        Line([x0, bus, bus], [_centre(rows), _centre(rows), y], QUIET, 1.1),
        Line([bus, x], [y, y], hue, 1.4, dash),
        Line([x + width, end], [y, _centre(into) + 0.3 * (y - _centre(into))], hue, 1.4, dash),
        # A dot where a line branches off; lines that only cross have none.
        Dot(bus, y, 1.6, hue),
    )
    _box(drawing, x, y, width, operation, hue)


def _box(drawing: SvgDrawing, x: float, y: float, width: float, name: str, edge: str, *, bold: bool = False) -> None:
    shown = name.replace("c_{k-2}", "c(k−2)").replace("c_{k-1}", "c(k−1)")
    drawing.add(
        Box(x, y - BOX_HEIGHT / 2, width, BOX_HEIGHT, edge, radius=0.06),
        Label(x + width / 2, y, shown, 9, INK, bold=bold),
    )


def _concat(drawing: SvgDrawing, nodes: list[tuple[float, float]], x: float, height: float) -> None:
    top = nodes[0][1] - BOX_HEIGHT / 2
    for right, y in nodes:
        drawing.add(Line([right, x], [y, y], QUIET, 1.1))
    bottom = height + BORDER
    drawing.add(
        Box(x, top, BOX_HEIGHT, bottom - top, INK, radius=0.06),
        Label(x + BOX_HEIGHT / 2, (top + bottom) / 2, "concat", 9, INK, turned=True),
    )
