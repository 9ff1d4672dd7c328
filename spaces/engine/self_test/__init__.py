"""The self-test of a device: everything that it computes in a search, against float64 on the CPU.

Nothing that the device itself computes serves as the reference: its own torch may be wrong (`operations.pool_input`).

- `kernel_cases`, `convolution_cases`: the functions of a family of kernels; `module_cases`: the reference's modules.
- `examples`, `whole_nets`: small supernets of every registered space, and networks derived from them; `margins`: how
  far their numbers keep from ties.
- `compile_ahead`: compiles what the tests of a GPU need, all at once.
- `tolerances`: what error is allowed, and why; `precision`: the precision of float32 products.
- `checks`: all of it for one way of computing (`spaces.engine.ways`), finding by finding.
"""

from spaces.engine.self_test.inputs import added
from spaces.engine.self_test.kernel_cases import cases
from spaces.engine.self_test.kernel_checks import compared, disagreement

__all__ = ["added", "cases", "compared", "disagreement"]
