"""Whether higher or lower values are better: declared with the values, or known from the metric's name."""

import re

HIGHER, LOWER = "higher", "lower"
SIGNS = {HIGHER: 1.0, LOWER: -1.0}
"""The factor of a value after which more is better."""

ERRORS = {"error", "errors", "err", "loss", "losses", "nll", "mse", "mae", "rmse", "perplexity", "ppl", "regret"}
LESS = ERRORS | {
    *("seconds", "sec", "secs", "minutes", "hours", "days", "time", "times", "latency", "cost", "costs", "memory"),
    *("parameters", "parameter", "params", "param", "macs", "mac", "multiply", "madds", "flops", "flop"),
}
MORE = {"accuracy", "accuracies", "acc", "auc", "precision", "recall", "score", "scores", "throughput"}
SHARES = {"accuracy", "accuracies", "acc", "error", "errors", "err", "precision", "recall", "top"}
"""Words of metrics that are shares: percentages or fractions."""
UNBOUNDED = {"squared", "absolute", "loss", "time", "mse", "mae", "rmse"}
"""Words that make an error unbounded."""


def known(name: str) -> str | None:
    """`HIGHER` or `LOWER` by the words in a metric's name; `None` where they say neither, or both.

    "search_seconds", "test error" and "valLoss" are better lower, "accuracy" and "top1" higher; "skip_share" is not
    known, nor is "time to accuracy".
    """
    words = _words(name)
    less, more = bool(words & LESS), bool(words & MORE)
    if less != more:
        return LOWER if less else HIGHER
    # Top-1 and top-5 are accuracies unless they are called errors.
    return HIGHER if not less and "top" in words else None


def told(convention: str) -> str | None:
    """`HIGHER` or `LOWER` where a convention names an accuracy or an error, and not both: "test error, last epoch"."""
    words = _words(convention)
    less, more = bool(words & ERRORS), bool(words & MORE)
    return (LOWER if less else HIGHER) if less != more else None


def is_share(name: str) -> bool:
    """Whether the words of a metric's name say that it lies between 0 and 1, or between 0 and 100 %."""
    words = _words(name)
    return bool(words & SHARES) and not words & UNBOUNDED


def _words(name: str) -> set[str]:
    # "testError" is two words, "MACs" is one.
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name) + re.findall(r"[a-z]+", name.casefold())
    return {part.casefold() for part in parts}
