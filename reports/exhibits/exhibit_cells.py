"""The drawings of an exhibit with the layout `cells`: published genotypes, and the cells that its trials found."""

from collections.abc import Iterator

import pandas as pd

from reports.exhibits.exhibit import Exhibit
from reports.exhibits.exhibit_figures import trial_labels
from reports.exhibits.metrics import named
from reports.exhibits.scale_groups import ScaleGroup
from reports.figures.report_figure import ReportFigure
from reports.figures.search_figures import cell_name, cell_report_figure
from reports.published.published_numbers import genotypes
from reports.records.blocks import SpaceOf, slug
from reports.sentences.numbers import two_decimals
from spaces.cells.genotype import Genotype


def published_cells(exhibit: Exhibit, space_of: SpaceOf) -> Iterator[ReportFigure]:
    """The cells of the exhibit's published `genotypes`."""
    known = genotypes().set_index("name")
    for name in exhibit.genotypes:
        row = known.loc[name]
        genotype = space_of(str(row["space"])).parse(str(row["genotype"]))
        for kind in genotype.kinds:
            words = ("Published", f"the published {name}", f" ({row['source']})")
            yield _cell(exhibit, genotype, kind, name, *words)


def found_cells(exhibit: Exhibit, group: ScaleGroup, values: pd.DataFrame, space_of: SpaceOf) -> Iterator[ReportFigure]:
    """The cells that the first seed of each method found, with that trial's numbers.

    `values` are those of `reports.exhibits.claim_values.compared_values`.
    """
    labels = group.records["key"].map(trial_labels(exhibit, group))
    first = group.records.assign(label=labels).sort_values("seed").drop_duplicates(["label", "space", "dataset"])
    for trial in first.to_dict("records"):
        genotype = space_of(trial["space"]).parse(trial["genotype"])
        name = f"{trial['label']}, {trial['space']}, {trial['dataset']}, seed {trial['seed']}"
        own = values[values["key"] == trial["key"]].drop_duplicates(["metric", "where"])
        numbers = zip(own["metric"].map(named), own["value"], strict=True)
        words = "".join(f", {metric[:1].lower()}{metric[1:]} {two_decimals(value)}" for metric, value in numbers)
        for kind in genotype.kinds:
            yield _cell(exhibit, genotype, kind, str(trial["key"]), "Measured", name, f"{words} ({group.conditions})")


def _cell(
    exhibit: Exhibit, genotype: Genotype, kind: str, key: str, origin: str, name: str, where: str
) -> ReportFigure:
    share = f"skip share {two_decimals(genotype.skip_share(kind))}"
    caption = f"{origin}: {cell_name(kind)} of {name}, {share}{where}."
    return cell_report_figure(genotype, kind, f"{exhibit.slug}-{slug(key)}-{slug(kind)}", caption, f"{name}, {share}")
