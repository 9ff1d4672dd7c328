"""Results of the solvable model that take seconds to compute and depend on the code alone, kept in the user's cache."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from spaces.common import disk_cache

FOLDER = "solved"


def code() -> str:
    """Digest of all code that a search may run, and torch's version."""
    return f"{disk_cache.digest_of_sources('spaces', 'methods', 'suite')} {torch.__version__}"


def kept(settings: Mapping[str, Any], work: Callable[[], Any]) -> Any:
    """The result of `work`, plain values that depend on `settings` and the code, from the cache if it is there.

    If the cache cannot be read or written, the result is computed again.
    """
    name = [code(), dict(settings)]
    found = disk_cache.read(FOLDER, name)
    if found is None:
        found = work()
        disk_cache.write(FOLDER, name, found)
    return found
