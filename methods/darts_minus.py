"""DARTS-: robustly stepping out of performance collapse without indicators (Chu et al., ICLR 2021).

An auxiliary skip-connection stands beside the mixture of every edge, with a weight of its own:

    o(x) = β x + Σ_o softmax(α)_o o(x)

(FactorizedReduce for x where the edge strides). It gives the supernet the trainability that skip-connections give it,
so that the weight of the candidate `skip_connect` measures its quality alone. β falls from 1 to 0 over the search, so
that it has no influence when the architecture is selected.
"""

from dataclasses import replace

from methods.darts import DARTS_1ST
from methods.search.step import StepContext


def fading(at: StepContext) -> float:
    """β: from 1 to 0, linear over the search, or over each of its stages.

    The paper has no stages. Here β decays in each, since each trains a fresh supernet and ends with a selection.
    """
    return 1.0 - at.stage_progress


# The paper's space S0 is the DARTS space without `none`. Here `none` stays, as in S3, where the paper keeps it too.
DARTS_MINUS = replace(
    DARTS_1ST,
    name="darts-minus",
    title="DARTS- (auxiliary skip-connection, linear decay)",
    source="Chu et al., DARTS-: Robustly Stepping Out of Performance Collapse Without Indicators, ICLR 2021",
    auxiliary_skip=fading,
)
