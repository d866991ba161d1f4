"""Residual functions with their trace put in order: the derivatives in it share what they can, and are added early."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core

from pinnjax.terms import collapse, cse, inline

PyTree = Any


def simplified(function: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """A function of pytrees of arrays that computes the same to rounding, with fewer operations.

    What it calls is opened up (`inline`), common subexpressions are merged (`cse`), and sums of what one linear map
    made of several operands are taken before the map (`collapse`).

    Example:
        >>> import jax, jax.numpy as jnp, pinnjax as pj
        >>> kernel = jnp.ones((3, 3))
        >>> laplacian = lambda x: pj.laplacian(lambda y: kernel[0] @ jnp.tanh(kernel @ jnp.tanh(kernel @ y)))(x)
        >>> count = lambda f: str(jax.make_jaxpr(f)(jnp.ones(3))).count("dot_general[")
        >>> count(laplacian), count(simplified(laplacian))
        (33, 10)
    """

    def evaluate(*arguments: PyTree) -> PyTree:
        program, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        run = core.jaxpr_as_fun(cse.merged(collapse.collapsed(cse.merged(inline.inlined(program)))))
        return jax.tree.unflatten(jax.tree.structure(shapes), run(*jax.tree.leaves(arguments)))

    return evaluate
