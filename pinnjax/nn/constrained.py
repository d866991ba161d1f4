"""Hard constraints: fields that satisfy initial or boundary conditions whatever the network does."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnjax import checks

Field = Callable[[Array], Array]


class Constrained(nnx.Module):
    """Conditions built into the field, which hold whatever the network does.

    u(x) = g(x) + φ(x) N(x): where the factor φ vanishes, u is the lift g. With constants it scales the output: the mean
    of the values for g, and their deviation for φ.

    Args:
        network: N, a field, `()` or `(m,)`.
        lift: g, a field of N's shape that satisfies the condition, or one number for all components.
        factor: φ, which vanishes where the condition holds and nowhere else; one number, or one for each component.

    Raises:
        TypeError: when one of these is no function.
        ValueError: when called, for anything but one point, or when g or φ has another shape than N.

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
        for name, function in [("network", network), ("lift", lift), ("factor", factor)]:
            if not callable(function) or isinstance(function, type):
                raise TypeError(f"{name} is {checks.described(function)}; expected a function of a point")
        self.network = network
        self.lift = lift
        self.factor = factor

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        x = checks.point("Constrained", x)
        value, lift, factor = self.network(x), self.lift(x), self.factor(x)
        for name, part in [("lift", lift), ("factor", factor)]:
            if jnp.shape(part) not in ((), jnp.shape(value)):
                raise ValueError(
                    f"Constrained: the {name} has shape {jnp.shape(part)} at a point; expected () or the network's "
                    f"{jnp.shape(value)}"
                )
        return lift + factor * value
