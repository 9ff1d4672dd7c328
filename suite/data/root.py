"""Where data sets and tables are. This module imports nothing heavy, so that look-up commands start quickly."""

import os
from pathlib import Path

from spaces.common.errors import InputError


def data_root(option: Path | None = None) -> Path:
    """The folder of data sets and tables: `option` (`--data-root`), else `$DARTBOARD_DATA`, else the user's cache.

    It need not exist.
    """
    if option is not None:
        return option.expanduser()
    if named := os.environ.get("DARTBOARD_DATA"):
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("dartboard")


def find(path: str, root: Path) -> Path:
    """The file or folder that `path` names, relative to the working folder or else to the data root.

    Raises `InputError` if neither exists.
    """
    given = Path(path).expanduser()
    for candidate in (given, root / given):
        if candidate.exists():
            return candidate
    raise InputError(f"there is no {given}, neither here nor in the data root {root}: check the name")
