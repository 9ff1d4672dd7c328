"""The two notations: read, written, measured, refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces import get_space
from spaces.common.errors import InputError
from spaces.darts.genotype import DartsGenotype
from spaces.nats.genotype import NatsGenotype

REST = (
    "('skip_connect', 0), ('dil_conv_3x3', 2), ('sep_conv_3x3', 0), ('sep_conv_5x5', 3), "
    "('skip_connect', 1), ('skip_connect', 4)"
)
GOOD = (
    f"Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1), {REST}], normal_concat=[2, 3, 4, 5], "
    f"reduce=[('skip_connect', 0), ('max_pool_3x3', 1), {REST}], reduce_concat=[2, 3, 4, 5])"
)


def test_text_round_trips() -> None:
    assert str(DartsGenotype.parse(GOOD)) == GOOD


def test_published_text_round_trips(published: dict[str, str]) -> None:
    for text in published.values():
        assert str(DartsGenotype.parse(text)) == text.replace("range(2, 6)", "[2, 3, 4, 5]")


def test_tuples_ranges_and_line_breaks_read_alike() -> None:
    text = "\n" + GOOD.replace("[2, 3, 4, 5]", "range(2, 6)").replace("[", "(").replace("]", ")").replace(", ", ",\n")
    assert DartsGenotype.parse(text) == DartsGenotype.parse(GOOD)


@pytest.mark.parametrize(
    "text",
    [f"genotypes.Genotype{GOOD[8:]}", f"DARTS_V1 = {GOOD}", f"\nDARTS_V1 = gt.Genotype{GOOD[8:]}  # ours\n"],
)
def test_text_as_it_is_copied_from_logs_and_modules(text: str) -> None:
    assert str(get_space("darts").parse(text)) == GOOD


def test_order_of_a_nodes_inputs_is_no_difference() -> None:
    swapped = GOOD.replace("('skip_connect', 0), ('sep_conv_3x3', 1)", "('sep_conv_3x3', 1), ('skip_connect', 0)")
    one, other = DartsGenotype.parse(GOOD), DartsGenotype.parse(swapped)
    assert str(one) != str(other)
    assert one == other
    assert hash(one) == hash(other)
    assert one != DartsGenotype(one.reduce, one.normal)
    assert one != "a text"


def test_measures_of_a_darts_cell() -> None:
    genotype = DartsGenotype.parse(GOOD)
    assert genotype.kinds == ("normal", "reduce")
    assert genotype.edges("normal") == (
        (0, 2, "skip_connect"),
        (1, 2, "sep_conv_3x3"),
        (0, 3, "skip_connect"),
        (2, 3, "dil_conv_3x3"),
        (0, 4, "sep_conv_3x3"),
        (3, 4, "sep_conv_5x5"),
        (1, 5, "skip_connect"),
        (4, 5, "skip_connect"),
    )
    assert genotype.count("normal", "skip_connect") == 4
    assert genotype.skip_share("normal") == 0.5
    assert genotype.parametric("normal") == 4
    assert genotype.depth("normal") == 4


@pytest.mark.parametrize(
    ("text", "depth", "skip_share", "parametric"),
    [
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 0, 0.0, 0),
        ("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", 1, 1 / 6, 0),
        ("|none~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|nor_conv_3x3~2|", 0, 0.0, 2),
        ("|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|none~0|none~1|nor_conv_1x1~2|", 3, 0.0, 2),
    ],
)
def test_measures_of_a_nats_cell(text: str, depth: int, skip_share: float, parametric: int) -> None:
    genotype = NatsGenotype.parse(text)
    assert str(genotype) == text
    assert genotype.depth("cell") == depth
    assert genotype.skip_share("cell") == pytest.approx(skip_share)
    assert genotype.parametric("cell") == parametric


@pytest.mark.parametrize(
    ("space", "text", "message"),
    [
        ("darts", GOOD.replace("sep_conv_5x5", "sep_conv_5x6"), "did you mean 'sep_conv_5x5'"),
        ("darts", GOOD.replace("'sep_conv_5x5', 3", "'none', 3"), "cannot select none on edge 3 -> 4"),
        ("darts", GOOD.replace("('sep_conv_5x5', 3)", "('sep_conv_5x5', 4)"), "impossible edge 4 -> 4"),
        ("darts", GOOD.replace("('sep_conv_5x5', 3)", "('sep_conv_5x5', -1)"), "impossible edge -1 -> 4"),
        ("darts", GOOD.replace("('sep_conv_5x5', 3)", "('sep_conv_5x5', 0)"), "takes input 0 twice"),
        ("darts", GOOD.replace("('sep_conv_5x5', 3), ", ""), "lists 7 operations"),
        ("darts", GOOD.replace("('sep_conv_5x5', 3)", "('sep_conv_5x5', 3, 4)"), "not a pair"),
        ("darts", GOOD.replace("('sep_conv_5x5', 3)", "('sep_conv_5x5', True)"), "not a pair"),
        ("darts", GOOD.replace("('sep_conv_5x5', 3)", "('sep_conv_5x5', n)"), "is a list"),
        ("darts", GOOD.replace("[2, 3, 4, 5]", "range(2, 10**9)"), "range(2, 6)"),
        ("darts", GOOD.replace("[2, 3, 4, 5]", "range(2, 999999999999)"), "[2, 3, 4, 5]"),
        ("darts", GOOD.replace("[2, 3, 4, 5]", "[3, 4, 5]"), "[2, 3, 4, 5]"),
        ("darts", GOOD.replace("[2, 3, 4, 5]", "__import__('os').getpid()"), "is a list"),
        ("darts", GOOD.replace("normal_concat", "normal_cat"), "exactly the arguments"),
        ("darts", GOOD[:-1], "write Genotype(normal="),
        ("darts", "", "write Genotype(normal="),
        ("darts", "\x00", "write Genotype(normal="),
        ("darts", "(" * 5000, "write Genotype(normal="),
        ("darts", "Genotype", "write Genotype"),
        ("darts", "os.system('true')", "write Genotype"),
        ("darts", f"x = {GOOD}; y = 1", "write Genotype(normal="),
        ("darts", f"x = y = {GOOD}", "write Genotype(normal="),
        ("darts", f"x[f()] = {GOOD}", "write Genotype(normal="),
        ("darts", f"f().Genotype{GOOD[8:]}", "write Genotype"),
        ("s1", GOOD, "s1"),
        ("s2", GOOD, "unknown operation of s2"),
        ("nats-tss", GOOD, "three"),
        ("nats-tss", "", "three"),
        ("nats-tss", "|none~0|+|none~0|none~1|+|none~0|none~1|skip~2|", "did you mean 'skip_connect'"),
        ("nats-tss", "|none~0|+|none~0|none~1|+|none~0|none~1|none~3|", "impossible edge"),
        ("nats-tss", "|none~0|+|none~1|none~0|+|none~0|none~1|none~2|", "impossible edge"),
        ("nats-tss", "|none~0|+|none~0|+|none~0|none~1|none~2|", "node 2 of the nats-tss genotype has 1 inputs"),
        ("nats-tss", "|none~0|+|none~0|none~1|", "2 nodes"),
        ("nats-tss", "none~0+|none~0|none~1|+|none~0|none~1|none~2|", "not a node"),
        ("nats-tss", "|none|+|none~0|none~1|+|none~0|none~1|none~2|", "impossible edge"),
    ],
)
def test_bad_text_is_one_clear_line(space: str, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        get_space(space).parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for name, candidate in (
        ("darts", text),
        ("darts", f"Genotype({text})"),
        ("darts", GOOD.replace("dil_conv_3x3", text)),
        ("nats-tss", text),
        ("nats-tss", f"|{text}~0|+|none~0|none~1|+|none~0|none~1|none~2|"),
    ):
        space = get_space(name)
        try:
            read = str(space.parse(candidate))
        except InputError as error:
            refusal = str(error)
            assert len(refusal.splitlines()) == 1
        else:
            assert str(space.parse(read)) == read


def test_a_genotype_of_another_space_is_refused(published: dict[str, str]) -> None:
    genotype = get_space("darts").parse(published["DARTS_V1"])
    with pytest.raises(InputError, match="not a genotype of nats-tss"):
        get_space("nats-tss").encode(genotype)
