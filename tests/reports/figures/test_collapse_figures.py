"""Survival curves: what is drawn is what the frame has, read back from matplotlib's artists and from pixels."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from reports.collapse.definition import COLLAPSED, HEALTHY, survival
from reports.figures import collapse_figures
from reports.figures.axes import styles
from reports.records.blocks import blocks

# (onset, or None where it ended healthy; last epoch) of each search
COURSES = {
    "darts-1st": [(11, 60), (16, 60), (16, 60), (42, 60), (None, 60)],
    "es": [(None, 10), (None, 10), (None, 12)],
    "gone": [(20, 60), (30, 60)],
    "one": [(None, 60)],
    "same": [(None, 60), (None, 60)],
}


def curves_of(courses) -> pd.DataFrame:
    rows = [
        {"label": label, "verdict": HEALTHY if onset is None else COLLAPSED, "onset": onset or np.nan, "epochs": last}
        for label, trials in courses.items()
        for onset, last in trials
    ]
    return survival(pd.DataFrame(rows))


@pytest.fixture
def draw(study):
    records, _ = study(spaces=("nats-tss",))
    (block,) = blocks(records)

    def make(courses):
        return collapse_figures.survival_curves(block, curves_of(courses), styles(list(courses)))

    return make


def lines_of(drawn):
    """Label → its line and its marks."""
    (axes,) = drawn.figure.axes
    labels = sorted(drawn.data["label"].unique())
    return dict(zip(labels, zip(axes.lines[::2], axes.lines[1::2], strict=True), strict=True))


def test_a_curve_is_the_frames_survival_and_ends_where_it_ends(draw) -> None:
    drawn = draw(COURSES)
    for label, (line, _) in lines_of(drawn).items():
        own = drawn.data[drawn.data["label"] == label]
        assert line.get_drawstyle() == "steps-post"
        assert line.get_xdata().tolist() == own["epoch"].tolist()
        assert line.get_ydata().tolist() == own["survival"].tolist()
    lasts = {label: (line.get_xdata()[-1], line.get_ydata()[-1]) for label, (line, _) in lines_of(drawn).items()}
    darts = pytest.approx((60, 4 / 5 * 2 / 4 * 1 / 2))
    assert lasts == {"darts-1st": darts, "es": (12, 1), "gone": (60, 0), "one": (60, 1), "same": (60, 1)}


def test_every_censored_search_has_a_mark_on_its_curve(draw) -> None:
    drawn = draw(COURSES)
    found = {label: marks.get_xydata().tolist() for label, (_, marks) in lines_of(drawn).items()}
    darts = [[60, pytest.approx(0.2)]]
    assert found == {"darts-1st": darts, "es": [[10, 1], [12, 1]], "gone": [], "one": [[60, 1]], "same": [[60, 1]]}
    for line, marks in lines_of(drawn).values():
        assert marks.get_marker() == "|"
        assert marks.get_color() == line.get_color()


def test_a_band_is_the_frames_interval(draw) -> None:
    """From each row to the next, and nowhere where there is none."""
    drawn = draw(COURSES)
    (axes,) = drawn.figure.axes
    labels = sorted(COURSES)
    for label, band in zip(labels, axes.collections, strict=True):
        own = drawn.data[drawn.data["label"] == label]
        corners = set()
        for row, end in zip(own.to_dict("records"), own["epoch"][1:], strict=False):
            if not np.isnan(row["low"]):
                corners |= {(x, y) for x in (row["epoch"], end) for y in (row["low"], row["high"])}
        assert {tuple(corner) for path in band.get_paths() for corner in path.vertices} == corners
        assert bool(corners) == (label in ("darts-1st", "gone"))
        assert band.get_alpha() < 0.2


def seen(drawn, label: str, left: float, right: float, height: float) -> bool:
    """Whether a pixel of the label's colour lies on the line at `height` between two epochs."""
    canvas = FigureCanvasAgg(drawn.figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3] / 255
    (axes,) = drawn.figure.axes
    (first, y), (last, _) = axes.transData.transform([(left, height), (right, height)])
    middle = int(len(pixels) - y)
    rows = pixels[middle - 1 : middle + 2, int(first) : int(last)]
    colour = np.array(to_rgb(lines_of(drawn)[label][0].get_color()))
    return bool((abs(rows - colour).max(-1) < 0.02).any())


@pytest.mark.parametrize("count", [2, 3, 5])
def test_curves_that_coincide_are_all_seen_and_named(draw, count: int) -> None:
    labels = [f"method {number}" for number in range(count)]
    courses = {label: [(20, 60), (None, 60)] for label in labels}
    drawn = draw({**courses, "other": [(30, 60), (None, 60)]})
    assert ", ".join(labels) in drawn.caption
    for label in labels:
        assert seen(drawn, label, 22, 58, 0.5)
        assert lines_of(drawn)[label][0].get_ydata().tolist() == [1, 0.5, 0.5]
    assert "dash each" not in draw({"a": [(20, 60), (None, 60)], "b": [(30, 60), (None, 60)]}).caption


def test_curves_that_coincide_for_a_while_are_seen(draw) -> None:
    """One that ends early lies over those that go on, and dashes over what is solid, whatever their names."""
    gone = [(1, 60), (1, 60)]
    drawn = draw({"a": [(None, 20)], "b": [(40, 60), (None, 60)], "c": gone, "d": gone, "e": [(30, 60), (None, 60)]})
    assert [lines_of(drawn)[label][0].get_linestyle() for label in "abe"] == ["-", "--", "-"]
    assert seen(drawn, "a", 1, 19, 1.0)
    for label in "be":
        assert seen(drawn, label, 22, 29, 1.0)


def test_the_caption_and_the_alternative_text_say_what_is_drawn(draw) -> None:
    drawn = draw(COURSES)
    assert "es 100 % after epoch 12" in drawn.alt
    assert "gone 0 % after epoch 60" in drawn.alt
    assert "95 % interval" in drawn.caption
    assert "censored" in drawn.caption
