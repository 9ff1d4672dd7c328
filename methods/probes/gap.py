"""The discretization gap: what the supernet loses when its weights become an architecture."""

from methods.search.probe import Number, Probe, View


def discretization_gap(view: View) -> dict[str, Number]:
    """The supernet's accuracy on the architecture split before and after discretizing, in %, and the difference.

    Both with the batch's own statistics and without what a derived network lacks, so that nothing but the weights
    differs; the history's `valid_accuracy` is `eval()`'s.
    """
    before = view.accuracy(view.weights)
    return {"before": before, "after": view.discrete_accuracy, "gap": before - view.discrete_accuracy}


GAP = Probe("gap", discretization_gap)
