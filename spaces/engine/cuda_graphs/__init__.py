"""A supernet's passes as CUDA graphs: the host launches a whole pass at once, not kernel by kernel.

The first passes of a kind run eagerly. Then their kernels are captured, and later passes replay them. Images, tables of
weights and parameters that are not the supernet's own are copied to the memory that a graph reads; logits and gradients
are copied from the memory that it writes. So a replay overwrites nothing that a caller holds. The host's decisions are
part of a graph: passes that differ in one have graphs of their own. The supernet's own parameters and buffers are read
in place: they may be written to, not replaced.

These passes run eagerly: passes that draw random numbers, that overlap (a second one begins before the first has given
its gradient), whose gradient is differentiated again, that have a gradient in `eval()` mode, or that run under a
functional transform.

A graph is used only after it has given the same bits as the eager pass, forward and backward; `OtherBits` is raised if
it does not. A pass that cannot be captured runs eagerly, or `NotCaptured` is raised where graphs are `required`.
"""

from spaces.engine.cuda_graphs.capture import GraphError, NotCaptured, OtherBits
from spaces.engine.cuda_graphs.dispatch import SETTLED, Graphs, eager

__all__ = ["SETTLED", "GraphError", "Graphs", "NotCaptured", "OtherBits", "eager"]
