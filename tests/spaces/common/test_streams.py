"""Random streams by name."""

import torch

from spaces.common.streams import NoiseStream, derive, generator, seeded


def draw(stream: torch.Generator) -> torch.Tensor:
    return torch.rand(4, generator=stream)


def test_the_same_name_is_the_same_stream() -> None:
    assert torch.equal(draw(generator(3, "augment", 1, 2)), draw(generator(3, "augment", 1, 2)))
    names = [(3, "augment", 1, 2), (3, "augment", 12), (3, "augment", "1", 3), (4, "augment", 1, 2), (3,)]
    assert len({derive(*name) for name in names}) == len(names)
    assert 0 <= derive(0) < 2**63


def test_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    draw(generator(0, "a"))
    with seeded(0, "init"):
        first = torch.rand(3)
    with seeded(0, "init"):
        again = torch.rand(3)
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_source_goes_on_until_it_is_reseeded() -> None:
    source = NoiseStream()
    source.reseed(0, "pass", 1)
    cpu = torch.device("cpu")
    first, second = draw(source.on(cpu)), draw(source.on(cpu))
    assert not torch.equal(first, second)
    source.reseed(0, "pass", 1)
    assert torch.equal(first, draw(source.on(cpu)))
