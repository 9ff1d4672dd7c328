"""The reduced spaces S1 to S4, in which the search of DARTS collapses: its cells, with few candidates an edge.

Zela et al., "Understanding and robustifying differentiable architecture search" (ICLR 2020), section 3.
"""

from collections.abc import Sequence
from typing import ClassVar

from spaces.darts.space import Darts

_SHORT = {
    "m": "max_pool_3x3",
    "a": "avg_pool_3x3",
    "k": "skip_connect",
    "s3": "sep_conv_3x3",
    "d3": "dil_conv_3x3",
    "d5": "dil_conv_5x5",
}

_S1 = {
    "normal": "k,d3 k,d5 k,d5 k,s3 k,d3 m,k k,s3 k,s3 k,d3 k,s3 m,k k,d3 d3,d5 d3,d5",
    "reduce": "m,a m,d3 m,a m,a k,d5 m,a m,s3 k,d3 k,d5 m,a m,a k,d5 k,d5 k,d5",
}
"""The two candidates of each of the 14 edges."""


class S1(Darts):
    """Two candidates an edge, not the same two on each: those that an earlier search ranked highest."""

    name = "s1"
    operations: ClassVar[tuple[str, ...]] = tuple(_SHORT.values())

    def allowed(self, kind: str) -> Sequence[tuple[str, ...]]:
        """The two candidates of each edge."""
        return [tuple(_SHORT[short] for short in edge.split(",")) for edge in _S1[kind].split()]


class S2(Darts):
    """`skip_connect` and `sep_conv_3x3` on every edge."""

    name = "s2"
    operations: ClassVar[tuple[str, ...]] = ("skip_connect", "sep_conv_3x3")


class S3(Darts):
    """`none`, `skip_connect` and `sep_conv_3x3` on every edge."""

    name = "s3"
    operations: ClassVar[tuple[str, ...]] = ("none", "skip_connect", "sep_conv_3x3")


class S4(Darts):
    """`noise` and `sep_conv_3x3` on every edge: noise carries nothing, so a search should never choose it."""

    name = "s4"
    operations: ClassVar[tuple[str, ...]] = ("noise", "sep_conv_3x3")
