"""Random streams derived from what they are for, never from global state.

A stream is named by a seed and a purpose such as ``(seed, "augment", epoch, step)``. The same name is the same
stream in any process, before and after a resume, whatever was drawn elsewhere in between.
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
    """A fresh generator on `device` for the stream named by `seed` and `purpose`."""
    return torch.Generator(device=device).manual_seed(derive(seed, *purpose))


@contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Run a block that draws from torch's global CPU generator (module initialisers do) on a stream of ours.

    The global generator is as it was afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, *purpose))
        yield


class NoiseStream:
    """The random stream of a network that draws while it computes (the noise operation, drop-path).

    A network owns one; whoever drives the network names the stream before a pass, so that two passes that must
    share their draws (the two sides of a finite difference) do.
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
        """Whether anything was drawn since the stream was named."""
        return bool(self._generators)

    def on(self, device: torch.device) -> torch.Generator:
        """The stream's generator on `device`, made at its first use there."""
        if device not in self._generators:
            self._generators[device] = torch.Generator(device=device).manual_seed(self._seed)
        return self._generators[device]

    def state(self) -> "State":
        """Where the stream stands: what is drawn next."""
        return self._seed, {device: random.get_state() for device, random in self._generators.items()}

    @contextmanager
    def again(self, state: "State") -> Iterator[None]:
        """Run a block that draws what was drawn from `state` on; afterwards the stream stands where it stood."""
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
"""The seed of a source and the positions of its generators."""
