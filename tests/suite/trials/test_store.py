"""The record store: whole files or none, and damage is named."""

import json
import shutil
from pathlib import Path

import pytest

from spaces.common.errors import InputError
from spaces.common.files import write_whole
from suite.plan import Plan
from suite.store import HISTORY, RECORD, load_frames, read_record, read_records
from suite.trial import key_of, run_trial


def test_a_trial_in_two_folders_is_refused(finished: Path) -> None:
    record = next(record for _, record in read_records(finished))
    folders = [finished / record.key, finished / "copies" / record.key]
    shutil.copytree(*folders)
    with pytest.raises(InputError, match="hold the same trial: keep one of them") as caught:
        load_frames(finished)
    assert all(str(folder) in str(caught.value) for folder in folders)


@pytest.mark.parametrize("damage", ["truncate", "empty", "key", "metric", "history", "no history"])
def test_a_damaged_record_is_named(finished: Path, damage: str) -> None:
    folder, _ = next(read_records(finished))
    file = folder / RECORD
    if damage == "truncate":
        file.write_bytes(file.read_bytes()[:100])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage in ("key", "metric"):
        document = json.loads(file.read_text())
        document |= {"seed": "zero"} if damage == "key" else {"metric": "accuracy"}
        file.write_text(json.dumps(document))
    elif damage == "history":
        (folder / HISTORY).write_bytes(b"PAR1")
    else:
        (folder / HISTORY).unlink()
    with pytest.raises(InputError, match=r"delete .*again") as caught:
        load_frames(finished)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_checkpoint_is_named_and_nothing_is_lost(plans: list[Plan], tmp_path: Path) -> None:
    folder = tmp_path / "runs" / key_of(plans[0], tmp_path)
    folder.mkdir(parents=True)
    (folder / "search.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=r"search\.pt"):
        run_trial(plans[0], tmp_path / "runs", tmp_path)
    assert (folder / "search.pt").read_bytes() == b"not a checkpoint"
    assert read_record(folder) is None


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder of runs"):
        load_frames(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no finished trial"):
        load_frames(tmp_path / "empty")


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def fail(file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_whole(path, fail)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
