"""Whether pairing by seed narrowed the intervals, in words."""

import pandas as pd

from reports.sentences.numbers import two_decimals
from spaces.common.plural import counted


def statements(frame: pd.DataFrame) -> list[str]:
    """Of rows of `reports.statistics.comparison.compare`: what paired methods share, and whether that paid; nothing
    if none are.

    One sentence for each distinct thing that is shared.
    """
    paired = frame[frame["paired"].astype(bool)]
    return [_statement(str(shared), rows) for shared, rows in paired.groupby("shared", sort=True)]


def _statement(shared: str, rows: pd.DataFrame) -> str:
    said = f"Methods are paired by seed, as trials of one seed share {shared}."
    measured = rows[rows["width"].notna()]
    if measured.empty:
        return f"{said} Whether that paid cannot be told of so few seeds."
    paid, count = int((measured["width"] < 1).sum()), len(measured)
    over = "correlation over seeds" if count == 1 else "correlations over seeds"
    wide = "interval" if count == 1 else "intervals"
    if count == 1:
        verdict = "It paid" if paid else "It did not pay"
    else:
        verdict = f"It paid in {paid} of {counted(count, 'comparison')}"
    return (
        f"{said} {verdict}: {over} {_range(measured['correlation'])}, {wide} {_range(measured['width'])} times as wide "
        "as unpaired."
    )


def _range(numbers: "pd.Series[float]") -> str:
    low, high = two_decimals(float(numbers.min())), two_decimals(float(numbers.max()))
    return low if low == high else f"{low} to {high}"
