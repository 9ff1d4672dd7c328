"""The curvature of the validation loss in alpha, exact: there are at most 224 alphas, so every matrix is dense.

Zela et al. (Understanding and Robustifying Differentiable Architecture Search, ICLR 2020, section 4) find that a
search whose dominant eigenvalue grows generalizes badly. Both matrices are over all architecture parameters at once;
of a table of operations, over those that an edge has: the alpha of an absent operation has no influence.
"""

import torch
from torch import Tensor

from methods.search.probe import Number, Probe, View
from methods.search.step import Batch, Step


def _flat(parts: tuple[Tensor, ...] | list[Tensor], step: Step) -> Tensor:
    """One vector of `parts`, a tensor for each architecture parameter: without the operations that an edge lacks."""
    mask = step.space.mask
    return torch.cat(
        [
            part[mask[name].to(part.device)] if name in mask else part.flatten()
            for name, part in zip(step.alpha, parts, strict=True)
        ]
    )


def _gradient(of: Tensor, step: Step, *, create_graph: bool = False) -> Tensor:
    leaves = list(step.alpha.values())
    parts = torch.autograd.grad(
        of, leaves, create_graph=create_graph, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return _flat(parts, step)


def hessian(step: Step, batch: Batch) -> Tensor:
    """∇²_α L on `batch`, [alphas, alphas], by double backward, row by row; made symmetric to the last bit."""
    gradient = _gradient(step.loss(batch), step, create_graph=True)
    if not gradient.requires_grad:  # linear in alpha
        return gradient.new_zeros((len(gradient), len(gradient)))
    rows = torch.stack([_gradient(entry, step).detach() for entry in gradient])
    return (rows + rows.T) / 2


def fisher_trace(step: Step, batch: Batch) -> Tensor:
    """The trace of alpha's Fisher information on `batch`: the mean over images of E_y ‖∇_α log p(y | image)‖², y ~ p.

    The expectation over the model's own labels y is in closed form: it is the sum over alphas of the variance, under
    p, of the logits' derivative. Those derivatives come from reverse passes alone, Jᵀu first and then its derivative
    for u. A scalar.
    """
    logits = step.logits(batch)  # [N, classes]
    probe = torch.zeros_like(logits, requires_grad=True)
    backward = _gradient((logits * probe).sum(), step, create_graph=True)
    p = logits.detach().softmax(-1)
    trace = logits.new_zeros(())
    for entry in backward:
        (derivative,) = torch.autograd.grad(entry, probe, retain_graph=True)
        mean = (p * derivative).sum(-1, keepdim=True)
        trace = trace + (p * (derivative - mean).square()).sum(-1).mean()
    return trace


def spectrum(view: View) -> dict[str, Number]:
    """The Hessian's eigenvalues, ascending, the dominant (largest) one, and that with alpha's weight decay added.

    Weight decay adds its rate to every eigenvalue; published spectra have it.
    """
    eigenvalues = torch.linalg.eigvalsh(hessian(view.at, view.at.valid).to("cpu", torch.float64))
    dominant = float(eigenvalues[-1])
    return {
        "dominant": dominant,
        "dominant_decayed": dominant + view.at.settings.alpha_weight_decay,
        "spectrum": eigenvalues.tolist(),
    }


def information(view: View) -> dict[str, Number]:
    """Traces of Fisher information: alpha's on the validation batch, and the weights' as DARTS-PRIME estimates it.

    That is the squared norm of the training loss's gradient (Fisher information of one mini-batch, its labels given).
    """
    step = view.at
    parameters = list(step.net.parameters())
    loss = step.loss(step.train, alpha={kind: a.detach() for kind, a in step.alpha.items()})
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    trace = {"alpha": float(fisher_trace(step, step.valid))} if step.task.categorical else {}
    return {
        **trace,
        "weights": float(torch.stack([g.double().square().sum() for g in gradients]).sum()),
    }


HESSIAN = Probe("hessian", spectrum)
FISHER = Probe("fisher", information)
