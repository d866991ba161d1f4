"""An inverse problem: the viscosity of Burgers' equation from noisy measurements, an `nnx.Param` beside the network.

    u_t + u u_x = ν u_xx  on [0, 1] x [-1, 1],  ν unknown (in truth 0.01/π),  2000 values of u with 1 % of noise

A residual function sees the module itself, so an unknown coefficient is a parameter on it and is written `u.nu`. The
data have to come first: with equal weights the equation smooths the front, and ν with it is far too large.

Run `python examples/inverse_burgers.py [STEPS]`. With 12 000 steps ν is 97 % too large with equal weights, and 1.8 %
with λ_data = 1000.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

import pinnjax as pj
from pinnjax.problems.references import cole_hopf

VISCOSITY = 0.01 / np.pi


class WithViscosity(pj.nn.Module):
    """A network and the unknown ν = exp(log_nu), which stays positive; the first guess is ten times the truth."""

    def __init__(self, network, first_guess=0.03):
        self.network = network
        self.log_nu = pj.nn.Param(jnp.log(jnp.float32(first_guess)))

    def __call__(self, x):
        """The field at one point."""
        return self.network(x)

    @property
    def nu(self):
        """The viscosity."""
        return jnp.exp(self.log_nu[...])


# Physics, x = (t, x); a point of the data is a pair of a place and a value.


def pde(u, x):
    return pj.diff(u, 0)(x) + u(x) * pj.diff(u, 1)(x) - u.nu * pj.diff(u, 1, 1)(x)


def data(u, xy):
    x, y = xy
    return u(x) - y


# Points: measurements that stay, new points for the equation in every step.
lower, upper = [0.0, -1.0], [1.0, 1.0]
random = np.random.default_rng(0)
solution = cole_hopf.burgers(np.linspace(-1, 1, 201), np.linspace(0, 1, 101), VISCOSITY).ravel()
chosen = random.choice(np.arange(201, solution.size), 2000, replace=False)  # without t = 0
values = solution[chosen] + 0.01 * np.std(solution) * random.standard_normal(2000)
batch = {"data": (pj.sampling.grid(lower, upper, (101, 201))[chosen], jnp.asarray(values, jnp.float32))}


def draw(key):
    return {"pde": pj.sampling.box(key, lower, upper, 1000)}


def solve(term_weights, steps):
    train = pj.train_step(
        {"pde": pde, "data": data},
        optax.adam(optax.cosine_decay_schedule(5e-3, steps)),
        term_weights=term_weights,
        sampler=pj.sampling.resample(draw),
    )
    inputs = pj.nn.Standardize.box(lower, upper)
    network = pj.nn.MLP(2, "scalar", width=32, depth=4, inputs=inputs, rngs=pj.nn.Rngs(0))
    state, _ = pj.fit(train, train.init(WithViscosity(network), batch, key=jax.random.key(1)), batch, steps=steps)
    return float(train.model(state).nu)


def main(steps=12_000):
    print(f"the truth:     ν = {VISCOSITY:.6f}")
    print(f"equal weights: ν = {solve(None, steps):.6f}")
    nu = solve(pj.term_weights.fixed({"data": 1000.0}), steps)
    error = abs(nu / VISCOSITY - 1)
    print(f"λ_data = 1000: ν = {nu:.6f}, relative error {error:.1e}")
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
