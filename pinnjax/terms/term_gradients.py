"""Gradients of the terms: how long they are, how they lie to each other, and their sum."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

PyTree = Any


def norms(grads: Mapping[str, PyTree]) -> dict[str, Float[Array, ""]]:
    """‖g_t‖ of each term."""
    return {name: norm(g) for name, g in grads.items()}


def norm(tree: PyTree) -> Float[Array, ""]:
    """‖g‖ of a tree, without squares that leave the range of the precision: in single precision 1e19² is infinite."""
    largest = optax.tree.norm(tree, ord=jnp.inf)
    usable = (largest > 0) & jnp.isfinite(largest)
    unit = jnp.where(usable, largest, 1)
    return largest * jnp.where(usable, optax.tree.norm(jax.tree.map(lambda g: g / unit.astype(g.dtype), tree)), 1)


def directions(term_grads: dict[str, PyTree]) -> tuple[Float[Array, "T T"], Float[Array, " T"]]:
    """R of the QR factorisation of the terms' gradients, with columns of length one, and ‖g_t‖.

    Column t of R stands for g_t / ‖g_t‖; a zero gradient stands at right angles to all others. In single precision or
    better. A gradient that is not finite has a norm that is not.

    Returns:
        `(R, norms)`, `(T, T)` and `(T,)`, the terms in the order of the dict.

    Example:
        >>> import jax.numpy as jnp
        >>> columns, norms = directions({"pde": jnp.array([3e20, 4e20]), "bc": jnp.array([4e-20, -3e-20])})
        >>> print(norms, abs(columns[:, 0] @ columns[:, 1]) < 1e-6)
        [5.e+20 5.e-20] True
    """
    kind = jnp.promote_types(optax.tree.dtype(term_grads, "highest"), jnp.float32)
    rows = jnp.stack([ravel_pytree(g)[0].astype(kind) for g in term_grads.values()])
    sound = jnp.all(jnp.isfinite(rows), axis=1)
    rows = jnp.where(sound[:, None], rows, 0)
    largest = jnp.max(jnp.abs(rows), axis=1)
    exponent = jnp.frexp(largest)[1]
    unit = jnp.ldexp(jnp.ones_like(largest), -exponent)  # a power of two, so dividing by it rounds nothing
    # One more row for each gradient, which is zero unless the gradient is.
    columns = jnp.concatenate([(rows * unit[:, None]).T, jnp.diag((largest == 0).astype(kind))])
    r = jnp.linalg.qr(columns, mode="r")
    lengths = jnp.sqrt(jnp.sum(r**2, axis=0))
    norms = jnp.where(largest > 0, jnp.ldexp(lengths, exponent), 0)
    return r / lengths[None, :], jnp.where(sound, norms, jnp.nan)


def total(term_grads: Mapping[str, PyTree]) -> PyTree:
    """Sum of the terms' gradients, the gradient that an optimiser sees."""
    return jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *term_grads.values())
