"""How is an architecture searched: the loop, its pieces and the recipes.

`METHODS` names every recipe and where it stands; a module is imported when its name is asked for, so that
importing this package costs nothing.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spaces.common.errors import InputError, unknown

if TYPE_CHECKING:
    from methods.search.loop import Search
    from methods.search.recipe import Method

METHODS: dict[str, str] = {
    "darts-1st": "methods.darts:DARTS_1ST",
    "darts-2nd": "methods.darts:DARTS_2ND",
    "darts-2nd-exact": "methods.darts:DARTS_2ND_EXACT",
    "darts+es": "methods.darts_plus:DARTS_ES",
    "sdarts-rs": "methods.sdarts:SDARTS_RS",
    "lambda-darts": "methods.lambda_darts:LAMBDA_DARTS",
    "lambda-darts-sign": "methods.lambda_darts:LAMBDA_DARTS_SIGN",
    "lambda-darts-outer": "methods.lambda_darts:LAMBDA_DARTS_OUTER",
    "lambda-sdarts-rs": "methods.lambda_darts:LAMBDA_SDARTS_RS",
    "lambda-p-darts": "methods.lambda_darts:LAMBDA_P_DARTS",
    "pr-darts": "methods.pr_darts:PR_DARTS",
    "pr-darts-gates": "methods.pr_darts:PR_DARTS_GATES",
    "pr-darts-path": "methods.pr_darts:PR_DARTS_PATH",
    "amended-darts": "methods.amended_darts:AMENDED",
    "amended-darts-exact": "methods.amended_darts:AMENDED_EXACT",
    "rarts": "methods.rarts:RARTS",
    "milenas": "methods.rarts:MILENAS",
    "darts+cs10": "methods.darts_prime:DARTS_CS10",
    "darts+fimt": "methods.darts_prime:DARTS_FIMT",
    "darts+pr": "methods.darts_prime:DARTS_PR",
    "darts-prime": "methods.darts_prime:DARTS_PRIME",
    "darts+crb": "methods.prime_supplement:DARTS_CRB",
    "darts+fimt+crb": "methods.prime_supplement:DARTS_FIMT_CRB",
    "prime+crb": "methods.prime_supplement:PRIME_CRB",
    "darts+admm": "methods.prime_supplement:DARTS_ADMM",
    "darts+admm+fimt": "methods.prime_supplement:DARTS_ADMM_FIMT",
    "darts+admm+fimt+crb": "methods.prime_supplement:DARTS_ADMM_FIMT_CRB",
    "darts-minus": "methods.darts_minus:DARTS_MINUS",
    "p-darts": "methods.p_darts:P_DARTS",
    "p-darts-no-priors": "methods.p_darts:P_DARTS_NO_PRIORS",
    "p-darts-auxiliary-skip": "methods.p_darts:P_DARTS_AUXILIARY_SKIP",
    "r-darts-es": "methods.r_darts:R_DARTS_ES",
    "r-darts-ada": "methods.r_darts:R_DARTS_ADA",
    "r-darts-l2": "methods.r_darts:R_DARTS_L2",
    "random": "methods.random_search:RANDOM",
    "fixed-skips-0": "methods.fixed_architectures:SKIPS_0",
    "fixed-skips-37.5": "methods.fixed_architectures:SKIPS_37",
    "fixed-skips-62.5": "methods.fixed_architectures:SKIPS_62",
    "fixed-deep": "methods.fixed_architectures:DEEP",
    "fixed-shallow": "methods.fixed_architectures:SHALLOW",
}


def get_method(name: str) -> "Method":
    """The recipe called `name`, or NAME of the Python file in ``path/to/file.py:NAME``.

    Raises `InputError` with the nearest name if there is none, or as `methods.search.external_recipe.recipe_from`. The file is
    run: it is the caller's own code.
    """
    if name.endswith(".py"):
        raise InputError(f"{name}: which of its recipes? Name a method as {name}:NAME")
    path, _, attribute = name.rpartition(":")
    if path.endswith(".py"):
        from methods.search.external_recipe import recipe_from

        return recipe_from(Path(path), attribute, METHODS)
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    module, attribute = METHODS[name].split(":")
    method: Method = getattr(import_module(module), attribute)
    return method


def __getattr__(name: str) -> Any:
    if name == "Search":
        from methods.search.loop import Search

        return Search
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["METHODS", "Search", "get_method"]
