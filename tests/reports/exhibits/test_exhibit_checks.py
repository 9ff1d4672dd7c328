"""A mistake in an exhibit's file is one line that names the file, the key and the remedy."""

import pytest

from spaces.common.errors import InputError


@pytest.mark.parametrize(
    ("claims", "edit", "words"),
    [
        ({"kind": "beats", "against": ["darts-first"]}, (), "claims.1: unknown method 'darts-first'"),
        ({"kind": "beats", "against": ["darts-1st"], "metric": "test acuracy"}, (), "did you mean 'test accuracy'"),
        ({"kind": "wins", "against": ["darts-1st"]}, (), "claims.1.kind"),
        ({"kind": "beats"}, (), "a claim that beats needs against"),
        ({"kind": "reproduces", "value": 1.0}, (), "needs within"),
        ({"kind": "costs", "against": ["darts-1st"], "value": 2.0, "within": 0.5}, (), "must be a factor above 1"),
        ('\n[rows."DARTS (3rd)"]\nmethod = "darts-1st"\n', (), "rows: unknown row 'DARTS (3rd)'"),
        ("", ("lambda-darts", "lamda-darts"), "unknown paper 'lamda-darts'"),
        ("", ('"methods"', '"method"'), "layout"),
        ("", ('"methods"', '"sweep"'), "x, y: a sweep needs both"),
        ("", ('"Table 1"', '"Table 99"'), "needs published cells"),
        ("", ("caption", "captoin"), "did you mean 'caption'"),
        ("", ('searched_on = "cifar10"', 'searched_on = "cifar"'), "did you mean 'cifar10'"),
        ("", ('title = "By hand"', 'title = "By hand'), "not a TOML file"),
        ("", ("seeds = [0, 1, 2, 3]", 'seeds = ["a"]'), "trials.1.seeds.1"),
        ("", ("searched_on", 'genotypes = ["DARTS_V9"]\nsearched_on'), "did you mean 'DARTS_V"),
    ],
)
def test_a_bad_exhibit_is_one_clear_line(exhibit, claim, head, claims, edit, words):
    text = claims if isinstance(claims, str) else claim(**claims)
    with pytest.raises(InputError) as error:
        exhibit(text, head.replace(*edit, 1) if edit else head)
    assert "by-hand.toml" in str(error.value)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
