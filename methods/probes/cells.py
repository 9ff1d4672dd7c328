"""The composition of the cells that a search would return now."""

from methods.search.probe import Number, Probe, View


def composition(view: View) -> dict[str, Number]:
    """Share of skip-connections and of `none`, number of operations that learn, and depth, of each kind of cell."""
    columns: dict[str, Number] = {}
    for kind in view.genotype.kinds:
        edges = len(view.genotype.edges(kind))
        columns[f"skips.{kind}"] = view.genotype.skip_share(kind)
        columns[f"none.{kind}"] = view.genotype.count(kind, "none") / edges
        columns[f"parametric.{kind}"] = view.genotype.parametric(kind)
        columns[f"depth.{kind}"] = view.genotype.depth(kind)
    return columns


CELL = Probe("cell", composition, supernet=False)
