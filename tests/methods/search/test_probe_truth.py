"""What the probes measure, against brute force: finite differences, loops over images and layers, hand examples."""

from collections.abc import Callable
from itertools import combinations
from math import log
from typing import Any

import pytest
import torch
from torch import Tensor

from methods import Search
from methods.probes import get_probe
from methods.probes.curvature import fisher_trace, hessian
from methods.probes.layers import first_and_last
from methods.search.layer_gradients import aligned_kind, layer_gradients, second_order_layer_gradients
from methods.search.probe import Probe, View, Watched
from methods.search.step import Alpha, Step
from spaces import get_space

FAMILIES = ["nats-tss", "s2"]
SMALL = {"nats-tss": {}, "s2": {"cells": 3, "channels": 2}}


def view_of(step: Step, **changes: Any) -> View:
    weights = {k: w.detach() for k, w in step.relaxation(step.alpha, step, "select").items()}
    usual: dict[str, Any] = {
        "space": step.space,
        "genotype": step.space.discretize(weights),
        "weights": weights,
        "before": None,
        "step": step,
        "discrete_score": 50.0,
        "score": lambda weights: 75.0,
    }
    return View(**{**usual, **changes})


def measured(name: str, step: Step, **changes: Any) -> dict[str, Any]:
    return dict(get_probe(name).measure(view_of(step, **changes)))


def plainly(step: Step) -> Step:
    """Computed operation by operation, which is what `smooth` smooths."""
    step.net.engine = "reference"  # type: ignore[assignment]
    return step


# --- Curvature -------------------------------------------------------------------------------------------------------


def flat_gradient(step: Step, alpha: Alpha) -> Tensor:
    leaves = {kind: a.detach().requires_grad_() for kind, a in alpha.items()}
    found = step.alpha_gradient(step.loss(step.valid, alpha=leaves), leaves)
    return torch.cat([found[kind][step.space.mask[kind]] for kind in alpha])


@pytest.mark.usefixtures("smooth")
@pytest.mark.parametrize("space", ["nats-tss", pytest.param("s2", marks=pytest.mark.slow)])
def test_hessian_is_the_derivative_of_the_gradient(make_step: Callable[..., Step], space: str) -> None:
    step, radius = plainly(make_step("darts-1st", space, **SMALL[space])), 1e-5
    found = hessian(step, step.valid)
    places = [(k, e, o) for k, mask in step.space.mask.items() for e, o in mask.nonzero().tolist()]
    assert found.shape == (len(places), len(places))
    assert float(found.abs().max()) > 1e-3
    for row, (kind, edge, operation) in enumerate(places):
        if row % 5:  # every fifth of the rows: each has all columns
            continue
        sides = []
        for side in (1, -1):
            moved = {k: a.detach().clone() for k, a in step.alpha.items()}
            moved[kind][edge, operation] += side * radius
            sides.append(flat_gradient(step, moved))
        torch.testing.assert_close(found[row], (sides[0] - sides[1]) / (2 * radius), rtol=1e-5, atol=1e-8)


def test_spectrum_is_that_of_the_hessian_and_weight_decay_shifts_it(make_step: Callable[..., Step]) -> None:
    step = make_step("darts-1st", "nats-tss")
    full = hessian(step, step.valid)
    found = measured("hessian", step)
    assert found["spectrum"] == sorted(found["spectrum"])
    assert sum(found["spectrum"]) == pytest.approx(float(full.trace()))
    assert sum(x * x for x in found["spectrum"]) == pytest.approx(float(full.square().sum()))
    assert found["dominant"] == found["spectrum"][-1]
    decayed = torch.linalg.eigvalsh(full + 1e-3 * torch.eye(len(full), dtype=full.dtype))
    assert found["dominant_decayed"] == pytest.approx(float(decayed[-1]))


def test_an_edges_alphas_can_rise_together(make_step: Callable[..., Step]) -> None:
    """A softmax does not change under a constant: the Hessian has a null vector for every edge."""
    step = make_step("darts-1st", "nats-tss")
    blocks = hessian(step, step.valid).view(30, 6, 5)
    assert float(blocks.sum(-1).abs().max()) < 1e-10


@pytest.mark.parametrize("space", FAMILIES)
def test_fisher_trace_is_the_expectation_over_the_models_own_labels(make_step: Callable[..., Step], space: str) -> None:
    step = make_step("darts-1st", space, **SMALL[space])
    logs = step.logits(step.valid).log_softmax(-1)
    truth = 0.0
    for image in logs:
        for log_p in image:
            squares = sum(g.square().sum() for g in step_gradient(log_p, step))
            truth += float(log_p.detach().exp() * squares) / len(logs)
    assert float(fisher_trace(step, step.valid)) == pytest.approx(truth, rel=1e-9)


def step_gradient(of: Tensor, step: Step) -> tuple[Tensor, ...]:
    return torch.autograd.grad(of, list(step.alpha.values()), retain_graph=True)


