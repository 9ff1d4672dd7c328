"""What takes seconds to work out and is always the same, kept in the user's cache folder until the code changes."""

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
    """Digest of all that searches are made of, torch's version with it."""
    root = Path(__file__).parents[2]
    sources = sorted(path for folder in ("spaces", "methods", "suite") for path in (root / folder).rglob("*.py"))
    digest = hashlib.sha256(torch.__version__.encode())
    for path in sources:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kept(settings: Mapping[str, Any], work: Callable[[], Any]) -> Any:
    """What `work` gives, plain values that `settings` and the code determine: from the cache if it was done before.

    Where nothing can be written or what lies there cannot be read, it is worked out again.
    """
    name = json.dumps([code(), settings], sort_keys=True)
    path = user_cache_path("dartboard") / "solved" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
    with suppress(OSError, ValueError):
        return json.loads(path.read_bytes())
    found = work()
    with suppress(OSError):
        write_whole(path, lambda file: file.write(json.dumps(found).encode()))
    return found
