"""Methods on the analytic space: through the same loop, to their closed forms, from the command line."""

import io
import json
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from spaces.analytic.problems import AMENDED_TOY
from spaces.analytic.space import Analytic
from spaces.common.errors import InputError
from suite import analytic, commands
from suite.cli import app
from suite.plan import plan

commands.register(app)


def dartboard(*words: str) -> Any:
    return CliRunner().invoke(app, ["search", *words, "--space", "analytic"])


def test_command_line_prints_the_papers_point() -> None:
    result = dartboard("rarts", "--set", "lambda=15", "--set", "beta=15", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert [found[key] for key in ("alpha", "w", "y")] == pytest.approx([1.053, 1.018, 0.947], abs=1e-3)


@pytest.mark.parametrize("draw", range(2))
def test_command_line_reaches_the_closed_form_for_any_penalties(draw: int) -> None:
    """λ > 1/2 and β > 3/2 drawn at random over two orders of magnitude; RARTS, section III-D."""
    exponents = torch.rand(2, generator=torch.Generator().manual_seed(draw), dtype=torch.float64)
    penalty, coupling = (start + 10 ** (2 * e - 0.5) for start, e in zip((0.5, 1.5), exponents.tolist(), strict=True))
    result = dartboard("rarts", "--set", f"lambda={penalty}", "--set", f"beta={coupling}", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    alpha = 2 / (2 - 1 / (2 * penalty) - 1 / coupling)
    exact = [alpha, alpha * (1 - 1 / (2 * penalty)), 2 - alpha]
    assert [found[key] for key in ("alpha", "w", "y")] == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rarts", "--dataset", "cifar10"], "leave out --dataset"),
        (["rarts", "--protocol", "paper"], "leave out --protocol"),
        (["rarts", "--device", "cuda"], "leave out --device"),
        (["rarts", "--engine", "reference"], "leave out --engine"),
        (["rarts", "--precision", "bf16"], "leave out --precision"),
        (["rarts", "--graphs"], "leave out --graphs"),
        (["rarts", "--no-graphs"], "leave out --no-graphs"),
        (["random"], "is not defined on analytic"),
        (["rart"], "did you mean 'rarts'"),
        (["rarts", "--set", "lambda=0.1", "--set", "beta=0.1"], "no minimum"),
        (["rarts", "--set", "gamma=1"], "unknown setting 'gamma'"),
    ],
)
def test_what_makes_no_sense_is_told_in_a_line(words: list[str], said: str) -> None:
    result = dartboard(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_no_trial_is_planned_on_it() -> None:
    with pytest.raises(InputError, match="has no images"):
        plan("rarts", "analytic", "digits", 0)


def test_trajectory_is_that_of_eq_7() -> None:
    """Figure 1's descent by hand, from (α, w, y) = (2, -2, 0) at rates of 0.01."""
    settings = analytic.settings_for("rarts", {"lambda": 10, "beta": 10, "epochs": 200})
    assert settings.learning_rate == settings.alpha_learning_rate == 0.01
    rows = list(analytic.search("rarts", settings))
    alpha, w, y = 2.0, -2.0, 0.0
    for row in rows:
        w -= 0.01 * (10 * 2 * (w - alpha) + 10 * (w - y))
        y -= 0.01 * (alpha + 10 * (y - w))
        alpha -= 0.01 * (10 * 2 * (alpha - w) + y - 2)
        assert [row["alpha"], row["w"], row["y"]] == pytest.approx([alpha, w, y], rel=1e-12)


def test_interrupted_is_uninterrupted() -> None:
    settings = analytic.settings_for("rarts", {"epochs": 30})
    whole, interrupted = (analytic.search("rarts", settings) for _ in range(2))
    rows = list(whole)
    for _ in range(11):
        interrupted.advance()
    buffer = io.BytesIO()
    torch.save(interrupted.state_dict(), buffer)
    resumed = analytic.search("rarts", settings)
    resumed.load_state_dict(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
    assert analytic.point(list(resumed)[-1]) == analytic.point(rows[-1])


def test_the_toy_needs_the_second_term() -> None:
    """A.1: g1 alone drives alpha away from the minimum at 0, g1 + g2 with η = H⁻² leads there.

    The weight moves faster than alpha, as ω = ω*(α) wants: at equal rates the two circle around the minimum.
    """
    ends = {}
    for eta in (0.0, 0.25):
        settings = analytic.settings_for("amended-darts-exact", {"eta": eta, "epochs": 300, "learning_rate": 0.1})
        ends[eta] = list(analytic.search("amended-darts-exact", settings, Analytic(problem=AMENDED_TOY)))[-1]["alpha"]
    assert abs(ends[0.0]) > 2
    assert abs(ends[0.25]) < 0.1
