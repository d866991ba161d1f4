"""Modified MLP: two encoders of the input gate every hidden layer.

References:
  Wang, Teng, Perdikaris, `Understanding and mitigating gradient pathologies in physics-informed neural networks
  <https://arxiv.org/abs/2001.04536>`_, SIAM Journal on Scientific Computing 43(5), 2021: Section 2.6.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnjax.nn import mlp


class ModifiedMLP(nnx.Module):
    """Two encodings of the point gate every hidden layer: the network of Wang et al. 2021.

    Every hidden layer is a mixture of the two:

        U = φ(x W_U + b_U),  V = φ(x W_V + b_V),  Z = φ(H W + b),  H ← (1 - Z) U + Z V.

    Args:
        in_features: d, the coordinates of a point (after `inputs`, where that changes their number).
        out_features: m for a vector field `(m,)`, or `"scalar"` for a scalar field `()`.
        width: units in a hidden layer and in the encoders.
        depth: number of hidden layers.
        activation: φ; smooth, since residuals differentiate it.
        inputs: map applied to the point first, e.g. `Standardize`.
        param_dtype: dtype of the parameters; when None JAX's default, float64 where `jax_enable_x64` is on.
        encoder_bias: how the encoders' biases start, a `jax.nn.initializers`; at zero when None. The authors draw them
            like a kernel of one row, `normal(√(2 / (1 + width)))`: without biases both encoders are odd in their input.
        rngs: random numbers for the Glorot normal kernels; the other biases start at zero.

    Raises:
        ValueError: when a size is not positive; when called, for anything but one point.
        TypeError: when another argument is of the wrong kind.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> u = ModifiedMLP(2, 3, width=8, depth=2, rngs=nnx.Rngs(0))
        >>> print(u(jnp.zeros(2)).shape)
        (3,)
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
        encoder_bias: jax.nn.initializers.Initializer | None = None,
        param_dtype: Any = None,
        rngs: nnx.Rngs,
    ):
        self.mlp = mlp.MLP(
            in_features,
            out_features,
            width=width,
            depth=depth,
            activation=activation,
            param_dtype=param_dtype,
            rngs=rngs,
        )
        mlp.check_inputs(inputs)
        bias = jax.nn.initializers.zeros if encoder_bias is None else encoder_bias
        self.encoder_u = mlp.linear(in_features, width, param_dtype, rngs, bias)
        self.encoder_v = mlp.linear(in_features, width, param_dtype, rngs, bias)
        self.inputs = inputs

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        net, h = self.mlp, mlp.encoded("ModifiedMLP", x, self.inputs, self.encoder_u.in_features)
        u, v = net.activation(self.encoder_u(h)), net.activation(self.encoder_v(h))
        for layer in net.hidden:
            z = net.activation(layer(h))
            h = (1 - z) * u + z * v
        return mlp.outputs(net.out(h), net.out_features)
