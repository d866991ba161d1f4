"""How large the next correction to a field is to be, from the residuals that are left."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from pinnjax import nn
from pinnjax.terms import bridge, evaluation

PyTree = Any


def correction(
    terms: Mapping[str, Callable[..., Any]],
    points: Mapping[str, PyTree] | Callable[[Array], Mapping[str, PyTree]],
    network: Callable[[Array], nn.Module],
    *,
    factor: Callable[[Array], Array] | None = None,
) -> Callable[[Any, Array], nn.Corrected]:
    """A function for `Phase(model=)`: the trained field is kept, and a network ε N is trained beside it.

    ε makes what N adds to the residuals, to first order, as large as the residuals that are left: it is the ratio of
    the root mean squares of r[u_0] and of (d/dε) r[u_0 + ε N] at ε = 0. So N begins at its own scale, however small
    the error has become.

    Args:
        terms: those of the step.
        points: `{term: points}`, or a function that draws them.
        network: `network(key) -> N`, a module of the field's shape. What is left may vary faster than the field did:
            `inputs=nn.Standardize.box(low, high)` of a part of the domain makes N do so.
        factor: what the correction is multiplied by; see `nn.Corrected`.

    Returns:
        `model(trained, key)`. ε is 1 where N changes no residual.

    References:
      Wang, Lai, `Multi-stage neural networks: Function approximator of machine precision
      <https://arxiv.org/abs/2307.08934>`_, Journal of Computational Physics 504, 2024 (stages; ε from the derivative
      along N is our own choice).

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from pinnjax import nn
        >>> terms, points = {"data": lambda u, x: u(x) - 1}, {"data": jnp.linspace(0, 1, 9)[:, None]}
        >>> network = lambda key: nn.MLP(1, "scalar", width=4, depth=1, rngs=nn.Rngs(key))
        >>> first = network(jax.random.key(0))
        >>> u = correction(terms, points, network)(first, jax.random.key(1))
        >>> size = lambda f: jnp.sqrt(jnp.mean(jax.vmap(f)(points["data"]) ** 2))
        >>> print(f"{size(lambda x: u(x) - first(x)) / size(lambda x: first(x) - 1):.3f}")
        1.000
    """

    def model(trained: Any, key: Array) -> nn.Corrected:
        for_points, for_network = jax.random.split(key)
        batch = points(for_points) if callable(points) else points
        added = network(for_network)

        def left(scale: Array) -> list[Array]:
            definition, params, constants = bridge.split(nn.Corrected(trained, added, scale, factor))
            found = evaluation.residuals(terms, definition, constants)(params, batch)
            return list(found.values())

        zero = jnp.zeros((), jnp.result_type(float))
        remaining, slope = jax.jvp(left, (zero,), (jnp.ones_like(zero),))
        size = lambda parts: jnp.sqrt(sum(jnp.mean(r**2) for r in parts))
        scale = jnp.where(size(slope) > 0, size(remaining) / size(slope), 1.0)
        return nn.Corrected(trained, added, scale, factor)

    return model
