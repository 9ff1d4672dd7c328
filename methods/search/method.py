"""What the search loop, the suite and the report ask of a method, with defaults for what most methods share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from methods.search.learners.learner import Learner, SearchSetup
from methods.search.options import Option
from methods.search.pieces import FilePiece
from methods.search.probe import Watched
from methods.search.settings import Settings
from spaces import IMAGE_SPACES
from spaces.base import Space
from spaces.common.files import file_digest
from spaces.common.settings import Value


@dataclass(frozen=True)
class FileRead:
    """A file that an option names: SHA-256 of its bytes, in hex, and what it holds, in words."""

    digest: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A way to search an architecture. A subclass says what it is made of and gives a learner.

    - `name`: as the command line knows it; `title` and `source`: the method and its paper, in words.
    - `options`: its own settings; `files`: for those options that may name a file, what reads it.
    - `settings`: its overrides of the base settings; `per_space`: further ones on single spaces.
    - `spaces`: the spaces of images on which its definition makes sense.
    - `without`: space → operations that it takes out of it.
    - `probes`: those that it needs itself, which read the history.
    - `quick`: its trials in the `quick` study, space → seeds. None: seed 0 on the first of `spaces`.
    """

    name: str
    title: str
    source: str
    options: tuple[Option[Any], ...] = ()
    files: Mapping[str, FilePiece] = field(default_factory=dict)
    settings: Mapping[str, Value] = field(default_factory=dict)
    per_space: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    spaces: tuple[str, ...] = IMAGE_SPACES
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    probes: tuple[Watched, ...] = ()
    quick: Mapping[str, tuple[int, ...]] | None = None

    @abstractmethod
    def learner(self, setup: SearchSetup) -> Learner:
        """A learner of this method."""

    @abstractmethod
    def made_of(self, settings: Settings | None = None) -> dict[str, str]:
        """What the method consists of, in words; with `settings`, how it is run."""

    @property
    def quick_trials(self) -> Mapping[str, tuple[int, ...]]:
        """Its trials in the `quick` study: space → seeds."""
        return {self.spaces[0]: (0,)} if self.quick is None else self.quick

    def removes(self, space: str) -> tuple[str, ...]:
        """Operations that the method takes out of `space`."""
        return self.without.get(space, ())

    def layers(self, space: Space) -> dict[str, Mapping[str, Value]]:
        """The overrides of the base settings by `space`, then by the method, then by the method on that space."""
        return {
            f"space {space.name}": space.search_defaults,
            f"recipe {self.name}": self.settings,
            f"recipe {self.name} on {space.name}": self.per_space.get(space.name, {}),
        }

    def reads(self, space: Space, settings: Settings) -> dict[str, FileRead]:
        """The files that its options name, by option. Raises `InputError` for one that does not fit."""
        given = {option.name: option.of(settings) for option in self.options if option.name in self.files}
        named = {name: Path(path) for name, path in given.items() if path}
        return {
            name: FileRead(words=self.files[name](path, space, settings), digest=file_digest(path))
            for name, path in named.items()
        }

    def declaration(self, settings: Settings | None = None) -> dict[str, str]:
        """The method in words, for lists, records and reports; with `settings`, how it is run."""
        removals = [f"{', '.join(operations)} from {space}" for space, operations in self.without.items()]
        return {
            "title": self.title,
            "source": self.source,
            **self.made_of(settings),
            "operations removed from the space": "; ".join(removals) or "no operation",
        }
