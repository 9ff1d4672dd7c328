"""The one kind of error that a user sees: bad input, in one line that names the cause and the remedy."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """What a user gave cannot be used. The message is one line: which file, which key, what to do.

    `details` are lines for behind it, of an error in the user's own code.
    """

    details: str = ""


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """An `InputError` for a `name` that is not in `known`, with the nearest one that is."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    return InputError(f"unknown {kind} {name!r}: {hint}")
