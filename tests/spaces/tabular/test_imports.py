"""All forms of the table hold the same numbers, and an import keeps them."""

import gzip

import numpy as np
import pandas as pd
import pytest

from spaces.common.errors import InputError
from spaces.tabular.columns import EPOCHS, MEASURES
from spaces.tabular.table import import_table


def test_archive_pickle_csv_and_compact_file_agree(sample, opened, tmp_path):
    folder = sample.write_archive(tmp_path / "archive")
    whole = tmp_path / "pickle" / "NATS-tss-v1_0-3ffb9.pickle.pbz2"
    whole.parent.mkdir()
    infos = {index: sample.states(architecture) for architecture, index in sample.index.items()}
    sample.put(whole, {"meta_archs": sample.names(), "arch2infos": infos, "evaluated_indexes": set(infos)})
    (tmp_path / "csv").mkdir()
    sample.write_csv(tmp_path / "csv" / "nats_tss.csv")
    imported = import_table(folder, tmp_path / "imported")
    assert imported == tmp_path / "imported" / "nats-tss.parquet"
    archive, pickle_, csv, compact = (opened(tmp_path / name) for name in ("archive", "pickle", "csv", "imported"))
    assert "NATS-tss-v1_0-3ffb9-simple" in compact.source
    for architecture in sample.index:
        for dataset, split in MEASURES:
            for epochs in EPOCHS:
                asked = (architecture, dataset, split, epochs)
                answers = [source.query(*asked) for source in (archive, pickle_, compact)]
                assert len({(a.accuracy, a.std, a.seeds, a.index) for a in answers}) == 1
                assert answers[0].accuracy == csv.query(*asked).accuracy
                assert answers[0].seeds == (3 if epochs == 200 else 1)
                if epochs == 200:
                    expected = np.std(sample.runs(*asked), ddof=1)
                    assert answers[0].std == pytest.approx(expected, abs=2e-6)
    assert archive.query(sample.first, "cifar100").std == compact.query(sample.first, "cifar100").std


def test_an_import_keeps_every_number_and_names_its_source(sample, opened, tmp_path):
    source = sample.write_csv(tmp_path / "nats_tss.csv")
    packed = tmp_path / "table.csv.gz"
    packed.write_bytes(gzip.compress(source.read_bytes()))
    before = opened(tmp_path)
    import_table(packed, tmp_path)
    after = opened(tmp_path)
    assert "table.csv.gz (SHA-256 " in after.source
    assert after.digest == before.digest
    pd.testing.assert_frame_equal(after.frame, before.frame)
    assert not list(tmp_path.glob("*.part"))


def test_an_import_reports_its_progress(sample, tmp_path):
    seen = []
    import_table(sample.write_archive(tmp_path), tmp_path, lambda *progress: seen.append(progress))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_what_is_no_table_is_not_imported(sample, tmp_path):
    for name in ("no-such-file.csv", "table.txt"):
        (tmp_path / "table.txt").touch()
        with pytest.raises(InputError, match=name):
            import_table(tmp_path / name, tmp_path / "root")
    size = tmp_path / "NATS-sss-v1_0-50262-simple"
    size.mkdir()
    sample.put(size / "meta.pickle.pbz2", {"meta_archs": ["64:64:64:64:64"]})
    sample.put(size / "000000.pickle.pbz2", {})
    with pytest.raises(InputError, match="64:64:64:64:64"):
        import_table(size, tmp_path / "root")
    assert not (tmp_path / "root").exists()
