"""A stranger's values: what they are taken for is declared, said or asked for, and what looks amiss is named."""

import pandas as pd
import pytest

from reports.sentences.declared_sentences import said, warnings
from reports.statistics.values.declared import declare
from reports.statistics.values.frame import LINE
from reports.statistics.values.names import alike, stripped
from spaces.common.errors import InputError


def rows(columns, *lines):
    """Rows of a file, all text, the first on line 2."""
    index = pd.Index(range(2, 2 + len(lines)), name=LINE)
    return pd.DataFrame([line.split(",") for line in lines], index, columns.split(","), dtype=str)


def two(*values, columns="method,seed,value"):
    """Rows of methods a and b, a value a seed of each in turn."""
    return rows(columns, *(f"{'ab'[place % 2]},{place // 2},{value}" for place, value in enumerate(values)))


def test_a_plain_value_is_better_higher_and_that_is_said():
    found = declare(two(91, 92, 93, 94), "f")
    assert set(found.values["better"]) == {"higher"}
    assert "Higher is better: assumed for a column 'value'" in said(found)[0]
    assert warnings(found) == []


@pytest.mark.parametrize(
    ("column", "better", "unit"),
    [
        *(("Accuracy", "higher", "%"), ("test error", "lower", "%"), ("PPL", "lower", "not stated")),
        *(("seconds", "lower", "not stated"), ("top1", "higher", "%")),
    ],
)
def test_a_column_may_be_named_as_its_metric(column, better, unit):
    found = declare(two(55.1, 57.2, 56.3, 58.4, columns=f"Method,SEED,{column}"), "f")
    assert set(found.values["better"]) == {better}
    assert set(found.values["unit"]) == {unit}
    assert said(found)[0].startswith(f"{better.capitalize()} is better: the metric is '{column.casefold()}'")


def test_what_is_declared_goes_before_what_a_name_says():
    given = rows("method,seed,value,better", "a,0,1.5,Lower", "b,0,2.5,lower")
    assert set(declare(given, "f").values["better"]) == {"lower"}
    assert set(declare(given, "f", better="higher").values["better"]) == {"higher"}
    assert set(declare(two(3, 4, columns="method,seed,accuracy"), "f", better="lower").values["better"]) == {"lower"}


def test_a_convention_says_which_way_a_plain_value_is_better():
    given = rows("method,seed,value,convention", "a,0,3.1,test error", "b,0,2.9,test error")
    found = declare(given, "f")
    assert (set(found.values["better"]), set(found.values["unit"])) == ({"lower"}, {"%"})
    assert said(found)[0] == "Lower is better: by the convention."


def test_blocks_may_be_better_in_two_ways():
    given = rows(
        "method,dataset,seed,value,convention", "a,cifar10,0,97,test accuracy", "a,ptb,0,55.7,validation perplexity"
    )
    found = declare(given, "f")
    assert list(found.values["better"]) == ["higher", "lower"]
    assert said(found)[0] == "Higher is better on cifar10, lower on ptb: by the convention."
    assert list(found.values["unit"]) == ["%", "not stated"]


def test_the_column_of_the_value_is_asked_for_where_it_cannot_be_told():
    given = rows("method,seed,accuracy,loss", "a,0,97,0.1", "b,0,96,0.2")
    with pytest.raises(InputError, match="columns accuracy and loss may each be the value: say --metric 'accuracy'"):
        declare(given, "f")
    assert set(declare(given, "f", "Loss").values["better"]) == {"lower"}
    # What a method costs is not how good it is.
    costly = rows("method,seed,params,accuracy", "a,0,3300000,97", "b,0,3200000,96")
    assert list(declare(costly, "f").values["value"]) == [97.0, 96.0]
    with pytest.raises(InputError, match="unknown metric 'param': did you mean 'params'"):
        declare(costly, "f", "param")


def test_which_way_an_unknown_metric_is_better_is_asked_for():
    given = two(3, 4, columns="method,seed,depth")
    with pytest.raises(InputError, match="is 'depth' better higher or lower\\? say --better higher or lower"):
        declare(given, "f", "depth")
    assert list(declare(given, "f", "depth", "higher").values["value"]) == [3.0, 4.0]
    with pytest.raises(InputError, match="column 'value' is missing"):
        declare(given, "f")


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        *(((0.971, 0.968), "fraction"), ((97.1, 96.8), "%"), ((0, 1), "fraction"), ((97.1, 100.4), "not stated")),
        *(((-1, 40), "not stated"), (("97.24%", "97.00 %"), "%")),
    ],
)
def test_a_plain_value_is_read_as_what_it_may_be(values, unit):
    found = declare(two(*values), "f")
    assert set(found.values["unit"]) == {unit}
    assert any("stay within" in words for words in said(found)) == (unit != "not stated")


