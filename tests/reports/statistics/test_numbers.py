"""Numbers as sentences and tables write them."""

import pytest

from reports.sentences.numbers import signed, two_decimals


@pytest.mark.parametrize(
    ("value", "plain", "with_sign"),
    [
        (93.104, "93.10", "+93.10"),
        (0.005, "0.01", "+0.01"),
        (0.00432, "0.0043", "+0.0043"),
        (-1.26e-4, "−0.00013", "−0.00013"),
        (0.0, "0.00", "+0.00"),
        (1e-15, "0.00", "+0.00"),
    ],
)
def test_a_value_is_not_written_as_zero_unless_it_is(value: float, plain: str, with_sign: str) -> None:
    assert (two_decimals(value), signed(value)) == (plain, with_sign)
