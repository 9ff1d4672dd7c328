"""Verdicts on claims, from records made by hand."""

from typing import Any

import pytest

from reports.exhibits.claim_tests import SUPPORTED, UNDECIDED, UNMEASURED, UNSUPPORTED
from reports.exhibits.scale_groups import scale_groups
from reports.exhibits.verdicts import claim_verdicts
from spaces import get_space

CLEAR = [94.0, 93.5, 93.9, 94.1, 93.8, 93.7, 94.2, 93.6]
LOW = [60.0, 61.0, 65.0, 59.0, 62.0, 61.5, 63.0, 60.5]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (CLEAR, LOW, SUPPORTED),
        (LOW, CLEAR, UNSUPPORTED),
        (CLEAR[:4], LOW[:4], UNDECIDED),  # four pairs: the smallest p is 1/8
        (CLEAR, [x + 0.01 * (-1) ** i for i, x in enumerate(CLEAR)], UNSUPPORTED),  # equally good
    ],
)
def test_beats(exhibit, first, second, expected, runs, verdict, claim):
    made = exhibit(claim("beats", against=["darts-1st"]))
    found = verdict(made, runs({"lambda-darts": first, "darts-1st": second}))
    assert found["verdict"] == expected
    assert found["seeds"] == len(first)
    assert found["scale"].startswith("cpu: 2 epochs")


def test_beats_needs_every_one_that_it_names(exhibit, runs, verdict, claim):
    made = exhibit(claim("beats", against=["darts-1st", "darts-2nd"]))
    some = verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": LOW}))
    assert some["verdict"] == UNMEASURED
    assert "darts-2nd" in some["why"]
    assert verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": LOW, "darts-2nd": LOW}))["verdict"] == SUPPORTED
    mixed = verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": LOW, "darts-2nd": [x + 5 for x in CLEAR]}))
    assert mixed["verdict"] == UNSUPPORTED


def test_comparisons_of_an_exhibit_are_one_family(exhibit, frames, runs, verdict, claim):
    """Six pairs have p = 1/32 at the least: alone it is enough, beside a second comparison it is not."""
    rows = runs({"lambda-darts": CLEAR[:6], "darts-1st": LOW[:6], "darts-2nd": LOW[:6]})
    alone = exhibit(claim("beats", against=["darts-1st"]))
    assert verdict(alone, rows)["verdict"] == SUPPORTED
    both = exhibit(
        claim("beats", against=["darts-1st"])
        + claim("beats", against=["darts-2nd"]).replace("So it is", "So it is, too")
    )
    found = claim_verdicts(both, scale_groups(both, *frames(rows)), get_space)
    assert list(found["verdict"]) == [UNDECIDED, UNDECIDED]
    assert all("2 comparisons of the exhibit" in why for why in found["why"])


def test_less_of_an_error_is_better(exhibit, runs, verdict, claim):
    made = exhibit(claim("beats", against=["darts-1st"], metric="test error"))
    assert verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": LOW}))["verdict"] == SUPPORTED


def test_matches(exhibit, runs, verdict, claim):
    made = exhibit(claim("matches", against=["darts-1st"], within=0.5))
    same = [x + 0.1 * (-1) ** i for i, x in enumerate(CLEAR)]
    assert verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": same}))["verdict"] == SUPPORTED
    assert verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": LOW}))["verdict"] == UNSUPPORTED
    wide = [x + 4 * (-1) ** i for i, x in enumerate(CLEAR)]
    assert verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": wide}))["verdict"] == UNDECIDED


def test_reproduces(exhibit, runs, verdict, claim):
    made = exhibit(claim("reproduces", value=94.36, within=0.5))
    assert verdict(made, runs({"lambda-darts": [94.3, 94.4, 94.35, 94.36]}))["verdict"] == SUPPORTED
    assert verdict(made, runs({"lambda-darts": [91.3, 91.4, 91.35, 91.36]}))["verdict"] == UNSUPPORTED
    assert verdict(made, runs({"lambda-darts": [90.0, 98.0]}))["verdict"] == UNDECIDED
    reduced = verdict(made, runs({"lambda-darts": [94.3, 94.4]}, evaluation="retrained"))
    assert (reduced["verdict"], "reduced protocol" in reduced["why"]) == (UNMEASURED, True)


def test_collapses_and_resists(exhibit, all_skips, runs, verdict, claim):
    all_of_it = runs({"lambda-darts": [54.3] * 6}, genotype=all_skips)
    none_of_it = runs({"lambda-darts": [94.0] * 6})
    for kind, expected in (("collapses", (SUPPORTED, UNSUPPORTED)), ("resists", (UNSUPPORTED, SUPPORTED))):
        made = exhibit(claim(kind))
        assert (verdict(made, all_of_it)["verdict"], verdict(made, none_of_it)["verdict"]) == expected
        assert verdict(made, [*all_of_it[:2], *none_of_it[2:]])["verdict"] == UNDECIDED
        # Five of five come of a fair coin in 2 of 32 cases.
        found = verdict(made, all_of_it[:5])
        assert found["verdict"] == UNDECIDED
        assert "p = 0.062" in found["why"]


def test_costs(exhibit, trial, runs, verdict, claim):
    made = exhibit(claim("costs", against=["darts-1st"], value=2.0, within=1.25))
    base = runs({"darts-1st": [60.0] * 4})

    def at(seconds: list[float]) -> list[dict[str, Any]]:
        return [trial("lambda-darts", seed, 60.0, search_seconds=s) for seed, s in enumerate(seconds)]

    assert verdict(made, base + at([200, 205, 195, 200]))["verdict"] == SUPPORTED
    assert verdict(made, base + at([800, 805, 795, 800]))["verdict"] == UNSUPPORTED
    assert verdict(made, base + at([100, 400, 150, 300]))["verdict"] == UNDECIDED


def test_a_probe_at_the_last_epoch(exhibit, runs, verdict, claim):
    text = claim("beats", against=["darts-1st"], metric="last probe.alignment.cosine.valid", higher=True)
    made = exhibit(text)
    found = verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": LOW}))
    # Both have the seed's tenth: level, and equivalent.
    assert found["verdict"] == UNSUPPORTED
    assert "level with" in found["why"]


def test_a_claim_without_trials_is_not_measured(exhibit, claim):
    made = exhibit(claim("beats", against=["gdas"]))
    found = claim_verdicts(made, [], get_space).iloc[0]
    assert found["verdict"] == UNMEASURED
