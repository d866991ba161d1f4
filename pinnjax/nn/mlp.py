"""Multilayer perceptron."""

import itertools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnjax import checks

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
        param_dtype: dtype of the parameters; when None JAX's default, float64 where `jax_enable_x64` is on.
        rngs: random numbers for the Glorot normal kernels; biases start at zero.

    Raises:
        ValueError: when a size is not positive; when called, for anything but one point.
        TypeError: when another argument is of the wrong kind.

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
        param_dtype: Any = None,
        rngs: nnx.Rngs,
    ):
        check_sizes(out_features, in_features=in_features, width=width, depth=depth)
        check_activation(activation)
        check_inputs(inputs)
        sizes = [in_features, *[width] * depth]
        self.hidden = nnx.List([linear(i, o, param_dtype, rngs) for i, o in itertools.pairwise(sizes)])
        self.out = linear(sizes[-1], components(out_features), param_dtype, rngs)
        self.out_features = out_features
        self.activation = activation
        self.inputs = inputs

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        h = encoded("MLP", x, self.inputs, self.hidden[0].in_features)
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
    param_dtype = checks.floating("param_dtype", param_dtype)
    check_rngs(rngs)
    return nnx.Linear(in_features, out_features, kernel_init=kernel, bias_init=bias, param_dtype=param_dtype, rngs=rngs)


def outputs(values: Float[Array, " m"], out_features: OutFeatures) -> Float[Array, "*m"]:
    """The last layer's values as the field's: `()` for a scalar field."""
    return values[0] if out_features == "scalar" else values


def encoded(
    name: str, x: Float[Array, " d"], inputs: Callable[[Array], Array] | None, in_features: int
) -> Float[Array, " in_features"]:
    """One point as the first layer takes it: through the input map, and of the length that was promised."""
    if inputs is None:
        return checks.point(name, x, in_features)
    h = inputs(checks.point(name, x))
    if jnp.shape(h) != (in_features,):
        raise ValueError(f"{name}: inputs gives the shape {jnp.shape(h)}; expected (in_features,) = ({in_features},)")
    return h


def components(out_features: OutFeatures) -> int:
    """Outputs of the last layer."""
    return 1 if out_features == "scalar" else out_features


def check_sizes(out_features: OutFeatures, **sizes: int) -> None:
    """Sizes of a network are whole numbers >= 1; `out_features` may be `"scalar"`."""
    for name, size in sizes.items():
        checks.count(name, size)
    if out_features != "scalar":
        checks.count("out_features", out_features, otherwise='"scalar"')


def check_activation(activation: Activation) -> None:
    """A function."""
    if not callable(activation):
        raise TypeError(f"activation is {checks.described(activation)}; expected a function such as jnp.tanh")


def check_inputs(inputs: Any) -> None:
    """The input map is a function of a point, an instance where it is a class."""
    if inputs is not None and (not callable(inputs) or isinstance(inputs, type)):
        raise TypeError(f"inputs is {checks.described(inputs)}; expected a function of a point, or None")


def check_rngs(rngs: Any) -> None:
    """Random numbers are flax's."""
    if not isinstance(rngs, nnx.Rngs):
        raise TypeError(f"rngs is {checks.described(rngs)}; expected pinnjax.nn.Rngs(0)")
