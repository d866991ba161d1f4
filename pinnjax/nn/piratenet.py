"""PirateNet: a deep network that begins as a linear one of its features."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnjax.nn import mlp


class PirateNet(nnx.Module):
    """Residual blocks that begin as the identity, so a deep network begins as a linear one of its features.

    Of the features Φ(x), the input map's values, come gates U and V, and the first h = Φ(x). A block is

        f = φ(h W_1 + b_1),  z = f U + (1 - f) V,  g = φ(z W_2 + b_2),  z ← g U + (1 - g) V,
        h ← α φ(z W_3 + b_3) + (1 - α) h,

    and the field a linear layer of the last h. α, one number a block, is trained and begins at zero.

    Args:
        in_features: features that `inputs` gives.
        out_features: m for a vector field `(m,)`, or `"scalar"` for a scalar field `()`.
        width: units of the gates and within a block; as many as there are features in the paper.
        depth: number of blocks, three layers each.
        activation: φ; smooth, since residuals differentiate it.
        inputs: Φ, in the paper `FourierFeatures`, of `Periodic` coordinates where they are; the coordinates when None.
        param_dtype: dtype of the parameters; when None JAX's default, float64 where `jax_enable_x64` is on.
        rngs: random numbers for the Glorot normal kernels; biases start at zero.

    Raises:
        ValueError: when a size is not positive; when called, for anything but one point.
        TypeError: when another argument is of the wrong kind.

    References:
      Wang, Li, Chen, Perdikaris, `PirateNets: physics-informed deep learning with residual adaptive networks
      <https://arxiv.org/abs/2402.00326>`_, Journal of Machine Learning Research 25, 2024: Section 4. There every layer
      is factorised, too: `Factorized(PirateNet(...))`.

    Example:
        >>> import jax.numpy as jnp
        >>> from pinnjax import nn
        >>> waves = nn.FourierFeatures(1, 4, scale=1.0, rngs=nn.Rngs(0))
        >>> u = PirateNet(8, "scalar", width=8, depth=2, inputs=waves, rngs=nn.Rngs(1))
        >>> print(jnp.array_equal(u.features(jnp.ones(1)), waves(jnp.ones(1))))
        True
    """

    def __init__(
        self,
        in_features: int,
        out_features: mlp.OutFeatures,
        *,
        width: int = 50,
        depth: int = 3,
        activation: mlp.Activation = jnp.tanh,
        inputs: Callable[[Array], Array] | None = None,
        param_dtype: Any = None,
        rngs: nnx.Rngs,
    ):
        mlp.check_sizes(out_features, in_features=in_features, width=width, depth=depth)
        mlp.check_activation(activation)
        mlp.check_inputs(inputs)
        self.gate_u = mlp.linear(in_features, width, param_dtype, rngs)
        self.gate_v = mlp.linear(in_features, width, param_dtype, rngs)
        self.blocks = nnx.List([Block(in_features, width, param_dtype, rngs) for _ in range(depth)])
        self.out = mlp.linear(in_features, mlp.components(out_features), param_dtype, rngs)
        self.out_features = out_features
        self.activation = activation
        self.inputs = inputs

    def features(self, x: Float[Array, " d"]) -> Float[Array, " features"]:
        """What the last layer sees at one point: Φ(x), as long as every α is zero."""
        h = mlp.encoded("PirateNet", x, self.inputs, self.gate_u.in_features)
        u, v = self.activation(self.gate_u(h)), self.activation(self.gate_v(h))
        for block in self.blocks:
            h = block(h, u, v, self.activation)
        return h

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        return mlp.outputs(self.out(self.features(x)), self.out_features)

    def fitted(self, points: Float[Array, "n d"], values: Float[Array, "n *m"]) -> "PirateNet":
        """The network with its last layer fitted to data by linear least squares, the paper's physics-informed start.

        Data may be an initial condition, taken for all times; the solution of a linear equation; measurements.

        Args:
            points: `(n, d)`.
            values: of the field there, `(n,)` or `(n, m)`.

        Returns:
            A copy with another last layer, that of the least norm where several fit.

        Raises:
            ValueError: when there is not a value of the field's shape for each point.
        """
        shape = () if self.out_features == "scalar" else (self.out_features,)
        if jnp.shape(values) != (len(points), *shape):
            raise ValueError(f"values have shape {jnp.shape(values)}; expected {(len(points), *shape)}, one a point")
        network = nnx.clone(self)
        features = jax.vmap(self.features)(points)
        columns = jnp.concatenate([features, jnp.ones_like(features[:, :1])], axis=1)
        solution = jnp.linalg.lstsq(columns, jnp.reshape(values, (len(points), -1)).astype(columns.dtype))[0]
        out = nnx.state(network.out, nnx.Param)
        fitted = {"kernel": solution[:-1], "bias": solution[-1]}
        nnx.update(network.out, jax.tree.map(lambda new, old: new.astype(old.dtype), fitted, nnx.to_pure_dict(out)))
        return network


class Block(nnx.Module):
    """Three layers with gates, beside the identity."""

    def __init__(self, features: int, width: int, param_dtype: Any, rngs: nnx.Rngs):
        self.first = mlp.linear(features, width, param_dtype, rngs)
        self.second = mlp.linear(width, width, param_dtype, rngs)
        self.third = mlp.linear(width, features, param_dtype, rngs)
        self.alpha = nnx.Param(jnp.zeros((), self.first.kernel.dtype))

    def __call__(
        self, h: Float[Array, " n"], u: Float[Array, " k"], v: Float[Array, " k"], activation: mlp.Activation
    ) -> Float[Array, " n"]:
        """The block's values."""
        alpha, z = self.alpha[...], h
        for layer in (self.first, self.second):
            f = activation(layer(z))
            z = f * u + (1 - f) * v
        return alpha * activation(self.third(z)) + (1 - alpha) * h
