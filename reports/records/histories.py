"""Histories cut into trials: whoever asks for one trial after another would walk through all of them each time."""

import pandas as pd


def courses(histories: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Each trial's rows of `histories` by its key, in the order of its epochs."""
    if histories.empty:
        return {}
    return {str(key): rows.sort_values("epoch") for key, rows in histories.groupby("key", sort=False)}
