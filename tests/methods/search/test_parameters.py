"""Architecture parameters beside the tables of operations: edge weights, the third file of docs/adding-a-method.md."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from methods import get_method
from methods.probes import PROBES, get_probe
from methods.probes.curvature import hessian
from methods.search.probe import Watched
from spaces import get_space
from spaces.common.errors import InputError
from spaces.conventions import Role
from suite import commands
from suite.store import load_frames

GUIDE = Path(__file__).parents[3] / "docs" / "adding-a-method.md"
FILE = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)[2]


@pytest.fixture
def method(tmp_path: Path) -> str:
    path = tmp_path / "edges.py"
    path.write_text(FILE, encoding="utf-8")
    return f"{path}:EDGES"


def test_every_parameter_moves_and_is_kept_and_resumed(make_search: Any, method: str) -> None:
    recipe = get_method(method)
    whole = make_search(recipe, "s2", alpha_learning_rate=0.1)
    rows = list(whole)
    names = {"normal", "reduce", "normal.edges", "reduce.edges"}
    assert whole.learner.alpha().keys() == names
    assert whole.learner.roles["normal.edges"] == Role("inputs", "normal")
    assert all(f"alpha.{name}" in rows[-1] for name in names)
    assert all(rows[0][f"alpha.{name}"] != rows[1][f"alpha.{name}"] for name in names)

    stopped, resumed = (make_search(recipe, "s2", alpha_learning_rate=0.1) for _ in range(2))
    for _ in range(3):
        stopped.advance()
    resumed.load_state_dict(stopped.state_dict())
    assert list(resumed) == rows[1:]
    assert resumed.history == rows


def test_equal_shares_of_a_node_leave_the_genotype_of_the_tables(make_search: Any, method: str) -> None:
    search = make_search(get_method(method), "darts")
    weights = search.learner.weights()["normal"]
    into = torch.tensor([target for _, target in search.setup.space.edges["normal"]])
    for node in into.unique():
        assert weights[into == node].sum().item() == pytest.approx(1)


@pytest.mark.parametrize("method_name", ["darts-2nd", "sdarts-rs", "amended-darts", "darts-prime", "rarts"])
def test_pieces_of_other_papers_take_further_parameters(make_search: Any, method: str, method_name: str) -> None:
    own: Any = get_method(method)
    recipe: Any = get_method(method_name)
    both = replace(recipe, start=own.start, roles=own.roles, relaxation=own.relaxation)
    rows = list(make_search(both, "s2"))
    assert all(torch.isfinite(torch.tensor(rows[-1][f"alpha.{kind}.edges"])).all() for kind in ("normal", "reduce"))


def test_every_probe_measures_such_a_search(make_search: Any, method: str) -> None:
    watched = [Watched(get_probe(name)) for name in PROBES]
    row = list(make_search(get_method(method), "nats-tss", probes=watched, cells=2, epochs=1))[-1]
    space = get_space("nats-tss")
    tables = sum(int(mask.sum()) for mask in space.mask.values())
    edges = sum(len(own) for own in space.edges.values())
    assert len(row["probe.hessian.spectrum"]) == tables + edges


def test_the_hessian_in_further_parameters_is_that_of_differences(
    make_step: Any, make_search: Any, method: str
) -> None:
    """In float64, along a direction that moves tables and edges together."""
    own: Any = get_method(method)
    step = make_step("darts-1st", "s2", cells=3, channels=2)
    edges = {f"{kind}.edges": torch.zeros(len(rows), dtype=torch.float64) for kind, rows in step.space.edges.items()}
    alpha = {name: value.detach().requires_grad_() for name, value in {**step.alpha, **edges}.items()}
    step = replace(step, alpha=alpha, relaxation=own.relaxation)
    found = hessian(step, step.valid)
    sizes = {
        name: int(step.space.mask[name].sum()) if name in step.space.mask else a.numel() for name, a in alpha.items()
    }
    assert found.shape == (sum(sizes.values()),) * 2
    first = sum(list(sizes.values())[: list(sizes).index("normal.edges")])
    block = found[first : first + sizes["normal.edges"], first : first + sizes["normal.edges"]]
    direction = torch.arange(len(block), dtype=torch.float64)

    def gradient(shift: float) -> torch.Tensor:
        moved = alpha | {"normal.edges": (alpha["normal.edges"].detach() + shift * direction).requires_grad_()}
        return step.alpha_gradient(step.loss(step.valid, alpha=moved), moved)["normal.edges"]

    along = (gradient(1e-5) - gradient(-1e-5)) / 2e-5
    torch.testing.assert_close(block @ direction, along, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start": lambda space, seed: {"normal.edges": torch.zeros(1)}}, "start .*it has no 'normal'"),
        ({"start": lambda space, seed: space.alpha(seed) | {"n e": torch.zeros(1)}}, "start .*'n e' is no name"),
        ({"start": lambda space, seed: space.alpha(seed) | {"edges": 1}}, "start .*its 'edges' is 1"),
        (
            {"start": lambda space, seed: space.alpha(seed) | {"edges": torch.arange(3)}},
            "start .*not of floating point",
        ),
        ({"roles": lambda space: {"nodes": Role("inputs")}}, "roles .*names 'nodes', which `start` does not return"),
        ({"roles": lambda space: dict.fromkeys(space.kinds, "inputs")}, "roles .*is the text 'inputs'"),
        ({"roles": lambda space: {"normal": Role("input", "normal")}}, "choose operations, inputs, widths, other"),
    ],
)
def test_what_start_and_roles_may_not_return(make_search: Any, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_search(replace(get_method("darts-1st"), name="x", **changes), "s2")


def test_the_record_names_them(tmp_path: Path, method: str) -> None:
    app = typer.Typer()
    commands.register(app)
    small = ["--set", "epochs=2", "--set", "images=64", "--set", "evaluate.epochs=1", "--out", str(tmp_path / "runs")]
    words = ["search", method, "--space", "nats-tss", "--dataset", "digits", "--probes", "hessian", "--json", *small]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["parameters"]
    assert found["cell"] == {"of": "operations", "kind": "cell", "shape": [6, 5]}
    assert found["cell.edges"] == {"of": "inputs", "kind": "cell", "shape": [6]}
    records, histories = load_frames(tmp_path / "runs")
    assert records.loc[0, "parameters"] == found
    assert len(histories["alpha.cell.edges"].iloc[-1]) == 6
