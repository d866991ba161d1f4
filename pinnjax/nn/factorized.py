"""Random weight factorisation: every unit has a learning rate of its own, which is learnt."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnjax import checks
from pinnjax.nn import mlp


class Factorized(nnx.Module):
    """Weights as a scale times a direction: each unit learns its own learning rate.

    In every linear layer of a network W = diag(exp(s)) V, with the random scales s ~ N(μ, σ²), one a unit, and V such
    that W, and so the field, is what it was. s and V are trained in place of W.

    No gain was seen in a short run, 2000 steps of Adam for an MLP on the Helmholtz problem, with two seeds: errors of
    0.16 and 0.12 with μ = 1, 0.32 and 0.37 with μ = 0.5, and 0.17 and 0.10 without factors.

    Args:
        network: a module with `flax.nnx.Linear` layers, such as `MLP`, `ModifiedMLP`, `PirateNet` or one of your own;
            it is copied.
        mean: μ, dimensionless; 0.5 or 1 in the papers.
        deviation: σ, dimensionless, >= 0; 0.1 in the papers.
        rngs: random numbers for s.

    Raises:
        TypeError: when the network is no module, or another argument of the wrong kind.
        ValueError: when it has no linear layer, or a deviation is negative.

    References:
      Wang, Wang, Seidman, Perdikaris, `Random weight factorization improves the training of continuous neural
      representations <https://arxiv.org/abs/2210.01274>`_, 2022: Section 2.

      Wang, Sankaran, Wang, Perdikaris, `An expert's guide to training physics-informed neural networks
      <https://arxiv.org/abs/2308.08468>`_, 2023. Its code (jaxpi) trains exp(s), not s.

    Example:
        >>> import jax.numpy as jnp
        >>> from pinnjax import nn
        >>> plain = nn.MLP(1, "scalar", width=4, depth=2, rngs=nn.Rngs(0))
        >>> u = Factorized(plain, rngs=nn.Rngs(1))
        >>> print(abs(u(jnp.ones(1)) - plain(jnp.ones(1))) < 1e-6)
        True
    """

    def __init__(self, network: nnx.Module, *, mean: float = 1.0, deviation: float = 0.1, rngs: nnx.Rngs):
        if not isinstance(network, nnx.Module):
            raise TypeError(f"network is {checks.described(network)}; expected an nnx.Module")
        checks.number("deviation", deviation, 0.0)
        mlp.check_rngs(rngs)

        def changed(path: tuple, node: Any) -> Any:
            return Scaled(node, mean, deviation, rngs) if isinstance(node, nnx.Linear) else node

        self.network = nnx.recursive_map(changed, network)
        if not any(isinstance(node, Scaled) for _, node in nnx.iter_graph(self.network)):
            raise ValueError(f"the network, a {type(network).__name__}, has no nnx.Linear; expected at least one")

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        return self.network(x)


class Scaled(nnx.Module):
    """A linear layer x (V diag(exp(s))) + b, which begins as another one."""

    def __init__(self, layer: nnx.Linear, mean: float, deviation: float, rngs: nnx.Rngs):
        self.in_features, self.out_features = layer.in_features, layer.out_features
        weights = layer.kernel[...]
        scale = mean + deviation * jax.random.normal(rngs.params(), (layer.out_features,), weights.dtype)
        self.scale = nnx.Param(scale)
        self.kernel = nnx.Param(weights / jnp.exp(scale)[None, :])
        self.bias = None if layer.bias is None else nnx.Param(layer.bias[...])

    def __call__(self, h: Float[Array, " n"]) -> Float[Array, " m"]:
        """The layer's values."""
        values = (h @ self.kernel[...]) * jnp.exp(self.scale[...])
        return values if self.bias is None else values + self.bias[...]
