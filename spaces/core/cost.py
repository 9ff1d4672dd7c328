"""What a network, or each operation of a supernet, costs."""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

from spaces.core.supernet import MixedCell, Supernet


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


@torch.no_grad()
def operation_costs(net: nn.Module, images: Tensor, cost: Callable[[nn.Module, Tensor], float]) -> dict[str, Tensor]:
    """What each operation of a supernet's edges costs: kind -> float64 `[cells, edges, operations]`.

    `cost(operation, its input)`, such as `multiply_adds` or `milliseconds`, is asked once for each operation and shape
    as `images` [N, C, H, W] meet them. What an edge lacks costs 0, and so does `none`. The supernet is as it was
    afterwards, its running statistics included.
    """
    assert isinstance(net, Supernet)
    cells = [module for module in net.modules() if isinstance(module, MixedCell)]
    width = len(net.operations)
    seen: dict[nn.Module, tuple[Tensor, torch.Size]] = {}

    def see(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[module] = inputs[0], output.shape

    operations = [operation for cell in cells for edge in cell.edges for operation in edge.values()]  # type: ignore[operator]
    hooks = [operation.register_forward_hook(see) for operation in operations]
    training, engine = net.training, net.engine
    net.engine = "reference"  # whose operations are called one by one
    net.eval()
    try:
        net(images, {cell.kind: images.new_ones(len(cell.edges), width) for cell in cells})
        for hook in hooks:
            hook.remove()
        costs: dict[tuple[str, torch.Size, torch.Size], float] = {}
        tables: dict[str, list[Tensor]] = {kind: [] for kind in net.cells_of}
        for cell in cells:
            table = torch.zeros(len(cell.edges), width, dtype=torch.float64)
            for number, edge in enumerate(cell.edges):
                for name, operation in edge.items():  # type: ignore[operator]
                    x, shape = seen[operation]
                    key = name, x.shape, shape
                    if key not in costs:
                        costs[key] = cost(operation, x)
                    table[number, net.operations.index(name)] = costs[key]
            tables[cell.kind].append(table)
    finally:
        for hook in hooks:
            hook.remove()
        net.engine = engine
        net.train(training)
    return {kind: torch.stack(found) for kind, found in tables.items()}
