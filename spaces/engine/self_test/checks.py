"""All that the self-test asks of one way of computing on a device."""

from collections.abc import Iterator
from itertools import chain

import torch

from spaces.cells.precision import Precision
from spaces.engine.self_test.compile_ahead import compile_ahead
from spaces.engine.self_test.examples import operations
from spaces.engine.self_test.findings import Finding, first_line
from spaces.engine.self_test.kernel_checks import kernel_findings
from spaces.engine.self_test.module_cases import module_findings
from spaces.engine.self_test.precision import in_precision
from spaces.engine.self_test.whole_nets import net_findings
from spaces.engine.ways import Way, using


def checks(way: Way, device: torch.device, precision: Precision) -> Iterator[Finding]:
    """Findings one by one, pieces first: kernels of a fast engine, modules of the reference; then whole networks."""
    with using(way), in_precision(precision):
        compile_ahead(way, device)
    if way.kernels:
        pieces = kernel_findings(way.kernels, device, precision)
    else:
        pieces = module_findings(operations(), device, precision)
    nets = net_findings(way.engine, device, precision, as_float32=way.products == "tf32x3")
    found = chain(pieces, nets)
    while True:
        try:
            with using(way), in_precision(precision):  # not around the `yield`: whoever reads may compute as well
                finding = next(found, None)
        except Exception as error:  # the device itself fails
            yield Finding("the device", float("nan"), 0.0, first_line(error))
            return
        if finding is None:
            return
        yield finding
