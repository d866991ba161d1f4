"""Hard constraints: fields that satisfy initial or boundary conditions whatever the network does."""

from collections.abc import Callable
from typing import Any

from flax import nnx
from jaxtyping import Array, Float

Field = Callable[[Array], Array]


class Constrained(nnx.Module):
    """u(x) = g(x) + φ(x) N(x): where the factor φ vanishes, u is the lift g.

    Args:
        network: N, a field.
        lift: g, a field that satisfies the condition.
        factor: φ, a scalar function that vanishes where the condition holds and nowhere else.

    References:
      Sukumar, Srivastava, `Exact imposition of boundary conditions with distance functions in physics-informed deep
      neural networks <https://arxiv.org/abs/2104.08426>`_, Computer Methods in Applied Mechanics and Engineering 389,
      2022.

    Example:
        >>> import jax.numpy as jnp
        >>> from pinnjax import nn
        >>> network = nn.MLP(1, "scalar", width=4, depth=1, rngs=nn.Rngs(0))
        >>> u = Constrained(network, lift=lambda x: 3.0, factor=lambda x: x[0])
        >>> print(u(jnp.array([0.0])))
        3.0
    """

    def __init__(self, network: Any, lift: Field, factor: Field):
        self.network = network
        self.lift = lift
        self.factor = factor

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        return self.lift(x) + self.factor(x) * self.network(x)
