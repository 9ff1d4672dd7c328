"""Records that may stand in one table: one space, data set, protocol, scale and way to evaluate, nothing mixed."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from reports.statistics.comparison import compare, summarise
from reports.statistics.values.direction import HIGHER, LOWER, known
from reports.statistics.values.frame import FRACTION, PERCENT, UNSTATED, checked
from spaces.common.errors import InputError, unknown
from spaces.common.metric import ACCURACY, IMAGE_CLASSIFICATION, Metric

RECORD_COLUMNS = (
    *("key", "method", "space", "dataset", "seed", "protocol", "accuracy", "evaluation", "convention", "genotype"),
    *("skip_share", "params", "macs", "search_seconds", "evaluate_seconds", "search_steps", "epochs", "scale"),
    *("device", "engine", "threads", "version", "dataset_digest", "recipe", "settings", "environment"),
)
BASELINE = "darts-1st"
"""The method that others are compared with, in every block in which it ran."""

MARGIN = 0.5
"""Values of a metric in % within plus or minus this many percentage points count as equally good."""

NOISE = {"tabular": "search noise", "retrained": "search and retraining noise"}
"""The cause of the spread of accuracies over seeds. A table gives an architecture one value, so only the search varies;
if each search is retrained once, both vary and cannot be separated."""
UNITS = {"accuracy": PERCENT, "skip_share": FRACTION}
"""The records' columns that are bounded, and what bounds them; a block's own metric says itself."""
SAME = ["space", "dataset", "protocol", "scale", "precision", "evaluation", "dataset_digest", "task", "metric"]
USUAL_PRECISION = "fp32"


SpaceOf = Callable[[str], Any]
"""From a space's name to what knows its notation and its odds: `.parse(text) -> Genotype`, `.kinds` and `.operations`,
names in order, and `.chances(kind, operations)`, as `spaces.Space`."""


@dataclass(frozen=True)
class Block:
    """Records that agree in `SAME`, so that a mean over their seeds means something.

    `scale` is in words, the precision with it where it is not the usual one.
    `records` has a column `label` besides those of the contract: the method's name, with the settings that tell two
    configurations of it apart where the block holds several.
    """

    space: str
    dataset: str
    protocol: str
    scale: str
    evaluation: str
    dataset_digest: str
    task: str
    metric: Metric
    slug: str
    records: pd.DataFrame

    @property
    def title(self) -> str:
        """Space and data set, for a heading, and a task that is not image classification."""
        task = "" if self.task == IMAGE_CLASSIFICATION else f", {self.task}"
        return f"{self.space} on {self.dataset}{task}"

    @property
    def conditions(self) -> str:
        """Protocol and scale in words: what no number of the block may stand without."""
        return f"protocol {self.protocol} ({self.scale}), {self.evaluation}"

    @property
    def conventions(self) -> list[str]:
        """What the scores are, each distinct convention once."""
        return sorted(set(self.records["convention"].astype(str)))

    @property
    def methods(self) -> list[str]:
        """The labels, sorted."""
        return sorted(set(self.records["label"]))

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The values of the block's own metric. Raises `InputError` as `values`."""
        return self.values()

    @cached_property
    def summary(self) -> pd.DataFrame:
        """`reports.statistics.comparison.summarise` of the scores."""
        return summarise(self.scores)

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """`compare` of the scores with `margin`: against `BASELINE` if it ran, else all pairs."""
        return compare(self.scores, BASELINE if BASELINE in self.methods else None, self.margin)

    @property
    def margin(self) -> float | None:
        """Within plus or minus this much two scores count as equally good: `MARGIN` of a metric in %, else unknown."""
        return MARGIN if self.metric.unit == "%" else None

    def values(self, metric: str | None = None, better: str | None = None) -> pd.DataFrame:
        """The plain frame of `reports.statistics.comparison`: of the block's own metric, or of a column of the records.

        `better` says which way it is better, "higher" or "lower", where neither the metric nor its name does. Raises
        `InputError` where it is no numeric column or nothing says which way, or names the record in which it is not a
        finite number.
        """
        if metric in (None, self.metric.name):
            unit = PERCENT if self.metric.unit == "%" else UNSTATED
            frame = self._frame("score", self.metric.name, better or self.metric.better, unit)
            frame = frame.assign(convention=self.records["convention"], noise=NOISE.get(self.evaluation, UNSTATED))
            return checked(frame, f"records, {self.metric.name}")
        if metric == ACCURACY.name:
            raise InputError(f"records of the task {self.task} have no accuracy: their metric is {self.metric.name}")
        frame = self._column(metric, better)
        return checked(frame.assign(convention=f"{metric} of one trial"), f"records, {metric}")

    def _column(self, metric: str, better: str | None) -> pd.DataFrame:
        if metric not in self.records.columns or not pd.api.types.is_numeric_dtype(self.records[metric]):
            numeric = self.records.select_dtypes("number").columns.difference(["seed"])
            raise unknown("metric", metric, numeric)
        direction = better or known(metric)
        if direction is None:
            raise InputError(f"metric {metric!r}: is it better {HIGHER} or {LOWER}? say --better {HIGHER} or {LOWER}")
        return self._frame(metric, metric, direction, UNITS.get(metric, UNSTATED))

    def _frame(self, column: str, metric: str, better: str, unit: str) -> pd.DataFrame:
        bad = ~np.isfinite(self.records[column].to_numpy(dtype=float, na_value=np.nan))
        if bad.any():
            first = self.records[bad].iloc[0]
            raise InputError(
                f"record {first['key']}: {metric} is {first[column]}, not a finite number: delete that record and run "
                "its study again"
            )
        frame = self.records[["label", "space", "dataset", "seed", column]]
        frame = frame.set_axis(["method", "space", "dataset", "seed", "value"], axis=1)
        if self.task != IMAGE_CLASSIFICATION:
            frame = frame.assign(dataset=frame["dataset"] + f", {self.task}")
        return frame.assign(better=better, unit=unit, shared=shared(self.records))


