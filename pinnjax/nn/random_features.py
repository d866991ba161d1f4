"""Random features: one hidden layer that is drawn once, and a linear layer that is trained."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, ArrayLike, Float

from pinnjax import checks
from pinnjax.nn import mlp


class RandomFeatures(nnx.Module):
    """A field that is linear in what is trained: u(x) = Σ_j c_j φ(w_j · (z - z_j)) + c_0, w_j and z_j random.

    The box is mapped to z in [-1, 1]^d. A linear equation is then a linear least-squares problem for c, which one step
    of `pinnjax.optimizers.gauss_newton` solves; a nonlinear one takes a few. The field begins at zero.

    Args:
        lower: `(d,)`, the least coordinates, in the units of x, or of what `inputs` make of it.
        upper: `(d,)`, the largest ones.
        out_features: m for a vector field `(m,)`, or `"scalar"` for a scalar field `()`.
        width: number of features.
        scale: largest slope of a feature, in units of z: `(d,)`, or one number. The components of w_j are uniform up to
            it. Some 2 for smooth fields, about the number of waves across the box for others.
        activation: φ; smooth, since residuals differentiate it.
        inputs: what the point becomes first, such as `pinnjax.nn.Periodic`; None for the point as it is.
        param_dtype: dtype; when None JAX's default, float64 where `jax_enable_x64` is on.
        rngs: random numbers for w and for the centres z_j, uniform in the box.

    Raises:
        ValueError: when a size or a scale is not positive, or the corners span no box; when called, for anything but
            one point.
        TypeError: when another argument is of the wrong kind.

    References:
      Huang, Zhu, Siew, `Extreme learning machine: theory and applications
      <https://doi.org/10.1016/j.neucom.2005.12.126>`_, Neurocomputing 70, 2006 (a hidden layer that is not trained).

      Chen, Chi, E, Yang, `Bridging traditional and machine learning-based algorithms for solving PDEs: the random
      feature method <https://arxiv.org/abs/2207.13380>`_, Journal of Machine Learning 1, 2022 (equations, by linear
      least squares).

    Example:
        >>> import jax.numpy as jnp
        >>> from pinnjax import nn
        >>> u = RandomFeatures([0.0, 0.0], [1.0, 2.0], "scalar", width=50, scale=2.0, rngs=nn.Rngs(0))
        >>> print(u(jnp.array([0.5, 0.5])), u.out.kernel.shape)
        0.0 (50, 1)
        >>> circle = {"scale": 2.0, "inputs": nn.Periodic([2.0]), "rngs": nn.Rngs(0)}  # (cos πx, sin πx)
        >>> periodic = RandomFeatures([-1.0, -1.0], [1.0, 1.0], "scalar", width=50, **circle)
    """

    def __init__(
        self,
        lower: ArrayLike | Sequence[float],
        upper: ArrayLike | Sequence[float],
        out_features: mlp.OutFeatures,
        *,
        width: int,
        scale: float | Sequence[float],
        activation: mlp.Activation = jnp.tanh,
        inputs: Callable[[Array], Array] | None = None,
        param_dtype: Any = None,
        rngs: nnx.Rngs,
    ):
        self.lower, self.upper = checks.corners(lower, upper)
        d = len(self.lower)
        mlp.check_sizes(out_features, width=width)
        slopes = np.asarray(scale, float)
        if slopes.shape not in ((), (d,)) or not np.isfinite(slopes).all() or np.any(slopes <= 0):
            raise ValueError(f"scale is {scale}; expected a positive number, or one for each of {d} coordinates")
        mlp.check_activation(activation)
        mlp.check_inputs(inputs)
        mlp.check_rngs(rngs)
        dtype = checks.floating("param_dtype", param_dtype)
        draw = lambda: jax.random.uniform(rngs.params(), (width, d), dtype, -1.0, 1.0)
        self.weights = nnx.Variable(draw() * jnp.broadcast_to(jnp.asarray(slopes, dtype), (width, d)))
        self.centres = nnx.Variable(draw())
        zeros = jax.nn.initializers.zeros
        m = mlp.components(out_features)
        self.out = nnx.Linear(width, m, kernel_init=zeros, bias_init=zeros, param_dtype=dtype, rngs=rngs)
        self.out_features = out_features
        self.activation = activation
        self.inputs = inputs

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        x = mlp.encoded("RandomFeatures", x, self.inputs, len(self.lower))
        low, high = (jnp.asarray(end, x.dtype) for end in (self.lower, self.upper))
        z = (2 * x - low - high) / (high - low)
        weights = self.weights[...]
        offset = jnp.sum(weights * self.centres[...], axis=1)
        return mlp.outputs(self.out(self.activation(weights @ z - offset)), self.out_features)
