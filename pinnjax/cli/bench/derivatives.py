"""Gradients of residuals with derivatives of several orders: `pinnjax bench derivatives`.

The baseline is what users of JAX write: `jax.hessian` and `jax.jacfwd` at each point, `jax.vmap`, `jax.grad` of the
mean square. Beside it stand `pinnjax.value_and_grads` on all points at once, and in parts that stay in the cache. A
step is a gradient and plain descent by it, in float32.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from pinnjax import nn
from pinnjax.cli.bench import timing
from pinnjax.derivatives import diff, grad, laplacian
from pinnjax.terms import bridge, value_and_grads

PyTree = Any
RATE = 1e-9  # of the descent, so that steps differ and the network does not move
VISCOSITY = 0.01


class Equation(NamedTuple):
    """A workload.

    Attributes:
        residual: with the operators of pinnjax.
        by_hand: the same with those of JAX.
        d: coordinates.
        outputs: of the network.
        width: of its four hidden layers.
        points: their number.
        steps: in one call.
    """

    residual: Callable
    by_hand: Callable
    d: int
    outputs: Any
    width: int
    points: int
    steps: int


def helmholtz(u: Callable, x: Array) -> Array:
    """Δu + u."""
    return laplacian(u)(x) + u(x)


def helmholtz_by_hand(u: Callable, x: Array) -> Array:
    """Δu + u."""
    return jnp.trace(jax.hessian(u)(x)) + u(x)


def allen_cahn(u: Callable, x: Array) -> Array:
    """u_t - 0.0001 u_xx + 5 u³ - 5 u."""
    return diff(u, 0)(x) - 1e-4 * diff(u, 1, 1)(x) + 5 * u(x) ** 3 - 5 * u(x)


def allen_cahn_by_hand(u: Callable, x: Array) -> Array:
    """u_t - 0.0001 u_xx + 5 u³ - 5 u."""
    return jax.grad(u)(x)[0] - 1e-4 * jax.hessian(u)(x)[1, 1] + 5 * u(x) ** 3 - 5 * u(x)


def kdv(u: Callable, x: Array) -> Array:
    """u_t + u u_x + 0.0025 u_xxx."""
    return diff(u, 0)(x) + u(x) * diff(u, 1)(x) + 0.0025 * diff(u, 1, 1, 1)(x)


def kdv_by_hand(u: Callable, x: Array) -> Array:
    """u_t + u u_x + 0.0025 u_xxx."""
    du = jax.grad(u)(x)
    return du[0] + u(x) * du[1] + 0.0025 * jax.jacfwd(jax.hessian(u))(x)[1, 1, 1]


def biharmonic(u: Callable, x: Array) -> Array:
    """Δ²u."""
    return laplacian(laplacian(u))(x)


def biharmonic_by_hand(u: Callable, x: Array) -> Array:
    """Δ²u."""
    of = lambda v: lambda x: jnp.trace(jax.hessian(v)(x))
    return of(of(u))(x)


def navier_stokes(u: Callable, x: Array) -> dict[str, Array]:
    """(u·∇) u + ∇p - ν Δu and ∇·u in three dimensions, of a network of u, v, w and p."""
    slopes, velocity = grad(u)(x), u(x)[:3]
    momentum = slopes[:3] @ velocity + slopes[3] - VISCOSITY * laplacian(u)(x)[:3]
    return {"momentum": momentum, "mass": slopes[0, 0] + slopes[1, 1] + slopes[2, 2]}


def navier_stokes_by_hand(u: Callable, x: Array) -> dict[str, Array]:
    """(u·∇) u + ∇p - ν Δu and ∇·u in three dimensions, of a network of u, v, w and p."""
    slopes, curvatures, velocity = jax.jacfwd(u)(x), jax.hessian(u)(x), u(x)[:3]
    momentum = slopes[:3] @ velocity + slopes[3] - VISCOSITY * jnp.trace(curvatures[:3], axis1=1, axis2=2)
    return {"momentum": momentum, "mass": jnp.trace(slopes[:3])}


WORKLOADS = {
    "Helmholtz, 4x50, 8192 points": Equation(helmholtz, helmholtz_by_hand, 2, "scalar", 50, 8192, 4),
    "Allen-Cahn, 4x128, 8192 points": Equation(allen_cahn, allen_cahn_by_hand, 2, "scalar", 128, 8192, 2),
    "KdV, 4x50, 2048 points": Equation(kdv, kdv_by_hand, 2, "scalar", 50, 2048, 4),
    "biharmonic, 4x50, 2048 points": Equation(biharmonic, biharmonic_by_hand, 2, "scalar", 50, 2048, 1),
    "Navier-Stokes in 3-D, 4x64, 4096 points": Equation(navier_stokes, navier_stokes_by_hand, 3, 4, 64, 4096, 2),
}


def run(rounds: int) -> dict[str, dict[str, timing.Timing]]:
    """Time every equation."""
    return {name: timing.compare(_programs(e), e.steps, rounds) for name, e in WORKLOADS.items()}


def _programs(equation: Equation) -> dict[str, tuple[Callable, Any]]:
    model = nn.MLP(equation.d, equation.outputs, width=equation.width, depth=4, rngs=nn.Rngs(0))
    definition, params, constants = bridge.split(model)
    points = jax.random.uniform(jax.random.key(0), (equation.points, equation.d), jnp.float32)

    def by_hand(params: PyTree, points: Array) -> PyTree:
        def loss(params: PyTree) -> Array:
            u = bridge.field(definition, params, constants)
            found = jax.vmap(lambda x: equation.by_hand(u, x))(points)
            each = [jnp.mean(jnp.sum(r.reshape(len(r), -1) ** 2, axis=1)) for r in jax.tree.leaves(found)]
            return sum(each[1:], each[0])

        return jax.grad(loss)(params)

    def by_terms(chunk: Any) -> Callable:
        evaluate = value_and_grads({"pde": equation.residual}, definition, constants, chunk=chunk)

        def gradient(params: PyTree, points: Array) -> PyTree:
            _, found = evaluate(params, {"pde": points})
            return jax.tree.map(lambda *g: sum(g[1:], g[0]), *found.values())

        return gradient

    def repeated(gradient: Callable) -> tuple[Callable, Any]:
        def descend(argument: Any) -> PyTree:
            params, points = argument
            moved = lambda p, _: (jax.tree.map(lambda a, g: a - RATE * g, p, gradient(p, points)), None)
            return jax.lax.scan(moved, params, None, equation.steps)[0]

        return descend, (params, points)

    return {
        "written by hand": repeated(by_hand),
        "pinnjax, all points at once": repeated(by_terms(None)),
        "pinnjax": repeated(by_terms("auto")),
    }
