"""The recipes of Λ-DARTS: the simpler methods that they contain, interruption, limits and settings."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from methods import Search, get_method
from methods.search.settings import Settings, resolve
from spaces import get_space
from spaces.common.errors import InputError


def flat(tensors: Any) -> Tensor:
    return torch.cat([t.flatten() for t in tensors])


def bits(search: Search) -> list[Tensor]:
    state = search.learner.state_dict()
    return [*state["net"].values(), *state["alpha"].values()]


@pytest.mark.parametrize(
    ("method", "off"),
    [
        ("lambda-darts", {"lambda": 0.0}),
        ("lambda-darts-sign", {"lambda": 0.0}),
        ("lambda-darts-outer", {"lambda": 0.0}),
        ("lambda-sdarts-rs", {"lambda": 0.0, "noise_start": 0.0, "noise_end": 0.0}),
    ],
)
def test_switched_off_it_is_darts_bit_for_bit(
    make_search: Callable[..., Search], method: str, off: dict[str, float]
) -> None:
    plain, switched = make_search("darts-1st", "s2"), make_search(method, "s2", **off)
    assert list(plain) == list(switched)
    assert all(map(torch.equal, bits(plain), bits(switched)))


def test_without_the_term_the_composition_is_sdarts(make_search: Callable[..., Search]) -> None:
    smoothed, composed = make_search("sdarts-rs", "s2"), make_search("lambda-sdarts-rs", "s2", **{"lambda": 0.0})
    assert list(smoothed) == list(composed)
    assert all(map(torch.equal, bits(smoothed), bits(composed)))


@pytest.mark.parametrize("method", ["lambda-darts", "lambda-darts-sign", "lambda-darts-outer"])
def test_the_term_acts_from_the_second_epoch_on(make_search: Callable[..., Search], method: str) -> None:
    plain, aligned = list(make_search("darts-1st", "s2")), list(make_search(method, "s2"))
    assert plain[0] == aligned[0]
    assert plain[1]["alpha.normal"] != aligned[1]["alpha.normal"]


def test_interleaving_survives_an_interruption(make_search: Callable[..., Search]) -> None:
    """Which side comes next is saved with the search."""
    whole = make_search("lambda-darts", "nats-tss", difference="interleaved")
    list(whole)
    part = make_search("lambda-darts", "nats-tss", difference="interleaved")
    for _ in range(3):
        part.advance()
    assert part.learner.state_dict()["memory"] == {"lambda-darts side": -1}
    resumed = make_search("lambda-darts", "nats-tss", difference="interleaved")
    resumed.load_state_dict(part.state_dict())
    list(resumed)
    assert whole.history == resumed.history
    assert all(map(torch.equal, bits(whole), bits(resumed)))


@pytest.mark.parametrize(("space", "cells", "enough"), [("s1", 3, 4), ("darts", 3, 4)])
def test_a_supernet_with_one_layer_is_refused(
    make_search: Callable[..., Search], space: str, cells: int, enough: int
) -> None:
    with pytest.raises(InputError, match=f"cells = {cells}.*two normal cells.*set cells to {enough}"):
        make_search("lambda-darts", space, cells=cells).advance()


def settings_of(method: str, space: str) -> tuple[Settings, dict[str, Any]]:
    recipe = get_method(method)
    settings, _ = resolve(recipe.options, recipe.layers(get_space(space)))
    return settings, settings.flat()


def test_settings_are_those_of_the_paper() -> None:
    """Sections A.9.1 to A.9.3 of Movahedi et al. (2023)."""
    for method in ("lambda-darts", "lambda-darts-sign"):
        s, _ = settings_of(method, "nats-tss")  # A.9.1
        assert (s.epochs, s.learning_rate, s.learning_rate_min, s.weight_decay) == (100, 0.025, 0.001, 5e-4)
        assert (s.momentum, s.nesterov, s.channels, s.cells) == (0.9, True, 16, 5)
        assert (s.alpha_learning_rate, s.alpha_weight_decay, s.alpha_beta1, s.alpha_beta2) == (1e-4, 1e-3, 0.5, 0.999)
        assert (s.options["lambda"], s.options["epsilon0"]) == (0.125, 1e-4)
        assert get_method(method).removes("nats-tss") == ()
        for space in ("darts", "s1", "s2", "s3", "s4"):  # A.9.2, A.9.3 (CIFAR-10)
            s, values = settings_of(method, space)
            assert values == {**Settings().flat(), **s.options}
            assert (s.epochs, s.weight_decay, s.nesterov, s.alpha_learning_rate) == (50, 3e-4, False, 3e-4)
            assert s.options["lambda"] == {"lambda-darts": 0.25, "lambda-darts-sign": 0.125}[method]
            assert (s.options["epsilon0"], s.options["difference"]) == (1e-4, "central")
        assert get_method(method).removes("darts") == ("none",)
        assert get_method(method).removes("s3") == ()
    s, _ = settings_of("lambda-darts-outer", "nats-tss")  # A.4: "50 epochs of search"
    assert (s.epochs, s.options["lambda"]) == (50, 0.125)
    composed, _ = settings_of("lambda-sdarts-rs", "darts")  # A.5.2: nothing adjusted
    assert composed.options == {
        **settings_of("lambda-darts", "darts")[0].options,
        "noise_start": 0.03,
        "noise_end": 0.3,
    }


@pytest.mark.parametrize(("difference", "passes"), [("central", 3), ("interleaved", 2)])
def test_the_weight_steps_own_pass_gives_the_layers_gradients(
    make_search: Callable[..., Search], difference: str, passes: int
) -> None:
    """As in the paper, two passes more than DARTS with the central difference, and one with the interleaved."""
    search = make_search("lambda-darts", "nats-tss", difference=difference, epochs=2)
    while search.epoch < 1:  # the first epoch is plain DARTS
        search.advance()
    calls = []
    search.learner.net.register_forward_hook(lambda *_: calls.append(1))
    search.advance()
    assert len(calls) == passes + 1  # and the alpha step's
