"""Random streams derived from a seed and a purpose, never from global state.

A stream is named by a seed and a purpose such as ``(seed, "augment", epoch, step)``. The same name is the same
stream in every process, before and after a resume, and does not depend on what was drawn from other streams.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for the stream named by `seed` and `purpose` (SHA-256 of both)."""
    name = "\x1f".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A new generator on `device`, at the start of the stream named by `seed` and `purpose`."""
    return torch.Generator(device=device).manual_seed(derive(seed, *purpose))


@contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """In this block torch's global CPU generator, which module initialisers use, draws from the named stream.

    The global generator is restored afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, *purpose))
        yield


class NoiseStream:
    """The random stream of a network that draws in its passes (the noise operation, drop-path).

    A network owns one. The caller names the stream before a pass, so that two passes (such as the two sides of a
    finite difference) can draw the same numbers.
    """

    def __init__(self) -> None:
        self._seed = 0
        self._generators: dict[torch.device, torch.Generator] = {}

    def reseed(self, seed: int, *purpose: str | int) -> None:
        """Start the stream named by `seed` and `purpose`."""
        self._seed = derive(seed, *purpose)
        self._generators.clear()

    @property
    def drawn(self) -> bool:
        """Whether a number was drawn since the stream was named."""
        return bool(self._generators)

    def on(self, device: torch.device) -> torch.Generator:
        """The stream's generator on `device`, made when it is first used there."""
        if device not in self._generators:
            self._generators[device] = torch.Generator(device=device).manual_seed(self._seed)
        return self._generators[device]

    def state(self) -> "State":
        """The stream's position, which determines what is drawn next."""
        return self._seed, {device: random.get_state() for device, random in self._generators.items()}

    @contextmanager
    def again(self, state: "State") -> Iterator[None]:
        """In this block the stream continues from the position `state`; its own position is restored afterwards."""
        before = self.state()
        self._put(state)
        yield
        self._put(before)

    def _put(self, state: "State") -> None:
        self._seed, positions = state
        self._generators = {device: self._at(device, position) for device, position in positions.items()}

    @staticmethod
    def _at(device: torch.device, position: torch.Tensor) -> torch.Generator:
        generator = torch.Generator(device=device)
        generator.set_state(position)
        return generator


State = tuple[int, dict[torch.device, torch.Tensor]]
"""The seed of a stream and the positions of its generators."""