def test_percent_signs_are_read_and_counted():
    assert list(declare(two("97.24%", "96.5 %"), "f").values["value"]) == [97.24, 96.5]
    (warning,) = warnings(declare(two("97.24%", "96.5"), "f"))
    assert warning.startswith("1 of 2 values have a percent sign")


def test_seeds_are_paired_where_that_is_declared():
    given = two(91, 92, 93, 94)
    assert set(declare(given, "f").values["shared"]) == {"nothing"}
    assert said(declare(given, "f"))[-1].startswith("Seeds are labels: methods are compared unpaired")
    assert set(declare(given, "f", paired=True).values["shared"]) == {"what --paired declares"}
    named = given.assign(shared="initial weights")
    assert set(declare(named, "f").values["shared"]) == {"initial weights"}
    assert set(declare(named, "f", paired=False).values["shared"]) == {"nothing"}


def test_blanks_around_names_are_removed_and_that_is_said():
    given = rows("method,dataset,seed,value", "PDARTS ,cifar10,0,97", "PDARTS,cifar10\u00a0,1,96", "DARTS,cifar10,0,95")
    found = declare(given, "f")
    assert sorted(set(found.values["method"])) == ["DARTS", "PDARTS"]
    assert set(found.values["dataset"]) == {"cifar10"}
    assert said(found)[0] == "Blanks around names were removed: method 'PDARTS ' in line 2, and in 1 more."
    with pytest.raises(InputError, match=r"method PDARTS, .* has more than one row, line 3 repeated"):
        declare(rows("method,seed,value", "PDARTS ,0,97", "PDARTS,0,96"), "f")


@pytest.mark.parametrize(
    "names",
    [
        *(("PDARTS", "P-DARTS"), ("PC_DARTS", "pc darts"), ("P\u2013DARTS", "P-DARTS"), ("CIFAR-10", "cifar10")),
        *(("Λ-DARTS", "λ-darts"), ("ＤＡＲＴＳ", "DARTS"), ("DAR\u00adTS", "DARTS")),
    ],
)
def test_names_that_differ_only_in_how_they_are_written_are_named(names):
    assert alike([*names, "another"]) == [sorted(names)]
    found = declare(rows("method,seed,value", *(f"{name},0,97" for name in names)), "f")
    assert found.alike == [("method", sorted(names))]
    (warning,) = warnings(found)
    assert all(repr(name) in warning for name in names)


@pytest.mark.parametrize(
    "names",
    [
        *(("DARTS-", "DARTS", "DARTS+"), ("lr=1e-3", "lr=1e3"), ("wd -1", "wd 1"), ("k=1-2", "k=12"), ("v1 2", "v12")),
        *(("wd=0.0003", "wd=0.0009"), ("darts-1st", "darts-2nd")),
    ],
)
def test_what_may_tell_names_apart_is_kept(names):
    assert alike(names) == []


def test_blanks_without_width_are_blanks():
    assert stripped("\ufeff\u00a0 P DARTS\u200b\t") == "P DARTS"


@pytest.mark.parametrize(
    ("values", "warned"),
    [
        *(((0.971, 97.1), True), ((0.5, 50), True), ((0.97, 0.5), False), ((97, 50), False), ((0.9, 5.2), False)),
        *(((0, 97), False), ((1, 2.5), False)),
    ],
)
def test_fractions_beside_percentages_are_named(values, warned):
    found = warnings(declare(two(*values), "f"))
    assert bool(found) == warned
    if warned:
        assert f"{values[0]:g} (a, line 2) beside {values[1]:g} (b, line 3)" in found[0]


def test_scales_are_those_of_one_convention():
    columns = "method,dataset,seed,value,convention"
    apart = rows(columns, "a,x,0,0.97,test accuracy", "a,y,0,97,test accuracy")
    assert len(warnings(declare(apart, "f"))) == 1  # accuracies of two data sets are of one unit as well
    assert warnings(declare(rows(columns, "a,x,0,0.97,F1 score", "a,x,1,97,test accuracy"), "f")) == []
    errors = rows("method,dataset,seed,error", "a,mnist,0,0.4", "a,cifar10,0,13.1")
    assert warnings(declare(errors, "f")) == []  # an error of 0.4 % is nothing odd on another data set
    assert warnings(declare(two(0.4, 40, columns="method,seed,seconds"), "f")) == []
