"""The folder of a report: written completely or not at all, and never over files of the user."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from spaces.common.errors import InputError

MANIFEST = ".dartboard-report"
"""The file that lists the files of a report, one a line. A folder with other files is never replaced."""


@contextmanager
def replaced(out: Path) -> Iterator[Path]:
    """A new folder beside `out` to write a report to; it replaces `out` on success, and is removed after an error.

    Raises `InputError` as `check_out`.
    """
    check_out(out)
    out = out.resolve()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".report-", dir=out.parent) as scratch:
            new = Path(scratch) / "new"
            new.mkdir()
            yield new
            names = sorted(path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file())
            (new / MANIFEST).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
            if out.exists():
                out.rename(Path(scratch) / "old")
            new.rename(out)
    except OSError as error:
        raise InputError(f"{out}: the report cannot be written: {error.strerror or error}") from error


def check_out(out: Path) -> None:
    """Raise `InputError` unless a report can be written to the folder `out`; change nothing.

    It cannot where `out` is a file, holds a file that no earlier report wrote, or cannot be created or replaced.
    """
    try:
        out = out.resolve()
        if out.exists() and not out.is_dir():
            raise InputError(f"{out}: is a file: name a folder for the report")
        if out.is_dir() and (foreign := _foreign(out)) is not None:
            raise InputError(f"{out}: holds {foreign!r}, which is no part of a report: name a new or an empty folder")
        if os.path.ismount(out):
            raise InputError(f"{out}: is a mounted folder, which cannot be replaced: name a folder in it")
        # Tried, since permissions do not show that a file system is read-only or full.
        with TemporaryDirectory(prefix=".report-", dir=next(path for path in out.parents if path.exists())):
            pass
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{out}: the report cannot be written: {reason}: name another folder") from error


def _foreign(out: Path) -> str | None:
    """The first entry of the folder `out` that no earlier report wrote."""
    try:
        own = {MANIFEST, *(out / MANIFEST).read_text(encoding="utf-8").splitlines()}
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError):
        own = set()
    own |= {parent.as_posix() for name in own for parent in Path(name).parents}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if name not in own or path.is_symlink():
            return name
    return None
