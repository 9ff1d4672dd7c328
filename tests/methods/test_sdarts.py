"""SmoothDARTS's random smoothing: the noise that the weight step sees, and that nothing else sees it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from methods import Search, get_method
from methods.darts import softmax
from methods.sdarts import distribution, noise_radius, random_smoothing
from methods.search.settings import Settings, resolve
from methods.search.step import Step
from spaces import get_space


@examples(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), operations=st.integers(2, 7), radius=st.floats(0, 2))
def test_a_distribution_whatever_the_noise(seed: int, operations: int, radius: float) -> None:
    source = torch.Generator().manual_seed(seed)
    mask = torch.rand(5, operations, generator=source) < 0.7
    mask[:, 0] = True
    rows = torch.randn(5, operations, generator=source).mul(radius).masked_fill(~mask, 0)
    found = distribution(rows, mask)
    torch.testing.assert_close(found.sum(-1), torch.ones(5))
    assert found.min() >= 0
    assert not found[~mask].any()


def test_clipping_and_normalising_by_hand() -> None:
    rows = torch.tensor([[0.6, -0.1, 0.2], [1.2, 0.5, 0.0], [-0.3, -0.1, -0.2], [-0.3, 0.4, -0.2]])
    mask = torch.tensor([[True] * 3, [True] * 3, [True] * 3, [True, False, True]])
    expected = torch.tensor([[0.75, 0, 0.25], [2 / 3, 1 / 3, 0], [0, 1, 0], [0, 0, 1]])
    torch.testing.assert_close(distribution(rows, mask), expected)


@pytest.mark.parametrize("space", ["nats-tss", "s1"])
def test_the_weight_step_sees_noise_within_the_radius(make_step: Callable[..., Step], space: str) -> None:
    step = make_step("sdarts-rs", space)
    clean = softmax({kind: a.detach() for kind, a in step.alpha.items()}, step, "train")
    smoothed = random_smoothing(step)
    seen = softmax(smoothed, step, "train")
    assert noise_radius(step) == 0.03
    for kind, mask in step.space.mask.items():
        torch.testing.assert_close(seen[kind].sum(-1), torch.ones(len(mask), dtype=torch.float64))
        assert not seen[kind][~mask].any()
        moved = (seen[kind] - clean[kind]).abs()
        # The noise, and what normalising an edge's noise away adds.
        assert 0 < moved.max() <= 0.03 * (1 + mask.sum(-1).max())
        assert not smoothed[kind].requires_grad
    assert all(torch.equal(a, b) for a, b in zip(smoothed.values(), random_smoothing(step).values(), strict=True))
    later = random_smoothing(replace(step, number=1))
    assert not any(torch.equal(a, b) for a, b in zip(smoothed.values(), later.values(), strict=True))


def test_noise_has_no_bias_and_fills_its_interval(make_step: Callable[..., Step]) -> None:
    """Around equal weights, far from the clip, the mean over steps is the clean distribution."""
    step = make_step("sdarts-rs", "nats-tss")
    level = {kind: torch.zeros_like(a) for kind, a in step.alpha.items()}
    draws = torch.stack(
        [random_smoothing(replace(step, alpha=level, number=n))["cell"].softmax(-1) for n in range(2000)]
    )
    assert float((draws.mean(0) - 0.2).abs().max()) < 2e-3
    assert float((draws - 0.2).abs().max()) > 0.025


def test_radius_grows_linearly(make_step: Callable[..., Step]) -> None:
    step = make_step("sdarts-rs", "nats-tss", epochs=50)
    radii = [noise_radius(replace(step, epoch=epoch)) for epoch in range(50)]
    assert radii[0] == 0.03
    assert radii[25] == pytest.approx(0.165)
    assert radii[49] == pytest.approx(0.03 + 0.27 * 49 / 50)


def test_without_noise_it_is_darts_bit_for_bit(make_search: Callable[..., Search]) -> None:
    plain, silent = make_search("darts-1st", "s2"), make_search("sdarts-rs", "s2", noise_start=0.0, noise_end=0.0)
    assert list(plain) == list(silent)


def test_terms_see_the_alpha_of_the_weight_step(make_search: Callable[..., Search]) -> None:
    """So Λ-SDARTS-RS aligns the layers at the weights that it trains; alpha itself stays clean."""
    search = make_search("lambda-sdarts-rs", "nats-tss")
    seen = []

    def watch(step: Step) -> list[torch.Tensor]:
        seen.append(step.alpha)
        return [p.new_zeros(()) for p in step.net.parameters()]

    learner = search.learner
    learner.recipe = replace(learner.recipe, inner=(watch,))  # type: ignore[attr-defined]
    search.advance()
    (alpha,) = seen
    assert not torch.equal(alpha["cell"], learner.alpha()["cell"])
    torch.testing.assert_close(alpha["cell"].exp().sum(-1), torch.ones(6))  # log of a distribution


def test_settings_are_those_of_the_paper() -> None:
    """ε from 0.03 to 0.3 and the settings of DARTS (Chen & Hsieh, 2020, section 5)."""
    recipe = get_method("sdarts-rs")
    assert {option.name: option.default for option in recipe.options} == {"noise_start": 0.03, "noise_end": 0.3}
    for space in ("darts", "s1", "s2", "s3", "s4"):
        settings, _ = resolve(recipe.options, recipe.layers(get_space(space)))
        assert replace(settings, options={}) == Settings()
    assert recipe.removes("darts") == ("none",)
    assert recipe.removes("s3") == recipe.removes("nats-tss") == ()
