"""Separable fields: a sum of products of functions of one coordinate each."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnjax import checks
from pinnjax.nn import mlp


class Separable(nnx.Module):
    """A sum of products of functions of one coordinate: cheap on whole grids.

    u(x) = Σ_r Π_i f_r^(i)(x_i), where the i-th factor f^(i) is a network of the i-th coordinate alone. `u.grid(axes)`
    takes n_1 + ... + n_d evaluations of factors for n_1 ⋯ n_d points. At points one by one, as train steps have them,
    the field is like any other and d networks are evaluated; the speed of the paper comes from residuals on a grid,
    differentiated forward along each axis.

    It is not the better network by itself: with R = 16 on the Helmholtz problem, whose solution is one product, errors
    were 1.1 and 0.46 after 2000 steps of Adam at few random points, and 0.17 and 0.10 for an MLP of as many parameters.

    Args:
        factors: f^(i), one a coordinate: networks of one coordinate with R values, e.g. `MLP(1, R, ...)`; with R m
            values for m components. Each has input maps of its own, such as `inputs=Periodic([2.0])`.
        out_features: m for a vector field `(m,)`, or `"scalar"` for a scalar field `()`.

    Raises:
        TypeError: when a factor is no function of a point.
        ValueError: when the factors do not have the same number of values, a multiple of m; when called, for anything
            but one point.

    References:
      Cho, Nam, Yang, Yun, Hong, Park, `Separable physics-informed neural networks
      <https://arxiv.org/abs/2306.15969>`_, NeurIPS 2023 (after).

    Example:
        >>> import jax.numpy as jnp
        >>> u = Separable([lambda x: jnp.array([1.0, x[0]]), lambda y: jnp.array([y[0], 2.0])])  # y + 2x
        >>> print(u(jnp.array([3.0, 1.0])), u.grid([jnp.array([0.0, 3.0]), jnp.array([1.0])]).ravel())
        7.0 [1. 7.]
    """

    def __init__(self, factors: Sequence[Callable[[Array], Array]], out_features: mlp.OutFeatures = "scalar"):
        mlp.check_sizes(out_features)
        if len(factors) == 0:
            raise ValueError("factors are empty; expected one for each coordinate")
        for factor in factors:
            if not callable(factor) or isinstance(factor, type):
                raise TypeError(f"a factor is {checks.described(factor)}; expected a function of one coordinate (1,)")
        shapes = [
            jax.eval_shape(factor, jax.ShapeDtypeStruct((1,), jnp.result_type(float))).shape for factor in factors
        ]
        m = mlp.components(out_features)
        if len(set(shapes)) != 1 or len(shapes[0]) != 1 or shapes[0][0] % m:
            raise ValueError(
                f"factors have values of shapes {shapes}; expected the same (R,) of all, R a multiple of {m}"
            )
        self.factors = nnx.List(factors)
        self.rank = shapes[0][0] // m
        self.out_features = out_features

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        x = checks.point("Separable", x, len(self.factors))
        product = jnp.prod(jnp.stack([factor(x[i : i + 1]) for i, factor in enumerate(self.factors)]), axis=0)
        return mlp.outputs(product.reshape(self.rank, -1).sum(axis=0), self.out_features)

    def grid(self, axes: Sequence[Float[Array, " _"]]) -> Float[Array, "..."]:
        """The field on a tensor grid.

        Args:
            axes: one `(n_i,)` a coordinate, in the units of x.

        Returns:
            `(n_1, ..., n_d)`, as `jnp.meshgrid(*axes, indexing="ij")` orders the points, and m at the end for a vector.

        Raises:
            ValueError: when there is not one axis `(n_i,)` for each coordinate.
        """
        if [jnp.ndim(axis) for axis in axes] != [1] * len(self.factors):
            raise ValueError(
                f"axes have shapes {[jnp.shape(axis) for axis in axes]}; expected {len(self.factors)} of (n,)"
            )
        values = [
            jax.vmap(factor)(axis[:, None]).reshape(len(axis), self.rank, -1)
            for factor, axis in zip(self.factors, axes, strict=True)
        ]
        total = functools.reduce(lambda product, f: jnp.einsum("...rm,nrm->...nrm", product, f), values).sum(axis=-2)
        return total[..., 0] if self.out_features == "scalar" else total
