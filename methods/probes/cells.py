"""The cell that a search would return now: what it is made of."""

from methods.search.probe import Number, Probe, View


def composition(view: View) -> dict[str, Number]:
    """Share of skip-connections and of `none`, number of operations that learn, and depth, of each kind of cell."""
    found: dict[str, Number] = {}
    for kind in view.genotype.kinds:
        edges = len(view.genotype.edges(kind))
        found[f"skips.{kind}"] = view.genotype.skip_share(kind)
        found[f"none.{kind}"] = view.genotype.count(kind, "none") / edges
        found[f"parametric.{kind}"] = view.genotype.parametric(kind)
        found[f"depth.{kind}"] = view.genotype.depth(kind)
    return found


CELL = Probe("cell", composition, supernet=False)
