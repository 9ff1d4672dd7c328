"""The discretization gap: what the supernet loses when its weights become an architecture."""

from methods.search.probe import Number, Probe, View


def discretization_gap(view: View) -> dict[str, Number]:
    """The supernet's metric (accuracy, in %) on the architecture split before and after discretizing, and the gap.

    Both with the batch's own statistics and without what a derived network lacks, so that nothing but the weights
    differs; the history's `valid_` column is `eval()`'s.
    """
    before = view.score(view.weights)
    return {"before": before, "after": view.discrete_score, "gap": before - view.discrete_score}


GAP = Probe("gap", discretization_gap)
