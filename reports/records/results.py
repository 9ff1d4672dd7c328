"""What a report is made of: records and histories, checked, cut into blocks and trials, and summarised once."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from reports.records.blocks import Block, blocks, completed


@dataclass(frozen=True)
class Results:
    """`records` and `histories` as `suite.store.load_frames` gives them, and the `blocks` of the records.

    Every page, table and figure of a report takes the same object, so that a block's values are checked, summarised and
    compared once (`Block.summary`, `Block.comparison`).
    """

    records: pd.DataFrame
    histories: pd.DataFrame
    blocks: list[Block]

    @classmethod
    def of(cls, records: pd.DataFrame, histories: pd.DataFrame) -> "Results":
        """The results of `records` and `histories`. Raises `InputError` as `reports.records.blocks.blocks`."""
        complete = completed(records)
        return cls(complete, histories, blocks(complete))

    @cached_property
    def methods(self) -> list[str]:
        """The labels of every block in turn; a label occurs once for each of its blocks."""
        return [label for block in self.blocks for label in block.methods]

    @cached_property
    def conditions(self) -> str:
        """The distinct conditions of the blocks, in words."""
        return "; ".join(dict.fromkeys(block.conditions for block in self.blocks))

    @cached_property
    def by_trial(self) -> dict[str, pd.DataFrame]:
        """Each trial's rows of `histories`, in the order of its epochs, by key; trials without history are absent."""
        return by_trial(self.histories)

    def history(self, key: str) -> pd.DataFrame:
        """The epochs of the trial with this key; no rows if it has no history."""
        return self.by_trial.get(key, self.histories.iloc[:0])

    def protocols(self) -> Iterator[list[Block]]:
        """The blocks of each protocol and task: neither scales nor metrics mix, within a mean or across blocks."""
        for alike in sorted({(block.protocol, block.task) for block in self.blocks}):
            yield [block for block in self.blocks if (block.protocol, block.task) == alike]


def by_trial(histories: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Each trial's rows of `histories` by its key, in the order of its epochs.

    One pass over the frame: a selection for each key would read all of it for every trial.
    """
    if histories.empty:
        return {}
    return {str(key): rows.sort_values("epoch") for key, rows in histories.groupby("key", sort=False)}
