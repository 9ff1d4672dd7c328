"""Where searches of `analytic` come to rest, and their closed forms, against fractions worked out by hand."""

from typing import Any

import pytest

from suite import analytic

SMALL = {"alpha_learning_rate": 0.02}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "darts-1st": ("darts-1st", SMALL),
    "darts-2nd, rate 0.1": ("darts-2nd", {"learning_rate": 0.1, **SMALL}),
    "amended-darts, eta 0.1": ("amended-darts", SMALL),
    "amended-darts-exact, eta 0.25": ("amended-darts-exact", {"eta": 0.25, **SMALL}),
    "milenas, lambda 2": ("milenas", {"lambda": 2, **SMALL}),
    "rarts, lambda 1, beta 2": ("rarts", {"lambda": 1, "beta": 2, "learning_rate": 0.1, "alpha_learning_rate": 0.1}),
    "rarts, lambda 15, beta 15": ("rarts", {"lambda": 15, "beta": 15}),
    "rarts, lambda 60, beta 5": ("rarts", {"lambda": 60, "beta": 5}),
}


@pytest.mark.known
def test_equilibria(golden) -> None:
    found = {name: analytic.solve(method, overrides) for name, (method, overrides) in CASES.items()}
    assert all(solved["at_rest"] for solved in found.values())
    assert all(("y" in solved) == (solved["method"] == "rarts") for solved in found.values())
    golden(
        "equilibria",
        {
            "closed_form": {name: list(solved["closed_form"].values()) for name, solved in found.items()},
            "search": {name: [solved[key] for key in solved["closed_form"]] for name, solved in found.items()},
        },
    )
