"""Comparisons of shares of collapsed searches, in words."""

from typing import Any

import pandas as pd

from reports.sentences.numbers import p_is
from reports.statistics.verdict import ABSENT


def statements(frame: pd.DataFrame) -> list[str]:
    """A sentence for each row of `reports.statistics.contrasts.compare_shares`."""
    return [_statement(row) for row in frame.to_dict("records")]


def _statement(row: dict[Any, Any]) -> str:
    if row["verdict"] == ABSENT:
        return f"{row['label']} against {row['against']}: not compared, as one of them has no trial with a history."
    seen = f"{row['collapsed']} of {row['n']} and {row['collapsed_against']} of {row['n_against']} searches collapsed"
    tested = f"Fisher's exact test, {p_is(row['p'])}, Holm {p_is(row['p_holm'])} over {row['family']}"
    return f"{row['label']} against {row['against']}: {row['verdict']}; {seen} ({tested})."
