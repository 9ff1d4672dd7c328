"""The tabular benchmark: three forms of the same numbers, what a query answers, what is refused."""

import bz2
import gzip
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nats_bench import ArchResults
from nats_bench.api_utils import ResultsCount

from spaces import get_space
from spaces.common.errors import InputError
from spaces.tabular.columns import ALL_SKIP, EPOCHS, MEASURES, OPERATIONS, check_architecture
from spaces.tabular.table import Answer, BenchmarkTable, import_table

# Official numbers of three architectures; runs (in percent) made up except those of all-skip.
FIRST = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
NONE = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
INDEX = {FIRST: 0, NONE: 1651, ALL_SKIP: 1835}
PUBLISHED = {"cifar10.test": 54.30, "cifar100.test": 15.61, "imagenet16-120.test": 16.32}
SHORT = {"cifar10": "c10", "cifar10-valid": "c10valid", "cifar100": "c100", "imagenet16-120": "in16"}


def runs(architecture: str, dataset: str, split: str, epochs: int) -> list[float]:
    """Three runs of 200 epochs or one of 12, in percent."""
    centre = PUBLISHED.get(f"{dataset}.{split}", 40.0) if architecture == ALL_SKIP else 60.0 + INDEX[architecture] / 100
    if epochs == 12:
        return [centre / 2]
    return [centre - 0.5, centre - 0.25, centre + 0.75]


def csv_rows() -> list[dict[str, object]]:
    rows = []
    for architecture, index in INDEX.items():
        row: dict[str, object] = {"arch_index": index, "arch_str": architecture, "n_seeds_200ep": 3}
        for dataset, split in MEASURES:
            for epochs in EPOCHS:
                row[f"{SHORT[dataset]}_{split}_acc_{epochs}"] = np.mean(runs(architecture, dataset, split, epochs))
        for seed, value in zip((777, 888, 999), runs(architecture, "cifar10-valid", "valid", 200), strict=True):
            row[f"c10valid_valid_acc_200_s{seed}"] = value
        row["c10_params_M"] = 0.5
        rows.append(row)
    return rows


def write_csv(path: Path, rows: list[dict[str, object]]) -> Path:
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def states(architecture: str) -> dict[str, dict[str, object]]:
    """What the official archive keeps of an architecture, made by its own classes."""
    found = {}
    for epochs in EPOCHS:
        results = ArchResults(INDEX[architecture], architecture)
        parts = {"cifar10": ["ori-test"], "cifar10-valid": ["x-valid"]}
        for dataset in ("cifar10", "cifar10-valid", "cifar100", "ImageNet16-120"):
            ours = dataset.lower()
            splits = {part: part.split("-")[1] for part in parts.get(dataset, ["x-valid", "x-test"])}
            for number, seed in enumerate((777, 888, 999) if epochs == 200 else (111,)):
                result = ResultsCount(dataset, None, {}, {}, 0.5, 15.0, None, seed, epochs, None)
                losses = {epochs - 1: 1.0}
                result.update_train_info({epochs - 1: 99.0}, None, losses, dict.fromkeys(range(epochs), 2.0))
                for part, split in splits.items():
                    # Float noise as the archive has it.
                    value = runs(architecture, ours, split, epochs)[number] + 1e-8
                    result.update_OLD_eval(part, {epochs - 1: value}, losses)
                results.update(dataset, seed, result)
        state = results.state_dict()
        state["all_results"] = {key: result.state_dict() for key, result in results.all_results.items()}
        found[str(epochs)] = state
    return found


def put(path: Path, content: object) -> None:
    with bz2.open(path, "wb") as file:
        pickle.dump(content, file, protocol=4)


def write_archive(root: Path) -> Path:
    folder = root / "NATS-tss-v1_0-3ffb9-simple"
    folder.mkdir(parents=True)
    names = [f"unused {index}" for index in range(1836)]
    for architecture, index in INDEX.items():
        names[index] = architecture
        put(folder / f"{index:06d}.pickle.pbz2", states(architecture))
    put(folder / "meta.pickle.pbz2", {"meta_archs": names, "total_archs": 15625})
    return folder


def opened(root: Path) -> BenchmarkTable:
    table = BenchmarkTable.open(root)
    assert table is not None
    return table


@pytest.fixture
def table(tmp_path):
    write_csv(tmp_path / "nats_small_tss.csv", csv_rows())
    return opened(tmp_path)


def test_the_operations_are_those_of_the_space():
    """They stand in both, as a query must not wait for torch."""
    assert get_space("nats-tss").operations == OPERATIONS


def test_no_table_is_none(tmp_path):
    assert BenchmarkTable.open(tmp_path) is None
    assert BenchmarkTable.open(tmp_path / "no-such-folder") is None


def test_an_answer_says_what_it_is(table):
    answer = table.query(FIRST, "cifar100")
    expected = Answer(60.0, None, 3, "cifar100", "test", 200, "nats_small_tss.csv", 0)
    assert answer == expected
    assert table.query(FIRST, "cifar100", epochs=12).seeds is None