def test_fisher_of_the_weights_is_the_squared_gradient(make_step: Callable[..., Step]) -> None:
    step = make_step("darts-1st", "nats-tss")
    step.net.zero_grad()
    step.loss(step.train, alpha={k: a.detach() for k, a in step.alpha.items()}).backward()
    truth = sum(float(p.grad.square().sum()) for p in step.net.parameters() if p.grad is not None)
    step.net.zero_grad()
    assert measured("fisher", step)["weights"] == pytest.approx(truth)


# --- Layers ----------------------------------------------------------------------------------------------------------


def by_layer(step: Step) -> list[Tensor]:
    """Each layer's gradient from a pass of its own, in which its weights alone are a leaf."""
    kind = aligned_kind(step.space)
    cells = step.space.cells_of(kind, step.settings.cells)
    weights = {k: w.detach() for k, w in step.relaxation(step.alpha, step, "valid").items()}
    found = []
    for layer in range(cells):
        own = weights[kind].clone().requires_grad_()
        tables = torch.stack([own if index == layer else weights[kind] for index in range(cells)])
        (gradient,) = torch.autograd.grad(step.loss(step.valid, weights={**weights, kind: tables}), own)
        found.append(gradient.flatten())
    return found


@pytest.mark.parametrize("space", FAMILIES)
def test_alignment_against_a_pass_for_each_layer(make_step: Callable[..., Step], space: str) -> None:
    step = make_step("darts-1st", space, cells=2 if space == "nats-tss" else 5)
    pairs = list(combinations(by_layer(step), 2))
    cosines = [float(a @ b / (a.norm() * b.norm())) for a, b in pairs]
    signs = [float((a * b).sum() / (a * b).abs().sum()) for a, b in pairs]
    found = measured("alignment", step)
    assert found["cosine.valid"] == pytest.approx(sum(cosines) / len(pairs))
    assert found["sign.valid"] == pytest.approx(sum(signs) / len(pairs))
    assert found["cosine.train"] != found["cosine.valid"]


@pytest.mark.usefixtures("smooth")
def test_second_order_layer_gradients_by_differences(make_step: Callable[..., Step]) -> None:
    """Eq. 20 along a direction: the weights' training gradient at weights shifted to either side, times ∇_ω L_val."""
    step, radius = plainly(make_step("darts-1st", "nats-tss")), 1e-5
    kind = aligned_kind(step.space)
    parameters = list(step.net.parameters())
    weights = {k: w.detach() for k, w in step.relaxation(step.alpha, step, "train").items()}
    first = layer_gradients(step, step.valid)
    direction = torch.randn(first.shape, generator=torch.Generator().manual_seed(0), dtype=first.dtype)

    def gradient(batch: Any, shift: Tensor) -> list[Tensor]:
        loss = step.loss(batch, weights={**weights, kind: weights[kind] + shift})
        return list(torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True))

    vector = gradient(step.valid, torch.zeros_like(first))
    plus, minus = (gradient(step.train, side * radius * direction) for side in (1, -1))
    along = sum(float(((p - m) * v).sum()) for p, m, v in zip(plus, minus, vector, strict=True)) / (2 * radius)
    truth = float((first * direction).sum()) - step.learning_rate * along
    found = second_order_layer_gradients(step)
    assert float((found * direction).sum()) == pytest.approx(truth, rel=1e-6)
    assert abs(step.learning_rate * along) > 1e-4 * abs(truth)


def test_bound_stands_beside_the_gradient_it_bounds(make_step: Callable[..., Step]) -> None:
    step = make_step("darts-1st", "nats-tss")
    (gradient,) = step_gradient(step.loss(step.valid), step)
    found = measured("bound", step)
    assert found["measured"] == pytest.approx(float(gradient.square().sum()))
    assert found["bound"] > 0


def test_bound_is_of_a_softmax(make_step: Callable[..., Step]) -> None:
    assert set(measured("bound", make_step("pr-darts", "nats-tss"))) == {"measured"}


def test_layers_are_summed_over_the_steps(make_search: Callable[..., Search]) -> None:
    """A twin search is stepped beside: its layer gradients before each step are those that the probe summed."""
    probed = make_search("darts-1st", "nats-tss", probes=[Watched(get_probe("layer-gradients"))], order="alpha-weights")
    rows = list(probed)
    twin = make_search("darts-1st", "nats-tss", order="alpha-weights")
    ends: list[Tensor] = []
    spy = Probe("spy", lambda view: {}, follow=lambda step, memory: ends.append(
        first_and_last(layer_gradients(step, step.valid), step.space.mask["cell"], cells=1).double()
    ))  # fmt: skip
    twin.watch.following.append(spy)
    twin.watch.memory["spy"] = {}
    list(twin)
    assert len(ends) == 4
    average = ends[0]
    for value in ends[1:]:
        average = 0.999 * average + 0.001 * value
    assert rows[-1]["probe.layer-gradients.average.last"] == pytest.approx(average[1].tolist())
    assert rows[-1]["probe.layer-gradients.sum.first"] == pytest.approx(sum(ends)[0].tolist())
    assert rows[0]["probe.layer-gradients.sum.last"] == pytest.approx((ends[0] + ends[1])[1].tolist())


