"""The loader: a pure function of its names, whole epochs without repeats, augmentation as a plain loop would do it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.data.sets import Augment, Loader

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
few = settings(max_examples=30, deadline=None)


def images(count: int, size: int = 8, channels: int = 3) -> torch.Tensor:
    """Random images without black pixels, so that what a crop pads can be told from them."""
    source = torch.Generator().manual_seed(count * 1000 + size)
    return torch.randint(1, 256, (count, channels, size, size), generator=source, dtype=torch.uint8)


def loader(
    count: int = 20, size: int = 8, *, batch_size: int = 6, augment: Augment | None = None, seed: int = 0
) -> Loader:
    x = images(count, size)
    return Loader(
        x, torch.arange(count), batch_size=batch_size, seed=seed, purpose="test", mean=MEAN, std=STD, augment=augment
    )


def denormalised(batch: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return ((batch * std + mean) * 255).round()


def crop(image: torch.Tensor, top: int, left: int) -> torch.Tensor:
    """The image moved by (top, left), what comes in from outside black: one pixel at a time."""
    result = torch.zeros_like(image)
    _, height, width = image.shape
    for row in range(height):
        for column in range(width):
            if 0 <= row + top < height and 0 <= column + left < width:
                result[:, row, column] = image[:, row + top, column + left]
    return result


@few
@given(count=st.integers(1, 30), batch_size=st.integers(1, 12), seed=st.integers(0, 5), epoch=st.integers(0, 3))
def test_an_epoch_shows_each_image_at_most_once_and_leaves_out_less_than_a_batch(count, batch_size, seed, epoch):
    served = loader(count, batch_size=batch_size, seed=seed)
    labels = torch.cat([served.batch(epoch, step)[1] for step in range(len(served))])
    assert len(labels.unique()) == len(labels)
    assert len(labels) == (count - count % batch_size if count >= batch_size else count)


@few
@given(steps=st.permutations([(epoch, step) for epoch in range(3) for step in range(3)]))
def test_a_batch_does_not_depend_on_what_was_asked_before(steps):
    augment = Augment(crop=2, flip=True, cutout=3)
    served = loader(augment=augment)
    for epoch, step in steps:
        x, y = served.batch(epoch, step)
        fresh_x, fresh_y = loader(augment=augment).batch(epoch, step)
        assert torch.equal(x, fresh_x)
        assert torch.equal(y, fresh_y)


def test_seeds_epochs_and_purposes_differ():
    def order(epoch: int = 0, seed: int = 0, purpose: str = "a") -> list[int]:
        x = images(40)
        served = Loader(
            x, torch.arange(40), batch_size=40, seed=seed, purpose=purpose, mean=MEAN, std=STD, augment=None
        )
        return served.batch(epoch, 0)[1].tolist()

    orders = [order(), order(epoch=1), order(seed=1), order(purpose="b")]
    assert all(sorted(o) == list(range(40)) for o in orders)
    assert len({tuple(o) for o in orders}) == 4


def test_images_come_normalised_with_their_labels():
    served = loader(7, batch_size=3)
    x, y = served.batch(0, 1)
    assert x.dtype == torch.float32
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    assert torch.allclose(x, (images(7)[y].float() / 255 - mean) / std, atol=1e-6)


@few
@given(size=st.integers(4, 9), padding=st.integers(0, 3), flip=st.booleans(), epoch=st.integers(0, 50))
def test_crop_and_flip_are_those_of_a_plain_loop(size, padding, flip, epoch):
    served = loader(6, size, augment=Augment(padding, flip))
    x, y = served.batch(epoch, 0)
    shown = denormalised(x)
    for image, label in zip(shown, y, strict=True):
        original = images(6, size)[label].float()
        candidates = [
            crop(mirrored, top, left)
            for top in range(-padding, padding + 1)
            for left in range(-padding, padding + 1)
            for mirrored in ([original, original.flip(2)] if flip else [original])
        ]
        assert any(torch.equal(image, candidate) for candidate in candidates)


def test_every_offset_and_both_mirrors_are_drawn():
    served = Loader(
        images(1).expand(2000, -1, -1, -1),
        torch.zeros(2000, dtype=torch.int64),
        batch_size=2000,
        seed=0,
        purpose="test",
        mean=MEAN,
        std=STD,
        augment=Augment(crop=1, flip=True),
    )
    shown = denormalised(served.batch(0, 0)[0])
    kinds, counts = shown.unique(dim=0, return_counts=True)
    assert len(kinds) == 9 * 2
    assert counts.min() > 2000 / 18 / 2


@few
@given(size=st.integers(4, 12), side=st.integers(1, 8), epoch=st.integers(0, 50))
def test_cutout_zeroes_one_square_centred_in_the_image(size, side, epoch):
    plain = loader(6, size, augment=Augment(0, False)).batch(epoch, 0)[0]
    cut = loader(6, size, augment=Augment(0, False, side)).batch(epoch, 0)[0]
    least = min(side, size, -(-side // 2))
    for before, after in zip(plain, cut, strict=True):
        zero = (after == 0).all(0)
        rows, columns = zero.any(1).nonzero().flatten(), zero.any(0).nonzero().flatten()
        assert zero.sum() == len(rows) * len(columns)
        for span in (rows, columns):
            assert least <= len(span) <= side
            assert span[-1] - span[0] + 1 == len(span)
            assert len(span) == side or span[0] == 0 or span[-1] == size - 1
        assert torch.equal(after[:, ~zero], before[:, ~zero])


def test_cutout_leaves_the_other_draws_as_they_are():
    without = loader(augment=Augment(2, True)).batch(3, 1)[0]
    having = loader(augment=Augment(2, True, 4)).batch(3, 1)[0]
    kept = having != 0
    assert torch.equal(without[kept], having[kept])


def test_all_serves_everything_in_stored_order_without_augmentation():
    served = loader(11, augment=Augment(2, True, 4))
    parts = list(served.all(4))
    assert [len(y) for _, y in parts] == [4, 4, 3]
    assert torch.equal(torch.cat([y for _, y in parts]), torch.arange(11))
    assert torch.equal(denormalised(torch.cat([x for x, _ in parts])), images(11).float())


def test_the_stored_images_stay_as_they_were():
    served = loader(augment=Augment(2, True, 4))
    served.batch(0, 0)
    list(served.all(8))
    assert torch.equal(served.x, images(20))


@pytest.mark.parametrize("step", [-1, 3])
def test_a_step_outside_the_epoch_is_an_error(step):
    with pytest.raises(IndexError):
        loader().batch(0, step)


def test_no_images_is_an_error():
    with pytest.raises(ValueError, match="at least one image"):
        loader(0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_batch_is_the_same_on_each_device():
    def served(device: str) -> tuple[torch.Tensor, torch.Tensor]:
        x, y, augment = images(40), torch.arange(40), Augment(2, True, 4)
        named = {"batch_size": 16, "seed": 0, "purpose": "test", "mean": MEAN, "std": STD, "augment": augment}
        return Loader(x, y, **named, device=device).batch(1, 1)

    (x, y), (other_x, other_y) = served("cpu"), served("cuda")
    assert other_x.is_cuda
    assert torch.equal(y, other_y.cpu())
    assert torch.allclose(x, other_x.cpu(), atol=1e-6)
