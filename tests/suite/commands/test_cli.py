"""The command line: lists, published counts; whatever is wrong is one line and exit 2."""

from pathlib import Path

import numpy as np
import pytest

ALL_SKIP = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
DARTS_V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)


@pytest.mark.parametrize("what", ["methods", "spaces", "datasets", "protocols", "studies"])
def test_lists(dartboard, document, what: str) -> None:
    rows = document("list", what)
    assert rows
    shown = dartboard("list", what)
    assert shown.exit_code == 0


def test_describe_gives_the_published_counts(dartboard, document, tmp_path: Path) -> None:
    """DARTS_V2: 3,349,342 parameters on CIFAR-10, 4,718,752 on ImageNet (counted; auxiliary head excluded)."""
    cifar = document("describe", DARTS_V2, "--space", "darts")
    assert cifar["params"] == 3_349_342
    imagenet = document(
        "describe", DARTS_V2, "--space", "darts", "--channels", "48", "--cells", "14", "--classes", "1000", "--size",
        "224", "--stem", "imagenet",
    )  # fmt: skip
    assert imagenet["params"] == 4_718_752
    shown = dartboard("describe", ALL_SKIP, "--space", "nats-tss", "--draw", tmp_path / "cells")
    assert shown.exit_code == 0
    assert "73,306 parameters" in shown.output
    assert "<svg" in (tmp_path / "cells" / "cell.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search", "darts-3rd"], "did you mean"),
        (["search", "darts-1st", "--space", "dart"], "did you mean 'darts'"),
        (["search", "darts-1st", "--dataset", "digit"], "did you mean 'digits'"),
        (["search", "darts-1st", "--protocol", "quik"], "did you mean 'quick'"),
        (["search", "darts-1st", "--set", "epochs"], "KEY=VALUE"),
        (["search", "darts-1st", "--set", "epoch=1"], "did you mean 'epochs'"),
        (["search", "darts-1st", "--set", "epochs=one"], "not of type int"),
        (["search", "darts-1st", "--device", "tpu"], "auto, cpu or cuda"),
        (
            ["search", "darts-1st", "--device", "cpu", "--graphs"],
            "--graphs: CUDA graphs need a GPU, and this trial runs on cpu",
        ),
        (["search", "darts-1st", "--device", "cpu", "--precision", "tf32"], "needs an NVIDIA GPU"),
        (["search", "darts-1st", "--precision", "fp16"], "choose fp32 or tf32 or bf16"),
        (["search", "darts-1st", "--set", "evaluate=2"], "did you mean 'evaluate."),
        (["search", "darts-1st", "--set", "evaluate.momentum=0"], "evaluate.nesterov needs momentum"),
        (["search", "darts-1st", "--set", "threads=99999999999"], "between 1 and 1024"),
        (["search", "darts+es", "--set", "stop_share=2"], "above 0 and at most 1"),
        (["search", "darts-1st", "--dataset", "cifar10", "--data-root", "EMPTY"], "data fetch cifar10"),
        (["search", "darts-1st", "--dataset", "npz:NAN"], "x_train"),
        (["run", "nowhere.toml"], "no such study file"),
        (["run", "quik"], "did you mean 'quick'"),
        (["report", "EMPTY", "--out", "OUT"], "no finished trial"),
        (["compare", "nowhere.csv"], "nowhere.csv"),
        (["describe", "Genotype(normal=[])", "--space", "darts"], "normal"),
        (["describe", ALL_SKIP.replace("skip_connect~2", "skip_conect~2"), "--space", "nats-tss"], "skip_connect"),
        (["describe", ALL_SKIP.replace("connect~2", "connect~5"), "--space", "nats-tss"], "~5"),
        (["describe", DARTS_V2.replace("('skip_connect', 0)", "('skip_connect', 9)"), "--space", "darts"], "9"),
        (["describe", "__import__('os').system('true')", "--space", "darts"], "Genotype"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(dartboard, arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    x = np.full((8, 8, 8, 1), np.nan, dtype=np.float32)
    y = np.arange(8) % 2
    np.savez(tmp_path / "nan.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    places = {"EMPTY": tmp_path / "empty", "OUT": tmp_path / "out", "npz:NAN": f"npz:{tmp_path / 'nan.npz'}"}
    command = [str(places.get(argument, argument)) for argument in arguments]
    if command[0] == "search":
        command += ["--out", str(tmp_path / "runs")]
    result = dartboard(*command)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list((tmp_path / "runs").rglob("*.json"))
