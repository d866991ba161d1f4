"""A correction to a field that is trained no more: the last digits."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnjax import checks


class Known(nnx.Variable):
    """A number that no gradient reaches, and that a checkpoint keeps."""


class Frozen(nnx.Module):
    """A module that is trained no more: what was trained in it is a constant here."""

    def __init__(self, module: nnx.Module):
        self.definition, state = nnx.split(module)
        leaves, self.structure = jax.tree.flatten(state)
        self.leaves = nnx.List([Known(leaf) for leaf in leaves])

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        state = jax.tree.unflatten(self.structure, [leaf[...] for leaf in self.leaves])
        return nnx.merge(self.definition, state)(x)


class Corrected(nnx.Module):
    """u(x) = u_0(x) + ε φ(x) N(x): a field that is known, and a correction that is trained.

    Args:
        known: u_0, a module; what was trained in it is a constant here.
        network: N, a field of the same shape.
        scale: ε, in units of u. `pinnjax.correction` finds one.
        factor: φ, e.g. that of `Constrained`, where N is to vanish; dimensionless; 1 when None.

    Raises:
        TypeError: when the known field is no module, or the network or the factor no function.
        ValueError: when called, where the two fields have different shapes.

    References:
      Wang, Lai, `Multi-stage neural networks: Function approximator of machine precision
      <https://arxiv.org/abs/2307.08934>`_, Journal of Computational Physics 504, 2024.

    Example:
        >>> import jax.numpy as jnp
        >>> from pinnjax import nn
        >>> first, second = (nn.MLP(1, "scalar", width=4, depth=1, rngs=nn.Rngs(seed)) for seed in (0, 1))
        >>> u = Corrected(first, second, 1e-3)
        >>> print(jnp.abs(u(jnp.ones(1)) - first(jnp.ones(1))) < 1e-2)
        True
    """

    def __init__(self, known: nnx.Module, network: Any, scale: Any, factor: Any = None):
        if not isinstance(known, nnx.Module):
            raise TypeError(f"Corrected: known is {checks.described(known)}; expected an nnx.Module")
        for name, function in [("network", network), ("factor", factor or abs)]:
            if not callable(function) or isinstance(function, type):
                raise TypeError(f"Corrected: {name} is {checks.described(function)}; expected a function of a point")
        self.known = Frozen(known)
        kinds = [leaf.dtype for leaf in self.known.leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]
        self.scale = Known(jnp.asarray(scale, jnp.result_type(*kinds or [float])))
        self.network = network
        self.factor = factor

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        x = checks.point("Corrected", x)
        known, correction = self.known(x), self.network(x)
        if jnp.shape(known) != jnp.shape(correction):
            raise ValueError(
                f"Corrected: the network has shape {jnp.shape(correction)} at a point; expected the known field's "
                f"{jnp.shape(known)}"
            )
        if self.factor is not None:
            correction = self.factor(x) * correction
        return known + self.scale[...] * correction
