"""Damaged and hostile tables are refused in one line."""

import bz2
import gzip
import pickle

import pandas as pd
import pytest

from spaces.common.errors import InputError
from spaces.tabular.table import import_table


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("arch_str", "|nonsense|", "no architecture"),
        ("arch_str", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "twice"),
        ("arch_index", 1651, "twice"),
        ("arch_index", 15_625, "outside 0"),
        ("arch_index", 7, None),
        ("c10_test_acc_200", 101.0, "outside 0 to 100"),
        ("c10_test_acc_200", "much", "another type"),
        ("c10valid_valid_acc_200_s888", "much", "another type"),
    ],
)
def test_a_damaged_row_is_refused(sample, opened, refusal, tmp_path, column, value, words):
    rows = sample.csv_rows()
    rows[0][column] = value
    sample.write_csv(tmp_path / "nats_tss.csv", rows)
    if words is None:
        assert opened(tmp_path).query(sample.first, "cifar10").index == value
    else:
        assert words in refusal(tmp_path)


@pytest.mark.parametrize(("column", "value"), [("c100_test_acc_200", 73.0), ("arch_index", 1834)])
def test_a_table_whose_all_skip_row_is_not_the_published_is_refused(sample, refusal, tmp_path, column, value):
    rows = sample.csv_rows()
    rows[2][column] = value
    sample.write_csv(tmp_path / "nats_tss.csv", rows)
    refusal(tmp_path)


def test_a_missing_column_is_named(sample, refusal, tmp_path):
    frame = pd.DataFrame(sample.csv_rows()).drop(columns="in16_test_acc_200")
    frame.to_csv(tmp_path / "nats_tss.csv", index=False)
    assert "in16_test_acc_200" in refusal(tmp_path)


def test_truncated_files_are_refused(sample, refusal, tmp_path):
    source = sample.write_csv(tmp_path / "table.csv")
    root = tmp_path / "compact"
    compact = import_table(source, root)
    whole = compact.read_bytes()
    for text in (whole[: len(whole) // 2], b"", whole[:-1]):
        compact.write_bytes(text)
        assert "import nats-tss" in refusal(root)
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 255
    compact.write_bytes(bytes(flipped))
    refusal(root)
    pd.DataFrame({"index": [1]}).to_parquet(compact)
    assert "not made by this version" in refusal(root)
    packed = tmp_path / "gz" / "nats_tss.csv.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(source.read_bytes())[:-100])
    refusal(packed.parent)


def test_a_damaged_archive_is_refused(sample, opened, refusal, tmp_path):
    folder = sample.write_archive(tmp_path)
    table = opened(tmp_path)
    path = folder / "000000.pickle.pbz2"
    whole = path.read_bytes()
    other = (folder / "001651.pickle.pbz2").read_bytes()
    for content in (whole[:-50], b"no archive", other, bz2.compress(pickle.dumps({"12": None}))):
        path.write_bytes(content)
        with pytest.raises(InputError, match="000000"):
            table.query(sample.first, "cifar10")
    assert table.query(sample.none, "cifar10").index == 1651
    sample.put(folder / "meta.pickle.pbz2", {"meta_archs": None})
    assert "lists no architectures" in refusal(tmp_path)
    (folder / "meta.pickle.pbz2").unlink()
    assert "missing" in refusal(tmp_path)


class Evil:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_an_archive_cannot_run_code(sample, opened, refusal, tmp_path, capsys):
    folder = sample.write_archive(tmp_path)
    sample.put(folder / "000000.pickle.pbz2", {"12": Evil(), "200": Evil()})
    with pytest.raises(InputError, match="print"):
        opened(tmp_path).query(sample.first, "cifar10")
    sample.put(folder / "meta.pickle.pbz2", Evil())
    assert "print" in refusal(tmp_path)
    assert capsys.readouterr().out == ""
