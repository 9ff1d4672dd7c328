"""PR-DARTS's theory, measured (Zhou et al., NeurIPS 2020): which architectures does gradient descent optimise fast?

- Figure 2: networks of DARTS cells train faster with more skip-connections in place of convolutions.
- Theorem 4: a shallow cell of two branches trains faster than the deep cell whose gates it shares.

A search that follows the loss prefers what trains fast. Both studies train fixed architectures and record the loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.common import streams
from spaces.common.errors import InputError
from spaces.darts.genotype import DartsGenotype

# Networks of DARTS cells: Figure 2, convergence against the share of skip-connections; deep against shallow cells

SHARES = (0.0, 0.375, 0.625)
"""Figure 2's: none, three and five of a DARTS cell's eight operations."""


def require_convolutions(space: Space) -> None:
    """Raise `InputError` unless every edge of a DARTS cell can be a skip-connection or a separable convolution."""
    needed = ("skip_connect", "sep_conv_3x3")
    fits = space.notation is DartsGenotype and set(needed) <= set(space.operations)
    if not (fits and all(m[:, [space.operations.index(n) for n in needed]].all() for m in space.selectable.values())):
        raise InputError(f"{space.name} has not both {' and '.join(needed)} on all edges; choose darts, s2 or s3")


def skip_genotypes(space: Space, seed: int, shares: Sequence[float] = SHARES) -> dict[float, Genotype]:
    """For each share a genotype with so many skip-connections and else 3x3 separable convolutions, in both cells.

    "We first set all operations in NAS cell (normal and reduction cells) as convolution (3 × 3), and randomly select"
    those to replace (section 3.2). Which nodes are connected the paper does not say: drawn too, by `seed`, the same for
    all shares; and a larger share keeps the skip-connections of a smaller one.

    Raises `InputError` unless `space` has the DARTS cell with both operations on every edge.
    """
    require_convolutions(space)
    wiring = space.random(streams.generator(seed, "theory wiring"))
    genotypes: dict[float, Genotype] = {}
    for share in shares:
        cells = {}
        for kind in space.kinds:
            edges = wiring.edges(kind)
            order = torch.randperm(len(edges), generator=streams.generator(seed, "theory skips", kind), device="cpu")
            skips = set(order[: round(share * len(edges))].tolist())
            cells[kind] = tuple(
                ("skip_connect" if number in skips else "sep_conv_3x3", source)
                for number, (source, _, _) in enumerate(edges)
            )
        genotypes[share] = DartsGenotype(**cells)
    return genotypes


def depth_genotypes(space: Space) -> dict[str, Genotype]:
    """The `deep` and the `shallow` genotype of Theorem 4's kind in the DARTS cell, all 3x3 separable convolutions.

    In `deep` each node takes the two nodes before it, a chain of four; in `shallow` all take the cell's inputs.
    """
    require_convolutions(space)
    first = DartsGenotype.inputs
    sources = {
        "deep": [(node - 2, node - 1) for node in range(first, first + DartsGenotype.nodes)],
        "shallow": [(0, 1)] * DartsGenotype.nodes,
    }
    cells = {name: tuple(("sep_conv_3x3", s) for pair in pairs for s in pair) for name, pairs in sources.items()}
    return {name: DartsGenotype(normal=cell, reduce=cell) for name, cell in cells.items()}


# Theorem 4: a deep against a shallow cell, in the paper's own model (section 3.2)


@dataclass(frozen=True)
class Gates:
    """The cell of eqs. 3-4: from node s to node l > s a skip-connection times `skip[l, s]` and a convolution times
    `conv[l, s]`, both `[h, h]`; the nodes in `inputs` take the resized image instead.
    """

    skip: Tensor
    conv: Tensor
    inputs: tuple[int, ...] = (0,)

    def rate(self) -> float:
        """λ of Theorem 1 up to its constants: Σ_s conv[h-1, s]² ∏_t skip[s, t]², over the last node's branch.

        For the deep cell that is λ_A; for the shallow one the term by which Theorem 4 bounds λ_B - λ_A from below. (Its
        sum ends at the node before the last; printed is h - 1, a gate from the last node to itself.)
        """
        last, first = len(self.skip) - 1, max(self.inputs)
        terms = (self.conv[last, s] ** 2 * (self.skip[s, first:s] ** 2).prod() for s in range(first, last))
        return float(sum(terms, torch.zeros(())))


def deep(nodes: int, skip: float, conv: float) -> Gates:
    """Cell A of Figure 3: every node takes all nodes before it, each through both operations."""
    ones = torch.ones(nodes, nodes, device="cpu").tril(-1)
    return Gates(skip * ones, conv * ones)


def shallow(cell: Gates) -> Gates:
    """Cell B of Figure 3: the same gates, but for those between the nodes' halves; each half takes the image."""
    nodes = len(cell.skip)
    if nodes % 2:
        raise InputError(f"a cell of {nodes} nodes has no two halves")
    half = torch.arange(nodes, device="cpu") < nodes // 2
    within = half[:, None] == half
    return Gates(cell.skip * within, cell.conv * within, (0, nodes // 2))


class TheoryCell(nn.Module):
    """The one-cell network of eqs. 3-5 on signals `[n, channels, length]`, giving one number each.

    All parameters are standard normal (assumption 2); a convolution is σ(W Φ(X)) / sqrt(width) with kernel 3 and
    softplus, which the paper names as one that satisfies assumption 1.
    """

    def __init__(self, gates: Gates, channels: int, length: int, width: int) -> None:
        super().__init__()
        self.gates = gates
        self.width = width
        nodes = range(len(gates.skip))
        self.stem = nn.ParameterDict({str(l): torch.randn(width, channels, 3) for l in gates.inputs})
        self.convolutions = nn.ParameterDict(
            {f"{s}-{l}": torch.randn(width, width, 3) for l in nodes for s in range(l) if gates.conv[l, s] != 0}
        )
        self.linear = nn.Parameter(torch.randn(len(nodes), width, length))

    def forward(self, x: Tensor) -> Tensor:
        """Predictions u `[n]` (eq. 5)."""
        states: list[Tensor] = []
        for l in range(len(self.gates.skip)):
            if l in self.gates.inputs:
                states.append(self._convolved(self.stem[str(l)], x))
                continue
            node = torch.zeros_like(states[0])
            for s, state in enumerate(states):
                node = node + self.gates.skip[l, s] * state
                if f"{s}-{l}" in self.convolutions:
                    node = node + self.gates.conv[l, s] * self._convolved(self.convolutions[f"{s}-{l}"], state)
            states.append(node)
        return torch.einsum("sncp,scp->n", torch.stack(states), self.linear)

    def _convolved(self, kernel: Tensor, x: Tensor) -> Tensor:
        return F.softplus(F.conv1d(x, kernel, padding=1)) / sqrt(self.width)


def problem(samples: int, channels: int, length: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random signals `[samples, channels, length]` of norm 1 (assumption 3) and standard normal targets `[samples]`."""
    source = streams.generator(seed, "theory problem")
    x = torch.randn(samples, channels, length, generator=source, dtype=torch.float64, device="cpu")
    y = torch.randn(samples, generator=source, dtype=torch.float64, device="cpu")
    return x / x.flatten(1).norm(dim=1)[:, None, None], y


def theory_cell(gates: Gates, channels: int, length: int, width: int, seed: int) -> TheoryCell:
    """A float64 cell at its random start."""
    with streams.seeded(seed, "theory cell"):
        return TheoryCell(gates, channels, length, width).double()


def descent(cell: TheoryCell, x: Tensor, y: Tensor, learning_rate: float, steps: int) -> list[float]:
    """The squared loss F (eq. 5) before each of `steps` steps of gradient descent (eq. 6), and after the last."""
    parameters = list(cell.parameters())
    losses = []
    for _ in range(steps + 1):
        loss = (cell(x) - y).square().mean() / 2
        losses.append(loss.item())
        with torch.no_grad():
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter.sub_(learning_rate * gradient)
    return losses


def spectrum(cell: TheoryCell, x: Tensor) -> tuple[float, float]:
    """The smallest and the largest eigenvalue of the Gram matrix of ∇u_i over n.

    The theorems bound the smallest from below: to first order a step of gradient descent shrinks F at least by the
    factor 1 - 2 η times it. The largest bounds η: beyond 2 over it, descent diverges.
    """
    parameters = list(cell.parameters())
    rows = [torch.cat([g.flatten() for g in torch.autograd.grad(u, parameters, retain_graph=True)]) for u in cell(x)]
    jacobian = torch.stack(rows)
    eigenvalues = torch.linalg.eigvalsh(jacobian @ jacobian.T) / len(x)
    return float(eigenvalues[0]), float(eigenvalues[-1])
