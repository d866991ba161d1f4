"""Gradients of the terms, layer by layer.

References:
  Wang, Teng, Perdikaris, `Understanding and mitigating gradient pathologies in physics-informed neural networks
  <https://arxiv.org/abs/2001.04536>`_, SIAM Journal on Scientific Computing 43(5), 2021: Figures 2 and 6, histograms of
  back-propagated gradients.
"""

from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import Array, Float

PyTree = Any


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
