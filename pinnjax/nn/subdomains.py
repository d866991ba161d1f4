"""A network for each subdomain, in one model: the field of a decomposed problem.

References:
  Jagtap, Kharazmi, Karniadakis, `Conservative physics-informed neural networks on discrete domains for conservation
  laws <https://doi.org/10.1016/j.cma.2020.113028>`_, Computer Methods in Applied Mechanics and Engineering 365, 2020.

  Jagtap, Karniadakis, `Extended physics-informed neural networks (XPINNs)
  <https://doi.org/10.4208/cicp.OA-2020-0164>`_, Communications in Computational Physics 28, 2020.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from pinnjax import checks, sampling


class Subdomains(nnx.Module):
    """A network on each subdomain: at a point the field of the one that the point is in, u(x) = u_i(x), x in Ω_i.

    A point that several boxes share belongs to the first of them, and one outside of all to the nearest. Of u the
    derivatives are those of the part that it is in. `u.part(i)` is u_i alone, which residuals of subdomain i and
    conditions at interfaces take: `pinnjax.subdomains.decomposed` makes both.

    Args:
        networks: modules, one for each subdomain; of any sizes, and fields of one shape.
        subdomains: a `pinnjax.sampling.Box` for each network; or a function from a point to the number of its
            subdomain, an integer in [0, number of networks), for other shapes.

    Raises:
        TypeError, ValueError: when these do not fit to each other, or boxes overlap or do not touch; when called, where
            two networks have different shapes.

    Example:
        >>> import jax.numpy as jnp
        >>> from pinnjax import nn, sampling
        >>> networks = [nn.MLP(1, "scalar", width=width, depth=1, rngs=nn.Rngs(0)) for width in (4, 7)]
        >>> u = Subdomains(networks, [sampling.Box((0.0,), (1.0,)), sampling.Box((1.0,), (3.0,))])
        >>> x, y = jnp.array([0.5]), jnp.array([1.5])
        >>> print(u(x) == u.part(0)(x), u(y) == u.part(1)(y))
        True True
    """

    def __init__(self, networks: Sequence[nnx.Module], subdomains: Sequence[sampling.Box] | Callable[[Array], Any]):
        networks = list(networks)
        for i, network in enumerate(networks):
            if not isinstance(network, nnx.Module) or not callable(network):
                raise TypeError(f"Subdomains: network {i} is {checks.described(network)}; expected an nnx.Module")
        if not networks:
            raise ValueError("Subdomains: there are no networks; expected one for each subdomain")
        self.networks = nnx.List(networks)
        self.number: Any = None
        self.lower: tuple[tuple[float, ...], ...] = ()
        self.upper: tuple[tuple[float, ...], ...] = ()
        if callable(subdomains):
            self.number = subdomains
            return
        boxes = list(subdomains)
        if len(boxes) != len(networks):
            raise ValueError(f"Subdomains: {len(networks)} networks and {len(boxes)} boxes; expected equal numbers")
        sampling.interfaces(boxes)  # says what is no box, and which boxes overlap
        self.lower, self.upper = tuple(box.lower for box in boxes), tuple(box.upper for box in boxes)

    def part(self, i: int) -> Any:
        """The field of subdomain i alone, everywhere.

        Raises:
            IndexError: when there is no such subdomain.
        """
        if not 0 <= i < len(self.networks):
            raise IndexError(f"Subdomains: part {i}; expected a number in [0, {len(self.networks)})")
        return self.networks[i]

    def at(self, x: Float[Array, " d"]) -> Int[Array, ""]:
        """The number of the subdomain that a point is in."""
        if self.number is not None:
            found = jnp.asarray(self.number(x))
            if found.shape or not jnp.issubdtype(found.dtype, jnp.integer):
                raise TypeError(f"Subdomains: a subdomain's number is {checks.described(found)}; expected an int ()")
            return found.astype(jnp.int32)
        lower, upper = jnp.asarray(self.lower, x.dtype), jnp.asarray(self.upper, x.dtype)
        outside = jnp.maximum(jnp.maximum(lower - x[None], x[None] - upper), 0)
        return jnp.argmin(jnp.sum(outside**2, axis=1)).astype(jnp.int32)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        x = checks.point("Subdomains", x, len(self.lower[0]) if self.lower else None)
        values = [network(x) for network in self.networks]
        shapes = [jnp.shape(value) for value in values]
        if len(set(shapes)) > 1:
            raise ValueError(f"Subdomains: the networks' fields have shapes {shapes} at a point; expected equal ones")
        kind = jnp.result_type(*values)
        return jax.lax.select_n(self.at(x), *(value.astype(kind) for value in values))
