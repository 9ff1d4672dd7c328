"""The record store: a folder of trials, each a folder of its own, written whole or not at all.

RUNS/KEY/record.json       what the trial leaves; its presence says that the trial is finished
RUNS/KEY/history.parquet   one row an epoch
RUNS/KEY/search.pt         while it runs: the checkpoint of the last finished epoch of the search
RUNS/KEY/evaluate.pt       while it runs: that of the retraining
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from spaces.common.errors import InputError
from spaces.common.files import write_whole
from spaces.common.metric import ACCURACY, IMAGE_CLASSIFICATION, Metric

if TYPE_CHECKING:
    from pandas import DataFrame

RECORD, HISTORY = "record.json", "history.parquet"
IDENTITY = ("key", "method", "space", "dataset", "seed", "protocol")


class Record(BaseModel):
    """What a finished trial leaves. Percentages are 0 … 100; `docs/records.md` says what each column means.

    `score` is the number that the trial is for, `metric` says what it measures. Of an accuracy, `accuracy` is the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    key: str
    method: str
    space: str
    dataset: str
    seed: int
    protocol: str
    task: str = IMAGE_CLASSIFICATION
    metric: Metric = ACCURACY
    score: float
    accuracy: float | None = None
    evaluation: str
    convention: str
    genotype: str
    tabular: dict[str, float] = {}
    skip_share: float
    params: int
    macs: int
    search_seconds: float
    epoch_seconds: list[float]
    probe_seconds: float = 0.0
    warm_up_seconds: float = 0.0
    evaluate_seconds: float
    search_steps: int
    parameters: dict[str, dict[str, str | list[int]]] | None = None
    epochs: int
    answer_epoch: int | None = None
    probes: dict[str, int] = {}
    scale: str
    augmentation: str = ""
    device: str
    engine: str
    precision: str = "fp32"
    threads: int
    version: str
    dataset_digest: str
    dataset_source: str
    table_digest: str | None
    history_digest: str
    recipe: dict[str, str]
    settings: dict[str, bool | int | float | str]
    origin: dict[str, str]
    environment: dict[str, str]

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, fields: Any) -> Any:
        """What records of earlier versions have under another name: the score, which is an accuracy, and bf16."""
        if not isinstance(fields, dict):
            return fields
        if "precision" not in fields and "bf16" in str(fields.get("engine")):
            fields = fields | {"precision": "bf16"}
        metric = fields.get("metric", {"name": ACCURACY.name})
        if isinstance(metric, dict) and metric.get("name") == ACCURACY.name:
            one = {key: fields[key] for key in ("score", "accuracy") if key in fields}
            return fields | dict.fromkeys(("score", "accuracy"), next(iter(one.values()))) if one else fields
        return fields


def write_record(folder: Path, fields: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> Record:
    """Write a trial's history, then its record (whose presence makes the trial finished), and return the record."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = dict.fromkeys(name for row in history for name in row)  # a probe has no number in every epoch
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in history]), buffer)
    data = buffer.getvalue()
    record = Record(history_digest=hashlib.sha256(data).hexdigest(), **fields)
    # An earlier record would name another history: at every moment the folder holds a whole trial or an unfinished one.
    (folder / RECORD).unlink(missing_ok=True)
    write_whole(folder / HISTORY, lambda file: file.write(data))
    write_whole(folder / RECORD, lambda file: file.write(record.model_dump_json(indent=2).encode() + b"\n"))
    return record


def read_record(folder: Path) -> Record | None:
    """The record in `folder`; None if its trial is not finished. Raises `InputError` if it is damaged."""
    path = folder / RECORD
    if not path.is_file():
        return None
    remedy = "delete that file and run its study again"
    try:
        record = Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{path} is damaged ({key}: {first['msg']}): {remedy}") from error
    history = folder / HISTORY
    if not history.is_file():
        raise InputError(f"{history} is missing beside its record: delete {path} and run its study again")
    if hashlib.sha256(history.read_bytes()).hexdigest() != record.history_digest:
        raise InputError(f"{history} is not the file its record names: delete {path} and run its study again")
    return record


def read_records(runs: Path) -> Iterator[tuple[Path, Record]]:
    """Every finished trial below `runs`, by key. Raises `InputError` if there is no such folder, or for damage."""
    if not runs.is_dir():
        raise InputError(f"{runs} is not a folder of runs: run a study first (`dartboard run STUDY --out {runs}`)")
    for path in sorted(runs.rglob(RECORD)):
        record = read_record(path.parent)
        if record is not None:
            yield path.parent, record


def load_frames(runs: Path) -> tuple["DataFrame", "DataFrame"]:
    """All records and all histories below `runs` as two data frames (`docs/records.md` lists the columns).

    Raises `InputError` as `read_records`, where there are none, and where a trial stands there twice.
    """
    import pandas as pd

    found = list(read_records(runs))
    if not found:
        raise InputError(f"{runs} holds no finished trial: run a study first (`dartboard run STUDY --out {runs}`)")
    folders: dict[str, Path] = {}
    for folder, record in found:
        if (other := folders.setdefault(record.key, folder)) != folder:
            raise InputError(f"{other} and {folder} hold the same trial: keep one of them")
    records = pd.DataFrame([_columns(record) | {"study": folder.parent.name} for folder, record in found])
    histories = [history(folder, record) for folder, record in found]
    return records, pd.concat(histories, ignore_index=True)


def _columns(record: Record) -> dict[str, Any]:
    """A record's fields, its metric as three: `metric` (the name), `better` and `unit`."""
    metric = record.metric
    return record.model_dump() | {"metric": metric.name, "better": metric.better, "unit": metric.unit}


def history(folder: Path, record: Record) -> "DataFrame":
    """One trial's history, with the columns that name the trial in front."""
    import pandas as pd

    frame = pd.read_parquet(folder / HISTORY)
    for position, column in enumerate(IDENTITY):
        frame.insert(position, column, getattr(record, column))
    return frame


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write `state` (tensors and plain values) whole."""
    import torch

    write_whole(path, lambda file: torch.save(dict(state), file))


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state at `path`, None if there is none. Nothing but tensors and plain values is unpickled."""
    import torch

    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the damage makes it raise
        raise InputError(f"{path} is not a readable checkpoint: delete it and run the trial again") from error
    return state


def discard(paths: Iterable[Path]) -> None:
    """Remove checkpoints that a finished record has made useless."""
    for path in paths:
        path.unlink(missing_ok=True)
