"""Results that take seconds to compute and depend on the code alone, cached in the user's cache folder."""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path

from spaces.common.files import write_whole


@cache
def code() -> str:
    """Digest of all code that a search may run, and of torch's version."""
    root = Path(__file__).parents[2]
    sources = sorted(path for folder in ("spaces", "methods", "suite") for path in (root / folder).rglob("*.py"))
    digest = hashlib.sha256(torch.__version__.encode())
    for path in sources:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kept(settings: Mapping[str, Any], work: Callable[[], Any]) -> Any:
    """The result of `work`, plain values that depend on `settings` and the code, from the cache if it is there.

    If the cache cannot be read or written, the result is computed again.
    """
    name = json.dumps([code(), settings], sort_keys=True)
    path = user_cache_path("dartboard") / "solved" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
    with suppress(OSError, ValueError):
        return json.loads(path.read_bytes())
    found = work()
    with suppress(OSError):
        write_whole(path, lambda file: file.write(json.dumps(found).encode()))
    return found
