"""Multilayer perceptron."""

import itertools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

Activation = Callable[[Array], Array]
OutFeatures = int | Literal["scalar"]


class MLP(nnx.Module):
    """Multilayer perceptron for a field: `depth` hidden layers of `width`, then a linear layer.

    Args:
        in_features: d, the coordinates of a point (after `inputs`, where that changes their number).
        out_features: m for a vector field `(m,)`, or `"scalar"` for a scalar field `()`.
        width: units in a hidden layer.
        depth: number of hidden layers.
        activation: applied after each hidden layer; smooth, since residuals differentiate it.
        inputs: map applied to the point first, e.g. `Standardize`.
        param_dtype: dtype of the parameters.
        rngs: random numbers for the Glorot normal kernels; biases start at zero.

    Raises:
        ValueError: when a size is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> u = MLP(2, "scalar", width=8, depth=2, rngs=nnx.Rngs(0))
        >>> print(u(jnp.zeros(2)).shape)
        ()
    """

    def __init__(
        self,
        in_features: int,
        out_features: OutFeatures,
        *,
        width: int = 50,
        depth: int = 3,
        activation: Activation = jnp.tanh,
        inputs: Callable[[Array], Array] | None = None,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_sizes(in_features, out_features, width, depth)
        sizes = [in_features, *[width] * depth]
        self.hidden = nnx.List([linear(i, o, param_dtype, rngs) for i, o in itertools.pairwise(sizes)])
        self.out = linear(sizes[-1], 1 if out_features == "scalar" else out_features, param_dtype, rngs)
        self.out_features = out_features
        self.activation = activation
        self.inputs = inputs

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        h = x if self.inputs is None else self.inputs(x)
        for layer in self.hidden:
            h = self.activation(layer(h))
        return outputs(self.out(h), self.out_features)


def linear(
    in_features: int,
    out_features: int,
    param_dtype: Any,
    rngs: nnx.Rngs,
    bias: jax.nn.initializers.Initializer = jax.nn.initializers.zeros,
) -> nnx.Linear:
    """A linear layer with a Glorot normal kernel and, unless said otherwise, zero bias."""
    kernel = jax.nn.initializers.glorot_normal()
    return nnx.Linear(in_features, out_features, kernel_init=kernel, bias_init=bias, param_dtype=param_dtype, rngs=rngs)


def outputs(values: Float[Array, " m"], out_features: OutFeatures) -> Float[Array, "*m"]:
    """The last layer's values as the field's: `()` for a scalar field."""
    return values[0] if out_features == "scalar" else values


def check_sizes(in_features: int, out_features: OutFeatures, width: int, depth: int) -> None:
    """Sizes are positive integers, `out_features` may be "scalar"."""
    for name, size in [("in_features", in_features), ("width", width), ("depth", depth)]:
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"{name} is {size!r}; expected an integer >= 1")
    if out_features != "scalar" and (not isinstance(out_features, int) or out_features < 1):
        raise ValueError(f'out_features is {out_features!r}; expected an integer >= 1 or "scalar"')