def test_the_valid_split_of_cifar10_is_that_of_its_own_trainings(table):
    answer = table.query(FIRST, "cifar10", split="valid")
    assert (answer.dataset, answer.split) == ("cifar10-valid", "valid")
    assert answer.std == pytest.approx(np.std([59.5, 59.75, 60.75], ddof=1), abs=1e-6)
    assert answer == table.query(FIRST, "cifar10-valid", split="valid")


def test_all_accuracies_of_an_architecture_are_those_of_single_queries(table):
    found = table.accuracies(ALL_SKIP)
    assert found["cifar10.test"] == pytest.approx(54.30)
    assert len(found) == len(MEASURES)
    for name, accuracy in found.items():
        assert accuracy == table.query(ALL_SKIP, *name.split(".")).accuracy


def test_archive_pickle_csv_and_compact_file_agree(tmp_path):
    folder = write_archive(tmp_path / "archive")
    whole = tmp_path / "pickle" / "NATS-tss-v1_0-3ffb9.pickle.pbz2"
    whole.parent.mkdir()
    names = [f"unused {index}" for index in range(1836)]
    for architecture, index in INDEX.items():
        names[index] = architecture
    infos = {index: states(architecture) for architecture, index in INDEX.items()}
    put(whole, {"meta_archs": names, "arch2infos": infos, "evaluated_indexes": set(infos)})
    (tmp_path / "csv").mkdir()
    write_csv(tmp_path / "csv" / "nats_tss.csv", csv_rows())
    imported = import_table(folder, tmp_path / "imported")
    assert imported == tmp_path / "imported" / "nats-tss.parquet"
    archive, pickle_, csv, compact = (opened(tmp_path / name) for name in ("archive", "pickle", "csv", "imported"))
    assert "NATS-tss-v1_0-3ffb9-simple" in compact.source
    for architecture in INDEX:
        for dataset, split in MEASURES:
            for epochs in EPOCHS:
                asked = (architecture, dataset, split, epochs)
                answers = [source.query(*asked) for source in (archive, pickle_, compact)]
                assert len({(a.accuracy, a.std, a.seeds, a.index) for a in answers}) == 1
                assert answers[0].accuracy == csv.query(*asked).accuracy
                assert answers[0].seeds == (3 if epochs == 200 else 1)
                if epochs == 200:
                    expected = np.std(runs(*asked), ddof=1)
                    assert answers[0].std == pytest.approx(expected, abs=2e-6)
    assert archive.query(FIRST, "cifar100").std == compact.query(FIRST, "cifar100").std


def test_an_import_keeps_every_number_and_says_what_from(tmp_path):
    source = write_csv(tmp_path / "nats_tss.csv", csv_rows())
    packed = tmp_path / "table.csv.gz"
    packed.write_bytes(gzip.compress(source.read_bytes()))
    before = opened(tmp_path)
    import_table(packed, tmp_path)
    after = opened(tmp_path)
    assert "table.csv.gz (SHA-256 " in after.source
    assert after.digest == before.digest
    pd.testing.assert_frame_equal(after.frame, before.frame)
    assert not list(tmp_path.glob("*.part"))


def test_the_progress_of_an_import_is_told(tmp_path):
    seen = []
    import_table(write_archive(tmp_path), tmp_path, lambda *progress: seen.append(progress))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_frame_holds_all_rows_in_official_order(table):
    frame = table.frame
    assert frame["index"].tolist() == [0, 1651, 1835]
    assert frame.loc[2, "cifar10.test.200"] == pytest.approx(54.30)
    assert frame["cifar10.params"].tolist() == [500_000] * 3
    assert len(table) == 3


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ((FIRST.replace("nor_conv_1x1", "nor_conv_1x2"), "cifar10"), "did you mean 'nor_conv_1x1'"),
        (("|none~0|+|none~0|none~1|", "cifar10"), "no architecture of nats-tss"),
        ((NONE.replace("none~2", "none~3"), "cifar10"), "no architecture of nats-tss"),
        ((NONE.replace("avg", "x") + "|", "cifar10"), "no architecture of nats-tss"),
        ((NONE, "cifar-100"), "did you mean 'cifar100'"),
        ((NONE, "cifar10", "train"), "no split 'train' of cifar10"),
        ((NONE, "cifar10", "test", 50), "50 epochs"),
        ((NONE.replace("none~0", "skip_connect~0"), "cifar10"), "3 of 15,625"),
    ],
)
def test_what_a_query_cannot_answer_is_one_line(table, asked, words):
    with pytest.raises(InputError) as caught:
        table.query(*asked)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def said(root: Path) -> str:
    with pytest.raises(InputError) as caught:
        BenchmarkTable.open(root)
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("arch_str", "|nonsense|", "no architecture"),
        ("arch_str", NONE, "twice"),
        ("arch_index", 1651, "twice"),
        ("arch_index", 15_625, "outside 0"),
        ("arch_index", 7, None),
        ("c10_test_acc_200", 101.0, "outside 0 to 100"),
        ("c10_test_acc_200", "much", "another type"),
        ("c10valid_valid_acc_200_s888", "much", "another type"),
    ],
)
def test_a_damaged_row_is_refused(tmp_path, column, value, words):
    rows = csv_rows()
    rows[0][column] = value
    write_csv(tmp_path / "nats_tss.csv", rows)
    if words is None:
        assert opened(tmp_path).query(FIRST, "cifar10").index == value
    else:
        assert words in said(tmp_path)


