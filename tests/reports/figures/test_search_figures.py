"""Figures: the data in their lines, the words beside them, the same bytes each time."""

import itertools
import math
import re

import numpy as np
import pandas as pd
import pytest

from reports.figures import search_figures
from reports.figures.axes import styles
from reports.figures.svg_drawing import Box, Label, Line
from reports.records.blocks import blocks


@pytest.fixture
def block_of(study):
    def make(space, **options):
        records, histories = study(spaces=(space,), **options)
        return blocks(records)[0], histories

    return make


def curves(drawn):
    return [line.get_ydata() for line in drawn.figure.axes[0].lines]


def test_trajectory_shows_each_seed_and_their_mean(block_of):
    block, histories = block_of("nats-tss", methods=("random",))
    drawn = search_figures.accuracy_trajectory(block, histories)
    expected = histories.pivot(index="epoch", columns="key", values="tabular_accuracy").to_numpy()
    *seeds, mean = curves(drawn)
    assert np.allclose(np.sort(seeds, axis=0), np.sort(expected.T, axis=0))
    assert np.allclose(mean, expected.mean(axis=1))
    assert drawn.figure.axes[0].get_ylabel() == "Test accuracy in the table (%)"
    assert f"random {expected.mean(axis=1)[-1]:.2f} % after epoch 4" in drawn.alt
    data = drawn.data.pivot(index="epoch", columns="key", values="tabular_accuracy")
    assert np.allclose(data.to_numpy(), expected)


def test_losses_are_the_histories_training_losses(block_of):
    block, histories = block_of("darts", methods=("random",))
    drawn = search_figures.loss_curves(block, histories.assign(train_loss=histories["train_loss"] + histories["seed"]))
    *seeds, mean = curves(drawn)
    by_hand = [2.0, 1.0, 2.0 / 3, 0.5]
    assert np.allclose(np.sort(seeds, axis=0), [np.add(by_hand, seed) for seed in range(3)])
    assert np.allclose(mean, np.add(by_hand, 1))
    assert drawn.figure.axes[0].get_ylabel() == "Training loss (cross-entropy)"
    assert "random 1.50 after epoch 4" in drawn.alt
    assert search_figures.loss_curves(block, histories.iloc[:0]) is None


def test_trajectory_without_a_table_says_it_is_the_supernets(block_of):
    block, histories = block_of("darts")
    drawn = search_figures.accuracy_trajectory(block, histories)
    assert drawn.figure.axes[0].get_ylabel() == "Supernet accuracy, discretized (%)"
    assert "of the supernet restricted to the epoch's architecture" in drawn.caption


def test_mean_ends_where_the_first_seed_does(block_of):
    block, histories = block_of("nats-tss", methods=("random",))
    stopped = histories[~((histories["seed"] == 1) & (histories["epoch"] > 2))]
    assert len(curves(search_figures.accuracy_trajectory(block, stopped))[-1]) == 2


@pytest.mark.parametrize(("space", "kind", "edges"), [("nats-tss", "cell", 6), ("darts", "reduce", 14)])
def test_weights_are_drawn_an_edge_a_panel(block_of, space_of, space, kind, edges):
    block, histories = block_of(space, methods=("darts-1st",), seeds=range(1))
    trial = block.records.iloc[0].to_dict()
    space = space_of(space)
    pairs = space.parse(trial["genotype"]).possible_edges()
    drawn = search_figures.weight_panels(block, trial, histories, kind, pairs, space.operations)
    boxes = [mark for mark in drawn.figure.marks if isinstance(mark, Box)]
    lines = [mark for mark in drawn.figure.marks if isinstance(mark, Line)]
    assert len(boxes) == edges
    legend = len(space.operations)
    assert len(lines) == edges * len(space.operations) + legend
    flat = np.array(histories[f"weights.{kind}"].tolist())
    top = math.ceil(flat.max() * 20) / 20
    assert f"0 to {top:g} upwards" in drawn.caption
    for place, line in enumerate(lines[:-legend]):  # operation by operation, in each edge by edge
        operation, edge = divmod(place, edges)
        found = (boxes[edge].y + boxes[edge].height - np.array(line.y)) / boxes[edge].height * top
        assert np.allclose(found, flat[:, edge * len(space.operations) + operation])
    long = drawn.data.pivot(index="epoch", columns=["source", "target", "operation"], values="weight")
    assert [tuple(pair) for pair in long.columns.droplevel(2).unique()] == list(pairs)
    for index, ((source, target), operation) in enumerate(itertools.product(pairs, space.operations)):
        assert np.allclose(long[source, target, operation], flat[:, index])
    strongest = flat[-1].reshape(edges, -1).argmax(axis=1)
    for index, operation in enumerate(space.operations):
        count = int((strongest == index).sum())
        assert (f"{operation} on {count}" in drawn.alt) == (count > 0)


def test_operation_that_is_never_used_is_not_drawn(block_of, space_of):
    block, histories = block_of("nats-tss", methods=("darts-1st",), seeds=range(1))
    trial = block.records.iloc[0].to_dict()
    masked = np.array(histories["weights.cell"].tolist()).reshape(-1, 6, 5)
    masked[:, :, 0] = 0
    histories = histories.assign(**{"weights.cell": [row.ravel().tolist() for row in masked]})
    space = space_of("nats-tss")
    edges = space.parse(trial["genotype"]).possible_edges()
    drawn = search_figures.weight_panels(block, trial, histories, "cell", edges, space.operations)
    names = [mark.words for mark in drawn.figure.marks if isinstance(mark, Label)]
    assert "none" not in names
    assert "skip_connect" in names


def test_svg_is_bare_deterministic_and_follows_the_page(block_of, nasty):
    svgs = []
    for _ in range(2):
        block, histories = block_of("nats-tss", methods=(nasty, "_private"))
        svgs.append(search_figures.accuracy_trajectory(block, histories).svg())
    assert svgs[0] == svgs[1]
    assert svgs[0].startswith("<svg ")
    assert "://" not in svgs[0]
    assert "currentColor" in svgs[0]
    assert set(re.findall(r'id="([^"]*)"', svgs[0])) == {
        name for name in re.findall(r'id="([^"]*)"', svgs[0]) if name.startswith("nats-tss-digits-quick-trajectory.")
    }
    assert "&lt;b&gt;" in svgs[0]
    assert "_private (n = 3)" in svgs[0]


def test_a_method_keeps_its_style_and_neighbours_differ():
    chosen = styles(["c", "a", "b", "a"])
    assert chosen == styles(["a", "b", "c"])
    seen = [tuple(map(str, style.values())) for style in styles([f"{i:02}" for i in range(12)]).values()]
    assert len(set(seen)) == 12


def test_no_epochs_no_trajectory(block_of):
    block, histories = block_of("darts")
    assert search_figures.accuracy_trajectory(block, histories.iloc[:0]) is None
    assert search_figures.accuracy_trajectory(block, histories.assign(discrete_accuracy=np.nan)) is None


def test_trajectory_takes_only_its_own_trials(block_of):
    block, histories = block_of("nats-tss", methods=("random",))
    other = histories.assign(key="another", tabular_accuracy=0.0)
    both = pd.concat([histories, other])
    assert len(curves(search_figures.accuracy_trajectory(block, both))) == 4
