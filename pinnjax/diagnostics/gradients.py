"""Gradients of the terms: how large they are, how they agree, and how they spread over the layers.

References:
  Wang, Teng, Perdikaris, `Understanding and mitigating gradient pathologies in physics-informed neural networks
  <https://arxiv.org/abs/2001.04536>`_, SIAM Journal on Scientific Computing 43(5), 2021: Figures 2 and 6, histograms of
  back-propagated gradients.

  Wang, Bhartari, Li, Perdikaris, `Gradient alignment in physics-informed neural networks: a second-order optimization
  perspective <https://arxiv.org/abs/2502.00604>`_, 2025: the alignment score.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from pinnjax.terms import term_gradients

PyTree = Any


class Size(NamedTuple):
    """Size of one gradient over all its entries, in units of the loss per parameter.

    Attributes:
        norm: Euclidean norm, `()`.
        largest: largest magnitude, `()`.
        mean: mean magnitude, `()`.
        deviation: standard deviation, `()`.
    """

    norm: Float[Array, ""]
    largest: Float[Array, ""]
    mean: Float[Array, ""]
    deviation: Float[Array, ""]


def sizes(term_grads: Mapping[str, PyTree]) -> dict[str, Size]:
    """The size of each term's gradient.

    Args:
        term_grads: `{term: like params}`, as `pinnjax.value_and_grads` returns them.

    Example:
        >>> import jax.numpy as jnp
        >>> print(sizes({"pde": {"kernel": jnp.array([3.0, -4.0])}})["pde"].norm)
        5.0
    """
    found = {}
    for term, grads in term_grads.items():
        g = ravel_pytree(grads)[0]
        deviation = term_gradients.norm(g - jnp.mean(g)) / jnp.sqrt(g.size)
        found[term] = Size(term_gradients.norm(g), jnp.max(jnp.abs(g)), jnp.mean(jnp.abs(g)), deviation)
    return found


def imbalance(term_grads: Mapping[str, PyTree]) -> Float[Array, ""]:
    """The largest gradient norm over the smallest, dimensionless; infinite when a gradient vanishes.

    Example:
        >>> import jax.numpy as jnp
        >>> print(imbalance({"pde": jnp.array([30.0, 40.0]), "bc": jnp.array([0.5])}))
        100.0
    """
    norms = jnp.stack([size.norm for size in sizes(term_grads).values()])
    return jnp.max(norms) / jnp.min(norms)


def cosines(term_grads: Mapping[str, PyTree]) -> Float[Array, "T T"]:
    """Cosines of the angles between the terms' gradients, in their order; below zero they conflict.

    A gradient that vanishes has cosine zero with all, itself too.

    Example:
        >>> import jax.numpy as jnp
        >>> print(cosines({"pde": jnp.array([1.0, 0.0]), "bc": jnp.array([-3.0, 4.0])}).round(6))
        [[ 1.  -0.6]
         [-0.6  1. ]]
    """
    directions, norms = term_gradients.directions(dict(term_grads))
    alive = directions * (norms > 0)[None, :]
    return jnp.clip(jnp.matmul(alive.T, alive, precision="highest"), -1, 1)


def alignment(term_grads: Mapping[str, PyTree]) -> Float[Array, ""]:
    """A = 2 ‖Σ_t g_t/‖g_t‖ / T‖² - 1, in [-1, 1]: 1 when all point the same way, -1 when they cancel.

    With two gradients it is their cosine. Given gradients of successive steps, `{step: like params}`, it says how the
    steps agree. Equation 3.1 of Wang et al. 2025.

    Example:
        >>> import jax.numpy as jnp
        >>> print(alignment({"pde": jnp.array([1.0, 0.0]), "bc": jnp.array([-3.0, 4.0])}).round(6))
        -0.6
    """
    return 2 * jnp.mean(cosines(term_grads)) - 1


def by_layer(term_grads: Mapping[str, PyTree]) -> dict[str, dict[str, Float[Array, " p"]]]:
    """The gradients with respect to each weight matrix, as vectors; biases and other vectors are left out.

    Args:
        term_grads: `{term: like params}`, as `pinnjax.value_and_grads` returns them.

    Returns:
        `{layer: {term: (p,)}}` in the parameters' order; the layer is the matrix's path in the parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> grads = {"pde": {"hidden": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}}}
        >>> {layer: found["pde"].shape for layer, found in by_layer(grads).items()}
        {'hidden': (6,)}
    """
    found: dict[str, dict[str, Array]] = {}
    for term, grads in term_grads.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(grads):
            if leaf.ndim >= 2:
                found.setdefault(_layer(path), {})[term] = leaf.ravel()
    return found


def _layer(path: tuple) -> str:
    """`mlp/hidden/0` for the path of `mlp.hidden[0].kernel`, with or without flax's last step `value`."""
    parts = [jax.tree_util.keystr((key,), simple=True) for key in path]
    parts = parts[:-1] if parts[-1] == "value" else parts
    return "/".join(parts[:-1]) or "/".join(parts)
