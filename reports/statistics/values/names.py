"""Names that look alike: one name written in two ways would silently become two methods."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"), "-")
JOINED = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")
"""Blanks, underscores and hyphens between two letters or digits: which spellings of one name differ in."""
EXPONENT = re.compile(r"\de-$")
ENDS = re.compile(r"^[\s\u200b-\u200d\u2060\ufeff]+|[\s\u200b-\u200d\u2060\ufeff]+$")


def stripped(name: str) -> str:
    """`name` without blanks, and without signs that have no width, at either end."""
    return ENDS.sub("", name)


def alike(names: Iterable[str]) -> list[list[str]]:
    """The groups of two or more names that are equal without case, blanks, hyphens and underscores, each sorted.

    Typographic variants (another dash, a ligature, a letter of full width) are equal too. What may well tell two
    names apart is kept: a hyphen at the end ("DARTS-" is not "DARTS"), a minus sign, and whatever stands between two
    digits ("1-2" is not "12").
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for name in names:
        groups[_key(name)].add(name)
    return [sorted(group) for _, group in sorted(groups.items()) if len(group) > 1]


def _key(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).translate(DASHES).casefold()
    text = "".join(sign for sign in text if unicodedata.category(sign) != "Cf").strip()

    def joined(found: re.Match[str]) -> str:
        signs = found.group()
        before, after = text[: found.start()], text[found.end()]
        between_digits = before[-1].isdigit() and after.isdigit()
        minus = after.isdigit() and (signs.endswith(" -") or EXPONENT.search(before + signs) is not None)
        return "-" if "-" in signs and (between_digits or minus) else "_" if between_digits else ""

    return JOINED.sub(joined, text)
