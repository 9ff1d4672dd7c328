"""The official formats, on small files written in them: layout, labels, checksums, what is missing or damaged."""

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from spaces.common.errors import InputError
from suite.data.entry import OfficialFile
from suite.data.registry import DATASETS
from suite.data.sets import available, load


class Evil:
    def __reduce__(self):
        return (print, ("this must not run",))


def known(monkeypatch, name: str, root: Path, train: list[str], test: list[str]) -> None:
    """Let the checksums of the files as they are now be the published ones."""
    files = [
        tuple(OfficialFile(file, hashlib.md5((root / file).read_bytes()).hexdigest()) for file in part)
        for part in (train, test)
    ]
    monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], train=files[0], test=files[1]))


def pickled(path: Path, content: object, protocol: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=protocol))


def rows(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, width), dtype=np.uint8)


@pytest.fixture
def cifar10(monkeypatch, tmp_path):
    """Two training batches of 4 images and a test batch of 2."""
    files = [f"cifar-10-batches-py/{name}" for name in ("data_batch_1", "data_batch_2", "test_batch")]
    for seed, (file, count) in enumerate(zip(files, (4, 4, 2), strict=True)):
        pickled(tmp_path / file, {"data": rows(count, 3072, seed), "labels": list(range(count))})
    known(monkeypatch, "cifar10", tmp_path, files[:2], files[2:])
    return tmp_path


def test_cifar10(cifar10):
    dataset = load("cifar10", cifar10)
    assert np.array_equal(dataset.x_train[:4].reshape(4, 3072), rows(4, 3072, 0))
    assert np.array_equal(dataset.x_train[4:].reshape(4, 3072), rows(4, 3072, 1))
    assert dataset.y_train.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert tuple(dataset.x_test.shape) == (2, 3, 32, 32)
    assert dataset.y_train.dtype == torch.int64
    assert dataset.classes == 10


def test_cifar100_takes_the_fine_labels(monkeypatch, tmp_path):
    for part, count in (("train", 5), ("test", 2)):
        content = {
            "data": rows(count, 3072),
            "fine_labels": [99 - i for i in range(count)],
            "coarse_labels": [0] * count,
        }
        pickled(tmp_path / "cifar-100-python" / part, content)
    known(monkeypatch, "cifar100", tmp_path, ["cifar-100-python/train"], ["cifar-100-python/test"])
    dataset = load("cifar100", tmp_path)
    assert dataset.y_train.tolist() == [99, 98, 97, 96, 95]
    assert dataset.classes == 100


def test_svhn_calls_the_digit_zero_zero(monkeypatch, tmp_path):
    images = rows(3 * 3072, 1).reshape(32, 32, 3, 3)
    for part in ("train", "test"):
        savemat(tmp_path / f"{part}_32x32.mat", {"X": images, "y": np.array([[10], [1], [9]], dtype=np.uint8)})
    known(monkeypatch, "svhn", tmp_path, ["train_32x32.mat"], ["test_32x32.mat"])
    dataset = load("svhn", tmp_path)
    assert dataset.y_train.tolist() == [0, 1, 9]
    assert np.array_equal(dataset.x_train[2], images[:, :, :, 2].transpose(2, 0, 1))


