"""Results that take seconds to compute, as JSON in the user's cache folder, by all that they depend on."""

import hashlib
import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from spaces.common.files import write_whole


@cache
def digest_of_sources(*packages: str) -> str:
    """Digest of all Python code of these packages of Dartboard, by their folders' names."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for path in sorted(path for package in packages for path in (root / package).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read(folder: str, name: Any) -> Any | None:
    """What was written under `name` (plain values); None if there is nothing, or if it cannot be read."""
    with suppress(OSError, ValueError):
        return json.loads(_path(folder, name).read_bytes())
    return None


def write(folder: str, name: Any, found: Any) -> None:
    """Keep `found` (plain values). If the cache cannot be written, nothing is kept."""
    with suppress(OSError):
        write_whole(_path(folder, name), lambda file: file.write(json.dumps(found).encode()))


def _path(folder: str, name: Any) -> Path:
    digest = hashlib.sha256(json.dumps(name, sort_keys=True).encode()).hexdigest()[:16]
    return user_cache_path("dartboard") / folder / f"{digest}.json"
