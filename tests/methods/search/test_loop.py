"""The loop: every method on every space, the same bits whatever interrupts it."""

import io
import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from methods import METHODS, Search, get_method
from methods.darts import RADIUS
from methods.search.settings import Settings, resolve
from spaces import get_space
from spaces.common.errors import InputError


def same(one: Search, other: Search) -> bool:
    """Equal histories and equal bits in everything the next step depends on."""
    buffers = []
    for search in (one, other):
        buffer = io.BytesIO()
        torch.save(search.state_dict(), buffer)
        buffers.append(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))

    def equal(a: object, b: object) -> bool:
        if isinstance(a, torch.Tensor):
            return isinstance(b, torch.Tensor) and torch.equal(a, b)
        if isinstance(a, dict):
            return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
        if isinstance(a, list | tuple):
            return len(a) == len(b) and all(map(equal, a, b))  # type: ignore[arg-type]
        return a == b

    return equal(*buffers)


EVERYWHERE = ("darts-1st", "random")
"""Methods that the default run searches by in every space."""

TWO_KINDS = (
    *("darts-2nd", "darts-minus", "darts+fimt+crb", "lambda-darts", "p-darts", "pr-darts", "rarts", "sdarts-rs"),
)
"""Methods that it also searches by in a space of normal and reduction cells: one for each kind of step."""


def pairs() -> list[object]:
    """Every method on every space that it declares. The default run has a part of them, but every method."""
    pairs = []
    for method in METHODS:
        spaces = get_method(method).spaces
        small = next((space for space in ("s1", "s2") if space in spaces), spaces[0])
        common = {"nats-tss"} if "nats-tss" in spaces else {small}
        if method in TWO_KINDS:
            common.add(small)
        common = set(spaces) if method in EVERYWHERE else common
        pairs += [pytest.param(method, s, marks=[] if s in common else [pytest.mark.slow]) for s in spaces]
    return pairs


