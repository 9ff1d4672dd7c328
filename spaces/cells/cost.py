"""What a network, or each operation of a supernet, costs."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from spaces.cells.mixed_cell import MixedCell
from spaces.cells.supernet import Supernet

if TYPE_CHECKING:
    from spaces.base import Space


@torch.no_grad()
def multiply_adds(net: nn.Module, image: Tensor) -> int:
    """The multiply-adds of the convolutions and linear layers that `net` runs on one image `[1, C, H, W]`.

    Biases, batch norms, poolings and sums are not counted. The image is really computed: it takes a fraction of a
    second, while torch's own counter and its meta device spend several on their first imports.
    """
    total = 0

    def convolution(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += output.numel() * module.weight[0].numel()

    def linear(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Linear)
        total += module.weight.numel()

    counted = {nn.Conv2d: convolution, nn.Linear: linear}
    hooks = [m.register_forward_hook(counted[type(m)]) for m in net.modules() if type(m) in counted]
    try:
        net(image)
    finally:
        for hook in hooks:
            hook.remove()
    return total


@torch.no_grad()
def milliseconds(operation: nn.Module, x: Tensor, repeats: int = 20) -> float:
    """The median time of one pass of `operation` over `x` on the device that `x` lies on, after three to warm up."""

    def seconds() -> float:
        if x.is_cuda:
            torch.cuda.synchronize(x.device)
        start = perf_counter()
        operation(x)
        if x.is_cuda:
            torch.cuda.synchronize(x.device)
        return perf_counter() - start

    return 1e3 * median([seconds() for _ in range(3 + repeats)][3:])


@dataclass(frozen=True)
class Cost:
    """What one operation costs at one shape, and every (kind, cell, edge) of a supernet where it stands with it.

    `input` and `output` are shapes `[N, C, H, W]`; cells are numbered within their kind, edges within their cell.
    """

    operation: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    cost: float
    at: tuple[tuple[str, int, int], ...]


@torch.no_grad()
def operation_costs(net: nn.Module, images: Tensor, cost: Callable[[nn.Module, Tensor], float]) -> list[Cost]:
    """What each operation of a supernet's edges costs, once for each shape as `images` [N, C, H, W] meet it.

    `cost(operation, its input)` is `multiply_adds` or `milliseconds`, say. `none` is computed nowhere and costs
    nothing: it is not listed. The supernet is as it was afterwards, its running statistics included.
    """
    assert isinstance(net, Supernet)
    cells = [module for module in net.modules() if isinstance(module, MixedCell)]
    met: dict[nn.Module, tuple[Tensor, torch.Size]] = {}

    def see(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        met[module] = inputs[0], output.shape

    operations = [operation for cell in cells for edge in cell.edges for operation in edge.values()]  # type: ignore[operator]
    hooks = [operation.register_forward_hook(see) for operation in operations]
    training, engine = net.training, net.engine
    net.engine = "reference"  # whose operations are called one by one
    net.eval()
    try:
        net(images, {cell.kind: images.new_ones(len(cell.edges), len(net.operations)) for cell in cells})
        for hook in hooks:
            hook.remove()
        costs: dict[tuple[str, torch.Size, torch.Size], float] = {}
        places: dict[tuple[str, torch.Size, torch.Size], list[tuple[str, int, int]]] = defaultdict(list)
        passed: Counter[str] = Counter()
        for cell in cells:
            for number, edge in enumerate(cell.edges):
                for name, operation in edge.items():  # type: ignore[operator]
                    x, shape = met[operation]
                    key = name, x.shape, shape
                    if key not in costs:
                        costs[key] = cost(operation, x)
                    places[key].append((cell.kind, passed[cell.kind], number))
            passed[cell.kind] += 1
    finally:
        for hook in hooks:
            hook.remove()
        net.engine = engine
        net.train(training)
    return [Cost(name, tuple(x), tuple(y), found, tuple(places[name, x, y])) for (name, x, y), found in costs.items()]


def cost_tables(costs: Iterable[Cost], space: "Space", cells: int) -> dict[str, Tensor]:
    """Costs of a supernet of `space` as kind -> float64 `[cells of the kind, edges, operations]`, 0 where none is."""
    tables = {
        kind: torch.zeros(space.cells_of(kind, cells), *mask.shape, dtype=torch.float64, device="cpu")
        for kind, mask in space.mask.items()
    }
    for each in costs:
        for kind, cell, edge in each.at:
            tables[kind][cell, edge, space.operations.index(each.operation)] = each.cost
    return tables