@pytest.mark.parametrize(("column", "value"), [("c100_test_acc_200", 73.0), ("arch_index", 1834)])
def test_a_table_whose_all_skip_row_is_not_the_published_is_refused(tmp_path, column, value):
    rows = csv_rows()
    rows[2][column] = value
    write_csv(tmp_path / "nats_tss.csv", rows)
    said(tmp_path)


def test_a_missing_column_is_named(tmp_path):
    frame = pd.DataFrame(csv_rows()).drop(columns="in16_test_acc_200")
    frame.to_csv(tmp_path / "nats_tss.csv", index=False)
    assert "in16_test_acc_200" in said(tmp_path)


def test_truncated_files_are_refused(tmp_path):
    source = write_csv(tmp_path / "table.csv", csv_rows())
    root = tmp_path / "compact"
    compact = import_table(source, root)
    whole = compact.read_bytes()
    for text in (whole[: len(whole) // 2], b"", whole[:-1]):
        compact.write_bytes(text)
        assert "import nats-tss" in said(root)
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 255
    compact.write_bytes(bytes(flipped))
    said(root)
    pd.DataFrame({"index": [1]}).to_parquet(compact)
    assert "not made by this version" in said(root)
    packed = tmp_path / "gz" / "nats_tss.csv.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(source.read_bytes())[:-100])
    said(packed.parent)


def test_a_damaged_archive_is_refused(tmp_path):
    folder = write_archive(tmp_path)
    table = opened(tmp_path)
    path = folder / "000000.pickle.pbz2"
    whole = path.read_bytes()
    other = (folder / "001651.pickle.pbz2").read_bytes()
    for content in (whole[:-50], b"no archive", other, bz2.compress(pickle.dumps({"12": None}))):
        path.write_bytes(content)
        with pytest.raises(InputError, match="000000"):
            table.query(FIRST, "cifar10")
    assert table.query(NONE, "cifar10").index == 1651
    put(folder / "meta.pickle.pbz2", {"meta_archs": None})
    assert "lists no architectures" in said(tmp_path)
    (folder / "meta.pickle.pbz2").unlink()
    assert "missing" in said(tmp_path)


class Evil:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_an_archive_cannot_run_code(tmp_path, capsys):
    folder = write_archive(tmp_path)
    put(folder / "000000.pickle.pbz2", {"12": Evil(), "200": Evil()})
    with pytest.raises(InputError, match="print"):
        opened(tmp_path).query(FIRST, "cifar10")
    put(folder / "meta.pickle.pbz2", Evil())
    assert "print" in said(tmp_path)
    assert capsys.readouterr().out == ""


def test_what_is_no_table_is_not_imported(tmp_path):
    for name in ("no-such-file.csv", "table.txt"):
        (tmp_path / "table.txt").touch()
        with pytest.raises(InputError, match=name):
            import_table(tmp_path / name, tmp_path / "root")
    size = tmp_path / "NATS-sss-v1_0-50262-simple"
    size.mkdir()
    put(size / "meta.pickle.pbz2", {"meta_archs": ["64:64:64:64:64"]})
    put(size / "000000.pickle.pbz2", {})
    with pytest.raises(InputError, match="64:64:64:64:64"):
        import_table(size, tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_all_architectures_of_the_space_pass_the_check():
    for architecture in INDEX:
        check_architecture(architecture)


def test_a_query_needs_neither_torch_nor_pandas(tmp_path):
    import_table(write_csv(tmp_path / "table.csv", csv_rows()), tmp_path)
    code = (
        "import sys; from pathlib import Path; from spaces.tabular.table import BenchmarkTable; "
        f"BenchmarkTable.open(Path({str(tmp_path)!r})).query({ALL_SKIP!r}, 'cifar10'); "
        "print([name for name in ('torch', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


REAL = Path(os.environ.get("DARTBOARD_DATA", "no-such-root"))
BEST = {"cifar10": 94.37, "cifar100": 73.51, "imagenet16-120": 47.31}


@pytest.mark.known
@pytest.mark.skipif(BenchmarkTable.open(REAL) is None, reason="no NATS-Bench table in $DARTBOARD_DATA")
def test_the_real_table_has_the_published_numbers():
    table = opened(REAL)
    if len(table) < 15_625:
        pytest.skip("the table in $DARTBOARD_DATA is a part")
    for dataset, published in BEST.items():
        assert round(table.frame[f"{dataset}.test.200"].max(), 2) == published
        assert round(table.query(ALL_SKIP, dataset).accuracy, 2) == PUBLISHED[f"{dataset}.test"]
    valid = [round(table.query(ALL_SKIP, dataset, "valid").accuracy, 2) for dataset in BEST]
    assert valid == [39.77, 15.03, 16.43]
    assert table.query(NONE, "cifar10").index == 1651
    assert table.query(NONE.replace("none", "nor_conv_3x3"), "cifar10").index == 1462
