"""Finite basis: many small networks, each on a window of its own, whose sum is the field."""

import functools
import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, ArrayLike, Float, Int

from pinnjax import checks
from pinnjax.nn import mlp


class FBPINN(nnx.Module):
    """Many small networks on windows that overlap: u(x) = 1/L Σ_l Σ_j w_j(x) N_j(x seen from window j), on L levels.

    The windows of a level are a regular grid on the box. The network N_j, an `MLP`, sees its window as [-1, 1]^d. The
    windows w_j of a level add up to one: where two of them overlap, one goes to zero as the other rises from it, and
    beyond the box the outermost go on.

    Only networks whose window reaches x are evaluated, at most 2^d of a level, so that the cost of a step does not
    depend on the number of windows. `pinnjax bench windows` shows it. The parameters are those of one `MLP`, with the
    number of the window, level after level, as their first axis.

    The authors' windows are products of sigmoids, or (1 + cos)² over their sum, whose fourth derivative jumps. These
    rise as the polynomial of degree nine with four continuous derivatives, which also needs no division.

    Args:
        lower: `(d,)`, the least coordinates, in the units of x.
        upper: `(d,)`, the largest ones.
        out_features: m for a vector field `(m,)`, or `"scalar"` for a scalar field `()`.
        windows: a level each: the number of windows along every axis, or one number for each of them. `[16]` is one
            level; `[1, 2, 4, 8]` are four, for a solution of several scales.
        overlap: length of a window over the distance of two, dimensionless, in (1, 2].
        width: units in a hidden layer of each network.
        depth: number of hidden layers of each.
        activation: applied after each hidden layer; smooth, since residuals differentiate it.
        param_dtype: dtype of the parameters; when None JAX's default, float64 where `jax_enable_x64` is on.
        rngs: random numbers for the Glorot normal kernels; biases start at zero.

    Raises:
        ValueError: when a size is not positive, the overlap is not in (1, 2], or the corners span no box; when called,
            for anything but one point.
        TypeError: when another argument is of the wrong kind.

    References:
      Moseley, Markham, Nissen-Meyer, `Finite basis physics-informed neural networks (FBPINNs): a scalable domain
      decomposition approach for solving differential equations <https://arxiv.org/abs/2107.07871>`_, Advances in
      Computational Mathematics 49, 2023.

      Dolean, Heinlein, Mishra, Moseley, `Multilevel domain decomposition-based architectures for physics-informed
      neural networks <https://arxiv.org/abs/2306.05486>`_, Computer Methods in Applied Mechanics and Engineering 429,
      2024 (several levels, and the default overlap).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from flax import nnx
        >>> u = FBPINN([0.0], [1.0], "scalar", windows=[1, 4], width=3, depth=1, rngs=nnx.Rngs(0))
        >>> print(u(jnp.array([0.3])).shape, [leaf.shape for leaf in jax.tree.leaves(nnx.state(u))])
        () [(5, 3), (5, 1, 3), (5, 1), (5, 3, 1)]
    """

    def __init__(
        self,
        lower: ArrayLike | Sequence[float],
        upper: ArrayLike | Sequence[float],
        out_features: mlp.OutFeatures,
        *,
        windows: Sequence[int | Sequence[int]],
        overlap: float = 1.9,
        width: int = 16,
        depth: int = 2,
        activation: mlp.Activation = jnp.tanh,
        param_dtype: Any = None,
        rngs: nnx.Rngs,
    ):
        self.lower, self.upper = checks.corners(lower, upper)
        self.levels = _levels(windows, len(self.lower))
        if isinstance(overlap, bool) or not isinstance(overlap, int | float) or not 1 < overlap <= 2:
            raise ValueError(f"overlap is {checks.described(overlap)}; expected a number in (1, 2]")
        self.overlap = float(overlap)
        mlp.check_rngs(rngs)

        def network(key: Array) -> mlp.MLP:
            return mlp.MLP(
                len(self.lower),
                out_features,
                width=width,
                depth=depth,
                activation=activation,
                param_dtype=param_dtype,
                rngs=nnx.Rngs(key),
            )

        self.networks = nnx.vmap(network)(jax.random.split(rngs.params(), sum(map(math.prod, self.levels))))

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        x = checks.point("FBPINN", x, len(self.lower))
        low, high = (jnp.asarray(end, x.dtype) for end in (self.lower, self.upper))
        place = (x - low) / (high - low)
        begins = itertools.accumulate(map(math.prod, self.levels[:-1]), initial=0)
        parts = [_level(place, level, self.overlap, begin) for level, begin in zip(self.levels, begins, strict=True)]
        numbers, values, seen = (jnp.concatenate(part) for part in zip(*parts, strict=True))
        definition, state = nnx.split(self.networks)
        reached = jax.tree.map(lambda leaf: leaf[numbers], state)
        fields = jax.vmap(lambda one, z: nnx.merge(definition, one)(z))(reached, seen)
        return jnp.tensordot(values, fields, 1) / len(self.levels)


