"""DCGD: the gradient is kept in the dual cone of the gradients of the PDE and of the conditions.

References:
  Hwang, Lim, `Dual cone gradient descent for training physics-informed neural networks
  <https://arxiv.org/abs/2409.18426>`_, NeurIPS 2024: Section 4, Algorithms 1 and 2, and the authors' code.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from pinnjax.term_weights import _surgery
from pinnjax.terms import names

PyTree = Any


class Pair(NamedTuple):
    """The two gradients of the paper, r of the equation and b of all conditions together.

    Attributes:
        r: ‖g_r‖, `()`.
        b: ‖g_b‖, `()`.
        cosine: of the angle between them, `()`; zero when one of them is.
    """

    r: Array
    b: Array
    cosine: Array


def _projection(p: Pair) -> tuple[Array, Array]:
    """The total gradient, projected on the face of the cone that it left."""
    against_b, against_r = p.b + p.r * p.cosine < 0, p.r + p.b * p.cosine < 0
    of_r = jnp.where(against_b, 1.0, jnp.where(against_r, -p.cosine * _surgery.divide(p.b, p.r), 1.0))
    of_b = jnp.where(against_b, -p.cosine * _surgery.divide(p.r, p.b), 1.0)
    return of_r, of_b


def _average(p: Pair) -> tuple[Array, Array]:
    """Outside the cone, the mean of the two projections."""
    outside = (p.b + p.r * p.cosine < 0) | (p.r + p.b * p.cosine < 0)
    of_r = jnp.where(outside, (1 - p.cosine * _surgery.divide(p.b, p.r)) / 2, 1.0)
    of_b = jnp.where(outside, (1 - p.cosine * _surgery.divide(p.r, p.b)) / 2, 1.0)
    return of_r, of_b


def _center(p: Pair) -> tuple[Array, Array]:
    """The total gradient, projected on the bisector c of the cone, c = g_r / ‖g_r‖ + g_b / ‖g_b‖.

    Both unit gradients have the same product with c, ‖c‖² / 2, so the projection is (‖g_r‖ + ‖g_b‖) c / 2. When one of
    the gradients vanishes, c is the other.
    """
    both = (p.r > 0) & (p.b > 0)
    of_r = jnp.where(both, (1 + _surgery.divide(p.b, p.r)) / 2, 1.0)
    of_b = jnp.where(both, (1 + _surgery.divide(p.r, p.b)) / 2, 1.0)
    return of_r, of_b


VARIANTS: dict[str, Callable[[Pair], tuple[Array, Array]]] = {
    "center": _center,
    "average": _average,
    "projection": _projection,
}


def dcgd(pde: str, *, variant: str = "center") -> optax.GradientTransformationExtraArgs:
    """Surgery: a total gradient that opposes neither the equation's nor the conditions'.

    Change the total gradient so that it conflicts neither with the equation's nor with that of the conditions.

    The conditions count together: g_b = Σ_t g_t over all terms but `pde`.

    * ``"center"`` (the paper's best): in every step, the total gradient projected on the bisector of the cone;
    * ``"average"``: outside the dual cone, the mean of the two projections onto its faces;
    * ``"projection"``: outside the dual cone, the projection onto the nearer face.

    Args:
        pde: name of the term of the equation.
        variant: a name above.

    Returns:
        A term-space transform; it reads no extra args. Opposite gradients (a Pareto-stationary point) stop "center".

    Raises:
        ValueError: when the variant or the term is unknown.

    Cost: a QR factorisation of the gradients.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = dcgd("pde", variant="projection")
        >>> grads = {"pde": jnp.array([4.0, 0.0]), "bc": jnp.array([-1.0, 1.0])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> print((balanced["pde"] + balanced["bc"]).round(5))  # (3, 1) rises bc; what is left of (4, 0) across (-1, 1)
        [2. 2.]
    """
    if variant not in VARIANTS:
        raise ValueError(f"dcgd: variant is {variant!r}; expected one of {list(VARIANTS)}")

    def coefficients(span: _surgery.Span) -> Float[Array, " T"]:
        equations = names.meant("dcgd: pde", [pde], span.names)
        inside = jnp.array([name in equations for name in span.names])
        g_r = span.alive @ jnp.where(inside, span.sizes, 0)
        g_b = span.alive @ jnp.where(inside, 0, span.sizes)
        r, b = _surgery.length(g_r), _surgery.length(g_b)
        largest = jnp.max(jnp.where(inside, 0, span.sizes))
        b = jnp.where(
            b > _surgery.rounding(span.directions) * largest, b, 0
        )  # conditions that cancel have no direction
        of_r, of_b = VARIANTS[variant](Pair(r, b, _surgery.divide(g_r, r) @ _surgery.divide(g_b, b)))
        return jnp.where(inside, of_r, of_b)

    def start(term_params: dict[str, PyTree]) -> PyTree:
        names.meant("dcgd: pde", [pde], term_params)
        return ()

    return _surgery.surgery(coefficients, start=start)