@pytest.fixture
def finite_gradients() -> Iterator[list[int]]:
    """Whatever any optimiser steps along is finite; how many tensors of each step had a gradient."""
    seen = []

    def check(optimiser: torch.optim.Optimizer, args: object, kwargs: object) -> None:
        gradients = [p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
        assert all(gradient.isfinite().all() for gradient in gradients)
        seen.append(len(gradients))

    hook = register_optimizer_step_pre_hook(check)
    yield seen
    hook.remove()


@pytest.mark.parametrize(("method", "space"), pairs())
def test_conformance(make_search: Callable[..., Search], finite_gradients: list[int], method: str, space: str) -> None:
    """Finite gradients, the right shapes, a genotype that round-trips, and determinism across an interruption."""
    whole, buffer = make_search(method, space), io.BytesIO()
    for _ in range(3):  # into the second epoch, or to the end of a search that stops early
        if not whole.done:
            whole.advance()
    torch.save(whole.state_dict(), buffer)
    list(whole)
    rows = whole.history
    assert len(finite_gradients) >= whole.steps_taken
    assert all(finite_gradients)
    masks, weights, alpha = get_space(space).mask, whole.learner.weights(), whole.learner.alpha()
    assert all(weights[kind].shape[-2:] == masks[kind].shape for kind in masks)
    assert all(alpha[kind].shape == masks[kind].shape for kind in alpha)
    assert rows
    for row in rows:
        assert all(torch.isfinite(torch.tensor(row[key])) for key in ("train_loss", "valid_loss", "discrete_accuracy"))
        parsed = get_space(space).parse(row["genotype"])
        assert str(parsed) == row["genotype"]
        assert 0 <= row["skip_share"] <= 1
        for kind, mask in masks.items():
            assert len(row[f"weights.{kind}"]) == mask.numel()
            assert all(map(math.isfinite, row[f"weights.{kind}"] + row.get(f"alpha.{kind}", [])))

    torch.randn(7)  # no search depends on the global generator
    resumed = make_search(method, space)
    resumed.load_state_dict(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
    list(resumed)
    assert same(whole, resumed)


@pytest.mark.parametrize("method", ["lambda-sdarts-rs", pytest.param("p-darts", marks=pytest.mark.slow)])
def test_equal_seeds_give_equal_searches(make_search: Callable[..., Search], method: str) -> None:
    one, other = make_search(method, "nats-tss"), make_search(method, "nats-tss")
    list(one)
    torch.randn(7)
    list(other)
    assert same(one, other)


def test_seeds_differ(make_search: Callable[..., Search]) -> None:
    one, other = make_search("darts-1st", "nats-tss", seed=0), make_search("darts-1st", "nats-tss", seed=1)
    assert next(iter(one))["train_loss"] != next(iter(other))["train_loss"]


def test_early_stopping_is_a_prefix_of_the_full_search(make_search: Callable[..., Search]) -> None:
    """DARTS stopped at a fixed epoch is DARTS until then, bit for bit."""
    full, stopped = list(make_search("darts-1st", "s2", epochs=3)), list(make_search("darts+es", "s2", epochs=3))
    assert len(stopped) == 2
    assert stopped == full[:2]


def test_order_of_the_two_steps_matters_and_is_declared(make_search: Callable[..., Search]) -> None:
    alpha_first = list(make_search("darts-1st", "nats-tss", order="alpha-weights"))
    weights_first = list(make_search("darts-1st", "nats-tss", order="weights-alpha"))
    assert alpha_first[-1]["alpha.cell"] != weights_first[-1]["alpha.cell"]


def test_only_the_weight_step_moves_running_statistics(make_search: Callable[..., Search]) -> None:
    """Second order makes four more passes a step; the counter of batches sees one a step all the same."""
    search = make_search("darts-2nd", "nats-tss", batch_norm="running")
    list(search)
    counters = [v for k, v in search.learner.state_dict()["net"].items() if k.endswith("num_batches_tracked")]
    assert counters
    assert {int(counter) for counter in counters} == {search.steps_taken}


def test_random_search_keeps_the_best_candidate(make_search: Callable[..., Search]) -> None:
    rows = list(make_search("random", "nats-tss", epochs=5))
    best = [row["discrete_accuracy"] for row in rows]
    assert best == sorted(best)
    assert best[-1] == max(row["valid_accuracy"] for row in rows)
    assert all("alpha.cell" not in row for row in rows)


def test_settings_are_layered_and_their_origin_kept() -> None:
    settings, origin = resolve((RADIUS,), {"recipe": {"epochs": 30}, "settings": {"epochs": "7", "radius": 1}})
    assert (settings.epochs, settings.options["radius"]) == (7, 1.0)
    assert origin == {"epochs": "settings", "radius": "settings"}
    assert settings.learning_rate == Settings().learning_rate


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"epochs": "many"}, "not of type int"),
        ({"epochs": 2.5}, "not of type int"),
        ({"epochs": 0}, "epochs = 0 must be between 1 and 1000000"),
        ({"epochs": 10**20}, "must be between 1 and 1000000"),
        ({"epochs": int("9" * 4000, 16)}, "epochs = an integer of thousands of digits must be"),
        ({"alpha_learning_rate": 1e300}, "must be between 0 and 1000"),
        ({"learning_rate": 10**400}, "not of type float"),
        ({"order": "both"}, "alpha-weights"),
        ({"weights_share": 1.0}, "above 0 and below 1"),
        ({"nesterov": "maybe"}, "not of type bool"),
        ({"nesterov": True, "momentum": 0}, "nesterov needs momentum"),
        ({"momentum": -1}, "at least 0 and below 1"),
        ({"alpha_beta1": 1.5}, "at least 0 and below 1"),
        ({"gradient_clip": float("inf")}, "must be finite"),
        ({"learning_rate": "nan"}, "must be finite"),
    ],
)
def test_bad_settings(overrides: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolve((), {"settings": overrides})


@pytest.mark.parametrize(
    ("method", "overrides", "said"),
    [
        ("darts-prime", {"threshold_rise": 0.0}, "threshold_rise = 0.0 must be between 1 and 1000"),
        ("darts-prime", {"ewma": 1.5}, "ewma = 1.5 must be above 0 and at most 1"),
        ("darts-prime", {"rho_p": -0.1}, "rho_p = -0.1 must be between 0 and"),
        ("darts+admm", {"admm_steps": 0}, "admm_steps = 0 must be between 1 and"),
        ("darts+admm", {"lambda_u": 2.0}, "lambda_u = 2.0 must be between 0 and 1"),
        ("sdarts-rs", {"noise_end": -0.3}, "noise_end = -0.3 must be between 0 and"),
        ("darts+fimt", {"threshold": 0.0}, "threshold = 0.0 must be above 0"),
        ("lambda-darts", {"difference": "centre"}, "must be one of central, interleaved, exact"),
        ("pr-darts", {"gate_low": 0.1}, "gate_low = 0.1 must be at least -1000 and below 0"),
        ("pr-darts", {"gate_high": 0.9}, "gate_high = 0.9 must be above 1"),
        ("pr-darts", {"tau_end": 0.0}, "tau_end = 0.0 must be above 0"),
        ("pr-darts", {"sampled_operations": 0}, "sampled_operations = 0 must be between 1 and"),
        ("r-darts-l2", {"k": 100_000}, "k = 100000 must be between 0 and 20"),
    ],
)
def test_bad_settings_of_a_recipe(method: str, overrides: dict[str, float], said: str) -> None:
    """Refused before a search, which they would end in a traceback or quietly make another method's."""
    with pytest.raises(InputError, match=said):
        resolve(get_method(method).options, {"settings": overrides})


def test_unknown_method_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'darts-1st'"):
        get_method("darts-1")


def test_base_settings_are_those_of_the_paper() -> None:
    """DARTS on CIFAR-10, section 3 and appendix A.1 of Liu et al. (2019)."""
    s = Settings()
    assert (s.epochs, s.batch_size, s.channels, s.cells) == (50, 64, 16, 8)
    assert (s.learning_rate, s.learning_rate_min, s.momentum, s.weight_decay, s.gradient_clip) == (
        0.025,
        0.001,
        0.9,
        3e-4,
        5.0,
    )
    assert (s.alpha_learning_rate, s.alpha_beta1, s.alpha_beta2, s.alpha_weight_decay) == (3e-4, 0.5, 0.999, 1e-3)
