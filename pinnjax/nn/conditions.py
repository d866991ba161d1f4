"""Conditions built into a field: their terms disappear from the loss."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnjax import checks

Value = Callable[[Array], Array] | float


@dataclasses.dataclass(frozen=True)
class Dirichlet:
    """u = g where a distance is zero.

    Args:
        distance: φ, zero on this piece of the boundary, such as `pinnjax.sampling.distances.segment(a, b)`.
        value: g, a function of a point or a number.
        component: number of the component of u that this is for; None for all.

    Raises:
        TypeError: when the distance is no function, or the value neither that nor a number.
        ValueError: when the component is no integer >= 0.
    """

    distance: Callable[[Array], Array]
    value: Value
    component: int | None = None
    power: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check(self, ("distance",), ("value",))

    def near(self, x: Array, u: Callable[[Array], tuple[Array, Array]], distance: Array, inwards: Array) -> Array:
        """A field that satisfies the condition where the distance is zero."""
        return _at(self.value, x)


@dataclasses.dataclass(frozen=True)
class Robin:
    """∂u/∂n + c u = h where a distance is zero, with n the normal that points outwards, -∇φ.

    Args:
        distance: φ, zero on this piece of the boundary and of slope one across it.
        coefficient: c, a function of a point or a number.
        value: h, such a function or number.
        component: number of the component of u that this is for; None for all.

    Raises:
        TypeError: when the distance is no function, or c or h neither that nor a number.
        ValueError: when the component is no integer >= 0.
    """

    distance: Callable[[Array], Array]
    coefficient: Value
    value: Value
    component: int | None = None
    power: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _check(self, ("distance",), ("coefficient", "value"))

    def near(self, x: Array, u: Callable[[Array], tuple[Array, Array]], distance: Array, inwards: Array) -> Array:
        """N + φ (∂N/∂n + c N - h)."""
        value, outwards = u(-inwards)
        return value + distance * (outwards + _at(self.coefficient, x) * value - _at(self.value, x))


def Neumann(distance: Callable[[Array], Array], slope: Value, component: int | None = None) -> Robin:
    """∂u/∂n = h where a distance is zero: `Robin` with c = 0.

    Args:
        distance: φ, zero on this piece of the boundary and of slope one across it.
        slope: h, a function of a point or a number.
        component: number of the component of u that this is for; None for all.
    """
    return Robin(distance, 0.0, slope, component)


@dataclasses.dataclass(frozen=True)
class Initial:
    """u = u_0, and u_t = v_0 if it is given, at the start of a coordinate.

    Args:
        value: u_0, a function of a point, asked at the start, or a number.
        velocity: v_0, the same; None where it is not given.
        axis: number of the coordinate.
        start: its value at the start.
        component: number of the component of u that this is for; None for all.

    Raises:
        TypeError: when u_0 or v_0 is neither a function nor a number.
        ValueError: when the component is no integer >= 0.
    """

    value: Value
    velocity: Value | None = None
    axis: int = 0
    start: float = 0.0
    component: int | None = None

    def __post_init__(self) -> None:
        _check(self, (), ("value",) if self.velocity is None else ("value", "velocity"))

    @property
    def power(self) -> int:
        """The order in time to which the field is given."""
        return 1 if self.velocity is None else 2

    def distance(self, x: Array) -> Array:
        """Time since the start."""
        return x[self.axis] - self.start

    def near(self, x: Array, u: Callable[[Array], tuple[Array, Array]], distance: Array, inwards: Array) -> Array:
        """u_0 + t v_0."""
        first = x.at[self.axis].set(self.start)
        value = _at(self.value, first)
        return value if self.velocity is None else value + distance * _at(self.velocity, first)


Condition = Dirichlet | Robin | Initial


class WithConditions(nnx.Module):
    r"""A network with boundary and initial conditions built in, of several kinds and on several pieces.

    u = Σ_i w_i u_i + Π_i φ_i^{μ_i} N with w_i = Π_{j≠i} φ_j^{μ_j} / Σ_k Π_{j≠k} φ_j^{μ_j}. Each u_i satisfies condition
    i, whatever the network N does: g for `Dirichlet`, N + φ (∂N/∂n + c N - h) for `Robin` and `Neumann`, u_0 + t v_0
    for `Initial`. μ is 1 where u is given and 2 where a slope is. So leave these conditions out of the terms. With
    inputs `Periodic`, and distances and values that are periodic too, u is.

    The paper has a second network in the last term of Robin conditions; here N is both. A slope needs a derivative of
    N, so residuals of second order need its third ones. Where two pieces meet, the weights jump: u is continuous if the
    conditions agree there, but its second derivatives grow as 1 / r. If one g satisfies all conditions, give it to each
    of them: the weights add up to one.

    Args:
        network: N, a field, `()` or `(m,)`.
        conditions: `Dirichlet`, `Neumann`, `Robin`, `Initial`, at least one; their distances vanish on their own pieces
            and nowhere else.

    Raises:
        TypeError: when the network is no function, or a condition none of these.
        ValueError: when there are no conditions; when called, for anything but one point, or when a value has another
            shape than the field, a distance is no number, or there is no such component or coordinate.

    References:
      Sukumar, Srivastava, `Exact imposition of boundary conditions with distance functions in physics-informed deep
      neural networks <https://arxiv.org/abs/2104.08426>`_, Computer Methods in Applied Mechanics and Engineering 389,
      2022 (after its section on imposing boundary conditions).

      Rvachev, Sheiko, R-functions in boundary value problems in mechanics, Applied Mechanics Reviews 48(4), 1995.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from pinnjax import nn
        >>> network = nn.MLP(1, "scalar", width=4, depth=1, rngs=nn.Rngs(0))
        >>> u = WithConditions(network, [Initial(3.0, velocity=2.0)])
        >>> print(u(jnp.zeros(1)), jax.grad(u)(jnp.zeros(1)))
        3.0 [2.]
    """

    def __init__(self, network: Any, conditions: Sequence[Condition]):
        if not callable(network) or isinstance(network, type):
            raise TypeError(f"WithConditions: network is {checks.described(network)}; expected a function of a point")
        if isinstance(conditions, Condition):
            conditions = (conditions,)
        for one in conditions:
            if not isinstance(one, Condition):
                raise TypeError(
                    f"WithConditions: a condition is {checks.described(one)}; expected Dirichlet, Neumann, Robin or "
                    "Initial"
                )
        if not conditions:
            raise ValueError("WithConditions: there are no conditions; expected at least one")
        self.network = network
        self.conditions = tuple(conditions)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        x = checks.point("WithConditions", x)
        value = self.network(x)
        parts = [self._part(one, x, jnp.shape(value)) for one in self.conditions]
        if all(one.component is None for one in self.conditions):
            return _joined(value, parts)
        found = []
        for k in range(value.size):
            mine = [
                (distance, power, local if one.component is not None or not jnp.ndim(local) else local[k])
                for one, (distance, power, local) in zip(self.conditions, parts, strict=True)
                if one.component in (None, k)
            ]
            found.append(_joined(value[k], mine))
        return jnp.stack(found)

    def _part(self, one: Condition, x: Array, shape: tuple[int, ...]) -> tuple[Array, int, Array]:
        """φ, μ and u_i."""
        what, k = f"WithConditions: {type(one).__name__}", one.component
        if isinstance(one, Initial) and not 0 <= one.axis < x.size:
            raise ValueError(f"{what} is at coordinate {one.axis}; expected one of the {x.size}, from 0")
        if k is not None and (not shape or k >= shape[0]):
            raise ValueError(f"{what} is for component {k}; the network has shape {shape} at a point")
        chosen = lambda y: self.network(y) if k is None else self.network(y)[k]
        distance, inwards = (
            jax.value_and_grad(one.distance)(x) if isinstance(one, Robin) else (one.distance(x), jnp.zeros_like(x))
        )
        if jnp.shape(distance) != ():
            raise ValueError(f"{what}: the distance has shape {jnp.shape(distance)} at a point; expected ()")
        local = one.near(x, lambda v: jax.jvp(chosen, (x,), (v,)), distance, inwards)
        if jnp.shape(local) not in ((), expected := shape if k is None else ()):
            raise ValueError(f"{what}: the value has shape {jnp.shape(local)} at a point; expected () or {expected}")
        return distance, one.power, local


def _joined(value: Array, parts: Sequence[tuple[Array, int, Array]]) -> Array:
    """Σ w_i u_i + Π φ_i^{μ_i} N; where pieces meet the mean of theirs, with finite slopes."""
    if not parts:
        return value
    powers = [distance**power for distance, power, _ in parts]
    without = [math.prod(powers[:i] + powers[i + 1 :]) for i in range(len(parts))]
    total = sum(without)
    meet = total == 0
    weights = [jnp.where(meet, 1, one) / jnp.where(meet, len(parts), total) for one in without]
    lift = sum(weight * local for weight, (_, _, local) in zip(weights, parts, strict=True))
    return lift + math.prod(powers) * value


def _at(value: Value, x: Array) -> Any:
    return value(x) if callable(value) else value


def _check(condition: Any, functions: Sequence[str], values: Sequence[str]) -> None:
    what = type(condition).__name__
    for name in (*functions, *values):
        given = getattr(condition, name)
        number = name in values and isinstance(given, int | float)
        if not number and (not callable(given) or isinstance(given, type)):
            expected = "a function of a point" + " or a number" * (name in values)
            raise TypeError(f"{what}: {name} is {checks.described(given)}; expected {expected}")
    k = condition.component
    if k is not None and (not isinstance(k, int) or k < 0):
        raise ValueError(f"{what}: component is {k!r}; expected None or an integer >= 0")
