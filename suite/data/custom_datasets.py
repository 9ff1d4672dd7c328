"""Where a user's own data sets lie."""

from pathlib import Path

from spaces.common.errors import InputError


def find(path: str, root: Path) -> Path:
    """The file or folder `path` names: relative to the working folder, else to the data root.

    Raises `InputError` where neither exists.
    """
    given = Path(path).expanduser()
    for candidate in (given, root / given):
        if candidate.exists():
            return candidate
    raise InputError(f"there is no {given}, neither here nor in the data root {root}: check the name")
