"""How a report came about: the environments that its trials ran in, as a lock that can be copied."""

from collections.abc import Mapping

import pandas as pd

from spaces.common.plural import counted

MACHINE = ("python", "platform", "processor", "cores")
"""Of a record's environment, what is no package."""


def locks(records: pd.DataFrame) -> list[tuple[str, str]]:
    """Each distinct environment: the number of its trials in words, and its lock, which pip reads.

    The lock names dartboard's version and commit, the machine, the engine and the data in comments, and the packages
    that numbers depend on with their versions.
    """
    texts = [_lock(record) for record in records.to_dict("records")]
    counts = pd.Series(texts).value_counts(sort=False)
    return [(counted(count, "trial"), str(text)) for text, count in counts.items()]


def _lock(record: Mapping[object, object]) -> str:
    found = record["environment"]
    assert isinstance(found, Mapping)
    lines = [f"# dartboard {record['version']}", f"# {record['device']}, threads {record['threads']}"]
    lines.append(f"# engine: {record['engine']}")
    lines += [f"# {name}: {found[name]}" for name in MACHINE if name in found]
    lines += [f"{name}=={value}" for name, value in found.items() if name not in MACHINE]
    return "\n".join(lines)


def data(records: pd.DataFrame) -> list[tuple[str, str]]:
    """Each data set, and its digest and source."""
    sources = records["dataset_source"] if "dataset_source" in records else pd.Series("", index=records.index)
    pairs = records.assign(source=sources)[["dataset", "dataset_digest", "source"]].drop_duplicates()
    return [
        (str(row["dataset"]), ", ".join(str(part) for part in (row["dataset_digest"], row["source"]) if part))
        for row in pairs.to_dict("records")
    ]
