"""How is an architecture searched: the loop, its pieces and the recipes.

`METHODS` names every recipe and where it stands; a module is imported when its name is asked for, so that
importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spaces.core.errors import unknown

if TYPE_CHECKING:
    from methods.core.recipe import Method
    from methods.core.search import Search

METHODS: dict[str, str] = {
    "darts-1st": "methods.darts:DARTS_1ST",
    "darts-2nd": "methods.darts:DARTS_2ND",
    "darts-2nd-exact": "methods.darts:DARTS_2ND_EXACT",
    "darts+es": "methods.darts_plus:DARTS_ES",
    "darts-minus": "methods.darts_minus:DARTS_MINUS",
    "p-darts": "methods.p_darts:P_DARTS",
    "p-darts-no-priors": "methods.p_darts:P_DARTS_NO_PRIORS",
    "p-darts-auxiliary-skip": "methods.p_darts:P_DARTS_AUXILIARY_SKIP",
    "random": "methods.random_search:RANDOM",
}


def get_method(name: str) -> "Method":
    """The recipe called `name`; raises `InputError` with the nearest name if there is none."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    module, attribute = METHODS[name].split(":")
    method: Method = getattr(import_module(module), attribute)
    return method


def __getattr__(name: str) -> Any:
    if name == "Search":
        from methods.core.search import Search

        return Search
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["METHODS", "Search", "get_method"]
