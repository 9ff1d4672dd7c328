"""The cost of a network, and of each operation of a supernet."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

from spaces.cells.mixed_cell import MixedCell
from spaces.cells.supernet import SpaceTables, Supernet


@torch.no_grad()
def multiply_adds(net: nn.Module, image: Tensor) -> int:
    """The multiply-adds of the convolutions and linear layers that `net` runs on one image `[1, C, H, W]`.

    Biases, batch norms, poolings and sums are not counted. The network runs on the image, which takes a fraction of a
    second; torch's own counter and its meta device take several to import.
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
    """The median time of `repeats` passes of `operation` over `x`, on the device of `x`, after three to warm up."""

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
    """The cost of one operation at one shape.

    `input` and `output` are shapes `[N, C, H, W]`; `at` is every (kind, cell, edge) of the supernet with that
    operation and shape. Cells are numbered within their kind, edges within their cell.
    """

    operation: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    cost: float
    at: tuple[tuple[str, int, int], ...]


@torch.no_grad()
def operation_costs(net: nn.Module, images: Tensor, cost: Callable[[nn.Module, Tensor], float]) -> list[Cost]:
    """The cost of each operation of a supernet's edges on `images` [N, C, H, W], once for each shape of its input.

    `cost(operation, its input)` is, for example, `multiply_adds` or `milliseconds`. `none` is never computed, costs
    nothing and is not listed. The supernet is left unchanged, with its running statistics.
    """
    assert isinstance(net, Supernet)
    cells = [module for module in net.modules() if isinstance(module, MixedCell)]
    shapes: dict[nn.Module, tuple[Tensor, torch.Size]] = {}

    def record_shapes(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        shapes[module] = inputs[0], output.shape

    operations = [operation for cell in cells for edge in cell.edges for operation in edge.values()]  # type: ignore[operator]
    hooks = [operation.register_forward_hook(record_shapes) for operation in operations]
    training, engine = net.training, net.engine
    net.engine = "reference"  # which calls the operations one by one
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
                    x, shape = shapes[operation]
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


def cost_tables(costs: Iterable[Cost], space: SpaceTables, cells: int) -> dict[str, Tensor]:
    """The costs of a supernet of size `cells`: kind -> float64 `[cells of the kind, edges, operations]`; else 0."""
    tables = {
        kind: torch.zeros(space.cells_of(kind, cells), *mask.shape, dtype=torch.float64, device="cpu")
        for kind, mask in space.mask.items()
    }
    for each in costs:
        for kind, cell, edge in each.at:
            tables[kind][cell, edge, space.operations.index(each.operation)] = each.cost
    return tables