def completed(records: pd.DataFrame) -> pd.DataFrame:
    """`records` with `task`, `metric`, `better`, `unit`, `score` and `precision`.

    Those without them are of image classification, in the usual precision.
    """
    if "precision" not in records.columns:
        records = records.assign(precision=USUAL_PRECISION)
    if "score" in records.columns or "accuracy" not in records.columns:
        return records
    metric = {"metric": ACCURACY.name, "better": ACCURACY.better, "unit": ACCURACY.unit}
    return records.assign(task=IMAGE_CLASSIFICATION, **metric, score=records["accuracy"])


def blocks(records: pd.DataFrame) -> list[Block]:
    """`records` cut into blocks, in the order of `SAME`.

    Raises `InputError` when there are no records, a column of the contract is missing, or two records are of the same
    trial with the same settings.
    """
    if records.empty:
        raise InputError("no records: run a study first, or name the folder that holds its runs")
    for column in RECORD_COLUMNS:
        if column not in records.columns:
            raise InputError(f"records: column {column!r} is missing")
    made: list[Block] = []
    for names, group in completed(records).groupby(SAME, sort=True, dropna=False):
        same = {column: str(name) for column, name in zip(SAME, names, strict=True)}
        same["scale"] = scale_words(same["protocol"], same["scale"])
        if (precision := same.pop("precision")) != USUAL_PRECISION:
            same["scale"] += f", in {precision}"
        metric = Metric(same.pop("metric"), better=group["better"].iloc[0], unit=group["unit"].iloc[0])
        task = "" if same["task"] == IMAGE_CLASSIFICATION else f"-{same['task']}"
        slug = _unique(f"{same['space']}-{same['dataset']}-{same['protocol']}{task}", {block.slug for block in made})
        labelled = group.assign(label=_labels(group)).sort_values(["label", "seed"], kind="stable")
        made.append(Block(**same, metric=metric, slug=slug, records=labelled.reset_index(drop=True)))
    return made


def shared(records: pd.DataFrame) -> list[str]:
    """What each of the records shares with those of its seed, in words: the streams that its seed names.

    Streams are derived from the seed and what they are for (`spaces.common.streams`), not from the method: trials that
    split the images alike and take batches of one size see the same images in the same order.
    """
    return [_shared(row) for row in records[["settings", "evaluation"]].to_dict("records")]


def _shared(record: dict[Any, Any]) -> str:
    settings = record["settings"] if isinstance(record["settings"], dict) else {}
    share, batch, retrained = (settings.get(name) for name in ("weights_share", "batch_size", "evaluate.batch_size"))
    split = "the split of the training images" + (f" ({share:.3g} for the weights)" if share else "")
    batches = "the order and augmentation of batches" + (f" of {batch}" if batch else "")
    also = f" (in retraining of {retrained})" if record["evaluation"] == "retrained" and retrained else ""
    return f"{split}, {batches}{also}, and initial weights where networks have one shape"


def precision_of(record: Mapping[Any, Any]) -> str:
    """The precision of a record's trial; the usual one where it has none."""
    found = record.get("precision")
    return found if isinstance(found, str) else USUAL_PRECISION


def scale_words(protocol: str, scale: str) -> str:
    """`scale` without the protocol's name in front, which stands beside it wherever it is shown."""
    return scale.removeprefix(f"{protocol}: ")


def slug(name: str) -> str:
    """`name` as a file name and an anchor: lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "x"


def _unique(name: str, taken: Iterable[str]) -> str:
    candidate, count = slug(name), 1
    while candidate in taken:
        count += 1
        candidate = f"{slug(name)}-{count}"
    return candidate


def _labels(group: pd.DataFrame) -> list[str]:
    """A label for each record: the method, and the settings in which records of one (method, seed) differ."""
    differing: dict[str, list[str]] = {}
    for method, trials in group.groupby("method"):
        names: set[str] = set()
        for _, same in trials.groupby("seed"):
            names |= _differences(same)
        differing[str(method)] = sorted(names)
    return [_label(row, differing[str(row["method"])]) for row in group.to_dict("records")]


def _differences(same: pd.DataFrame) -> set[str]:
    if len(same) == 1:
        return set()
    rows = [_configuration(row) for row in same.to_dict("records")]
    names = {name for row in rows for name in row}
    differing = {name for name in names if len({row.get(name) for row in rows}) > 1}
    if len(rows) > len({tuple(row.get(name) for name in sorted(differing)) for row in rows}):
        keys = " and ".join(str(key) for key in same["key"])
        raise InputError(f"records {keys} are of the same trial with the same settings: keep one")
    return differing


def _configuration(row: dict[Any, Any]) -> dict[str, str]:
    configuration = {"version": row["version"], "device": row["device"], **flat(row["settings"])}
    return {name: json.dumps(value, sort_keys=True, default=str) for name, value in configuration.items()}


def _label(row: dict[Any, Any], names: list[str]) -> str:
    configuration = _configuration(row)
    parts = [f"{name} = {configuration.get(name, 'unset')}" for name in names]
    return f"{row['method']} [{', '.join(parts)}]" if parts else str(row["method"])


def flat(nested: Any, prefix: str = "") -> dict[str, Any]:
    """A dictionary of dictionaries as one level, `{"inner": {"lr": 1}}` as `{"inner.lr": 1}`."""
    if not isinstance(nested, dict):
        return {}
    result: dict[str, Any] = {}
    for name, value in nested.items():
        result |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {f"{prefix}{name}": value}
    return result
