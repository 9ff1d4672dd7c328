"""The tabular benchmark answers what its archive says."""

import os
from pathlib import Path

import pytest

from spaces.tabular.columns import EPOCHS, MEASURES
from spaces.tabular.table import BenchmarkTable

ARCHITECTURES = (
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|",
    # The best on CIFAR-10, CIFAR-100 and ImageNet16-120 (test, mean of three trainings of 200 epochs).
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    "|nor_conv_1x1~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
)


@pytest.mark.known
def test_tabular(golden) -> None:
    table = BenchmarkTable.open(Path(os.environ.get("DARTBOARD_DATA", "no-such-root")))
    if table is None:
        pytest.skip("no NATS-Bench table in $DARTBOARD_DATA: docs/data.md says where to get one")
    answers = {
        text: [table.query(text, *measure, epochs) for measure in MEASURES for epochs in EPOCHS]
        for text in ARCHITECTURES
    }
    golden(
        "tabular",
        {
            "index": {text: found[0].index for text, found in answers.items()},
            "accuracy": {text: [answer.accuracy for answer in found] for text, found in answers.items()},
        },
    )