def _levels(windows: Any, d: int) -> tuple[tuple[int, ...], ...]:
    """The number of windows along each axis, for each level."""
    if not isinstance(windows, Sequence) or isinstance(windows, str) or not windows:
        raise ValueError(f"windows is {checks.described(windows)}; expected a level each, such as [16] or [1, 2, 4]")
    levels = []
    for level in windows:
        numbers = tuple(level) if isinstance(level, Sequence) and not isinstance(level, str) else (level,) * d
        for number in numbers:
            checks.count("a number of windows", number)
        if len(numbers) != d:
            raise ValueError(f"windows has the level {numbers}; expected one number, or one for each of {d} axes")
        levels.append(numbers)
    return tuple(levels)


def _level(
    place: Float[Array, " d"], level: tuple[int, ...], overlap: float, begin: int
) -> tuple[Int[Array, " k"], Float[Array, " k"], Float[Array, "k d"]]:
    """The windows of a level that reach a place: their numbers from `begin` on, their values, and what they see."""
    axes = [_axis(p * number, number, overlap) for p, number in zip(place, level, strict=True)]
    numbers, values, seen = (
        [part.ravel() for part in jnp.meshgrid(*parts, indexing="ij")] for parts in zip(*axes, strict=True)
    )
    number = begin + jnp.ravel_multi_index(tuple(numbers), level, mode="clip")
    return number, functools.reduce(operator.mul, values), jnp.stack(seen, axis=1)


def _axis(
    t: Float[Array, ""], number: int, overlap: float
) -> tuple[Int[Array, " k"], Float[Array, " k"], Float[Array, " k"]]:
    """The same along one axis, in units of the distance of two windows: window j is [j, j + 1] and a margin."""
    if number == 1:
        return jnp.zeros(1, jnp.int32), jnp.ones(1, t.dtype), jnp.stack([2 * t - 1])
    right = jnp.clip(jnp.round(t), 1, number - 1)  # between this window and the one before is the nearest overlap
    share = _rise(2 * (t - right) / (overlap - 1))
    numbers = jnp.stack([right - 1, right])
    margin = (overlap - 1) / 2
    begins, ends = jnp.maximum(numbers - margin, 0), jnp.minimum(numbers + 1 + margin, number)
    return numbers.astype(jnp.int32), jnp.stack([1 - share, share]), (2 * t - begins - ends) / (ends - begins)


def _rise(y: Float[Array, ""]) -> Float[Array, ""]:
    """From 0 at -1 to 1 at 1, with slope (315/256) (1 - y²)⁴, so that four derivatives vanish at both."""
    y = jnp.clip(y, -1, 1)
    square = y * y
    return 0.5 + 315 / 256 * y * (1 + square * (-4 / 3 + square * (6 / 5 + square * (-4 / 7 + square / 9))))
