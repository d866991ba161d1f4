"""Chebyshev KAN: on every edge a polynomial that is learnt, in place of weights and a fixed activation."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnjax import checks
from pinnjax.nn import mlp


class ChebyshevKAN(nnx.Module):
    """A polynomial that is learnt on every edge, in place of a fixed activation.

    A layer is y_o = Σ_i Σ_k c_{k,i,o} T_k(tanh h_i), with the Chebyshev polynomials T_0..T_K: `depth` of them between
    units, and one more to the field. A layer has K + 1 numbers an edge, so it is narrower than an MLP of as many.

    Args:
        in_features: d, the coordinates of a point (after `inputs`, where that changes their number).
        out_features: m for a vector field `(m,)`, or `"scalar"` for a scalar field `()`.
        width: units between two layers.
        depth: how often there are units between: `depth + 1` layers.
        degree: K, of the polynomials, >= 1; some 3 to 8.
        inputs: map applied to the point first, e.g. `Standardize`: where |h_i| is above 2 or so, tanh is flat.
        param_dtype: dtype of the parameters; when None JAX's default, float64 where `jax_enable_x64` is on.
        rngs: random numbers for c, normal with the deviation 1 / (n (K + 1)) in a layer with n inputs.

    Raises:
        ValueError: when a size is not positive; when called, for anything but one point.
        TypeError: when another argument is of the wrong kind.

    References:
      SS, AR, R, KP, `Chebyshev polynomial-based Kolmogorov-Arnold networks
      <https://arxiv.org/abs/2405.07200>`_, 2024 (after the paper and its public code; T_k by their recursion, since
      cos(k arccos x) has no derivative at ±1).

      Shukla, Toscano, Wang, Zou, Karniadakis, `A comprehensive and FAIR comparison between MLP and KAN representations
      for differential equations and operator networks <https://arxiv.org/abs/2406.02917>`_, Computer Methods in Applied
      Mechanics and Engineering 431, 2024 (for equations).

    Example:
        >>> import jax.numpy as jnp
        >>> print(chebyshev(jnp.array([0.5]), 3)[:, 0])  # 1, x, 2x² - 1, 4x³ - 3x
        [ 1.   0.5 -0.5 -1. ]
    """

    def __init__(
        self,
        in_features: int,
        out_features: mlp.OutFeatures,
        *,
        width: int = 10,
        depth: int = 2,
        degree: int = 5,
        inputs: Callable[[Array], Array] | None = None,
        param_dtype: Any = None,
        rngs: nnx.Rngs,
    ):
        mlp.check_sizes(out_features, in_features=in_features, width=width, depth=depth, degree=degree)
        mlp.check_inputs(inputs)
        mlp.check_rngs(rngs)
        dtype = checks.floating("param_dtype", param_dtype)

        def coefficients(n: int, m: int) -> nnx.Param:
            draw = jax.random.normal(rngs.params(), (degree + 1, n, m), dtype)
            return nnx.Param(draw / (n * (degree + 1)))

        sizes = [in_features, *[width] * depth, mlp.components(out_features)]
        self.coefficients = nnx.List([coefficients(n, m) for n, m in itertools.pairwise(sizes)])
        self.out_features = out_features
        self.degree = degree
        self.inputs = inputs

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        h = mlp.encoded("ChebyshevKAN", x, self.inputs, self.coefficients[0].shape[1])
        for c in self.coefficients:
            h = jnp.einsum("ki,kio->o", chebyshev(jnp.tanh(h), self.degree), c[...])
        return mlp.outputs(h, self.out_features)


def chebyshev(x: Float[Array, " n"], degree: int) -> Float[Array, "k n"]:
    """T_0(x), ..., T_degree(x), by T_{k+1} = 2x T_k - T_{k-1}."""
    values = [jnp.ones_like(x), x]
    for _ in range(degree - 1):
        values.append(2 * x * values[-1] - values[-2])
    return jnp.stack(values)
