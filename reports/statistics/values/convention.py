"""How a convention is read: the value of one search, the best of several, or not the value of a search."""

import re
from math import nan

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
BEST = re.compile(
    rf"best(?:[ -](?:out[ -])?of[ -](?:(?P<k>[1-9]\d*|{'|'.join(NUMBERS)})\b"
    r"|(?:(?:the|its|all|several) )*(?:searches|runs|seeds|trials)\b)|\s*(?:$|[,;:(]))",
    re.IGNORECASE,
)
# The best epoch of one search is that search's.
SELECTED = re.compile(
    r"\b(?:best(?! (?:valid(?:ation)? )?(?:epoch|checkpoint|step)\b)|max\b|maxim|highest|top\b|optim(?:um|al)\b)",
    re.IGNORECASE,
)
SUMMARY = re.compile(r"(?:mean|average|median) (?:over|of)\b(?!.*\bretraining)|settings?$", re.IGNORECASE)

ALLOWED = (
    "write 'best of K' for a best ('best of searches' where K is not known), 'mean over retrainings' where one search "
    "was retrained, else whatever one search's value is; means over searches, optima and settings are no search's value"
)


def best_of(convention: str) -> float | None:
    """The k if `convention` says that a value is the best of k searches, NaN if it does not state k.

    `None` for the value of one search. With k: "best of 4", "best of four", "best-of-4, test accuracy"; without:
    "best", "best of searches", "best of several runs".
    """
    found = BEST.match(convention.strip())
    if found is None:
        return None
    k = found["k"]
    if k is None:
        return nan
    return int(k) if k.isdigit() else 1 + NUMBERS.index(k.lower())


def readable(convention: str) -> bool:
    """Whether a value of this convention is one search's, or a best that `best_of` reads.

    It is not if the convention mentions a best, a maximum or an optimum in other words, summarises several searches, or
    is a setting: such a number would silently be taken for one search's.
    """
    words = convention.strip()
    return BEST.match(words) is not None or not (SELECTED.search(words) or SUMMARY.match(words))
