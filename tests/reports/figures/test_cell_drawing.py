"""Cells drawn: every edge is there, nothing lies on anything else."""

from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from reports.figures import cell_drawing
from spaces.darts.genotype import DartsGenotype
from spaces.nats.genotype import NatsGenotype

LONG = ("dil_conv_5x5", "sep_conv_5x5", "max_pool_3x3", "skip_connect")
DENSE = tuple((LONG[i % 4], source) for i, source in enumerate((0, 1, 1, 2, 2, 3, 3, 4)))
STAR = tuple((LONG[i % 4], source) for i, source in enumerate((0, 1, 0, 1, 0, 1, 0, 1)))
GENOTYPES = [
    (DartsGenotype(normal=DENSE, reduce=STAR), "normal"),
    (DartsGenotype(normal=DENSE, reduce=STAR), "reduce"),
    (NatsGenotype(("nor_conv_3x3", "none", "nor_conv_1x1", "skip_connect", "avg_pool_3x3", "none")), "cell"),
]


@pytest.mark.parametrize(("genotype", "kind"), GENOTYPES)
def test_no_two_names_overlap_and_each_lies_in_its_box(genotype, kind):
    figure = cell_drawing.cell_figure(genotype, kind)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    names = [text.get_window_extent(canvas.get_renderer()) for text in figure.findobj(Text)]
    boxes = [box.get_window_extent(canvas.get_renderer()) for box in figure.findobj(FancyBboxPatch)]
    for group in (names, boxes):
        assert not any(a.overlaps(b) for a, b in combinations(group, 2))
    for name, box in zip(names, boxes, strict=True):
        assert box.x0 <= name.x0 <= name.x1 <= box.x1
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)


@pytest.mark.parametrize(("genotype", "kind"), GENOTYPES)
def test_every_operation_is_named_as_often_as_it_occurs(genotype, kind):
    names = [text.get_text() for text in cell_drawing.cell_figure(genotype, kind).findobj(Text)]
    operations = [operation for _, _, operation in genotype.edges(kind)]
    assert sorted(name for name in names if name in cell_drawing.OPERATION_COLOURS) == sorted(operations)


def test_text_of_a_darts_cell():
    assert cell_drawing.cell_text(GENOTYPES[0][0], "normal").splitlines() == [
        "2 = dil_conv_5x5(c_{k-2}) + sep_conv_5x5(c_{k-1})",
        "3 = max_pool_3x3(c_{k-1}) + skip_connect(2)",
        "4 = dil_conv_5x5(2) + sep_conv_5x5(3)",
        "5 = max_pool_3x3(3) + skip_connect(4)",
        "output = concat(2, 3, 4, 5)",
    ]


def test_text_of_a_nats_cell():
    assert cell_drawing.cell_text(GENOTYPES[2][0], "cell").splitlines() == [
        "1 = nor_conv_3x3(0)",
        "2 = none(0) + nor_conv_1x1(1)",
        "3 = skip_connect(0) + avg_pool_3x3(1) + none(2)",
    ]
