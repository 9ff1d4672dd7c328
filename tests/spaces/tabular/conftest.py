"""Three architectures of the NATS-Bench table, in every form that the table is published in."""

import bz2
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nats_bench import ArchResults
from nats_bench.api_utils import ResultsCount

from spaces.common.errors import InputError
from spaces.tabular.columns import ALL_SKIP, EPOCHS, MEASURES
from spaces.tabular.table import BenchmarkTable

SHORT = {"cifar10": "c10", "cifar10-valid": "c10valid", "cifar100": "c100", "imagenet16-120": "in16"}


class Sample:
    """The architectures with their official numbers. Their accuracies are made up, except those of all-skip."""

    first = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    none = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    index = {first: 0, none: 1651, ALL_SKIP: 1835}  # noqa: RUF012
    published = {"cifar10.test": 54.30, "cifar100.test": 15.61, "imagenet16-120.test": 16.32}  # noqa: RUF012

    def runs(self, architecture: str, dataset: str, split: str, epochs: int) -> list[float]:
        """Three runs of 200 epochs or one of 12, in percent."""
        made_up = 60.0 + self.index[architecture] / 100
        centre = self.published.get(f"{dataset}.{split}", 40.0) if architecture == ALL_SKIP else made_up
        return [centre / 2] if epochs == 12 else [centre - 0.5, centre - 0.25, centre + 0.75]

    def csv_rows(self) -> list[dict[str, object]]:
        """The rows of the small CSV file."""
        rows = []
        for architecture, index in self.index.items():
            row: dict[str, object] = {"arch_index": index, "arch_str": architecture, "n_seeds_200ep": 3}
            for dataset, split in MEASURES:
                for epochs in EPOCHS:
                    mean = np.mean(self.runs(architecture, dataset, split, epochs))
                    row[f"{SHORT[dataset]}_{split}_acc_{epochs}"] = mean
            runs = self.runs(architecture, "cifar10-valid", "valid", 200)
            for seed, value in zip((777, 888, 999), runs, strict=True):
                row[f"c10valid_valid_acc_200_s{seed}"] = value
            row["c10_params_M"] = 0.5
            rows.append(row)
        return rows

    def write_csv(self, path: Path, rows: list[dict[str, object]] | None = None) -> Path:
        pd.DataFrame(rows or self.csv_rows()).to_csv(path, index=False)
        return path

    def states(self, architecture: str) -> dict[str, dict[str, object]]:
        """The official archive's content for an architecture, made by its own classes."""
        found = {}
        for epochs in EPOCHS:
            results = ArchResults(self.index[architecture], architecture)
            parts = {"cifar10": ["ori-test"], "cifar10-valid": ["x-valid"]}
            for dataset in ("cifar10", "cifar10-valid", "cifar100", "ImageNet16-120"):
                splits = {part: part.split("-")[1] for part in parts.get(dataset, ["x-valid", "x-test"])}
                for number, seed in enumerate((777, 888, 999) if epochs == 200 else (111,)):
                    result = ResultsCount(dataset, None, {}, {}, 0.5, 15.0, None, seed, epochs, None)
                    losses = {epochs - 1: 1.0}
                    result.update_train_info({epochs - 1: 99.0}, None, losses, dict.fromkeys(range(epochs), 2.0))
                    for part, split in splits.items():
                        # With float noise, which the archive has.
                        value = self.runs(architecture, dataset.lower(), split, epochs)[number] + 1e-8
                        result.update_OLD_eval(part, {epochs - 1: value}, losses)
                    results.update(dataset, seed, result)
            state = results.state_dict()
            state["all_results"] = {key: result.state_dict() for key, result in results.all_results.items()}
            found[str(epochs)] = state
        return found

    def names(self) -> list[str]:
        """The archive's list of architectures."""
        names = [f"unused {index}" for index in range(1836)]
        for architecture, index in self.index.items():
            names[index] = architecture
        return names

    def put(self, path: Path, content: object) -> None:
        with bz2.open(path, "wb") as file:
            pickle.dump(content, file, protocol=4)

    def write_archive(self, root: Path) -> Path:
        folder = root / "NATS-tss-v1_0-3ffb9-simple"
        folder.mkdir(parents=True)
        for architecture, index in self.index.items():
            self.put(folder / f"{index:06d}.pickle.pbz2", self.states(architecture))
        self.put(folder / "meta.pickle.pbz2", {"meta_archs": self.names(), "total_archs": 15625})
        return folder


@pytest.fixture(scope="session")
def sample() -> Sample:
    return Sample()


@pytest.fixture(scope="session")
def opened() -> Callable[[Path], BenchmarkTable]:
    def check(root: Path) -> BenchmarkTable:
        table = BenchmarkTable.open(root)
        assert table is not None
        return table

    return check


@pytest.fixture(scope="session")
def refusal() -> Callable[[Path], str]:
    """The one line with which opening a table fails."""

    def check(root: Path) -> str:
        with pytest.raises(InputError) as caught:
            BenchmarkTable.open(root)
        assert str(root) in str(caught.value)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return check


@pytest.fixture
def table(sample: Sample, opened: Callable[[Path], BenchmarkTable], tmp_path: Path) -> BenchmarkTable:
    sample.write_csv(tmp_path / "nats_small_tss.csv")
    return opened(tmp_path)
