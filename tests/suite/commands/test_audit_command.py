"""`dartboard audit` from outside."""

import json

import pytest
import typer
from typer.testing import CliRunner

from suite.commands.results import audit


@pytest.fixture(scope="module")
def call():
    app = typer.Typer()
    audit.register(app)
    app.callback()(lambda: None)

    def run(*arguments):
        return CliRunner().invoke(app, ["audit", *arguments])

    return run


def test_json_holds_every_claim(call):
    result = call("--json", "--paper", "darts-prime")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert set(document) == {"headline", "assumed_n", "claims", "disagreements", "doubts"}
    assert {claim["paper"] for claim in document["claims"]} == {"darts-prime"}
    claim = next(
        claim for claim in document["claims"] if claim["against"] == "P-DARTS" and claim["dataset"] == "CIFAR-10"
    )
    assert (claim["printed"], claim["n"], claim["n_against"], claim["p"]) == ("2.62 ± 0.07", 4, None, None)
    assert claim["obstacle"] == "no spread"


def test_a_person_reads_counts_verdicts_and_reasons(call):
    result = call("--paper", "rarts")
    assert result.exit_code == 0
    words = " ".join(result.output.split())
    assert "2 of these wins, 2 are not supported" in words
    assert "RARTS, Table 6" in words
    assert "Where tables disagree" in words
    assert "In doubt: RARTS, Table 4" in words


def test_assumed_runs_are_said(call):
    words = " ".join(call("--paper", "amended-darts", "--assume-n", "5").output.split())
    assert "n = 5 is assumed" in words
    assert call("--assume-n", "1").exit_code == 2


def test_an_unknown_paper_is_refused(call):
    result = call("--paper", "lamda-darts")
    assert result.exit_code == 2
    assert "unknown paper 'lamda-darts': did you mean 'lambda-darts'?" in result.stderr