def test_imagenet16_keeps_the_first_120_classes(monkeypatch, tmp_path):
    labels = [1, 120, 121, 1000, 7]
    names = [f"ImageNet16/train_data_batch_{i}" for i in range(1, 3)]
    for protocol, name in zip((2, 4), names, strict=True):
        pickled(tmp_path / name, {"data": rows(5, 768), "labels": labels, "mean": np.zeros(768)}, protocol)
    pickled(tmp_path / "ImageNet16/val_data", {"data": rows(5, 768), "labels": np.array(labels)})
    known(monkeypatch, "imagenet16-120", tmp_path, names, ["ImageNet16/val_data"])
    dataset = load("imagenet16-120", tmp_path)
    assert dataset.y_train.tolist() == [0, 119, 6] * 2
    assert dataset.y_test.tolist() == [0, 119, 6]
    assert np.array_equal(dataset.x_test.reshape(3, 768), rows(5, 768)[[0, 1, 4]])
    assert dataset.classes == 120


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "svhn", "imagenet16-120"])
def test_a_missing_set_is_named_with_the_root_and_the_way_to_get_it(tmp_path, name):
    assert not available(name, tmp_path)
    with pytest.raises(InputError) as caught:
        load(name, tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert ("dartboard data fetch" in str(caught.value)) == (name != "imagenet16-120")


def test_a_changed_file_is_refused(cifar10):
    path = cifar10 / "cifar-10-batches-py/data_batch_2"
    path.write_bytes(path.read_bytes()[:-1])
    assert available("cifar10", cifar10)
    with pytest.raises(InputError, match="data_batch_2 is damaged"):
        load("cifar10", cifar10)


def test_a_pickle_that_would_run_code_is_refused_even_with_a_good_checksum(monkeypatch, cifar10, capsys):
    pickled(cifar10 / "cifar-10-batches-py/test_batch", {"data": Evil(), "labels": []})
    known(monkeypatch, "cifar10", cifar10, ["cifar-10-batches-py/data_batch_1"], ["cifar-10-batches-py/test_batch"])
    with pytest.raises(InputError, match="print"):
        load("cifar10", cifar10)
    assert capsys.readouterr().out == ""


def test_addresses_and_checksums_are_those_of_torchvision():
    from torchvision.datasets import CIFAR10, CIFAR100, SVHN

    for name, kind in (("cifar10", CIFAR10), ("cifar100", CIFAR100)):
        entry = DATASETS[name]
        assert entry.archive == (kind.url, kind.tgz_md5)
        assert kind.url.endswith(f"/{kind.filename}")
        for part, listed in ((entry.train, kind.train_list), (entry.test, kind.test_list)):
            assert part == tuple((f"{kind.base_folder}/{file}", md5, "") for file, md5 in listed)
    for part, split in ((DATASETS["svhn"].train, "train"), (DATASETS["svhn"].test, "test")):
        url, file, md5 = SVHN.split_list[split]
        assert part == ((file, md5, url),)


@pytest.mark.parametrize("name", DATASETS)
def test_an_entry_says_where_each_file_comes_from(name):
    entry = DATASETS[name]
    assert entry.name == name
    assert entry.train
    assert entry.test
    assert bool(entry.package) + entry.downloadable + bool(entry.by_hand) == 1
    assert all(bool(file.md5) != bool(entry.package) for file in entry.files)
    assert all(words for words in (entry.title, entry.content, entry.how_to_get))


def test_files_that_do_not_hold_what_is_declared_are_refused(monkeypatch, cifar10):
    entry = DATASETS["cifar10"]
    monkeypatch.setitem(DATASETS, "cifar10", replace(entry, size=16))
    with pytest.raises(InputError, match=r"training images have shape \(8, 3, 32, 32\).*16, 16"):
        load("cifar10", cifar10)
    monkeypatch.setitem(DATASETS, "cifar10", replace(entry, classes=3))
    with pytest.raises(InputError, match="labels go from 0 to 3, not from 0 to 2"):
        load("cifar10", cifar10)


def test_download_asks_torchvision_and_verifies(monkeypatch, cifar10, tmp_path):
    from torchvision.datasets import utils

    asked = []

    def fake(url: str, root: str, filename: str, md5: str) -> None:
        asked.append(filename)
        (cifar10 / "away").rename(cifar10 / "cifar-10-batches-py")

    monkeypatch.setattr(utils, "download_and_extract_archive", fake)
    load("cifar10", cifar10, download=True)
    assert asked == []
    (cifar10 / "cifar-10-batches-py").rename(cifar10 / "away")
    load("cifar10", cifar10, download=True)
    assert asked == ["cifar-10-python.tar.gz"]


def test_a_failed_download_is_one_line(monkeypatch, tmp_path):
    from torchvision.datasets import utils

    def offline(*_: object, **__: object) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setattr(utils, "download_url", offline)
    with pytest.raises(InputError, match="no route to host"):
        load("svhn", tmp_path / "new", download=True)
    with pytest.raises(InputError, match="ImageNet16"):
        load("imagenet16-120", tmp_path, download=True)
