"""Where methods come to rest on `RARTS_MODEL`, in closed form: the zeros of their updates.

They follow from ∇_w L_t = 2(w - α), ∇_α L_t = 2(α - w), ∇_w L_v = α and ∇_α L_v = w - 2.
"""

from spaces.common.errors import InputError

Point = dict[str, float]
"""`alpha`, `w` and, if the method has it, `y`."""


def rest_of_amended(eta: float) -> Point:
    """Amended-DARTS: w = α and g1 + g2' = w - 2 + 4ηα = 0. The truth is η = H⁻² = 1/4, first-order DARTS is η = 0."""
    alpha = 2 / (1 + 4 * eta)
    return {"alpha": alpha, "w": alpha}


def rest_of_first_order() -> Point:
    """First-order DARTS: w = α and w - 2 = 0, the spurious (2, 2)."""
    return rest_of_amended(0.0)


def rest_of_second_order(rate: float) -> Point:
    """Second-order DARTS: w = α, so the unrolled step of `rate` stays there, and w - 2 + 2·rate·α = 0."""
    return rest_of_amended(rate / 2)


def rest_of_mixed_level() -> Point:
    """MiLeNAS: w = α, where ∇_α L_t = 0, so that λ drops out and w - 2 = 0: the spurious (2, 2) again."""
    return rest_of_first_order()


def rest_of_relaxed(penalty: float, coupling: float) -> Point:
    """RARTS with λ = `penalty` and β = `coupling`, the zero of RARTS eqs. 13-15.

    Eqs. 13 and 14 add up to 2λ(w - α) + α = 0, eqs. 13 and 15 to α + y = 2, and eq. 14 says β(w - y) = α; so
    α·(2 - 1/(2λ) - 1/β) = 2. The search comes to rest there if the Lagrangian is convex, which it is if its Hessian's
    determinant 4βλ - β - 2λ is positive. The paper's λ > 1/2 and β > 3/2 are sufficient.

    Raises `InputError` if the determinant is not positive.
    """
    determinant = 4 * coupling * penalty - coupling - 2 * penalty
    if not (penalty > 0 and coupling > 0 and determinant > 0):
        raise InputError(
            f"lambda = {penalty:g}, beta = {coupling:g}: rarts has no minimum on analytic, "
            "take lambda > 1/2 and beta > 3/2"
        )
    alpha = 4 * coupling * penalty / determinant
    return {"alpha": alpha, "w": alpha * (1 - 1 / (2 * penalty)), "y": 2 - alpha}