def test_similarity_image_by_image(make_step: Callable[..., Step], monkeypatch: pytest.MonkeyPatch) -> None:
    """The outputs as the cells' own `forward` gives them, the gradients as a backward pass leaves them there."""
    step = make_step("darts-1st", "nats-tss", cells=2)
    outputs: list[Tensor] = []

    def kept(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def run(*given: Any) -> Tensor:
            output = forward(*given)
            output.retain_grad()
            outputs.append(output)
            return output

        return run

    with monkeypatch.context() as patched:
        for cell in step.net.cells:  # type: ignore[union-attr]
            if hasattr(cell, "kind"):
                patched.setattr(cell, "forward", kept(cell.forward))
        step.loss(step.valid).backward()
    gradients = [output.grad for output in outputs]
    found = measured("similarity", step)
    for name, tensors in (("outputs", [output.detach() for output in outputs]), ("gradients", gradients)):
        for stage in range(3):
            one, other = tensors[2 * stage].flatten(1), tensors[2 * stage + 1].flatten(1)
            cosines = [float(a @ b / (a.norm() * b.norm())) for a, b in zip(one, other, strict=True)]
            assert found[f"{name}.{stage + 1}"] == pytest.approx(sum(cosines) / len(cosines))


def test_similarity_leaves_no_hook(make_step: Callable[..., Step]) -> None:
    step = make_step("darts-1st", "s2", cells=8)
    found = measured("similarity", step)
    assert found
    assert all(-1 <= value <= 1 for value in found.values())
    assert not any(cell._forward_hooks for cell in step.net.cells)  # type: ignore[union-attr]


# --- Cells and weights -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "skips", "none", "parametric", "depth"),
    [
        ("|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|", 1, 0, 0, 3),
        ("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|", 0, 5 / 6, 1, 1),
        ("|nor_conv_1x1~0|+|none~0|nor_conv_3x3~1|+|none~0|skip_connect~1|avg_pool_3x3~2|", 1 / 6, 2 / 6, 2, 3),
        ("|none~0|+|none~0|nor_conv_3x3~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|", 0, 3 / 6, 3, 0),
    ],
)
def test_cells_by_hand(text: str, skips: float, none: float, parametric: int, depth: int) -> None:
    space = get_space("nats-tss")
    found = get_probe("cell").measure(
        View(
            space=space,
            genotype=space.parse(text),
            weights={},
            before=None,
            step=None,
            discrete_score=0.0,
            score=lambda weights: 0.0,
        )
    )
    assert found == {"skips.cell": skips, "none.cell": none, "parametric.cell": parametric, "depth.cell": depth}


def test_certainty_of_weights_by_hand(make_step: Callable[..., Step]) -> None:
    step = make_step("darts-1st", "nats-tss")
    weights = torch.full((6, 5), 0.2, dtype=torch.float64)
    weights[0] = torch.tensor([1.0, 0, 0, 0, 0])
    weights[1] = torch.tensor([0.5, 0.5, 0, 0, 0])
    before = torch.full((6, 5), 0.2).flatten().tolist()
    found = measured("weights", step, weights={"cell": weights}, before={"cell": before})
    assert found["entropy.cell"] == pytest.approx([0, log(2), *[log(5)] * 4])
    assert found["saturation.cell"] == pytest.approx((1 + 1 - log(2) / log(5)) / 6)
    assert found["change.cell"] == pytest.approx(0.8 * 4 / 2 + 0.3 * 2 + 0.2 * 3)


def test_saturation_counts_the_operations_that_an_edge_has(make_step: Callable[..., Step]) -> None:
    step = make_step("darts-1st", "s2")
    equal = {kind: mask.double() / mask.sum(-1, keepdim=True) for kind, mask in step.space.mask.items()}
    found = measured("weights", step, weights=equal)
    assert found["saturation.normal"] == pytest.approx(0)
    assert "change.normal" not in found


def test_gap_is_zero_once_the_weights_are_an_architecture(make_search: Callable[..., Search]) -> None:
    views: list[View] = []
    spy = Probe("spy", lambda view: views.append(view) or {})  # type: ignore[func-returns-value]
    row = list(make_search("darts-1st", "nats-tss", probes=[Watched(get_probe("gap")), Watched(spy)]))[-1]
    assert row["probe.gap.gap"] == row["probe.gap.before"] - row["discrete_accuracy"]
    last = views[-1]
    assert last.score(last.weights) == row["probe.gap.before"]
    assert last.score(last.space.encode(last.genotype)) == last.discrete_score
