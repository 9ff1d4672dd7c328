"""What Λ-DARTS watches: proposition 1's bound against the gradient it bounds, and Figure 2's sums by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import Tensor

from methods.search.layer_gradients import first_and_last, gradient_bound, running_average


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orthogonal_layers(layers: int, edges: int, operations: int, seed: int) -> Tensor:
    """Layer gradients as proposition 1 assumes them: orthogonal to each other and to a constant on any edge."""
    draws = normal(edges * operations, layers, seed=seed).view(edges, operations, layers)
    basis, _ = torch.linalg.qr((draws - draws.mean(1, keepdim=True)).flatten(0, 1))
    lengths = 1 + normal(layers, seed=seed + 1).abs()
    return (basis * lengths).T.view(layers, edges, operations)


@examples(deadline=None, max_examples=30)
@given(layers=st.integers(2, 5), edges=st.integers(2, 4), operations=st.integers(3, 6), seed=st.integers(0, 10**6))
def test_proposition_1_bounds_the_gradient_of_alpha(layers: int, edges: int, operations: int, seed: int) -> None:
    alpha = normal(edges, operations, seed=seed).requires_grad_()
    gradients = orthogonal_layers(layers, edges, operations, seed)
    (of_alpha,) = torch.autograd.grad((alpha.softmax(-1) * gradients.sum(0)).sum(), alpha)
    bound = float(gradient_bound(gradients, alpha.detach().softmax(-1)))
    assert 0 < bound <= float(of_alpha.square().sum()) * (1 + 1e-9)


def test_proposition_1_is_tight_for_equal_weights_and_equal_layers() -> None:
    gradients = orthogonal_layers(3, 2, 5, seed=0)
    gradients /= gradients.flatten(1).norm(dim=1)[:, None, None]
    alpha = torch.zeros(2, 5, dtype=torch.float64, requires_grad=True)
    (of_alpha,) = torch.autograd.grad((alpha.softmax(-1) * gradients.sum(0)).sum(), alpha)
    assert float(gradient_bound(gradients, alpha.detach().softmax(-1))) == pytest.approx(float(of_alpha.square().sum()))
    assert float(of_alpha.square().sum()) == pytest.approx(3 / 25)


def test_proposition_1_leaves_out_operations_that_an_edge_lacks() -> None:
    two = torch.tensor([[0.3, 0.7, 0.0], [0.0, 0.0, 1.0]])  # J's one eigenvalue that is not zero: 2 · 0.3 · 0.7
    gradients = torch.ones(4, 2, 3)
    assert float(gradient_bound(gradients, two)) == pytest.approx(0.42**2 * 4 * 6, rel=1e-6)


def test_first_and_last_layers_are_summed_and_averaged_over_edges() -> None:
    gradients = normal(7, 3, 2)
    mask = torch.tensor([[True, True], [True, False], [True, False]])
    found = first_and_last(gradients * mask, mask, cells=2)
    assert float(found[0, 0]) == pytest.approx(float((gradients[0, :, 0] + gradients[1, :, 0]).mean()))
    assert float(found[1, 1]) == pytest.approx(float(gradients[5, 0, 1] + gradients[6, 0, 1]))


def test_running_average_decays() -> None:
    average = None
    for value in (1.0, 0.0, 0.0):
        average = running_average(average, torch.tensor(value, dtype=torch.float64))
    assert float(average) == pytest.approx(0.999**2)
