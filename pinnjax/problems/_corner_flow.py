"""The flow where the cavity's lid meets its walls, in closed form, for networks to add the rest to.

The velocity jumps there from 1 to 0, which no smooth network follows: the vorticity is as 1/r, and its square has no
mean. Close to a corner viscosity rules, Δ²ψ = 0, and with X = r cos θ along the lid, Y = r sin θ down the wall,

    ψ = b Y + θ (c X + d Y),   ψ = 0 at θ = 0 and π/2,   ψ_Y = -1 on the lid,   ψ_X = 0 on the wall,

which gives b, c and d. Δψ is the real part of 2 (d - i c) / (X + i Y), and the pressure, times Re, its imaginary part.
Both corners' flows are added up. Along the walls of the other corner each is smooth, and left to the network.

References:
  Taylor, "On scraping viscous fluid from a plane surface", in: Miszellaneen der Angewandten Mechanik, 1962 (the flow).

  Botella, Peyret, `Benchmark spectral results on the lid-driven cavity flow
  <https://doi.org/10.1016/S0045-7930(98)00002-4>`_, Computers & Fluids 27, 1998 (its subtraction from a spectral sum).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

B, C, D = np.array([-(np.pi**2), 4.0, 2 * np.pi]) / (np.pi**2 - 4)
TINY = 1e-6  # the corner itself belongs to the lid


def psi_p(x: Float[Array, " 2"], reynolds: float) -> Float[Array, " 2"]:
    """ψ and p of both corners' flows. In a corner itself p is as 1e-6 away from it.

    Example:
        >>> print(psi_p(jnp.array([0.5, 1.0]), 100.0))  # ψ = 0 on the lid; on the middle line the pressures cancel
        [0. 0.]
    """
    left, right, down = _places(x)
    pressure = (_pressure(left, down) - _pressure(right, down)) / reynolds
    return jnp.stack([_stream(left, down) + _stream(right, down), pressure])


def uvp(x: Float[Array, " 2"], reynolds: float) -> Float[Array, " 3"]:
    """u, v and p of both corners' flows.

    Example:
        >>> print(uvp(jnp.array([0.5, 1.0]), 100.0))  # u = 1 on the lid from each of the corners
        [2. 0. 0.]
    """
    left, right, down = _places(x)
    (v_left, u_left), (v_right, u_right) = _velocity(left, down), _velocity(right, down)
    pressure = (_pressure(left, down) - _pressure(right, down)) / reynolds
    return jnp.stack([u_left + u_right, v_left - v_right, pressure])


def distance(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """To the nearer of the two upper corners."""
    return jnp.hypot(jnp.minimum(x[0], 1 - x[0]), 1 - x[1])


def _places(x: Float[Array, " 2"]) -> tuple[Array, Array, Array]:
    """X from the left corner and from the right one, and Y."""
    return x[0] + TINY, 1 - x[0] + TINY, 1 - x[1]


def _stream(along: Array, down: Array) -> Array:
    """ψ = b Y + θ (c X + d Y)."""
    return B * down + jnp.arctan2(down, along) * (C * along + D * down)


def _velocity(along: Array, down: Array) -> tuple[Array, Array]:
    """(-ψ_X, -ψ_Y), with θ_X = -Y / r² and θ_Y = X / r²."""
    angle, growth = jnp.arctan2(down, along), (C * along + D * down) / (along**2 + down**2)
    return growth * down - C * angle, -(B + D * angle + growth * along)


def _pressure(along: Array, down: Array) -> Array:
    """Re p, the imaginary part of 2 (d - i c) / (X + i Y)."""
    return -2 * (D * down + C * along) / (along**2 + down**2)
