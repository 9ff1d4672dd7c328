"""Whether pairing by seed narrowed the intervals, in words."""

import pandas as pd

from reports.sentences.numbers import two_decimals
from spaces.common.plural import counted


def statements(frame: pd.DataFrame) -> list[str]:
    """Of rows of `reports.statistics.comparison.compare`: what paired methods share, and what pairing gained; nothing
    if none are paired.

    One sentence for each distinct thing that is shared.
    """
    paired = frame[frame["paired"].astype(bool)]
    return [_statement(str(shared), rows) for shared, rows in paired.groupby("shared", sort=True)]


def _statement(shared: str, rows: pd.DataFrame) -> str:
    said = f"Methods are paired by seed, because trials of one seed share {shared}."
    measured = rows[rows["width"].notna()]
    if measured.empty:
        return f"{said} With so few seeds the gain of pairing cannot be measured."
    paid, count = int((measured["width"] < 1).sum()), len(measured)
    over = "correlation over seeds" if count == 1 else "correlations over seeds"
    wide = "interval" if count == 1 else "intervals"
    if count == 1:
        verdict = "Pairing narrowed the interval" if paid else "Pairing did not narrow the interval"
    else:
        verdict = f"Pairing narrowed the interval in {paid} of {counted(count, 'comparison')}"
    return (
        f"{said} {verdict}: {over} {_range(measured['correlation'])}, {wide} {_range(measured['width'])} times as wide "
        "as unpaired."
    )


def _range(numbers: "pd.Series[float]") -> str:
    low, high = two_decimals(float(numbers.min())), two_decimals(float(numbers.max()))
    return low if low == high else f"{low} to {high}"
