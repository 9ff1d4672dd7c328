"""A study made by hand: records and histories as docs/records.md lists them, with names that bite."""

import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from reports.exhibits.catalogue import catalogue
from reports.render import build
from spaces.darts.genotype import DartsGenotype
from spaces.nats.genotype import NatsGenotype

NATS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
DARTS = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect")
DARTS += ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
NASTY = r"""λ_{x}^2~&%#$y$ <b>"q"</b>\'[*]"""


VOID = {"meta", "link", "br", "hr", "img", "input", "path", "use"}


class Page(HTMLParser):
    """Checks that elements nest and close; keeps the cells of each table, the attributes and the headings."""

    text: str

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.headings, self.tables, self.ids = [], [], [], {}, []
        self.table = self.cell = None
        self.text = text
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.table = self.tables.setdefault(dict(attrs)["id"], [])
        elif tag == "tr":
            self.table.append([])
        elif tag in ("td", "th"):
            self.cell = ""
        elif re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag
        if tag in ("td", "th"):
            self.table[-1].append(self.cell.strip())
            self.cell = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data


class FakeSpace:
    """What a report needs of a space, without torch."""

    def __init__(self, name: str) -> None:
        self.genotype = NatsGenotype if name == "nats-tss" else DartsGenotype
        self.operations = NATS if name == "nats-tss" else DARTS
        self.kinds = self.genotype.kinds

    def parse(self, text: str):
        return self.genotype.parse(text)

    def chances(self, kind: str, operations):
        edges = 6 if self.genotype is NatsGenotype else 8
        odds = binom(edges, len(set(operations) & set(self.operations)) / len(self.operations))
        return odds.pmf(range(edges + 1)).tolist()


def genotype(space: str, rng: np.random.Generator) -> str:
    if space == "nats-tss":
        return str(NatsGenotype(tuple(rng.choice(NATS, 6).tolist())))

    def pairs():
        chosen = [(target, rng.choice(target, 2, replace=False)) for target in range(2, 6)]
        return tuple((str(rng.choice(DARTS[1:])), int(source)) for _, sources in chosen for source in sorted(sources))

    return str(DartsGenotype(pairs(), pairs()))


def make_study(
    methods=("darts-1st", "random", NASTY),
    spaces=("nats-tss", "darts"),
    seeds=range(3),
    protocol="quick",
    epochs=4,
    effect=0.0,
):
    """(records, histories) with reproducible numbers; method i is `i * effect` points better."""
    records, histories = [], []
    for (index, method), space, seed in itertools.product(enumerate(methods), spaces, seeds):
        rng = np.random.default_rng([index, len(space), seed])
        key = f"{method}-{space}-digits-{seed}-{protocol}-{index:02x}{seed:02x}"
        text = genotype(space, rng)
        cells = ("cell",) if space == "nats-tss" else ("normal", "reduce")
        parsed = FakeSpace(space).parse(text)
        records.append(
            {
                "key": key,
                "method": method,
                "space": space,
                "dataset": "digits",
                "seed": seed,
                "protocol": protocol,
                "accuracy": 90 + index * effect + float(rng.normal()),
                "evaluation": "tabular" if space == "nats-tss" else "retrained",
                "convention": "test, 200 epochs, NATS-Bench" if space == "nats-tss" else "test, 2 epochs",
                "genotype": text,
                "skip_share": parsed.skip_share(cells[0]),
                "params": int(rng.integers(70_000, 4_000_000)),
                "macs": int(rng.integers(5_000_000, 600_000_000)),
                "search_seconds": float(rng.uniform(5, 5000)),
                "evaluate_seconds": float(rng.uniform(1, 9)),
                "search_steps": 40,
                "epochs": epochs,
                "scale": "4 channels, 3 cells, 4 epochs, all of the data",
                "device": "cpu",
                "engine": "fast, fp32",
                "threads": 1,
                "version": "0.1.0",
                "dataset_digest": "3a1f5c9e",
                "recipe": {
                    "order": 1,
                    "relaxation": "softmax",
                    "batch_norm": {"affine": False, "mode": "batch"},
                    "inner": [],
                    "note": "<script>alert('x')</script> 100 %",
                },
                "settings": {"alpha": {"lr": 3e-4}, "batch": 64},
                "environment": {"python": "3.11.7", "torch": "2.15.0"},
            }
        )
        for epoch in range(1, epochs + 1):
            row = {
                "key": key,
                "method": method,
                "space": space,
                "dataset": "digits",
                "seed": seed,
                "epoch": epoch,
                "train_loss": 2.0 / epoch,
                "train_accuracy": 40.0 + epoch,
                "valid_loss": 2.1 / epoch,
                "valid_accuracy": 39.0 + epoch,
                "discrete_accuracy": 30.0 + 5 * epoch + float(rng.normal()),
                "tabular_accuracy": 80.0 + 2 * epoch + float(rng.normal()) if space == "nats-tss" else np.nan,
                "genotype": text,
                "skip_share": 0.5,
            }
            edges, operations = (6, 5) if space == "nats-tss" else (14, 8)
            for kind in cells:
                alpha = rng.normal(size=(edges, operations)) * epoch / 3
                weights = np.exp(alpha) / np.exp(alpha).sum(1, keepdims=True)
                row[f"alpha.{kind}"] = alpha.ravel().tolist()
                row[f"weights.{kind}"] = weights.ravel().tolist()
            histories.append(row)
    return pd.DataFrame(records), pd.DataFrame(histories)


@pytest.fixture(scope="session")
def study():
    """The maker of studies, `make_study`."""
    return make_study


@pytest.fixture(scope="session")
def space_of():
    """What `reports.render.build` takes for `get_space`."""
    return FakeSpace


@pytest.fixture(scope="session")
def page_of():
    """From a page's path to what a parser finds on it."""
    return lambda path: Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def nasty():
    """A method's name with everything that HTML, LaTeX, matplotlib or Rich could take for markup."""
    return NASTY


FEW = (
    *("lambda-darts/table1", "lambda-darts/table3", "lambda-darts/figure1", "lambda-darts/cells-darts"),
    *("amended-darts/figure2", "darts-prime/figure-s5"),
)
"""An exhibit of every layout that most reports of tests show; the whole catalogue takes most of a report's time."""


@pytest.fixture(scope="module", autouse=True)
def few_exhibits():
    """Reports that tests build show the exhibits `FEW`; the fixture `report` shows all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.render.catalogue", lambda: {name: catalogue()[name] for name in FEW})
        yield


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """One report of the nasty study with all exhibits, for tests that only read it: (folder, records, histories)."""
    from reports.records.results import Results

    records, histories = make_study()
    out = tmp_path_factory.mktemp("reports") / "report"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.render.catalogue", catalogue)
        build(Results.of(records, histories), out, space_of=FakeSpace)
    return out, records, histories
